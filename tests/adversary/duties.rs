//! What known attacks on launchers of sandboxes demand of this one, each under its number.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::process::Command as Process;

use bwrap_launch::op::BindFd;
use bwrap_launch::{
    Circumstances, Command, Content, Error, Filter, Lint, Namespaces, ProgramProblem, Sandbox,
};

use crate::common::{Here, host, skip};
use crate::hardened::tried;
use crate::support::stand_in;

/// What both filters answer to pushing characters into a terminal, by the name of the attempt.
fn pushing(here: &Here, attempts: &[&str], expected: &str) {
    for filter in [Filter::terminal().unwrap(), Filter::hardened().unwrap()] {
        let tried = tried(here, &host().unshare_all().seccomp(filter));
        for attempt in attempts {
            assert_eq!(tried[*attempt], expected, "{attempt}");
        }
    }
}

/// TIOCSTI: a sandbox on a terminal is linted, unless it has a session or a filter of its own.
pub(crate) fn cve_2017_5226_nothing_is_typed_into_the_terminal(here: &Here) {
    pushing(here, &["tiocsti"], "1");
    let mut terminal = Circumstances::default();
    terminal.terminal = true;
    let linted = |sandbox: &Sandbox| {
        sandbox.lint(&terminal).iter().any(|advice| advice.lint == Lint::TerminalInjection)
    };
    assert!(linted(&host()) && !linted(&host().new_session()));
    for filter in [Filter::terminal().unwrap(), Filter::hardened().unwrap()] {
        assert!(!linted(&host().seccomp(filter)));
    }
}

/// The kernel looks at 32 bits of the request only, and so must a filter.
pub(crate) fn cve_2019_10063_high_bits_do_not_get_round_the_filter(here: &Here) {
    pushing(here, &["tiocsti, high bits", "tioclinux, high bits"], "1");
}

/// TIOCLINUX: paste into a virtual console.
pub(crate) fn cve_2023_28100_nothing_is_pasted_into_the_console(here: &Here) {
    pushing(here, &["tioclinux"], "1");
}

