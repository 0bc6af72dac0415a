//! What the command says once it runs, or a helper of the launcher's before it: not bwrap's words, and taken for them.

use super::cp;
use super::prelude::*;
use crate::diagnosis::evidence;
use crate::diagnosis::weigh::Rule;

rules! {
    HelperConfined, Failed, [],
        unless "with `allowAllUnixSockets` the launcher's sandbox fails alike"
        => |case| said(case, Cause::HelperConfined, "the helper inside says so");

    DevicesUnusable, Failed, [],
        unless "inside, `ls -l /dev/null` shows a device, and `findmnt -T /dev/null` no nodev"
        => |case| said(case, Cause::DevicesUnusable, "the command says so");
}

fn said(case: &Case<'_>, of: Cause, who: &str) -> Option<Judgement> {
    let line = evidence::others_line(case, of)?;
    Some(weigh(Medium).heard(case, format!("{who}: {line}")))
}

/// What a text that is none of bwrap's is known to say.
pub(in crate::diagnosis) fn find(case: &Case<'_>) -> Option<Finding> {
    let known = |rule: &&Rule| evidence::others_line(case, rule.cause).is_some();
    cp::RULES.iter().chain(RULES).find(known)?.find(case)
}
