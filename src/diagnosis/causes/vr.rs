//! Options that the bwrap at hand does not know, because it is too old.

use super::bd::lookup::{is_kept_mounted, may_have_met_link};
use super::prelude::*;
use crate::bwrap::arguments::{Arguments, Word};
use crate::bwrap::options::{self, BwrapOption};
use crate::diagnosis::launcher::Launcher;
use crate::host::Program;

rules! {
    UnknownOption, Anytime, ["Unknown option %s"] => unknown_option, newer_bwrap;

    BwrapTooOld, Failed, ["Can't bind mount %s on %s" => (ENOENT EINVAL); "Can't access %s" => (EROFS)],
        unless "`bwrap --version` prints 0.8 or newer, of the bwrap that the launcher starts"
        => outdated, |case| {
            let mended = mended(case);
            let since = mended.map_or_else(String::new, |(since, _)| format!(" {since} or newer"));
            vec![install_bubblewrap(case, &since)]
        };
}

/// The option that bwrap does not know.
pub(in crate::diagnosis) fn subject(case: &Case<'_>) -> String {
    let subject = case.message().and_then(Message::subject);
    subject.map(|subject| subject.to_string_lossy().into_owned()).unwrap_or_default()
}

fn unknown_option(case: &Case<'_>) -> Option<Judgement> {
    if !case.failed() {
        return too_old(case);
    }
    let name = subject(case);
    let found = |confidence| {
        weigh(confidence).refuted_by(format!("`bwrap --help` of the bwrap that was started lists {name}"))
    };
    let Some(option) = options::find(&name) else {
        let text = format!("{name} is no option of any bwrap that is known here");
        return Some(found(Low).contra(evidence::heard(case, text)));
    };
    let late = late(option);
    let since = match option.since {
        Some(since) => format!("bubblewrap has {name} since {since}"),
        None => format!("no release of bubblewrap has {name} yet"),
    };
    let Some(program) = case.host.bwrap.present() else {
        let found = found(High).summary(format!("this bwrap has no {name}: {late}"));
        let unknown = "the version that was started: `bwrap --version`";
        return Some(found.heard(case, since).unknown(unknown));
    };
    let (path, version) = (program.path.display(), &program.version);
    Some(if another(case, option) {
        let which = "which bwrap was started: `type -a bwrap` there, and a setting of the launcher's for it";
        let summary =
            format!("another bwrap was started than {path}, which is bubblewrap {version} and has {name}");
        found(Medium).summary(summary).heard(case, since).unknown(which)
    } else {
        found(High)
            .summary(lacks(program, option))
            .heard(case, since)
            .seen(&case.host.bwrap, format!("{path} calls itself {version}"))
    })
}

/// Why a bwrap may have no such option.
fn late(option: &BwrapOption) -> String {
    let since = |since| format!("it came with bubblewrap {since}");
    option.since.map_or_else(|| "no release of bubblewrap has it yet".to_owned(), since)
}

/// That a bwrap has no such option.
fn lacks(Program { path, version, .. }: &Program, option: &BwrapOption) -> String {
    format!("{} is bubblewrap {version}, which has no {}: {}", path.display(), option.name, late(option))
}

/// Whether the bwrap that was looked at is new enough for it.
fn another(case: &Case<'_>, option: &BwrapOption) -> bool {
    version(case).zip(option.release()).is_some_and(|(version, since)| version >= since)
}

/// Which distributions gave to older ones when they mended a fault in Flatpak.
const BACKPORTED: &[&str] = &["--bind-fd", "--ro-bind-fd"];

