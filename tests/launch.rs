//! Launching: streams, descriptors, environment, and what is known of a child.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "launch/idmap.rs"]
mod idmap;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;
use std::time::Duration;

use bwrap_launch::op::{BindData, BindFd};
use bwrap_launch::{
    Bwrap, Command, Content, Descriptor, Ending, Error, Feature, Filter, Heard, Lint, Namespaces,
    ProgramProblem, Sandbox, Stage, Stdio, Stop,
};
use common::readme::readme_sandbox;
use common::{Case, Here, host, skip};

const CASES: &[Case] = cases![
    the_readmes_own_command,
    the_readmes_picture,
    status_and_output,
    streams_are_piped,
    streams_go_to_files,
    streams_come_from_std,
    the_environment_is_built,
    variables_are_inherited_on_request,
    the_command_sees_its_own_descriptors_only,
    a_hundred_threads_spawn_at_once,
    descriptors_are_mapped_on_purpose,
    descriptors_given_by_number,
    the_highest_descriptors_are_within_the_usual_limit,
    content_of_any_size,
    secrets_are_nowhere_to_be_seen,
    words_are_attached_in_every_mode,
    a_missing_program_is_explained,
    chdir_failures_are_explained,
    a_child_knows_its_sandbox,
    kill_ends_the_sandbox,
    root_inside_may_have_every_capability,
    try_wait_does_not_wait,
    prepared_sandboxes_wait_and_start,
    a_dropped_gate_runs_nothing,
    namespaces_are_joined,
    dispensable_features_are_dropped,
    missing_options_are_errors,
    die_with_parent_outlives_the_thread,
    the_terminal_filter_lets_work_be_done,
    advice_for_the_host,
    commands_are_read_back,
];

fn main() -> ExitCode {
    let cases: [&[Case]; 2] = [CASES, idmap::CASES];
    common::main(cases.concat().leak(), &[("descriptors", common::descriptors), ("mapper", idmap::mapper)])
}

fn the_readmes_own_command(here: &Here) {
    let output = here.command(&readme_sandbox(), "ps").arg("afx").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[1].contains("bwrap") && lines[2].ends_with("ps afx"), "{text}");
}

/// Its descriptors are those that bwrap is given.
fn the_readmes_picture(here: &Here) {
    let drawn = include_str!("../README.md").lines().filter_map(|line| {
        let mut words = line.strip_prefix("  ")?.split_whitespace();
        let (number, option, kind) = (words.next()?.parse::<u32>().ok()?, words.next()?, words.next()?);
        option.starts_with("--").then(|| (number, option.to_owned(), kind.to_owned()))
    });
    let drawn: BTreeSet<(u32, String, String)> = drawn.collect();
    let (spy, told) = (here.scratch.join("bwrap"), here.scratch.join("told"));
    let told_in = told.display();
    let real = here.bwrap.path().display();
    let script = format!(
        "#!/bin/sh\ncase $1 in --help|--version) exec {real} \"$@\"; esac\n\
         (printf '%s\\n' \"$1\" \"$2\"; tr '\\0' '\\n' </proc/$$/fd/3) >{told_in}\n\
         for fd in 0 1 2 3 4 5 6 7; do readlink /proc/$$/fd/$fd || echo none; done >{told_in}.open\nexec {real} \"$@\"\n"
    );
    fs::write(&spy, script).unwrap();
    fs::set_permissions(&spy, fs::Permissions::from_mode(0o755)).unwrap();
    let sandbox = host().unshare(Namespaces::PID);
    let mut command = sandbox.command("true");
    command.bwrap(&Bwrap::at(&spy).unwrap());
    assert!(command.prepare().unwrap().start().unwrap().wait().unwrap().success());
    let words = fs::read_to_string(&told).unwrap();
    let words: Vec<&str> = words.lines().collect();
    let open = fs::read_to_string(told.with_extension("open")).unwrap();
    let open: Vec<&str> = open.lines().collect();
    let given = ["--args", "--json-status-fd", "--block-fd", "--seccomp"].map(|option| {
        let place = words.iter().position(|word| *word == option).unwrap();
        let number: u32 = words[place + 1].parse().unwrap();
        let kind = open[number as usize].trim_start_matches('/').split(':').next().unwrap().to_owned();
        (number, option.to_owned(), kind)
    });
    assert_eq!(drawn, BTreeSet::from(given), "{words:?} {open:?}");
    assert_eq!(open[7], "none");
}

