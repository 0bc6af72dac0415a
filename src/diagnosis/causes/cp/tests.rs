#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::diagnosis::Cause;
use crate::diagnosis::Confidence;
use crate::diagnosis::fixtures::{DOCKER_CAPABILITIES, explain, machine, whole, without_user};
use crate::diagnosis::{Outlook, Remedy, Symptom, diagnose, predict};
use crate::host::{CapabilitySet, Fact, Host, Program};

const UNEXPECTED: &str = "Unexpected capabilities but not setuid, old file caps config?";

fn with_bwrap(version: &str, change: impl FnOnce(&mut Program)) -> Host {
    let mut host = machine();
    let mut program = Program::new("/usr/bin/bwrap", version);
    change(&mut program);
    host.bwrap = Fact::Present(program);
    host
}

fn setuid_host(version: &str) -> Host {
    with_bwrap(version, |program| program.setuid = true)
}

fn ahead(host: &Host) -> Option<(Cause, Confidence)> {
    predict(host, &whole()).obstacles.first().map(|finding| (finding.cause, finding.confidence))
}

#[test]
fn ambient_capabilities() {
    let mut host = machine();
    for set in [&mut host.process.ambient, &mut host.process.permitted, &mut host.process.effective] {
        *set = Fact::Present(CapabilitySet(1 << 31));
    }
    let found = explain(UNEXPECTED, &host, &whole());
    assert_eq!(
        (found.cause(), found.causes[0].confidence),
        (Some(Cause::UnexpectedCapabilities), Confidence::High)
    );
    assert!(found.causes[0].summary.contains("CAP_SETFCAP"));
    assert_eq!(ahead(&host), Some((Cause::UnexpectedCapabilities, Confidence::High)));
    // what is not ambient is gone when bwrap is executed
    let mut permitted = host.clone();
    permitted.process.ambient = Fact::Present(CapabilitySet(0));
    assert_eq!(ahead(&permitted), None);
    // and root may have them
    for id in [&mut host.process.uid, &mut host.process.real_uid] {
        *id = Fact::Present(0);
    }
    assert!(predict(&host, &whole()).obstacles.iter().all(|one| one.cause != Cause::UnexpectedCapabilities));
}

#[test]
fn capabilities_of_the_file() {
    let host = with_bwrap("0.11.0", |program| program.file_capabilities = true);
    let found = explain(UNEXPECTED, &host, &whole());
    assert_eq!(found.causes[0].confidence, Confidence::High);
    assert!(found.remedy().unwrap().summary.contains("file capabilities"));
    assert_eq!(ahead(&host), Some((Cause::UnexpectedCapabilities, Confidence::Medium)));
    // outside the bounding set the kernel does not even execute it
    let mut bounded = host;
    bounded.process.bounding = Fact::Present(CapabilitySet(DOCKER_CAPABILITIES));
    assert_eq!(ahead(&bounded), Some((Cause::FileCapabilitiesOutsideBounds, Confidence::Medium)));
    assert_eq!(ahead(&with_bwrap("0.11.0", |_| ())), None);
}

/// A shell says no more than this, and bwrap nothing.
#[test]
fn a_shell_that_could_not_start_it() {
    let first = |text: &str, host: &Host| {
        let found = diagnose(&Symptom::from_text(text.as_bytes()), host, None).causes.remove(0);
        (found.cause, found.confidence)
    };
    let mut bounded = machine();
    bounded.process.bounding = Fact::Present(CapabilitySet(DOCKER_CAPABILITIES));
    let cause = Cause::FileCapabilitiesOutsideBounds;
    for text in [
        "bwrap: Operation not permitted",
        "bash: /usr/bin/bwrap: Operation not permitted",
        "bash: line 1: /usr/bin/bwrap: Operation not permitted\n",
        "sh: 1: bwrap: Operation not permitted",
    ] {
        assert_eq!(first(text, &Host::default()), (cause, Confidence::Low), "{text}");
        assert_eq!(first(text, &bounded), (cause, Confidence::Medium), "{text}");
        // nothing is out of bounds, or the file carries none
        assert_eq!(first(text, &machine()).0, Cause::Unexplained, "{text}");
        let mut plain = with_bwrap("0.11.0", |_| ());
        plain.process.bounding = bounded.process.bounding.clone();
        assert_eq!(first(text, &plain).0, Cause::Unexplained, "{text}");
    }
    // a launcher was told the same
    let symptom = Symptom { errno: Some(libc::EPERM), ..Symptom::default() };
    assert_eq!(diagnose(&symptom, &bounded, None).cause(), Some(cause));
    let limit = first("bash: /usr/bin/bwrap: Resource temporarily unavailable", &Host::default());
    assert_eq!(limit.0, Cause::ProcessLimit);
    for other in
        ["bash: /usr/bin/xbwrap: Operation not permitted", "bwrap: something new: Operation not permitted"]
    {
        assert_eq!(first(other, &bounded).0, Cause::Unexplained, "{other}");
    }
}