/// The first option that the sandbox needs and that came after this version.
fn too_new(case: &Case<'_>) -> Option<&'static BwrapOption> {
    let (version, sandbox) = (version(case)?, case.sandbox?);
    let arguments = Arguments::shown(sandbox, None, None);
    let mut words = arguments.words.iter();
    let mut found: Option<&BwrapOption> = None;
    while let Some(word) = words.next() {
        let Word::Text(name) = word else { continue };
        let Some(option) = name.to_str().and_then(options::find) else { continue };
        if let Some(last) = option.arguments.checked_sub(1) {
            words.nth(last);
        }
        // a launch clears the environment itself
        let dispensable = option.name == "--clearenv"
            || option.feature.is_some_and(|feature| sandbox.optional.contains(&feature));
        let newer = option.release().is_none_or(|since| since > version);
        if newer && !dispensable && found.is_none_or(|found| BACKPORTED.contains(&found.name)) {
            found = Some(option);
        }
    }
    found
}

fn too_old(case: &Case<'_>) -> Option<Judgement> {
    let (program, option) = (case.host.bwrap.present()?, too_new(case)?);
    let name = option.name;
    let (path, version) = (program.path.display(), &program.version);
    let perhaps = BACKPORTED.contains(&name) || option.since.is_none();
    weigh(if perhaps { Medium } else { High })
        .refuted_by(format!("`{path} --help` lists {name}"))
        .summary(lacks(program, option))
        .asked(case, format!("the sandbox needs {name}: {}", late(option)))
        .seen(&case.host.bwrap, format!("{path} calls itself {version}"))
        .unknown(perhaps.then_some("whether the distribution added it to this version"))
        .into()
}

/// What an old bwrap says where a newer one goes on: since which, and how sure that is.
fn mended(case: &Case<'_>) -> Option<(&'static str, Confidence)> {
    const COVERED: &[&str] = &["sys", "sysrq-trigger", "irq", "bus"];
    let message = case.message()?;
    let covered = |path: &Path| path.file_name().is_some_and(|name| COVERED.iter().any(|one| name == *one));
    if case.says(&["Can't access %s"]) {
        return message.path().filter(|path| covered(path)).map(|_| ("0.8", High));
    }
    // since 0.5 it says at what the kernel refused
    rule_out(message.reason().is_some())?;
    let (source, missing) = (message.source()?, message.errno()?.code() == Some(libc::ENOENT));
    if source.starts_with("/newroot") {
        return (missing && covered(source)).then_some(("0.3", High));
    }
    let file = source.to_string_lossy().starts_with("/bindfile");
    // elsewhere a mount that comes and goes is as likely
    let old = version(case).is_some_and(|version| version < Version::new(0, 5, 0));
    let sure = match old {
        true => High,
        false if file || is_kept_mounted(source) => Medium,
        false => Low,
    };
    (old || missing != file && !(missing && may_have_met_link(message))).then_some(("0.5", sure))
}

fn outdated(case: &Case<'_>) -> Option<Judgement> {
    let (since, confidence) = mended(case)?;
    let old = |version: Version| version < Version::new(0, 8, 0);
    rule_out(version(case).is_some_and(|version| !old(version)))?;
    let found = weigh(confidence).said(case).unknown("which bwrap was started: `bwrap --version`");
    Some(match meaning(case, Cause::BwrapTooOld) {
        Some((_, why)) if since != "0.5" => found.heard(case, why),
        _ => found.unknown("whether it was built with musl: `ldd` on it names libc.musl, or ld-musl"),
    })
}

/// By what another bwrap is named: this library's variable counts for few others.
pub(super) fn install_bubblewrap(case: &Case<'_>, since: &str) -> Remedy {
    const NAMED: &str = ", or name another one with the variable BWRAP";
    const OTHERS: &str = "; a launcher may take another one: FLATPAK_BWRAP names that of Flatpak, process_isolation_executable that of \
                          ansible-runner, BWRAP that of Steam";
    let ours = case.symptom.is_none_or(|symptom| symptom.verdict != Verdict::Unknown);
    let (or_name, launchers) = match Launcher::of(case) {
        Some(Launcher::Steam) => (NAMED, ""),
        Some(Launcher::Flatpak) => (", or name another one with the variable FLATPAK_BWRAP", ""),
        Some(
            Launcher::Codex | Launcher::ClaudeCode | Launcher::Opam | Launcher::RpmOstree | Launcher::Glycin,
        ) => ("", "; the first one on the PATH of the launcher counts"),
        Some(Launcher::NixFhs | Launcher::WebKit) => {
            ("", "; the launcher was built with the path of one, so that has to be newer")
        }
        None if ours => (NAMED, ""),
        None => ("", OTHERS),
    };
    told!("install-bubblewrap", since, or_name, launchers)
}

fn newer_bwrap(case: &Case<'_>) -> Vec<Remedy> {
    let option = if case.failed() { options::find(&subject(case)) } else { too_new(case) };
    let since = option.and_then(|option| option.since);
    let unreleased = option.is_some() && since.is_none();
    let since = since.map_or_else(String::new, |since| format!(" {since} or newer"));
    let other = case.failed() && option.is_some_and(|option| another(case, option));
    let optional = option.and_then(|option| {
        let feature = format!("{:?}", option.feature?);
        Some(told!(VR01, "optional-feature", name = option.name, feature))
    });
    let which = other.then(|| told!(VR01, "which-bwrap"));
    Vec::new().or(which).or((!unreleased).then(|| install_bubblewrap(case, &since))).or(optional)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;
    use crate::diagnosis::fixtures::machine;
    use crate::diagnosis::{Symptom, diagnose};
    use crate::host::Host;

    fn first(text: &str, host: &Host) -> Finding {
        diagnose(&Symptom::from_text(text.as_bytes()), host, None).causes[0].clone()
    }

    #[test]
    fn old_ones_are_known_by_what_they_say() {
        let nowhere = Host::default();
        let host = |version: &str| {
            let mut host = machine();
            host.bwrap = Fact::Present(Program::new("/usr/bin/bwrap", version));
            host
        };
        let covered =
            "bwrap: Can't bind mount /newroot/proc/irq on /newroot/proc/irq: No such file or directory";
        assert_eq!(first(covered, &nowhere).cause, Cause::BwrapTooOld);
        assert_eq!(first(covered, &host("0.2.0")).cause, Cause::BwrapTooOld);
        assert_ne!(first(covered, &host("0.11.0")).cause, Cause::BwrapTooOld);
        for other in [
            // a reason, another answer, and a file of the caller's own
            "bwrap: Can't bind mount /oldroot/usr on /newroot/usr: Unable to mount source on destination: No such file or directory",
            "bwrap: Can't bind mount /oldroot/usr on /newroot/usr: Permission denied",
            "bwrap: Can't bind mount /oldroot/usr on /newroot/usr: Invalid argument",
            "bwrap: Can't access /newroot/proc/sysrq-trigger: Invalid argument",
            "bwrap: Can't access /newroot/srv/x: Read-only file system",
        ] {
            assert_ne!(first(other, &nowhere).cause, Cause::BwrapTooOld, "{other}");
        }
    }

    /// This library's variable is nothing to a launcher that does not read it.
    #[test]
    fn another_bwrap_is_named_as_the_launcher_takes_it() {
        let said = "bwrap: Unknown option --argv0";
        let install = |text: String| {
            let remedy = first(&text, &Host::default()).remedies[0].clone();
            format!("{} {}", remedy.summary, remedy.instructions())
        };
        for (launcher, has, not) in [
            ("codex-cli 0.116", "on the PATH", "BWRAP"),
            ("Claude Code 2.1", "on the PATH", "BWRAP"),
            ("$ flatpak run a.b.C", "variable FLATPAK_BWRAP", "variable BWRAP"),
            ("pressure-vessel-wrap", "variable BWRAP", "FLATPAK"),
            ("$ epiphany", "built with the path", "BWRAP"),
            ("something else", "process_isolation_executable", "variable BWRAP"),
        ] {
            let text = install(format!("{launcher}\n{said}"));
            assert!(text.contains(has) && !text.contains(not), "{launcher}: {text}");
        }
        // who launches through this library has it
        let symptom = Symptom { verdict: Verdict::Refused, ..Symptom::from_text(said.as_bytes()) };
        let found = diagnose(&symptom, &Host::default(), None);
        assert!(found.causes[0].remedies[0].summary.contains("variable BWRAP"));
    }
}