fn status_and_output(here: &Here) {
    assert_eq!(here.shell(&host(), "exit 42").status().unwrap().code(), Some(42));
    let output = here.shell(&host(), "echo out; echo err >&2; kill -TERM $$").output().unwrap();
    assert_eq!((output.stdout, output.stderr), (b"out\n".to_vec(), b"err\n".to_vec()));
    assert_eq!(output.status.signal(), Some(15));
    assert_eq!(std::process::ExitStatus::from(output.status).signal(), Some(15));
}

fn streams_are_piped(here: &Here) {
    let mut command = here.command(&host().unshare(Namespaces::PID), "cat");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&vec![b'x'; 1 << 20]).unwrap());
    let mut text = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut text).unwrap();
    writer.join().unwrap();
    assert_eq!(text.len(), 1 << 20);
    assert!(child.wait().unwrap().success());
    // asked again, it says the same
    assert!(child.wait().unwrap().success());
    assert!(child.try_wait().unwrap().unwrap().success());
}

fn streams_go_to_files(here: &Here) {
    let path = here.scratch.join("log");
    let file = std::fs::File::create(&path).unwrap();
    let mut command = here.shell(&host(), "cat; echo out; echo err >&2");
    command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    assert!(command.status().unwrap().success());
    assert_eq!(std::fs::read_to_string(path).unwrap(), "out\nerr\n");
}

fn streams_come_from_std(here: &Here) {
    use std::os::fd::OwnedFd;
    use std::process::{Command as StdCommand, Stdio as StdStdio};
    let mut echo = StdCommand::new("echo").arg("hello").stdout(StdStdio::piped()).spawn().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = here.shell(&host(), "cat; echo err >&2");
    command.stdin(echo.stdout.take().unwrap()).stdout(writer).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(command);
    // and go there
    let stderr = OwnedFd::from(child.stderr.take().unwrap());
    let output = StdCommand::new("cat").stdin(stderr).output().unwrap();
    assert_eq!(output.stdout, b"err\n");
    assert_eq!(std::io::read_to_string(reader).unwrap(), "hello\n");
    assert!(child.wait().unwrap().success() && echo.wait().unwrap().success());
}

fn the_environment_is_built(here: &Here) {
    let sandbox = Sandbox::new().ro_bind("/", "/").env("A", "1").env("A", "2").env("B", "").env_remove("C");
    let output = here.command(&sandbox, "/usr/bin/env").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["A=2", "B=", "PWD=/"]);
}

fn variables_are_inherited_on_request(here: &Here) {
    let ours = std::env::var("SCRATCH").unwrap();
    let only = Sandbox::new().ro_bind("/", "/").inherit_env_only(["SCRATCH", "NO_SUCH_VARIABLE"]);
    let text = here.prints(&only, "env | grep -v -e ^_ -e ^SHLVL | sort");
    assert_eq!(text, format!("PWD=/\nSCRATCH={ours}\n"));
    let all = Sandbox::new().ro_bind("/", "/").inherit_env().env_remove("SCRATCH");
    let text = here.prints(&all, "echo ${SCRATCH-gone}; echo $PATH");
    assert_eq!(text, format!("gone\n{}\n", std::env::var("PATH").unwrap()));
}

fn the_command_sees_its_own_descriptors_only(here: &Here) {
    // inherited by every program that does not take care
    let leak = std::fs::File::open("/").unwrap();
    let duplicate = rustix::io::fcntl_dupfd_cloexec(&leak, 40).unwrap();
    rustix::io::fcntl_setfd(&duplicate, rustix::io::FdFlags::empty()).unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    let filter = vec![6, 0, 0, 0, 0, 0, 0xff, 0x7f];
    for sandbox in [
        host().proc("/proc"),
        host().proc("/proc").unshare_all(),
        host().proc("/proc").tmpfs("/mnt").file("x", "/mnt/x").seccomp(filter).die_with_parent(),
    ] {
        let output = here.helper(&sandbox, "descriptors").output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "[0, 1, 2]\n", "{sandbox}");
    }
}

