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
        => devices, |case| match devices_of(case) {
            // what is there is hidden again
            Some(Devices::Covered) => vec![told!(CM02, "dev-after-binds")],
            _ => told!(CM02, "dev-after-binds").or([told!(CM02, "dev-bind")]),
        };
}

/// What a line shows at /dev.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Devices {
    /// What a bind of / or nothing brings.
    None,
    /// Some, which a later bind of / hides.
    Covered,
    Sound,
}

fn devices_of(case: &Case<'_>) -> Option<Devices> {
    let operations = &case.sandbox?.operations;
    let on = |path| operations.iter().rposition(|operation| operation.destination() == Path::new(path));
    let (dev, root) = (on("/dev"), on("/"));
    Some(match dev {
        None => Devices::None,
        Some(dev) if root.is_some_and(|root| root > dev) => Devices::Covered,
        Some(_) => Devices::Sound,
    })
}

fn devices(case: &Case<'_>) -> Option<Judgement> {
    let found = said(case, Cause::DevicesUnusable, "the command says so")?;
    Some(match devices_of(case) {
        Some(Devices::Sound) => return None,
        Some(Devices::Covered) => found.asked(case, "a bind of / comes after /dev and hides it"),
        Some(Devices::None) => found
            .asked(case, "no operation puts a /dev there: what comes with / is bound without its devices"),
        None if case.others().any(|text| text.contains("bwrap")) => found,
        None => found
            .confidence(Low)
            .summary("the devices in /dev are of no use, if this command ran in a sandbox")
            .unknown("whether bwrap started this command: nothing in the text says so"),
    })
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
