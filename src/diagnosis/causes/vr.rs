//! Options that the bwrap at hand does not know, because it is too old.

use super::prelude::*;
use crate::bwrap::arguments::{Arguments, Word};
use crate::bwrap::options::{self, BwrapOption};
use crate::host::Program;

rules! {
    UnknownOption, Anytime, ["Unknown option %s"] => unknown_option, newer_bwrap;
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
        let which = "which bwrap was started: `type -a bwrap` there, and the variable BWRAP";
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
    Vec::new().or(which).or((!unreleased).then(|| told!("install-bubblewrap", since))).or(optional)
}