fn a_hundred_threads_spawn_at_once(here: &Here) {
    let sandbox = host().proc("/proc").unshare(Namespaces::PID);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..100)
            .map(|index| {
                let sandbox =
                    if index % 2 == 0 { sandbox.clone() } else { sandbox.clone().die_with_parent() };
                scope.spawn(move || here.helper(&sandbox, "descriptors").output().unwrap().stdout)
            })
            .collect();
        for thread in threads {
            assert_eq!(String::from_utf8(thread.join().unwrap()).unwrap(), "[0, 1, 2]\n");
        }
    });
}

fn descriptors_are_mapped_on_purpose(here: &Here) {
    let (_reader, writer) = std::io::pipe().unwrap();
    let file = std::fs::File::open("/etc/passwd").unwrap();
    let mut command = here.helper(&host().proc("/proc"), "descriptors");
    command.fd(3, file).fd(900, writer);
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "[0, 1, 2, 3, 900]\n");
    let mut command = here.shell(&host(), "echo hello >&9; read line <&4; echo $line");
    let (input, mut sender) = std::io::pipe().unwrap();
    let (mut echo, output) = std::io::pipe().unwrap();
    sender.write_all(b"word\n").unwrap();
    command.fd(9, output).fd(4, input);
    assert_eq!(command.output().unwrap().stdout, b"word\n");
    drop(command);
    let mut text = String::new();
    echo.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello\n");
    // nobody else has it
    let mut command = here.shell(&host(), "true");
    command.fd(2, std::fs::File::open("/").unwrap());
    assert!(matches!(command.status(), Err(Error::Invalid(_))));
}

fn the_highest_descriptors_are_within_the_usual_limit(here: &Here) {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 1024, hard).unwrap();
    for number in [1000, 1021, 1022, 1023] {
        let mut command = here.helper(&host().proc("/proc"), "descriptors");
        let output = command.fd(number, std::fs::File::open("/dev/null").unwrap()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("[0, 1, 2, {number}]\n"));
    }
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();
    for number in [64, 100] {
        let mut command = here.command(&host(), "true");
        let error = command.fd(number, std::fs::File::open("/dev/null").unwrap()).output().unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&number.to_string()) && text.contains("RLIMIT_NOFILE"), "{text}");
    }
}

fn descriptors_given_by_number(here: &Here) {
    use std::os::fd::AsRawFd;
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"from a number").unwrap();
    drop(writer);
    let content = Content::from(Descriptor::number(reader.as_raw_fd()));
    let sandbox = host().tmpfs("/tmp").add(BindData::read_only(content, "/tmp/x"));
    assert_eq!(here.prints(&sandbox, "cat /tmp/x"), "from a number");
    let closed = host().tmpfs("/tmp").file(Descriptor::number(987), "/tmp/x");
    let error = here.shell(&closed, "true").status().unwrap_err();
    assert!(error.to_string().contains("descriptor that was given by number"), "{error}");
}

fn content_of_any_size(here: &Here) {
    for size in [0, 300_000, 300_000_000_usize] {
        let bytes = vec![b'z'; size];
        let sandbox = host().tmpfs("/tmp").add(BindData::read_only(bytes, "/tmp/x"));
        let mut command = here.shell(&sandbox, "stat -c %s /tmp/x");
        // twice: bytes are not used up
        for _ in 0..2 {
            let output = command.output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{size}\n"));
        }
    }
}

fn secrets_are_nowhere_to_be_seen(here: &Here) {
    let sandbox = host()
        .tmpfs("/tmp")
        .proc("/proc")
        .unshare(Namespaces::PID)
        .add(BindData::read_only(Content::secret("s3cr3t"), "/tmp/token"))
        .env_secret("TOKEN", "s3cr3t");
    let mut command =
        here.shell(&sandbox, "cat /tmp/token; echo $TOKEN; cat /proc/1/cmdline /proc/1/environ; sleep 1");
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    let outside = std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    assert!(!String::from_utf8_lossy(&outside).contains("s3cr3t"));
    assert!(!format!("{child:?} {command:?} {command} {sandbox:?}").contains("s3cr3t"));
    let inside = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(inside.matches("s3cr3t").count(), 2, "{inside}");
    // where a program was looked for says what PATH is
    let hidden =
        here.command(&host().env_secret("PATH", "/s3cr3t:/usr/bin"), "no-such").output().unwrap_err();
    assert!(
        matches!(hidden.failure().unwrap().program(), Some(ProgramProblem::NotFound { .. })),
        "{hidden:?}"
    );
    assert!(!format!("{hidden} {hidden:?} {}", hidden.report()).contains("s3cr3t"), "{hidden:?}");
}

