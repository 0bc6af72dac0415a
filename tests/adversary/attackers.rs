//! Commands that reach for bwrap itself: they forge its report, take its limits away or stop it. None makes anybody say that
//! they did not run, or wait for ever.

use std::sync::mpsc::channel;
use std::time::Duration;

use bwrap_launch::{Child, Namespaces, Sandbox, Stdio};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::common::{Here, host};
use crate::support::{Kind, SETTLE, kill_holders, released, watch};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a forger writes into the eventfd in which process 1 tells the monitor an exit status, plus one.
const FORGED: [u64; 19] = [
    1,
    2,
    43,
    127,
    128,
    129,
    138,
    256,
    257,
    258,
    259,
    394,
    512,
    65_536,
    1 << 31,
    (1 << 31) + 1,
    1 << 32,
    (1 << 32) + 258,
    u64::MAX - 1,
];

/// A helper: writes a number into every descriptor of process 1, and works on.
pub(crate) fn forge(arguments: &[String]) {
    std::fs::write(&arguments[0], "ran").unwrap();
    let value: u64 = arguments[1].parse().unwrap();
    // process 1 has closed by then what it does not need
    std::thread::sleep(Duration::from_millis(50));
    assert!(write_to_process_1(value) > 0, "nothing can be forged here");
    std::thread::sleep(Duration::from_millis(300));
    std::process::exit(77)
}

/// A helper: does so at once, and ends as bwrap does when it fails. While process 1 is about to close them, it has the other
/// descriptors, too: two bytes in the one say that the command could not be executed.
pub(crate) fn forge_at_once(arguments: &[String]) {
    write_to_process_1(2);
    std::fs::write(&arguments[0], "ran").unwrap();
    std::process::exit(1)
}

/// A helper: takes the pipe by which bwrap learns whether the command was executed from whatever process of bwrap's it can reach,
/// has it say that it was not, and ends as if it never began.
pub(crate) fn forge_failure(arguments: &[String]) {
    let [mark, ending] = arguments else { panic!("MARK ENDING") };
    let forged = [Some(rustix::process::Pid::INIT), rustix::process::getppid()]
        .into_iter()
        .flatten()
        .any(turn_the_pipe);
    std::fs::write(mark, if forged { "forged" } else { "ran" }).unwrap();
    match ending.as_str() {
        "fails" => std::process::exit(1),
        "is killed" => nix::sys::signal::kill(Pid::this(), Signal::SIGKILL).unwrap(),
        "is stopped" => std::thread::sleep(Duration::from_secs(60)),
        other => panic!("{other}"),
    }
}

/// bwrap writes a byte into a pipe before it executes the command, and another if that fails. One that can be written to is given the
/// second byte, from one that can be read the first one is taken.
fn turn_the_pipe(process: rustix::process::Pid) -> bool {
    let Ok(process) = pidfd_open(process, PidfdFlags::empty()) else { return false };
    let mut turned = false;
    for number in (3..MANY).rev() {
        let Ok(taken) = pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) else { continue };
        let stat = rustix::fs::fstat(&taken).unwrap();
        if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_fifo() {
            continue;
        }
        let flags = rustix::fs::fcntl_getfl(&taken).unwrap();
        if flags.contains(rustix::fs::OFlags::WRONLY) {
            turned |= rustix::io::write(&taken, b"x") == Ok(1);
        } else if rustix::io::ioctl_fionread(&taken) == Ok(1) {
            turned |= rustix::io::read(&taken, &mut [0_u8]) == Ok(1);
        }
    }
    turned
}

/// How many descriptors of process 1 took a number.
fn write_to_process_1(value: u64) -> usize {
    let first = pidfd_open(rustix::process::Pid::INIT, PidfdFlags::empty()).unwrap();
    let taken = (3..64).rev().filter_map(|number| pidfd_getfd(&first, number, PidfdGetfdFlags::empty()).ok());
    taken.filter(|taken| rustix::io::write(taken, &value.to_ne_bytes()) == Ok(8)).count()
}

/// How often a command races process 1, for each of the sandboxes.
const RACES: usize = 40;

