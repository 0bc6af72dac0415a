//! What is said if no rule has anything to say: as much as can be said without knowing.

use super::cm;
use super::k8;
use super::prelude::*;
use crate::bwrap::message::is_program;

pub(in crate::diagnosis) fn unexplained(case: &Case<'_>) -> Finding {
    if let Some(finding) = k8::find(case).or_else(|| cm::find(case)) {
        return finding;
    }
    let sure = if high_id(case).is_some() { Medium } else { Low };
    let found = weigh(sure).summary(summary(case)).refuted_by(
        "`bwrap-doctor check` finds the step that fails, with the same user and in the same place",
    );
    suspects(case, found).finding(Cause::Unexplained, wish::fit(case, remedies(case)))
}

/// What wait(2) gave for bwrap, where a launcher prints that in the place of a message: the signal that ended it, or its status. What
/// stopped has 127 there, and no signal has a number above 64.
fn waited(case: &Case<'_>) -> Option<(i32, i32)> {
    let text = case.message()?.text().to_string_lossy();
    let status: i32 = text.strip_prefix("wait status ")?.trim().parse().ok()?;
    let signal = status & 0x7f;
    (status >= 0 && signal <= 64).then_some((signal, (status >> 8) & 0xff))
}

/// The id of whoever starts bwrap, where that is too high for it: it writes ids into the maps as signed numbers.
fn high_id(case: &Case<'_>) -> Option<(&'static str, u32)> {
    let process = &case.host.process;
    let (who, id) = match () {
        () if case.says(&["setting up uid map"]) => ("user", &process.uid),
        () if case.says(&["setting up gid map"]) => ("group", &process.gid),
        () => return None,
    };
    let high = id.present().filter(|id| case.errno() == Some(libc::EINVAL) && i32::try_from(**id).is_err());
    Some((who, *high?))
}

fn summary(case: &Case<'_>) -> String {
    if let Some((who, id)) = high_id(case) {
        return format!(
            "bwrap writes the {who} {id}, who starts it, into the map as {}: it takes no id of 2147483648 or more",
            id.cast_signed()
        );
    }
    match waited(case) {
        Some((0, status)) => {
            return format!("bwrap ended with status {status}, and what it said is not shown");
        }
        Some((signal, _)) => {
            return format!(
                "signal {signal} ended bwrap: the launcher shows what wait(2) gave, and bwrap said nothing"
            );
        }
        None => {}
    }
    match (case.message(), case.symptom.and_then(|symptom| symptom.signal)) {
        (Some(message), _) if message.pattern().is_some() => {
            format!("nothing that is known explains \"{message}\" (stage: {}) on this host", message.stage())
        }
        (Some(message), _) => format!("\"{message}\" is no message that is known of bwrap"),
        (None, Some(signal)) => format!("signal {signal} ended bwrap before it said anything"),
        (None, None) if is_unheard(case) => {
            "what bwrap said, if anything, went where it cannot be read back: a pipe, a terminal, a file of others'".to_owned()
        }
        (None, None) => "bwrap said nothing that could be explained".to_owned(),
    }
}

/// Whether somebody else may have bwrap's words.
fn is_unheard(case: &Case<'_>) -> bool {
    case.message().is_none()
        && case.symptom.is_some_and(|symptom| symptom.unheard && symptom.signal.is_none())
}

/// What points somewhere, what speaks against the usual suspects, and what nobody could see.
fn suspects(case: &Case<'_>, mut found: Judgement) -> Judgement {
    let message = case.message();
    if let Some(errno) = message.and_then(Message::errno) {
        let answer = match meaning(case, Cause::Unexplained) {
            Some((_, hint)) => format!("\"{}\": {hint}", errno.text()),
            None => format!("the kernel's answer was \"{}\"", errno.text()),
        };
        found = found.heard(case, answer).heard(case, calls::unexplained(case));
    } else if let Some(stale) = message.and_then(Message::stale_errno).map(Errno::text) {
        found = found.unknown(format!("the kernel's answer: \"{stale}\" is left over from an earlier call"));
    }
    let killed = case.symptom.and_then(|symptom| symptom.signal) == Some(libc::SIGSYS);
    let sigsys = "SIGSYS is what a system call filter ends a process with";
    let landlock = "whether a Landlock domain is in force: nothing shows that";
    let found = found
        .heard(case, killed.then_some(sigsys))
        .if_so(evidence::filter(case))
        .if_so(evidence::label(case))
        .unknown((knows_landlock(case) == Some(true)).then_some(landlock));
    let platforms = case.platforms.present().into_iter().flatten();
    platforms.fold(found, |found, platform| found.pro(evidence::sighted(platform)))
}