/// bwrap's words are attached whatever becomes of standard error.
fn words_are_attached_in_every_mode(here: &Here) {
    let sandbox = host().ro_bind("/nonexistent", "/mnt");
    let path = here.scratch.join("log");
    let (_reader, foreign) = std::io::pipe().unwrap();
    let log = std::fs::File::create(&path).unwrap();
    for (stdio, source) in [
        (Stdio::piped(), Heard::Captured),
        (Stdio::inherit(), Heard::AskedAgain),
        (Stdio::null(), Heard::AskedAgain),
        (Stdio::from(log), Heard::Captured),
        (Stdio::from(std::os::fd::OwnedFd::from(foreign)), Heard::AskedAgain),
    ] {
        let error = here.command(&sandbox, "true").stderr(stdio).status().unwrap_err();
        let Error::SetupFailed(failure) = &error else { panic!("{error}") };
        assert_eq!(failure.message().unwrap().path().unwrap().to_str(), Some("/nonexistent"));
        assert_eq!(failure.stage(), Some(Stage::Sources));
        assert_eq!(failure.heard(), source, "{failure:?}");
        assert!(error.to_string().contains("Can't find source path /nonexistent"), "{error}");
    }
    let mut child = here.command(&sandbox, "true").stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    // half read by the caller, half not
    let mut begin = [0; 9];
    stderr.read_exact(&mut begin).unwrap();
    let error = child.wait().unwrap_err();
    assert!(error.to_string().contains("Can't find source path /nonexistent"), "{error}");
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("/nonexistent"), "what was heard is still there to be read: {rest}");
}

fn a_missing_program_is_explained(here: &Here) {
    let error = here.command(&host(), "no-such-program").stderr(Stdio::null()).status().unwrap_err();
    let Error::NotExecuted(failure) = &error else { panic!("{error}") };
    assert!(matches!(failure.program(), Some(ProgramProblem::NotFound { .. })), "{failure:?}");
    assert!(error.to_string().contains("\"no-such-program\" is not there"), "{error}");
    // there, but without its loader: the same words from bwrap
    let bare = Sandbox::new().ro_bind("/usr/bin", "/usr/bin");
    let error = here.command(&bare, "/usr/bin/env").stderr(Stdio::piped()).status().unwrap_err();
    let problem = error.failure().unwrap().program();
    assert!(matches!(problem, Some(ProgramProblem::LoaderMissing { .. })), "{error}");
    let error = here.command(&host(), "/etc/passwd").stderr(Stdio::piped()).status().unwrap_err();
    assert!(
        matches!(error.failure().unwrap().program(), Some(ProgramProblem::NotExecutable { .. })),
        "{error}"
    );
    let error = here.command(&host(), "/usr").stderr(Stdio::piped()).status().unwrap_err();
    assert!(matches!(error.failure().unwrap().program(), Some(ProgramProblem::IsDirectory(_))), "{error}");
}

fn chdir_failures_are_explained(here: &Here) {
    for stderr in [Stdio::piped(), Stdio::null()] {
        let error =
            here.command(&host(), "true").current_dir("/nonexistent").stderr(stderr).status().unwrap_err();
        let Error::NotExecuted(failure) = &error else { panic!("{error}") };
        assert_eq!(failure.stage(), Some(Stage::Environment), "{failure:?}");
        assert!(error.to_string().contains("Can't chdir to /nonexistent"), "{error}");
        assert_eq!(failure.program(), None);
    }
}

