//! A sandbox has what the thread has that launched it, whether or not it dies with its parent.
#![allow(unsafe_code, reason = "what is set here has no safe function")]

use std::fs;
use std::path::Path;

use bwrap_launch::Namespaces;

use crate::cases;
use crate::common::{Case, Here, host, skip};

pub(crate) const CASES: &[Case] = cases![a_sandbox_has_what_its_thread_has];

/// Prints the session keyring, the I/O priority, the scheduling policy, the timer slack, the personality, the umask and the control groups.
const PROBE: &str = "import ctypes, os
call = ctypes.CDLL(None).syscall
print(call(KEYCTL, 0, -3, 0), call(IOPRIO, 1, 0), os.sched_getscheduler(0), open('/proc/self/timerslack_ns').read().strip(),
    call(PERSONALITY, 0xffffffff), os.umask(0))
print(open('/proc/self/cgroup').read())";

/// A control group of cgroup v1 for one thread, removed in the end. Where there is none, threads share theirs.
struct Group<'a>(Option<&'a Path>);

impl Group<'_> {
    fn enter(&self) {
        if let Some(path) = self.0 {
            // SAFETY: takes nothing and touches no memory.
            let thread = unsafe { libc::gettid() };
            fs::write(path.join("tasks"), thread.to_string()).unwrap();
        }
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.0 {
            let parent = path.parent().unwrap().join("tasks");
            for thread in fs::read_to_string(path.join("tasks")).unwrap_or_default().lines() {
                let _ = fs::write(&parent, thread);
            }
            let _ = fs::remove_dir(path);
        }
    }
}

fn a_sandbox_has_what_its_thread_has(here: &Here) {
    if !Path::new("/usr/bin/python3").exists() {
        skip("wants python3 to make system calls inside");
    }
    let path = format!("/sys/fs/cgroup/pids/bwrap-launch-test.{}", std::process::id());
    let path = Path::new(&path);
    let group = Group(fs::create_dir(path).is_ok().then_some(path));
    let probe = PROBE
        .replace("KEYCTL", &libc::SYS_keyctl.to_string())
        .replace("IOPRIO", &libc::SYS_ioprio_get.to_string())
        .replace("PERSONALITY", &libc::SYS_personality.to_string());
    let sandbox = host().proc("/proc").unshare(Namespaces::PID);
    let launch = |dies: bool| {
        let sandbox = if dies { sandbox.clone().die_with_parent() } else { sandbox.clone() };
        let output = here.command(&sandbox, "python3").args(["-c", &probe]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    // a thread that has no session keyring gets one when it asks; else each sandbox gets one of its own
    // SAFETY: it takes numbers.
    unsafe { libc::syscall(libc::SYS_keyctl, 0, -3, 0) };
    // the keeper's thread is there before the one whose sandbox it launches
    let elsewhere = || std::thread::scope(|scope| scope.spawn(|| launch(true)).join().unwrap());
    let before = elsewhere();
    assert_eq!(launch(true), before, "the main thread's");
    let own = || {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                group.enter();
                // SAFETY: these calls take numbers, and one a structure that lives as long as it.
                unsafe {
                    let priority: libc::c_int = 0;
                    assert!(libc::syscall(libc::SYS_keyctl, 1, 0) > 0, "join a new session keyring");
                    assert_eq!(libc::syscall(libc::SYS_ioprio_set, 1, 0, (3 << 13) | 7), 0);
                    // musl's own functions do nothing
                    let (number, batch) = (libc::SYS_sched_setscheduler, libc::SCHED_BATCH);
                    assert_eq!(libc::syscall(number, 0, batch, &raw const priority), 0);
                    assert_eq!(libc::prctl(libc::PR_SET_TIMERSLACK, 123_000), 0);
                    assert!(libc::personality(libc::ADDR_NO_RANDOMIZE as libc::c_ulong) >= 0);
                    assert_eq!(libc::unshare(libc::CLONE_FS), 0, "a umask of its own");
                    libc::umask(0o27);
                    (libc::syscall(libc::SYS_keyctl, 0, -3, 0), launch(false), launch(true))
                }
            });
            thread.join().unwrap()
        })
    };
    let mut keyrings = Vec::new();
    for _ in 0..2 {
        let (keyring, plain, dying) = own();
        assert!(
            plain.starts_with(&format!(
                "{keyring} {} 3 123000 {} 23\n",
                (3 << 13) | 7,
                libc::ADDR_NO_RANDOMIZE
            )),
            "{plain}"
        );
        assert_eq!(plain, dying, "it is another thread's");
        assert_eq!(group.0.is_some(), dying.contains("bwrap-launch-test."), "{dying}");
        keyrings.push(keyring);
    }
    assert_ne!(keyrings[0], keyrings[1]);
    assert_eq!(elsewhere(), before, "the others' is as it was");
    assert_eq!(launch(true), before, "the main thread's");
}