pub(crate) fn a_command_forges_bwraps_report_at_once(here: &Here) {
    let mut wrong = Vec::new();
    for (which, sandbox) in with_process_1().into_iter().enumerate() {
        let sandbox = sandbox.bind(&here.scratch, &here.scratch);
        for _ in 0..RACES {
            let mark = mark(here, "raced");
            let mut command = here.helper(&sandbox, "forge-at-once");
            command.arg(&mark).stderr(Stdio::piped());
            let kind = Kind::of(&command.output().map(|output| output.status));
            if kind.denies() && mark.exists() {
                wrong.push((which, kind));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} ran: {wrong:?}", wrong.len(), 3 * RACES);
}

/// So many descriptors bwrap's process 1 has to close before the one that a forger wants: most of a race is won.
const MANY: i32 = 3000;

/// Whether it is root's or a user's, has a PID namespace or none, and wherever its standard error goes: of a command that has forged
/// its own failure nobody says that it did not run.
pub(crate) fn a_command_forges_its_failure(here: &Here) {
    let fill =
        "for ((n = 3; n < 2900; n++)); do [[ -e /proc/self/fd/$n ]] || eval \"exec $n<>/dev/null\"; done";
    let slow = crate::support::stand_in(here, "slow", &format!("{fill}\nexec \"$real\" \"$@\""));
    let log = || std::fs::File::options().create(true).append(true).open(here.scratch.join("log")).unwrap();
    let (_master, terminal) = terminal();
    let [first, second, _] = with_process_1();
    let mut forged = 0;
    let mut wrong = Vec::new();
    for (which, sandbox) in [first, second, host().proc("/proc")].into_iter().enumerate() {
        let sandbox = sandbox.bind(&here.scratch, &here.scratch);
        for (kind_of_stderr, stderr) in [
            ("a pipe", &Stdio::piped as &dyn Fn() -> Stdio),
            ("nothing", &Stdio::null),
            ("a file", &|| log().into()),
            ("a terminal", &|| terminal.try_clone().unwrap().into()),
            ("a pipe of the caller's", &|| std::os::fd::OwnedFd::from(std::io::pipe().unwrap().1).into()),
        ] {
            for ending in ["fails", "is killed", "is stopped"] {
                let mark = mark(here, "forged");
                let mut command = here.helper(&sandbox, "forge-failure");
                command.bwrap(&slow).arg(&mark).arg(ending).stderr(stderr());
                let holders = watch(&mut command);
                let mut child = command.spawn().unwrap();
                drop(command);
                if ending == "is stopped" {
                    assert!(crate::support::eventually(
                        || std::fs::read(&mark).is_ok_and(|text| !text.is_empty())
                    ));
                    child.kill().unwrap();
                }
                let kind = bounded(child, &holders);
                let text = std::fs::read_to_string(&mark).unwrap_or_default();
                forged += usize::from(text == "forged");
                if kind.denies() && !text.is_empty() {
                    wrong.push(format!(
                        "sandbox {which}, its standard error is {kind_of_stderr}, it {ending}: {kind:?}"
                    ));
                }
                assert!(
                    released(&holders, SETTLE),
                    "sandbox {which}, {kind_of_stderr}, {ending}: it runs on"
                );
            }
        }
    }
    assert!(wrong.is_empty(), "these ran:\n{}", wrong.join("\n"));
    println!("{forged} were forged");
    // the 15 without a process 1 always are; on a busy machine that one has often closed everything by then
    assert!(forged > 15, "only {forged} were forged");
}

/// A terminal's two ends, with nobody at the first.
fn terminal() -> (std::os::fd::OwnedFd, std::fs::File) {
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let slave =
        std::fs::File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open(name).unwrap();
    (master, slave)
}

/// Every form of the sandboxes in which bwrap has a process 1.
fn with_process_1() -> [Sandbox; 3] {
    let host = host().proc("/proc");
    [
        host.clone().unshare_all(),
        host.clone().unshare(Namespaces::PID),
        host.unshare(Namespaces::PID | Namespaces::USER).die_with_parent(),
    ]
}

/// A file that says that a command ran.
pub(crate) fn mark(here: &Here, name: &str) -> std::path::PathBuf {
    let mark = here.scratch.join(name);
    let _ = std::fs::remove_file(&mark);
    mark
}

pub(crate) fn a_command_forges_bwraps_report(here: &Here) {
    let mut wrong = Vec::new();
    for (which, sandbox) in with_process_1().into_iter().enumerate() {
        let sandbox = sandbox.bind(&here.scratch, &here.scratch);
        for value in FORGED {
            let mark = mark(here, "forged");
            let mut command = here.helper(&sandbox, "forge");
            command.arg(&mark).arg(value.to_string()).stderr(Stdio::piped());
            let holders = watch(&mut command);
            let child = command.spawn().unwrap();
            drop(command);
            let kind = bounded(child, &holders);
            // where process 1 may not be traced it fails, and ends with its own status
            assert!(mark.exists(), "it never ran: {kind:?}");
            if kind.denies() || matches!(kind, Kind::Invalid | Kind::System | Kind::Other) {
                wrong.push((which, value, kind));
            }
            assert!(released(&holders, SETTLE), "sandbox {which}, {value}: {kind:?}, and it runs on");
        }
    }
    assert!(wrong.is_empty(), "these ran: {wrong:?}");
}

/// Waits for a child, and kills what is left if that takes for ever.
fn bounded(mut child: Child, holders: &std::io::PipeReader) -> Kind {
    let monitor = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(Kind::of(&child.wait())));
    receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        let held = kill_holders(holders);
        // nobody has waited for it, so the number is still its own
        let _ = nix::sys::signal::kill(monitor, Signal::SIGKILL);
        panic!("wait never returns; bwrap and {held} other processes were killed")
    })
}