fn a_child_knows_its_sandbox(here: &Here) {
    let mut child = here.command(&host().unshare_all(), "cat").stdin(Stdio::piped()).spawn().unwrap();
    child.wait_ready().unwrap();
    let pid = child.sandbox_pid().unwrap();
    assert_ne!(pid, child.id());
    let namespaces = child.namespaces().unwrap();
    for (name, inode) in [("mnt", namespaces.mnt), ("pid", namespaces.pid), ("net", namespaces.net)] {
        use std::os::unix::fs::MetadataExt;
        let meta = std::fs::metadata(format!("/proc/{pid}/ns/{name}")).unwrap();
        assert_eq!(Some(meta.ino()), inode, "{name}");
    }
    assert!(child.wait().unwrap().success());
}

/// Somebody's line: root of a user namespace with everything.
fn root_inside_may_have_every_capability(here: &Here) {
    let words = "--ro-bind / / --proc /proc --unshare-all --new-session --cap-add all --uid 0 -- cat /proc/self/status";
    let mut command = Command::from_args(words.split(' ')).unwrap();
    let output = command.bwrap(&here.bwrap).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert!(field("Uid:").starts_with('0'), "{text}");
    assert_eq!(field("CapEff:"), field("CapPrm:"));
    assert_ne!(u64::from_str_radix(&field("CapEff:"), 16).unwrap() & (1 << 21), 0, "CAP_SYS_ADMIN");
}

fn kill_ends_the_sandbox(here: &Here) {
    // with a descriptor to keep open, bwrap puts a parent of its own between itself and the command
    let kept = || host().sync_fd(std::fs::File::open("/").unwrap());
    for sandbox in [host().unshare_all(), host(), kept(), kept().unshare(Namespaces::PID)] {
        let mut child =
            here.shell(&sandbox, "echo up; exec sleep 60").stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 3]).unwrap();
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9), "{sandbox}");
        child.kill().unwrap();
        // it ends when nobody has it any more: a survivor would make this wait for ever
        stdout.read_to_end(&mut Vec::new()).unwrap();
    }
    // during the set-up, which lasts for as long as the content of a file does not end
    let (content, never_ends) = std::io::pipe().unwrap();
    let endless = host().unshare_all().tmpfs("/tmp").file(content, "/tmp/x");
    let mut child = here.command(&endless, "true").spawn().unwrap();
    child.kill().unwrap();
    let error = child.wait().unwrap_err();
    assert_eq!(error.ending(), Ending::Stopped(Stop::Cancel), "{error}");
    drop(never_ends);
    // at once, whether or not the command runs already
    let mut child = here.command(&host().unshare_all(), "sleep").arg("60").spawn().unwrap();
    child.kill().unwrap();
    match child.wait() {
        Ok(status) => assert_eq!(status.signal(), Some(9)),
        Err(error) => assert_eq!(error.ending(), Ending::Stopped(Stop::Cancel), "{error}"),
    }
}

fn try_wait_does_not_wait(here: &Here) {
    let mut child = here.command(&host(), "cat").stdin(Stdio::piped()).spawn().unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    drop(child.stdin.take());
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert!(status.success());
}

fn prepared_sandboxes_wait_and_start(here: &Here) {
    let mark = here.scratch.join("mark");
    for sandbox in [
        host().bind(&here.scratch, &here.scratch).unshare_all(),
        host().bind(&here.scratch, &here.scratch).seccomp(Filter::terminal().unwrap()).die_with_parent(),
    ] {
        let script = format!("echo ran > {}", mark.display());
        let prepared = here.shell(&sandbox, &script).prepare().unwrap();
        assert!(prepared.sandbox_pid().is_some() && prepared.namespaces().is_some());
        std::thread::sleep(Duration::from_millis(20));
        assert!(!mark.exists());
        assert!(prepared.start().unwrap().wait().unwrap().success());
        std::fs::remove_file(&mark).unwrap();
    }
    let error = here.command(&host().ro_bind("/nonexistent", "/x"), "true").prepare().unwrap_err();
    assert!(matches!(error, Error::SetupFailed(_)), "{error}");
}

fn a_dropped_gate_runs_nothing(here: &Here) {
    let mark = here.scratch.join("mark");
    let sandbox = host().bind(&here.scratch, &here.scratch).unshare_all();
    let prepared = here.command(&sandbox, "touch").arg(&mark).prepare().unwrap();
    let pid = prepared.sandbox_pid().unwrap();
    drop(prepared);
    assert!(
        std::path::Path::new(&format!("/proc/{pid}")).join("exe").read_link().is_err(),
        "process {pid} is left"
    );
    assert!(!mark.exists());
}