#[test]
fn setuid_in_a_container() {
    let mut host = setuid_host("0.8.0");
    host.process.bounding = Fact::Present(CapabilitySet(DOCKER_CAPABILITIES));
    let found = explain("capset failed: Operation not permitted", &host, &whole());
    assert_eq!(
        (found.cause(), found.causes[0].confidence),
        (Some(Cause::SetuidWithoutBounds), Confidence::High)
    );
    assert!(
        found.causes[0].summary.contains("CAP_SYS_ADMIN") && !found.causes[0].summary.contains("CAP_SETUID")
    );
    assert_eq!(ahead(&host), Some((Cause::SetuidWithoutBounds, Confidence::High)));
    // no_new_privs takes the bit's effect away
    host.process.no_new_privs = Fact::Present(true);
    assert_eq!(ahead(&host), None);
    // a plain bwrap is denied capset by something else
    let found = explain("capset failed: Operation not permitted", &with_bwrap("0.8.0", |_| ()), &whole());
    assert_eq!(found.cause(), Some(Cause::CapabilityUnavailable));
}

#[test]
fn setuid_that_is_no_longer_supported() {
    assert_eq!(ahead(&setuid_host("0.12.0")), Some((Cause::SetuidUnsupported, Confidence::High)));
    assert_eq!(ahead(&setuid_host("0.11.2")), Some((Cause::SetuidUnsupported, Confidence::Medium)));
    assert_eq!(ahead(&setuid_host("0.11.1")), None);
    let message = "setuid use of bubblewrap is not supported in this build";
    assert_eq!(explain(message, &setuid_host("0.11.2"), &whole()).cause(), Some(Cause::SetuidUnsupported));
    let mut host = machine();
    host.process.uid = Fact::Present(0);
    let found = explain(message, &host, &whole());
    assert!(found.causes[0].summary.contains("real user id 1000"));
}

#[test]
fn setuid_that_hangs() {
    assert_eq!(ahead(&setuid_host("0.8.0")), Some((Cause::SetuidHangs, Confidence::Medium)));
    assert_eq!(predict(&setuid_host("0.8.0"), &without_user(&whole())).outlook, Outlook::Starts);
    assert_eq!(ahead(&setuid_host("0.9.0")), None);
}

#[test]
fn libraries_that_are_missing() {
    let text = "error while loading shared libraries: libcap.so.2: cannot open shared object file: No \
     such file or directory";
    let found = explain(text, &machine(), &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::LoaderFailed), Confidence::High));
    assert!(found.causes[0].summary.contains("libcap.so.2"));
    for text in [
        "/opt/bwrap: symbol lookup error: /opt/bwrap: undefined symbol: cap_from_name",
        "/opt/bwrap: /lib/libc.so.6: version `GLIBC_2.38' not found (required by /opt/bwrap)",
    ] {
        let found = diagnose(&Symptom::from_text(text.as_bytes()), &machine(), None);
        assert_eq!(
            (found.cause(), found.causes[0].confidence),
            (Some(Cause::LoaderFailed), Confidence::High),
            "{text}"
        );
    }
    // another program's complaint
    let text = b"/usr/bin/python3: symbol lookup error: /usr/bin/python3: undefined symbol: x";
    let found = diagnose(&Symptom::from_text(text), &machine(), None);
    assert_eq!(found.causes[0].confidence, Confidence::Low);
}

#[test]
fn a_filter_that_denies_setting_capabilities() {
    let message = "Adding ambient capability 21: Function not implemented";
    let mut host = machine();
    host.process.seccomp = Fact::Present(2);
    let found = explain(message, &host, &whole());
    assert_eq!(
        (found.cause(), found.causes[0].confidence),
        (Some(Cause::SeccompDeniesCall), Confidence::High)
    );
    assert!(found.causes[0].summary.contains("prctl"));
    let denied = explain("Adding ambient capability 21: Operation not permitted", &host, &whole());
    assert_eq!(denied.cause(), Some(Cause::CapabilityUnavailable));
    assert!(denied.causes[0].summary.contains("CAP_SYS_ADMIN"));
    assert_eq!(explain(message, &machine(), &whole()).causes[0].confidence, Confidence::Low);
}

