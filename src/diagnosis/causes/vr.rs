//! Options that the bwrap at hand does not know, because it is too old.

use crate::bwrap::Version;
use crate::bwrap::arguments::{Arguments, Word};
use crate::bwrap::options::{self, BwrapOption};
use crate::diagnosis::case::Case;
use crate::diagnosis::facts::version;
use crate::diagnosis::finding::Confidence::{High, Low, Medium};
use crate::diagnosis::remedy::told;
use crate::diagnosis::weigh::{Judgement, rules, weigh};
use crate::diagnosis::{Remedy, evidence};

rules! {
    UnknownOption, Anytime, ["Unknown option %s"]
        => unknown_option, newer_bwrap;
}

/// The option that bwrap does not know.
pub(in crate::diagnosis) fn subject(case: &Case<'_>) -> String {
    let subject = case.symptom.and_then(|symptom| symptom.message()?.subject());
    subject.map(|subject| subject.to_string_lossy().into_owned()).unwrap_or_default()
}

pub(in crate::diagnosis) fn unknown_option(case: &Case<'_>) -> Option<Judgement> {
    if !case.failed() {
        return too_old(case);
    }
    let name = subject(case);
    let judgement = |confidence| {
        weigh(confidence).refuted_by(format!("`bwrap --help` of the bwrap that was started lists {name}"))
    };
    let Some(option) = options::find(&name) else {
        return Some(
            judgement(Low).contra(evidence::heard(
                case,
                format!("{name} is no option of any bwrap that is known here"),
            )),
        );
    };
    let since = format!("bubblewrap has {name} since {}", option.since);
    Some(match case.host.bwrap.present() {
        Some(program) if another(case, option) => judgement(Medium)
            .summary(format!(
                "another bwrap was started than {}, which is bubblewrap {} and has {name}",
                program.path.display(),
                program.version
            ))
            .heard(case, since)
            .unknown("which bwrap was started: `type -a bwrap` there, and the variable BWRAP"),
        Some(program) => judgement(High)
            .summary(format!(
                "{} is bubblewrap {}, which has no {name}: it came with {}",
                program.path.display(),
                program.version,
                option.since
            ))
            .heard(case, since)
            .seen(&case.host.bwrap, format!("{} calls itself {}", program.path.display(), program.version)),
        None => judgement(High)
            .summary(format!("this bwrap has no {name}: it came with bubblewrap {}", option.since))
            .heard(case, since)
            .unknown("the version that was started: `bwrap --version`"),
    })
}

/// Whether the bwrap that was looked at is new enough for it.
fn another(case: &Case<'_>, option: &BwrapOption) -> bool {
    version(case).zip(Version::parse(option.since)).is_some_and(|(version, since)| version >= since)
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
        let newer = Version::parse(option.since).is_some_and(|since| since > version);
        if newer && !dispensable && found.is_none_or(|found| BACKPORTED.contains(&found.name)) {
            found = Some(option);
        }
    }
    found
}

fn too_old(case: &Case<'_>) -> Option<Judgement> {
    let (program, option) = (case.host.bwrap.present()?, too_new(case)?);
    let BwrapOption { name, since, .. } = option;
    let (path, version) = (program.path.display(), &program.version);
    let perhaps = BACKPORTED.contains(name);
    let judgement = weigh(if perhaps { Medium } else { High })
        .refuted_by(format!("`{path} --help` lists {name}"))
        .summary(format!("{path} is bubblewrap {version}, which has no {name}: it came with {since}"))
        .asked(case, format!("the sandbox needs {name}, which bubblewrap has since {since}"))
        .seen(&case.host.bwrap, format!("{path} calls itself {version}"));
    Some(if perhaps {
        judgement.unknown("whether the distribution added it to this version")
    } else {
        judgement
    })
}

pub(in crate::diagnosis) fn newer_bwrap(case: &Case<'_>) -> Vec<Remedy> {
    let option = if case.failed() { options::find(&subject(case)) } else { too_new(case) };
    let since = option.map_or_else(String::new, |option| format!(" {} or newer", option.since));
    let mut remedies = Vec::new();
    if case.failed() && option.is_some_and(|option| another(case, option)) {
        let lines = ["type -a bwrap", "bwrap --version"];
        remedies.push(Remedy::commands(
            "See which bwrap is started, and name the newer one with BWRAP",
            lines,
            "nothing",
        ));
    }
    remedies.push(told!("install-bubblewrap", since));
    if let Some((option, feature)) = option.and_then(|option| Some((option, option.feature?))) {
        remedies.push(told!("optional-feature", name = option.name, feature = format!("{:?}", feature)));
    }
    remedies
}