fn remedies(case: &Case<'_>) -> Vec<Remedy> {
    if waited(case).is_some_and(|(signal, _)| signal != 0) {
        let mode = || told!(UN01, "without-gamemode");
        let first = case.hinted(Hint::GameMode).then(mode);
        let perhaps = first.is_none().then(|| mode().needs("a launcher that was started with gamemoderun"));
        let look = [told!(UN01, "look-at-crash")];
        return Vec::new().or(first).or(look).or(perhaps).or([told!(UN01, "report-it")]);
    }
    if high_id(case).is_some() {
        return vec![told!(UN01, "lower-ids"), told!(UN01, "report-it")];
    }
    let foreign = case.message().is_some_and(|message| message.pattern().is_none());
    let version = foreign.then(|| told!(UN01, "look-at-version"));
    let (steps, report) = (told!(UN01, "try-each-step"), told!(UN01, "report-it"));
    // what bwrap itself says is worth more than any trial
    let first = if has_line(case) {
        [told!(UN01, "try-the-pasted-line"), steps]
    } else {
        [steps, told!(UN01, "try-the-line")]
    };
    if is_unheard(case) {
        return told!(UN01, "explain-its-words").or(first).or([report]);
    }
    Vec::from(first).or([report]).or(version)
}

/// Whether bwrap's command line stands in what others said: some launchers show that, and not what bwrap said. One that is only hinted at
/// (`bwrap --unshare-all ...`) cannot be run.
fn has_line(case: &Case<'_>) -> bool {
    const MOST: usize = 200;
    case.others().any(|text| {
        let words = text.split_whitespace().map(|word| word.trim_matches(['"', '\'', ',', '[', '`']));
        let words: Vec<&str> = words.collect();
        let begins = words.windows(2).enumerate().filter(|(_, pair)| {
            matches!(pair, [program, option] if is_program(program.as_bytes()) && option.starts_with("--"))
        });
        begins.map(|(at, _)| at + 1).any(|at| {
            let rest = words.iter().skip(at).take(MOST);
            let mut shown = rest.take_while(|word| !word.ends_with("...") && !word.ends_with('\u{2026}'));
            shown.any(|word| word.starts_with('/'))
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;
    use crate::diagnosis::Bearing;
    use crate::diagnosis::Symptom;
    use crate::diagnosis::diagnose;
    use crate::diagnosis::fixtures::{docker, explain, machine, whole};
    use crate::host::Host;

    fn texts(finding: &Finding, bearing: Bearing) -> Vec<&str> {
        let evidence = finding.evidence.iter().filter(|evidence| evidence.bearing == bearing);
        evidence.map(|evidence| evidence.text.as_str()).collect()
    }

    #[test]
    fn it_says_what_was_said_and_what_is_suspicious() {
        let diagnosis = explain("something of the year 2030: Permission denied", &docker(), &whole());
        let finding = &diagnosis.causes[0];
        assert_eq!((diagnosis.causes.len(), finding.cause), (1, Cause::Unexplained));
        assert_eq!(
            finding.summary,
            "\"something of the year 2030: Permission denied\" is no message that is known of bwrap"
        );
        let pro = texts(finding, Bearing::For).join("\n");
        assert!(pro.contains("Seccomp: 2") && pro.contains("this is Docker: /.dockerenv"), "{pro}");
        assert!(pro.starts_with("\"Permission denied\": mostly a security module"), "{pro}");
        assert!(
            finding.remedies.len() >= 3
                && finding.remedies.iter().any(|remedy| remedy.summary.contains("Report"))
        );
    }

    #[test]
    fn what_is_ruled_out_is_said_as_well() {
        let finding = &explain("pivot_root: Device or resource busy", &machine(), &whole()).causes[0];
        assert_eq!(finding.cause, Cause::Unexplained);
        assert!(finding.summary.contains("(stage: changing the root directory)"), "{}", finding.summary);
        assert!(texts(finding, Bearing::Against).iter().any(|text| text.contains("no system call filter")));
        assert!(texts(finding, Bearing::For)[0].contains("in use"));
    }

    /// Domains give their users such ids.
    #[test]
    fn ids_that_are_too_high_are_named() {
        let first = |message: &str, (uid, gid): (u32, u32)| {
            let mut host = machine();
            (host.process.uid, host.process.gid) = (Fact::Present(uid), Fact::Present(gid));
            explain(message, &host, &whole()).causes[0].clone()
        };
        let names = |found: &Finding| found.remedies[0].to_string().contains("--map-user=1000");
        let (user, group) = ("setting up uid map: Invalid argument", "setting up gid map: Invalid argument");
        let found = first(user, (3_000_000_000, 100));
        assert!(names(&found) && found.summary.contains("user 3000000000"), "{}", found.summary);
        assert!(found.summary.contains("as -1294967296"), "{}", found.summary);
        assert!(names(&first(group, (1000, 1 << 31))));
        // the highest that it takes, the other id, and another answer
        for (message, ids) in [
            (user, ((1 << 31) - 1, 100)),
            (user, (65534, 65534)),
            (user, (1000, 3_000_000_000)),
            (group, (3_000_000_000, 100)),
            ("setting up uid map: Permission denied", (3_000_000_000, 100)),
        ] {
            assert!(!names(&first(message, ids)), "{message} {ids:?}");
        }
    }

    /// Some launchers show what they started, and not what it said.
    #[test]
    fn a_line_in_what_was_pasted_is_to_be_run() {
        let first = |text: &str| {
            let diagnosis = diagnose(&Symptom::from_text(text.as_bytes()), &Host::default(), None);
            diagnosis.causes[0].remedies[0].summary.clone()
        };
        let loader = "Loader process exited early with status '1'Command: \"bwrap\" \"--unshare-all\" \"/usr/libexec/x\"";
        assert!(first(loader).starts_with("Run bwrap's line"), "{}", first(loader));
        for other in [
            "the launcher ended with status 1",
            "it fails with a `bwrap --unshare-all ...` error",
            "a call of bwrap --unshare-all fails",
        ] {
            assert!(!first(other).starts_with("Run bwrap's line"), "{other}");
        }
    }

    /// bwrap's message may stand on the caller's screen: it is not said that there was none.
    #[test]
    fn words_that_went_elsewhere_are_no_silence() {
        let of = |symptom: &Symptom| diagnose(symptom, &machine(), Some(&whole())).causes[0].clone();
        let lost = Symptom { verdict: Verdict::SetupFailed, unheard: true, ..Symptom::default() };
        let found = of(&lost);
        assert!(found.summary.contains("went where it cannot be read back"), "{found:?}");
        assert!(found.remedies[0].instructions().contains("bwrap-doctor explain --message"), "{found:?}");
        // where all was heard, where a signal came first, where something was said
        let silent = Symptom { unheard: false, ..lost.clone() };
        let killed = Symptom { signal: Some(9), ..lost.clone() };
        let said =
            Symptom { unheard: true, ..Symptom::from_text(b"bwrap: pivot_root: Device or resource busy") };
        for other in [silent, killed, said] {
            let found = of(&other);
            assert!(!found.summary.contains("read back"), "{found:?}");
            assert!(!found.remedies[0].instructions().contains("explain --message"), "{found:?}");
        }
    }

    #[test]
    fn facts_that_nobody_knows_stay_open() {
        let symptom = Symptom { signal: Some(libc::SIGSYS), ..Symptom::default() };
        let finding = &diagnose(&symptom, &Host::default(), None).causes[0];
        assert_eq!(finding.summary, "signal 31 ended bwrap before it said anything");
        assert!(texts(finding, Bearing::For)[0].starts_with("SIGSYS"));
        assert_eq!(texts(finding, Bearing::Unknown).len(), 2);
        assert!(texts(finding, Bearing::Against).is_empty());
    }
}