/// A launcher's words show neither what the system answered nor that there is no bwrap.
#[test]
fn a_launchers_word_is_no_answer_of_the_systems() {
    let found = |text: &str, host: &Host| {
        let finding = diagnose(&Symptom::from_text(text.as_bytes()), host, None).causes.remove(0);
        let evidence: Vec<&str> = finding.evidence.iter().map(|evidence| evidence.text.as_str()).collect();
        (finding.cause.code(), finding.confidence, evidence.join("\n"), finding.remedies[0].summary.clone())
    };
    let nowhere = Host::default();
    let codex = "Codex could not find bubblewrap on PATH. Install bubblewrap with your OS package manager.";
    let (code, confidence, evidence, first) = found(codex, &nowhere);
    assert_eq!((code, confidence), ("CP07", Confidence::Medium));
    assert!(
        evidence.starts_with("the launcher says so: Codex could not find") && !evidence.contains("ENOENT"),
        "{evidence}"
    );
    assert!(first.starts_with("Install bubblewrap"), "{first}");
    // it is there: what the launcher did not find is in its PATH, or in how it tried bwrap
    for (text, host) in [
        (format!("{codex}\n$ command -v bwrap\n/usr/bin/bwrap"), nowhere.clone()),
        (codex.to_owned(), with_bwrap("0.11.0", |_| {})),
    ] {
        let (_, confidence, evidence, first) = found(&text, &host);
        assert!(
            confidence < Confidence::High && first.starts_with("Let the launcher find"),
            "{evidence}\n{first}"
        );
        assert!(!evidence.contains("ENOENT"), "{evidence}");
    }
    let (_, confidence, evidence, _) = found("Error: spawn bwrap ENOENT", &nowhere);
    assert_eq!((confidence, evidence.contains("ENOENT")), (Confidence::High, true));
    let (_, confidence, evidence, _) = found("bash: line 1: bwrap: command not found", &nowhere);
    assert_eq!((confidence, evidence.starts_with("the shell says so")), (Confidence::High, true));
}

/// The launcher may name an error of a file's: bwrap was not started for that.
#[test]
fn what_a_launcher_refuses_is_its_own() {
    for reason in
        ["cannot canonicalize /x: No such file or directory", "an unsupported host mount at /mnt/wslg"]
    {
        let text = format!("codex-exec: error building bubblewrap command: {reason}");
        let diagnosis = diagnose(&Symptom::from_text(text.as_bytes()), &machine(), Some(&whole()));
        assert_eq!(diagnosis.cause(), Some(Cause::LauncherRefuses), "{text}");
        assert!(diagnosis.causes[0].remedies[0].summary.ends_with(reason));
    }
}

/// Of a file that the system did not start the error number and what is there tell why.
#[test]
fn a_file_that_is_not_started() {
    let of = |errno, host: &Host| {
        let symptom = Symptom { errno: Some(errno), ..Symptom::default() };
        diagnose(&symptom, host, None).causes[0].clone()
    };
    let mine = with_bwrap("", |program| program.path = "/srv/d/g".into());
    for (errno, cause, says, typed) in [
        (libc::ENOEXEC, Cause::BwrapNotExecutable, "cut short or empty", "file -L /srv/d/g"),
        (libc::ETXTBSY, Cause::BwrapNotExecutable, "/srv/d/g is open for writing", "fuser -v /srv/d/g"),
        (libc::ELOOP, Cause::BwrapNotExecutable, "links lead to /srv/d/g in a circle", "namei"),
        (libc::ENOENT, Cause::BwrapMissing, "/srv/d/g is there, and what it needs", "head -n 1 /srv/d/g"),
        (libc::EACCES, Cause::BwrapNotExecutable, "may not be executed here", "/srv/d/g"),
    ] {
        let found = of(errno, &mine);
        let first = found.remedies[0].instructions();
        assert_eq!((found.cause, found.summary.contains(says)), (cause, true), "{errno}: {}", found.summary);
        assert!(first.contains(typed), "{errno}: {first}");
    }
    // what may be bwrap under another name is let execute, too, and not alone
    let typed: Vec<String> = of(libc::EACCES, &mine).remedies.iter().map(Remedy::instructions).collect();
    assert!(!typed[0].contains("chmod") && typed[1].contains("chmod a+rx /srv/d/g"), "{typed:?}");
    // where nothing is there, or a part of the path is a file
    assert!(!of(libc::ENOENT, &machine()).summary.contains("what it needs"));
    let part = of(libc::ENOTDIR, &mine);
    assert!(part.evidence.iter().any(|one| one.text.contains("ENOTDIR")), "{part:?}");
}