/// `clone3` hides its flags from filters, and the newer mount calls do what `mount` does.
pub(crate) fn cve_2021_41133_the_newer_calls_do_not_get_round_the_filter(here: &Here) {
    let tried = tried(here, &host().unshare_all().seccomp(Filter::hardened().unwrap()));
    for call in
        ["clone3", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr"]
    {
        assert_eq!(tried[call], libc::ENOSYS.to_string(), "{call}");
    }
    for call in
        ["clone user", "clone user, high bits", "unshare user", "mount", "umount2", "pivot_root", "chroot"]
    {
        assert_eq!(tried[call], libc::EPERM.to_string(), "{call}");
    }
}

/// Variables of the sandbox and of the caller reach the command, never bwrap.
pub(crate) fn cve_2021_21261_no_variable_reaches_bwrap(here: &Here) {
    let dump = here.scratch.join("environ");
    let body = format!("cat /proc/$$/environ > {}; exec \"$real\" \"$@\"", dump.display());
    let bwrap = stand_in(here, "dumps", &format!("PATH=/usr/bin:/bin\n{body}"));
    let hostile = [
        ("LD_PRELOAD", "/evil.so"),
        ("LD_AUDIT", "/evil.so"),
        ("LD_LIBRARY_PATH", "/evil"),
        ("GCONV_PATH", "/evil"),
        ("PATH", "/evil:/usr/bin:/bin"),
    ];
    let sandbox = hostile.iter().fold(host(), |sandbox, (name, value)| sandbox.env(*name, *value));
    let mut command = sandbox.command("/bin/true");
    let output = command.bwrap(&bwrap).output().unwrap();
    assert!(output.status.success());
    let environ = fs::read(&dump).unwrap();
    assert!(!environ.windows(5).any(|window| window == b"/evil"), "{}", String::from_utf8_lossy(&environ));
    // and where the caller has them itself
    let helper = std::env::current_exe().unwrap();
    let mut process = Process::new(helper);
    process.args(["--helper", "launch-true"]).arg(bwrap.path());
    process
        .envs(hostile.into_iter().filter(|(name, _)| !name.starts_with("LD_")))
        .env("LD_PRELOAD", "/evil.so");
    assert!(process.output().unwrap().status.success());
    let environ = fs::read(&dump).unwrap();
    assert!(!environ.windows(5).any(|window| window == b"/evil"), "{}", String::from_utf8_lossy(&environ));
}

/// A helper: launches a command that inherits everything.
pub(crate) fn launch_true(arguments: &[String]) {
    let bwrap = bwrap_launch::Bwrap::at(&arguments[0]).unwrap();
    let sandbox = host().inherit_env();
    assert!(sandbox.command("/bin/true").bwrap(&bwrap).status().unwrap().success());
}

/// The working directory and the descriptors of the caller do not lead out.
pub(crate) fn cve_2024_21626_neither_directory_nor_descriptor_leads_out(here: &Here) {
    let outside = here.scratch.join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "x").unwrap();
    std::env::set_current_dir(&outside).unwrap();
    // without close-on-exec, as careless callers have them
    let directory = File::open(&outside).unwrap();
    rustix::io::fcntl_setfd(&directory, rustix::io::FdFlags::empty()).unwrap();
    let sandbox = host().proc("/proc").tmpfs("/tmp").tmpfs("/var/tmp").unshare_all();
    let script = "set -e; test \"$(stat -c %d:%i .)\" = \"$(stat -c %d:%i \"$(pwd -P)\")\"; ! test -e secret
        for fd in /proc/self/fd/*; do ! test -e $fd/secret; done; ls /proc/self/fd | wc -l";
    let output = here.shell(&sandbox, script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // 0, 1, 2 and the one that lists them
    assert_eq!(output.stdout.trim_ascii(), b"4");
    // a directory that is gone
    fs::remove_dir_all(&outside).unwrap();
    let output = here.shell(&sandbox, "pwd -P").output().unwrap();
    assert_eq!(output.stdout, b"/\n", "{output:?}");
}

/// A command that begins with dashes is a command.
pub(crate) fn cve_2024_32462_a_command_is_no_option(here: &Here) {
    for name in ["--bind", "--ro-bind", "--args", "--help", "--version", "--", "-"] {
        let mut command = here.command(&host(), name);
        let error = command.args(["/", "/tmp"]).output().unwrap_err();
        let problem = error.failure().and_then(|failure| failure.program());
        assert!(matches!(problem, Some(ProgramProblem::NotFound { .. })), "{name}: {error}");
        let line = ["--ro-bind", "/", "/", "--", name, "/", "/tmp"];
        let mut parsed = Command::from_args(line).unwrap();
        let error = parsed.bwrap(&here.bwrap).output().unwrap_err();
        assert!(matches!(error, Error::NotExecuted(_)), "{name}: {error}");
    }
}

/// What a caller has opened is bound, whatever its path leads to by then.
pub(crate) fn cve_2024_42472_what_was_opened_is_bound(here: &Here) {
    here.needs("--bind-fd");
    let (data, moved) = (here.scratch.join("data"), here.scratch.join("moved"));
    fs::create_dir(&data).unwrap();
    fs::write(data.join("ours"), "x").unwrap();
    let opened = File::open(&data).unwrap();
    fs::rename(&data, &moved).unwrap();
    symlink("/etc", &data).unwrap();
    let sandbox = host().tmpfs("/mnt").add(BindFd::read_only(opened, "/mnt"));
    let output = here.shell(&sandbox, "ls /mnt").output().unwrap();
    // bwrap binds /proc/self/fd/N by its path, and refuses where that has changed since
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(listed, "ours\n");
}

/// A bwrap with the setuid bit is pointed out, and its advisories are known.
pub(crate) fn cve_2026_41163_a_setuid_bwrap_is_pointed_out(here: &Here) {
    let mut setuid = Circumstances::default();
    setuid.setuid = true;
    assert!(host().lint(&setuid).iter().any(|advice| advice.lint == Lint::SetuidBwrap));
    if !here.root {
        skip("only root makes a setuid copy");
    }
    let copy = here.scratch.join("bwrap");
    fs::copy(here.bwrap.path(), &copy).unwrap();
    let status = Process::new("chmod").arg("4755").arg(&copy).status().unwrap();
    assert!(status.success());
    let Ok(bwrap) = bwrap_launch::Bwrap::at(&copy) else { skip("this bwrap does not run elsewhere") };
    assert!(bwrap.is_setuid());
    let listed = bwrap.advisories().any(|advisory| advisory.id == "CVE-2026-41163");
    let concerned = bwrap.version_text().starts_with("0.11.0") || bwrap.version_text().starts_with("0.11.1");
    assert_eq!(listed, concerned, "{}", bwrap.version_text());
}

/// What is made.
type Change = fn(Sandbox) -> Sandbox;

/// A link that an earlier run left in a writable bind leads to the host: it is linted where bwrap follows it, and nothing is
/// made there where it does not.
pub(crate) fn cve_2026_87766_a_planted_link_is_pointed_out_or_leads_nowhere(here: &Here) {
    let (shared, outside) = (here.scratch.join("shared"), here.scratch.join("outside"));
    fs::create_dir(&shared).unwrap();
    fs::create_dir(&outside).unwrap();
    symlink(format!("/oldroot{}", outside.display()), shared.join("link")).unwrap();
    let made: [(&str, Change); 3] = [
        ("dir", |sandbox| sandbox.dir("/mnt/d/link/planted")),
        ("file", |sandbox| sandbox.file(Content::from("x"), "/mnt/d/link/planted")),
        ("bind", |sandbox| sandbox.ro_bind("/etc", "/mnt/d/link/planted")),
    ];
    for (name, make) in made {
        let sandbox =
            make(host().tmpfs("/mnt").dir("/mnt/d").bind(&shared, "/mnt/d")).unshare(Namespaces::PID);
        let mut command = here.command(&sandbox, "true");
        let below = |lint: &Lint| matches!(lint, Lint::DestinationBelowWritable { .. });
        let linted = command.lint().iter().any(|advice| below(&advice.lint));
        assert_eq!(linted, !here.bwrap.resolves_in_root(), "{name}");
        let _ = command.output();
        assert!(linted || !outside.join("planted").exists(), "{name}");
    }
    let concerned = here.bwrap.advisories().any(|advisory| advisory.id == "CVE-2026-87766");
    assert!(concerned || here.bwrap.resolves_in_root());
}
