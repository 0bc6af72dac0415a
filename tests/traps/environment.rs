//! Environment, working directory, umask, signals, terminal.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use bwrap_launch::{Bwrap, Filter, Lint, Namespaces, Place, Problem, ProgramProblem, Sandbox, Stdio};
use nix::sys::signal::{SigSet, Signal};

use crate::cases;
use crate::common::{Case, Here, host, skip};
use crate::support::{lints_for, outside, own_session, prints, refused, refused_at_launch, status_mask};

pub(crate) const CASES: &[Case] = cases![
    the_environment_does_not_leak,
    variables_are_for_the_command_only,
    pwd_is_always_set,
    path_changes_the_lookup,
    without_a_path_there_is_a_default,
    an_unsearchable_path_is_seen_through,
    a_script_without_an_interpreter_runs,
    bad_names_of_variables_are_refused,
    the_umask_is_the_callers,
    signals_are_not_blocked_or_ignored,
    an_ignored_sigchld_does_not_hang,
    ignored_signals_are_kept_if_asked,
    a_shared_terminal_is_linted,
    a_new_session_is_one,
    the_terminal_filter_compares_as_the_kernel_does,
];

/// A script in a directory of its own, that says its name.
fn tool(here: &Here, directory: &str, name: &str, text: &str) -> std::path::PathBuf {
    let directory = here.scratch.join(directory);
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join(name), text).unwrap();
    std::fs::set_permissions(directory.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

/// Section 5: bwrap hands the whole environment on. Nothing of the caller's is seen unless asked for.
fn the_environment_does_not_leak(here: &Here) {
    let mut process = outside(here, "surrounded");
    let output = process.env("OLDPWD", "/old").env("PWD", "/lie").env("SECRET", "s").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A helper: launches with `OLDPWD`, `PWD` and `SECRET` in its environment.
pub(crate) fn surrounded(arguments: &[String]) {
    let bwrap = Bwrap::at(&arguments[0]).unwrap();
    let env = |sandbox: &Sandbox| {
        let output = sandbox.command("/usr/bin/env").bwrap(&bwrap).output().unwrap();
        let mut lines: Vec<_> =
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let bare = Sandbox::new().ro_bind("/", "/");
    assert_eq!(env(&bare), ["PWD=/"]);
    assert_eq!(env(&bare.clone().inherit_env_only(["OLDPWD", "PWD"])), ["OLDPWD=/old", "PWD=/"]);
    let all = env(&bare.clone().inherit_env());
    assert!(all.contains(&"SECRET=s".to_owned()) && all.contains(&"PWD=/".to_owned()), "{all:?}");
    let removed = env(&bare.clone().inherit_env().env_remove("SECRET").env_remove("OLDPWD"));
    assert!(
        !removed.iter().any(|line| line.starts_with("SECRET") || line.starts_with("OLDPWD")),
        "{removed:?}"
    );
    assert_eq!(env(&bare.inherit_env().env_clear()), ["PWD=/"]);
}

/// Section 5: what is inherited or set for the command does not reach bwrap itself, nor its process 1.
fn variables_are_for_the_command_only(here: &Here) {
    let sandbox = host().proc("/proc").unshare(Namespaces::PID).inherit_env().env("LD_DEBUG_OUTPUT", "/x");
    prints(here, &sandbox, "tr '\\0' '\\n' < /proc/1/environ", &[]);
    // nor is any value in a list of processes
    let mut command = here.shell(&sandbox.env("V", "value-of-v"), "echo ready; read x");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    for pid in [child.id(), child.sandbox_pid().unwrap()] {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(!String::from_utf8_lossy(&line).contains("value-of-v"));
    }
    drop(child.stdin.take());
    let _ = child.wait();
}

/// Section 5: `PWD` is always set, to the words of `--chdir`.
fn pwd_is_always_set(here: &Here) {
    let pwd = |sandbox: &Sandbox| {
        let output = here.command(sandbox, "printenv").arg("PWD").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(pwd(&host()), "/");
    assert_eq!(pwd(&host().current_dir("/usr/bin/../bin")), "/usr/bin/../bin");
    assert_eq!(pwd(&host().env("PWD", "/lie")), "/");
    assert_eq!(pwd(&host().env_remove("PWD")), "/");
    // the last directory counts, without a warning of bwrap's
    let mut command = here.shell(&host().current_dir("/usr"), "pwd");
    let output = command.current_dir("/etc").output().unwrap();
    assert_eq!((output.stdout, output.warnings.len()), (b"/etc\n".to_vec(), 0));
}

/// Section 5: the `PATH` inside is where the command is looked for, not the caller's.
fn path_changes_the_lookup(here: &Here) {
    let (a, b) =
        (tool(here, "a", "tool", "#!/bin/sh\necho a\n"), tool(here, "b", "tool", "#!/bin/sh\necho b\n"));
    let path = |first: &std::path::Path, second: &std::path::Path| {
        format!("{}:{}", first.display(), second.display())
    };
    let run = |sandbox: &Sandbox| here.command(sandbox, "tool").output();
    assert_eq!(run(&host().env("PATH", path(&a, &b))).unwrap().stdout, b"a\n");
    assert_eq!(run(&host().env("PATH", path(&b, &a))).unwrap().stdout, b"b\n");
    let error = run(&host()).unwrap_err();
    let problem = error.failure().unwrap().program();
    assert!(matches!(problem, Some(ProgramProblem::NotFound { .. })), "{error}");
}

/// Section 5: without a `PATH` the default is searched, and nothing of the caller's.
fn without_a_path_there_is_a_default(here: &Here) {
    let bare = Sandbox::new().ro_bind("/", "/");
    assert!(here.command(&bare, "true").status().unwrap().success());
    let error = here.command(&bare, "no-such-program").stderr(Stdio::null()).status().unwrap_err();
    let Some(ProgramProblem::NotFound { searched, .. }) = error.failure().unwrap().program() else {
        panic!("{error:?}")
    };
    let searched: Vec<_> = searched.iter().map(|path| path.to_str().unwrap()).collect();
    for directory in ["/bin", "/usr/bin"] {
        assert!(searched.iter().any(|path| path.starts_with(directory)), "{searched:?}");
    }
    assert!(searched.iter().all(|path| !path.contains("/local/")), "{searched:?}");
}

/// Section 5: "Permission denied" can mean that the program is nowhere, behind a directory that cannot be searched.
fn an_unsearchable_path_is_seen_through(here: &Here) {
    let closed = tool(here, "closed", "tool", "#!/bin/sh\n");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    let sandbox = host().env("PATH", format!("{}:/usr/bin", closed.display()));
    let error = here.command(&sandbox, "no-such-program").output().unwrap_err();
    let problem = error.failure().unwrap().program();
    assert!(matches!(problem, Some(ProgramProblem::NotFound { .. })), "{error:?}");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Section 5: a file without `#!` is run by `/bin/sh`; that it ran is known.
fn a_script_without_an_interpreter_runs(here: &Here) {
    let directory = tool(here, "bin", "script", "echo \"$1\"\nexit 7\n");
    let output = here.command(&host(), directory.join("script")).arg("x").output().unwrap();
    assert_eq!((output.stdout, output.status.code()), (b"x\n".to_vec(), Some(7)));
}

/// Names that `setenv(3)` refuses would end bwrap.
fn bad_names_of_variables_are_refused(here: &Here) {
    for (name, problem) in [
        ("", Problem::VariableName),
        ("A=B", Problem::VariableName),
        ("=", Problem::VariableName),
        ("A\0B", Problem::Nul("name")),
    ] {
        let (place, problem) = (|| Place::Variable(name.to_owned()), || problem.clone());
        refused(here, &Sandbox::new().env(name, "x"), place(), problem());
        refused(here, &Sandbox::new().env_secret(name, "x"), place(), problem());
        refused(here, &Sandbox::new().env_remove(name), place(), problem());
        refused(here, &Sandbox::new().inherit_env_only([name]), place(), problem());
        refused_at_launch(here.command(&Sandbox::new(), "true").env(name, ""), place(), problem());
    }
}

/// Section 5: the caller's umask is the command's, although bwrap works with none.
fn the_umask_is_the_callers(here: &Here) {
    for umask in [0o027, 0o002, 0o777] {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
        for sandbox in [host(), host().unshare_all()] {
            prints(here, &sandbox, "umask", &[&format!("{umask:04o}")]);
        }
    }
}

/// Section 5: blocked and ignored signals would be inherited; the command starts with none.
fn signals_are_not_blocked_or_ignored(here: &Here) {
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGTERM);
    blocked.add(Signal::SIGCHLD);
    blocked.thread_block().unwrap();
    for sandbox in [host().proc("/proc"), host().proc("/proc").unshare(Namespaces::PID)] {
        let text = here.prints(&sandbox, "cat /proc/self/status");
        for (field, signal) in
            [("SigBlk", libc::SIGTERM), ("SigBlk", libc::SIGCHLD), ("SigIgn", libc::SIGPIPE)]
        {
            assert_eq!(status_mask(&text, field) & (1 << (signal - 1)), 0, "{field}: {text}");
        }
    }
}

/// Section 5: with SIGCHLD ignored by the caller, bwrap would hang for ever.
fn an_ignored_sigchld_does_not_hang(here: &Here) {
    let mut process = std::process::Command::new("timeout");
    process.args(["20", "env", "--ignore-signal=CHLD"]);
    process.arg(std::env::current_exe().unwrap()).args(["--helper", "childless"]).arg(here.bwrap.path());
    let output = process.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// A helper: launches while SIGCHLD is ignored.
pub(crate) fn childless(arguments: &[String]) {
    let bwrap = Bwrap::at(&arguments[0]).unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    assert_ne!(status_mask(&status, "SigIgn") & (1 << (libc::SIGCHLD - 1)), 0, "SIGCHLD is not ignored");
    for sandbox in [host(), host().unshare_all()] {
        let status = sandbox.command("sh").args(["-c", "true & wait; exit 3"]).bwrap(&bwrap).status();
        assert_eq!(status.unwrap().code(), Some(3));
    }
}

/// Section 5: what the caller ignores is no business of the command's, unless somebody says so.
fn ignored_signals_are_kept_if_asked(here: &Here) {
    let mut process = std::process::Command::new("env");
    process.args(["--ignore-signal=HUP", "--ignore-signal=XFSZ", "--ignore-signal=CHLD"]);
    process.arg(std::env::current_exe().unwrap()).args(["--helper", "ignoring"]).arg(here.bwrap.path());
    let output = process.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// A helper: launches while signals are ignored.
pub(crate) fn ignoring(arguments: &[String]) {
    let bwrap = Bwrap::at(&arguments[0]).unwrap();
    let mask = |signals: &[i32]| signals.iter().fold(0, |mask, signal| mask | 1_u64 << (signal - 1));
    let own = status_mask(&std::fs::read_to_string("/proc/self/status").unwrap(), "SigIgn");
    assert_eq!(own & mask(&[libc::SIGHUP, libc::SIGXFSZ]), mask(&[libc::SIGHUP, libc::SIGXFSZ]));
    for sandbox in [host().proc("/proc"), host().proc("/proc").unshare_all()] {
        for keep in [false, true] {
            let mut command = sandbox.command("cat");
            command.arg("/proc/self/status").bwrap(&bwrap).keep_ignored_signals(keep);
            let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
            let ignored = status_mask(&text, "SigIgn");
            if keep {
                let kept = mask(&[libc::SIGHUP, libc::SIGXFSZ, libc::SIGCHLD]);
                assert_eq!(ignored & kept, mask(&[libc::SIGHUP, libc::SIGXFSZ]));
            } else {
                assert_eq!(ignored, 0, "{ignored:x}");
            }
        }
    }
}

/// Trap 3: without a session of its own the command can type into the caller's terminal.
fn a_shared_terminal_is_linted(_: &Here) {
    let said = |sandbox: &Sandbox, terminal: bool| {
        let lints = lints_for(sandbox, |circumstances| circumstances.terminal = terminal);
        lints.contains(&Lint::TerminalInjection)
    };
    let sandbox = host();
    assert!(said(&sandbox, true) && !said(&sandbox, false));
    assert!(!said(&sandbox.clone().new_session(), true));
    assert!(!said(&sandbox.clone().seccomp(Filter::terminal().unwrap()), true));
    // a filter of somebody else's proves nothing
    assert!(said(&sandbox.seccomp(vec![0; 8]), true));
}

/// Trap 3: a session of its own is one.
fn a_new_session_is_one(here: &Here) {
    let own = own_session();
    let script = "cut -d' ' -f6 /proc/$$/stat";
    prints(here, &host(), script, &[&own]);
    assert_ne!(here.prints(&host().new_session(), script).trim(), own);
}

/// Trap 3, CVE-2019-10063: the filter denies both calls, also with high bits set, and nothing else.
fn the_terminal_filter_compares_as_the_kernel_does(here: &Here) {
    if !std::path::Path::new("/usr/bin/perl").exists() || !cfg!(target_arch = "x86_64") {
        skip("wants perl on x86-64 to make the system call");
    }
    // on /dev/null the kernel itself says ENOTTY
    let script = "open my $f, '<', '/dev/null'; for (0x5412, 0x100005412, 0x541C, 0x5413) { \
                  syscall(16, fileno($f), $_, my $x = 'x' x 64); print $! + 0, ' ' }";
    let numbers = |sandbox: &Sandbox| {
        let output = here.command(sandbox, "perl").args(["-e", script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(numbers(&host()), "25 25 25 25 ");
    assert_eq!(numbers(&host().seccomp(Filter::terminal().unwrap())), "1 1 1 25 ");
}