/// A helper: meddles with its parent, which is bwrap's monitor without a PID namespace.
pub(crate) fn meddle(arguments: &[String]) {
    std::fs::write(&arguments[0], "ran").unwrap();
    let monitor = getppid();
    let limit = |resource| {
        let pid = rustix::process::Pid::from_raw(monitor.as_raw());
        let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
        rustix::process::prlimit(pid, resource, none).unwrap();
    };
    let signal = |signal| nix::sys::signal::kill(monitor, signal).unwrap();
    let work = || std::thread::sleep(Duration::from_secs(3));
    match arguments[1].as_str() {
        "nofile" => {
            limit(rustix::process::Resource::Nofile);
            signal(Signal::SIGCHLD);
            work();
        }
        "fsize" => limit(rustix::process::Resource::Fsize),
        "cpu" => {
            limit(rustix::process::Resource::Cpu);
            (0..50).for_each(|_| signal(Signal::SIGCHLD));
        }
        "as" => {
            limit(rustix::process::Resource::As);
            limit(rustix::process::Resource::Stack);
            signal(Signal::SIGCHLD);
        }
        "chld" => (0..1000).for_each(|_| signal(Signal::SIGCHLD)),
        "stop" => {
            signal(Signal::SIGSTOP);
            work();
        }
        "stop, exit" => signal(Signal::SIGSTOP),
        other => panic!("{other}"),
    }
    std::process::exit(1)
}

/// Where bwrap can be reached: without a PID namespace.
fn without_process_1() -> [Sandbox; 3] {
    let host = host();
    [
        host.clone(),
        host.clone().unshare(Namespaces::USER),
        host.die_with_parent().unshare(Namespaces::USER | Namespaces::IPC),
    ]
}

/// What a caller sees of a command that meddles.
fn meddled(here: &Here, how: &str) {
    let mut wrong = Vec::new();
    for (which, sandbox) in without_process_1().into_iter().enumerate() {
        let sandbox = sandbox.bind(&here.scratch, &here.scratch);
        let mark = mark(here, "meddled");
        let mut command = here.helper(&sandbox, "meddle");
        command.arg(&mark).arg(how).stderr(Stdio::piped());
        let holders = watch(&mut command);
        let child = command.spawn().unwrap();
        drop(command);
        let kind = bounded(child, &holders);
        assert!(mark.exists(), "it never ran: {kind:?}");
        if kind.denies() {
            wrong.push(format!("sandbox {which}: {kind:?}"));
        }
        if !released(&holders, SETTLE) {
            wrong.push(format!("sandbox {which}: {kind:?}, and {} processes ran on", kill_holders(&holders)));
        }
    }
    assert!(wrong.is_empty(), "{how}: {wrong:?}");
}

pub(crate) fn a_command_takes_bwraps_descriptors_away(here: &Here) {
    meddled(here, "nofile");
}

pub(crate) fn a_command_takes_bwraps_limits_away(here: &Here) {
    for how in ["fsize", "cpu", "as", "chld"] {
        meddled(here, how);
    }
}

/// `CPython` ignores SIGXFSZ, and what is ignored is inherited.
pub(crate) fn a_command_takes_bwraps_limits_away_from_a_caller_that_ignores(here: &Here) {
    let mut process = std::process::Command::new("env");
    process.args(["--ignore-signal=XFSZ", "--ignore-signal=XCPU", "--ignore-signal=PIPE"]);
    process.arg(std::env::current_exe().unwrap()).args(["--helper", "fsize-ignored"]);
    process.arg(here.bwrap.path()).arg(&here.scratch);
    let output = process.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A helper: launches what takes bwrap's limit on files away, while SIGXFSZ is ignored.
pub(crate) fn fsize_ignored(arguments: &[String]) {
    let bwrap = bwrap_launch::Bwrap::at(&arguments[0]).unwrap();
    let here = Here { bwrap, root: nix::unistd::geteuid().is_root(), scratch: arguments[1].clone().into() };
    meddled(&here, "fsize");
}

pub(crate) fn a_command_stops_bwrap_and_ends(here: &Here) {
    meddled(here, "stop, exit");
}

pub(crate) fn a_command_stops_bwrap_and_is_killed(here: &Here) {
    for (which, sandbox) in without_process_1().into_iter().enumerate() {
        let sandbox = sandbox.bind(&here.scratch, &here.scratch);
        let mark = mark(here, "stopped");
        let mut command = here.helper(&sandbox, "meddle");
        command.arg(&mark).arg("stop").stderr(Stdio::piped());
        let holders = watch(&mut command);
        let mut child = command.spawn().unwrap();
        drop(command);
        let monitor = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let stopped = || {
            let stat = std::fs::read_to_string(format!("/proc/{monitor}/stat")).unwrap();
            stat.contains(") T ")
        };
        assert!(crate::support::eventually(stopped), "bwrap was never stopped");
        child.kill().unwrap();
        let kind = bounded(child, &holders);
        assert!(!kind.denies(), "sandbox {which}: {kind:?}");
        assert!(released(&holders, SETTLE), "sandbox {which}: {kind:?}, and it runs on");
    }
}
