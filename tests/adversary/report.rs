//! Commands that get at bwrap's report and name somebody else's process in it: nobody but the sandbox's own is signalled.

use std::process::{Child as Process, Command as Program};
use std::time::Duration;

use bwrap_launch::{Child, Namespaces, Stop};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, getppid, pidfd_getfd, pidfd_open};

use crate::attackers::mark;
use crate::common::{Here, host, skip};
use crate::support::{SETTLE, eventually, kill_holders, released, watch};

/// A helper: writes another report over bwrap's, in the file in memory of its monitor, and works on.
pub(crate) fn replace_report(arguments: &[String]) {
    let [mark, report] = arguments else { panic!("MARK REPORT") };
    let written = getppid().is_some_and(|monitor| replace(monitor, report));
    std::fs::write(mark, if written { "replaced" } else { "ran" }).unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

fn replace(process: Pid, report: &str) -> bool {
    let Ok(process) = pidfd_open(process, PidfdFlags::empty()) else { return false };
    let mut replaced = false;
    for number in (3..64).rev() {
        let Ok(taken) = pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) else { continue };
        // what bwrap is told to do is sealed, what it reports cannot be
        let stat = rustix::fs::fstat(&taken).unwrap();
        let is_report = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file()
            && rustix::fs::ftruncate(&taken, 0).is_ok();
        replaced |= is_report && rustix::io::pwrite(&taken, report.as_bytes(), 0) == Ok(report.len());
    }
    replaced
}

/// Something that a caller does to a sandbox.
type Deed = fn(&mut Child);

/// What a caller does that has not looked at the sandbox before.
const DEEDS: [(&str, Deed); 5] = [
    ("kills", |child| child.kill().unwrap()),
    ("asks it to end", |child| child.killer().terminate(Duration::from_millis(100)).unwrap()),
    ("sends a signal", |child| {
        let _ = child.killer().send_signal(libc::SIGTERM);
        let _ = child.killer().suspend();
        child.kill().unwrap();
    }),
    ("waits", |child| {
        assert!(child.wait_timeout(Duration::from_millis(200)).unwrap().is_none());
        child.killer().because(Stop::Limit).kill().unwrap();
    }),
    ("looks", |child| {
        let _ = child.sandbox_pid();
        let _ = child.usage();
        let _ = child.processes();
        child.kill().unwrap();
    }),
];

/// A process with a child, neither of which is the sandbox's.
fn somebody() -> Process {
    let mut somebody = Program::new("sh");
    somebody.args(["-c", "sleep 300 & echo; wait"]).stdout(std::process::Stdio::piped());
    let mut somebody = somebody.spawn().unwrap();
    std::io::Read::read_exact(somebody.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    somebody
}

fn namespace(pid: u32) -> u64 {
    std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(format!("/proc/{pid}/ns/mnt")).unwrap())
}

/// Root without a user namespace gets at the report for as long as it runs.
pub(crate) fn a_command_names_another_process_in_bwraps_report(here: &Here) {
    if !here.root {
        skip("only root without a user namespace reaches bwrap's report");
    }
    // another one that this crate has started meanwhile
    let mut other = here.shell(&host().unshare(Namespaces::PID), "exec sleep 300").spawn().unwrap();
    other.wait_ready().unwrap();
    let other_pid = other.sandbox_pid().unwrap();
    let mut replaced = 0;
    for (deed, act) in DEEDS {
        let mut somebody = somebody();
        let reports = [
            format!("{{\"child-pid\": {}, \"mnt-namespace\": {}}}", somebody.id(), namespace(somebody.id())),
            format!("{{\"child-pid\": {other_pid}, \"mnt-namespace\": {}}}", namespace(other_pid)),
            "{\"child-pid\": 99999999999999999999, \"mnt-namespace\": -1}".to_owned(),
            String::new(),
        ];
        for report in reports {
            let what = format!("the caller {deed}, {report}");
            let mark = mark(here, "report");
            let sandbox = host().bind(&here.scratch, &here.scratch);
            let mut command = here.helper(&sandbox, "replace-report");
            command.arg(&mark).arg(&report);
            let holders = watch(&mut command);
            let mut child = command.spawn().unwrap();
            drop(command);
            let text = || std::fs::read_to_string(&mark).unwrap_or_default();
            assert!(eventually(|| !text().is_empty()), "{what}: it never ran");
            replaced += usize::from(text() == "replaced");
            act(&mut child);
            let ended = child.wait_timeout(Duration::from_secs(15));
            assert!(!matches!(ended, Ok(None)), "{what}: it never ends");
            let told = child.sandbox_pid();
            assert!(
                ![Some(somebody.id()), Some(other_pid)].contains(&told),
                "{what}: {told:?} is somebody else"
            );
            let over = released(&holders, SETTLE);
            assert!(over, "{what}: {ended:?}, and {} processes run on", kill_holders(&holders));
            assert!(somebody.try_wait().unwrap().is_none(), "{what}: somebody was killed");
            let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", somebody.id()));
            assert!(!children.unwrap().is_empty(), "{what}: somebody's child was killed");
            assert!(other.try_wait().unwrap().is_none(), "{what}: another sandbox was killed");
        }
        let sleeper = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", somebody.id())).unwrap();
        somebody.kill().unwrap();
        somebody.wait().unwrap();
        for pid in sleeper.split_whitespace().flat_map(str::parse) {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
                .unwrap();
        }
    }
    other.kill().unwrap();
    let _ = other.wait();
    assert_eq!(replaced, 20);
}
