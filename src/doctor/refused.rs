//! What keeps a launch from starting bwrap at all, put as bwrap itself would put it.

use super::foretell::foresee;
use crate::diagnosis::{Confidence, Finding};
use crate::host::Host;
use crate::launch::Error;
use crate::sandbox::{Invalid, Operation, OverlayKind, Place, Problem, Sandbox};

/// For what bwrap has no words for, or other ones each time: what is wrong is said by ours.
const OWN: &str = "setenv failed";

/// What it means.
pub(super) fn finding(host: &Host, sandbox: &Sandbox, refusal: &Error) -> Option<Finding> {
    let invalid = match refusal {
        Error::Invalid(invalid) => invalid,
        Error::MissingOption(missing) => {
            let message = format!("Unknown option {}", missing.option);
            return foresee(host, sandbox, &message, missing.to_string());
        }
        _ => return None,
    };
    let said = said(sandbox, invalid);
    let message = said.as_deref().unwrap_or(OWN);
    let seen = if message == OWN {
        "the line says so, and it is looked at before bwrap is started".to_owned()
    } else {
        format!("the line says so: {invalid}")
    };
    let mut finding = foresee(host, sandbox, message, seen)?;
    if let Place::Operation { index, .. } = &invalid.place {
        finding.operation = Some(*index);
    }
    if message == OWN {
        finding.summary = invalid.to_string();
    }
    if said.is_none() {
        finding.summary = format!("bwrap-launch does not start bwrap for it: {invalid}");
        finding.confidence = Confidence::Medium;
    }
    Some(finding)
}

/// bwrap's own words for it; `None` if it has none.
fn said(sandbox: &Sandbox, invalid: &Invalid) -> Option<String> {
    let text = match &invalid.problem {
        Problem::HostnameNeedsUts => "Specifying --hostname requires --unshare-uts",
        Problem::NeedsPidNamespace("as_pid_1") => "Specifying --as-pid-1 requires --unshare-pid",
        Problem::NeedsUserNamespace("disable_userns") => "--disable-userns requires --unshare-user",
        Problem::JoinedAndNewUserNamespace => "--userns is not compatible with --unshare-user",
        Problem::IdNeedsUserNamespace if sandbox.identity.uid.is_some() => {
            "Specifying --uid requires --unshare-user or --userns"
        }
        Problem::IdNeedsUserNamespace => "Specifying --gid requires --unshare-user or --userns",
        Problem::Conflict("as_pid_1", "lock_file") => {
            "Specifying --as-pid-1 and --lock-file is not permitted"
        }
        Problem::TooFewLayers { .. } => match overlay(sandbox, &invalid.place)? {
            OverlayKind::ReadOnly => "--ro-overlay requires at least two --overlay-src",
            OverlayKind::Temporary => "--tmp-overlay requires at least one --overlay-src",
            OverlayKind::Writable { .. } => "--overlay requires at least one --overlay-src",
        },
        Problem::TooManyWords { limit, .. } => {
            return Some(format!("Exceeded maximum number of arguments {limit}"));
        }
        Problem::Mode(_) => "--perms takes an octal argument <= 07777",
        Problem::Size(0) => "--size takes a non-zero number of bytes",
        // the kernel refuses that one, with a number that says less
        Problem::HostnameTooLong(_)
        | Problem::VariableName
        | Problem::DescriptorReused { .. }
        | Problem::DescriptorNumber(_) => OWN,
        _ => return None,
    };
    Some(text.to_owned())
}

fn overlay<'a>(sandbox: &'a Sandbox, place: &Place) -> Option<&'a OverlayKind> {
    let Place::Operation { index, .. } = place else { return None };
    match sandbox.operations.get(*index)? {
        Operation::Overlay(overlay) => Some(&overlay.kind),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::Command;
    use crate::bwrap::Bwrap;
    use crate::diagnosis::{Cause, Outlook};
    use crate::doctor::predict_command;

    /// What is foretold of a line: the first cause, and how sure that is.
    fn foretold(line: &str) -> (Outlook, Option<Cause>) {
        let words =
            ["--ro-bind", "/", "/"].into_iter().chain(line.split(' ').filter(|word| !word.is_empty()));
        let prediction = predict_command(&Bwrap::find().unwrap(), &Command::from_args(words).unwrap());
        (prediction.outlook, prediction.obstacles.first().map(|finding| finding.cause))
    }

    #[test]
    fn what_a_launch_refuses_is_foretold() {
        let words = "1 ".repeat(9_200);
        let long = "a".repeat(80);
        for (line, cause) in [
            ("--as-pid-1 true", Cause::ContradictoryOptions),
            ("--unshare-pid --disable-userns true", Cause::ContradictoryOptions),
            ("--hostname box true", Cause::ContradictoryOptions),
            (&format!("--unshare-uts --hostname {long} true"), Cause::BadArguments),
            ("--setenv A=B c true", Cause::BadArguments),
            ("--ro-bind-data 12 /etc/passwd --ro-bind-data 12 /etc/hostname true", Cause::BadArguments),
            (&format!("true {words}"), Cause::BadArguments),
        ] {
            let found = foretold(line);
            assert_eq!(found, (Outlook::Fails, Some(cause)), "{}", &line[..line.len().min(60)]);
        }
    }

    #[test]
    fn what_bwrap_would_do_is_uncertain() {
        for line in ["--tmpfs /tmp/../mnt true", "--lock-file /etc/passwd true"] {
            assert_eq!(foretold(line), (Outlook::Uncertain, Some(Cause::BadArguments)), "{line}");
        }
    }

    #[test]
    fn what_a_launch_takes_is_not_foretold() {
        let words = "1 ".repeat(8_000);
        for line in
            ["--unshare-pid --as-pid-1 true", "--unshare-uts --hostname box true", &format!("true {words}")]
        {
            let (_, cause) = foretold(line);
            let refused = [Cause::BadArguments, Cause::ContradictoryOptions, Cause::HostnameDenied];
            assert!(!cause.is_some_and(|cause| refused.contains(&cause)), "{cause:?}");
        }
    }
}