fn namespaces_are_joined(here: &Here) {
    let first = host().proc("/proc").unshare(Namespaces::USER | Namespaces::PID);
    let mut child = here.command(&first, "sleep").arg("60").spawn().unwrap();
    child.wait_ready().unwrap();
    let pid = child.sandbox_pid().unwrap();
    let inside = format!("/proc/{pid}/ns/user");
    let expected = std::fs::read_link(&inside).unwrap();
    let second = host().proc("/proc").join_user(std::fs::File::open(&inside).unwrap());
    let seen = here.prints(&second, "readlink /proc/self/ns/user");
    assert_eq!(seen.trim(), expected.to_str().unwrap());
    let output = here.helper(&second, "descriptors").output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "[0, 1, 2]\n", "the namespace is not handed on");
    child.kill().unwrap();
    child.wait().unwrap();
}

fn dispensable_features_are_dropped(here: &Here) {
    if here.bwrap.accepts("--not-a-security-boundary") {
        skip("it lacks nothing");
    }
    let sandbox = host().not_a_security_boundary().optional(Feature::NotASecurityBoundary);
    let output = here.command(&sandbox, "true").output().unwrap();
    assert_eq!(output.dropped, [Feature::NotASecurityBoundary]);
    let child = here.command(&sandbox, "true").spawn().unwrap();
    assert_eq!(child.dropped(), [Feature::NotASecurityBoundary]);
    // what was left out is not in the line that failed either
    let broken = sandbox.clone().ro_bind("/nonexistent", "/mnt");
    let error = here.command(&broken, "true").output().unwrap_err();
    assert!(!error.failure().unwrap().command_line().contains("--not-a-security-boundary"));
    let bind = BindFd::read_only(std::fs::File::open("/usr").unwrap(), "/mnt");
    let sandbox = host().add(bind).optional(Feature::BindFd);
    let output = here.command(&sandbox, "true").output().unwrap();
    assert_eq!(output.dropped.is_empty(), here.bwrap.accepts("--ro-bind-fd"));
}

fn missing_options_are_errors(here: &Here) {
    if here.bwrap.accepts("--not-a-security-boundary") {
        skip("it lacks nothing");
    }
    let error = here.command(&host().not_a_security_boundary(), "true").spawn().unwrap_err();
    let Error::MissingOption(missing) = &error else { panic!("{error}") };
    assert_eq!((missing.option, missing.since), ("--not-a-security-boundary", Some("0.12.0")));
    assert!(error.to_string().contains("bubblewrap 0.12.0 and newer have it"), "{error}");
}

fn die_with_parent_outlives_the_thread(here: &Here) {
    let sandbox = host().unshare_all().die_with_parent();
    let mut command = here.command(&sandbox, "cat");
    command.stdin(Stdio::piped());
    let mut child = std::thread::spawn(move || command.spawn().unwrap()).join().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(child.try_wait().unwrap(), None, "the spawning thread is gone, the sandbox is not");
    assert!(child.wait().unwrap().success());
}

fn the_terminal_filter_lets_work_be_done(here: &Here) {
    let sandbox = host().seccomp(Filter::terminal().unwrap());
    assert_eq!(here.prints(&sandbox, "echo works"), "works\n");
    let error = here.command(&sandbox, "no-such-program").status().unwrap_err();
    assert!(matches!(error, Error::NotExecuted(_)), "our own filter hides nothing: {error}");
}

fn advice_for_the_host(here: &Here) {
    let lints: Vec<Lint> =
        here.command(&host(), "true").lint().into_iter().map(|advice| advice.lint).collect();
    assert_eq!(lints.contains(&Lint::RootKeepsCapabilities), here.root);
    assert!(lints.contains(&Lint::OutlivesCaller));
}

fn commands_are_read_back(here: &Here) {
    let words = ["--ro-bind", "/", "/", "--unshare-all", "--share-net", "--", "sh", "-c", "exit 3"];
    let mut command = Command::from_args(words).unwrap();
    command.bwrap(&here.bwrap);
    assert_eq!(command.status().unwrap().code(), Some(3));
}
