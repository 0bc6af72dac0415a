//! How a launch can end.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::Stdio as ProcessStdio;
use std::time::Duration;

use bwrap_launch::{IdRange, Namespaces, Sandbox, Stdio};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cases;
use crate::common::{Case, Here, host, skip};
use crate::inventory::{few_sandboxes, leaves_nothing, marked, sandboxes, token, unchanged};
use crate::support::{Kind, NUMBER_OF, Numbers, SETTLE, judge, kill_holders, released, stand_in, watch};

pub(crate) const CASES: &[Case] = cases![
    successes,
    failures,
    a_killed_bwrap,
    stuck_children,
    dropped_children,
    dropped_children_die_with_their_parent,
    prepared_sandboxes,
    id_maps_that_cannot_be_written,
];

fn successes(here: &Here) {
    for sandbox in few_sandboxes() {
        for (script, expected) in [("exit 0", 0), ("exit 1", 1), ("kill -9 $$; exit 9", 137)] {
            // process 1 of a namespace cannot be killed from inside
            let expected =
                if sandbox.to_string().contains("--as-pid-1") && expected == 137 { 9 } else { expected };
            let kind = leaves_nothing(here, &sandbox, script, judge);
            assert_eq!(kind, Kind::Ran(expected), "{script} in {sandbox}");
            let status =
                |command: &mut bwrap_launch::Command| Kind::of(&command.stderr(Stdio::null()).status());
            assert_eq!(leaves_nothing(here, &sandbox, script, status), kind);
        }
    }
}

fn failures(here: &Here) {
    for sandbox in few_sandboxes() {
        let broken = sandbox.clone().ro_bind("/nonexistent", "/mnt");
        let lost = sandbox.clone().current_dir("/nonexistent");
        let user = File::open("/proc/self/ns/user").unwrap();
        let refused = sandbox.clone().join_user_after_setup(user);
        for (sandbox, expected) in
            [(refused, Kind::Refused), (broken, Kind::SetupFailed), (lost, Kind::NotExecuted)]
        {
            assert_eq!(leaves_nothing(here, &sandbox, "exit 0", judge), expected, "{sandbox}");
            // here bwrap is asked for its words once more
            let kind = leaves_nothing(here, &sandbox, "exit 0", |command| {
                Kind::of(&command.stderr(Stdio::null()).status())
            });
            assert_eq!(kind, expected, "{sandbox}");
            let kind = leaves_nothing(here, &sandbox, "exit 0", |command| {
                Kind::of(&command.prepare().and_then(|prepared| prepared.start()?.wait()))
            });
            assert!(kind.denies(), "{sandbox}");
        }
    }
}

/// Kills bwrap at every moment from its start to its end.
fn a_killed_bwrap(here: &Here) {
    let mut numbers = Numbers::new(7);
    for sandbox in sandboxes() {
        unchanged(&token(here), &format!("killed bwraps: {sandbox}"), || {
            for _ in 0..40 {
                let mut command = marked(here, &sandbox, "sleep 0.001");
                let holders = watch(&mut command);
                let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
                drop(command);
                numbers.pause(5000);
                kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGKILL).unwrap();
                let outcome = child.wait();
                assert!(released(&holders, SETTLE), "{outcome:?}");
            }
        });
    }
}

/// A sandbox whose monitor fails once its child exists: that then waits for a word that never comes.
fn stuck() -> Sandbox {
    host().join_user_after_setup(File::open("/proc/self/ns/user").unwrap())
}

/// bwrap alone leaves that child behind, or these cases would show nothing.
fn bwrap_alone_leaves_a_child(here: &Here) {
    let (reader, writer) = std::io::pipe().unwrap();
    let script =
        format!("exec {} --ro-bind / / --userns2 9 true 9</proc/self/ns/user", here.bwrap.path().display());
    let mut process = std::process::Command::new("bash");
    process.args(["-c", &script]).stdout(writer).stderr(ProcessStdio::null());
    let status = process.status().unwrap();
    drop(process);
    assert!(!status.success());
    assert!(!released(&reader, Duration::from_millis(100)), "the child ended by itself");
    assert_eq!(kill_holders(&reader), 1);
}

fn stuck_children(here: &Here) {
    bwrap_alone_leaves_a_child(here);
    for namespaces in [Namespaces::empty(), Namespaces::PID] {
        let sandbox = stuck().unshare(namespaces);
        assert_eq!(leaves_nothing(here, &sandbox, "exit 0", judge), Kind::Refused);
        leaves_nothing(here, &sandbox, "exit 0", |command| {
            // nobody waits for it, and it holds a pipe
            drop(command.stdout(Stdio::piped()).spawn().unwrap());
            Kind::Refused
        });
        leaves_nothing(here, &sandbox, "exit 0", |command| {
            Kind::of(&command.prepare().and_then(|prepared| prepared.start()?.wait()))
        });
    }
    let body =
        format!("{NUMBER_OF}\nn=$(number_of --json-status-fd)\neval \"exec $n>&-\"\nexec \"$real\" \"$@\"");
    let bwrap = stand_in(here, "no-status", &body);
    for sandbox in sandboxes() {
        leaves_nothing(here, &sandbox, "exit 0", |command| judge(command.bwrap(&bwrap)));
    }
}

/// Dropped, a child runs on, and nothing is left of it once it has ended.
fn dropped_children(here: &Here) {
    for sandbox in few_sandboxes() {
        let mark = here.scratch.join("mark");
        let sandbox = sandbox.bind(&here.scratch, &here.scratch);
        let script = format!("echo text; sleep 0.05; echo more >&2; : > {}", mark.display());
        for delay in [0, 3] {
            leaves_nothing(here, &sandbox, &script, |command| {
                command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
                let child = command.spawn().unwrap();
                std::thread::sleep(Duration::from_millis(delay));
                drop(child);
                Kind::Other
            });
            assert!(mark.exists(), "it runs on: {sandbox}");
            std::fs::remove_file(&mark).unwrap();
        }
        // its pipes are full and nobody reads them: it ends when it writes
        leaves_nothing(here, &sandbox, "exec cat /dev/zero", |command| {
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            child.wait_ready().unwrap();
            std::thread::sleep(Duration::from_millis(20));
            drop(child);
            Kind::Other
        });
        // ended already, but not waited for
        leaves_nothing(here, &sandbox, "exit 0", |command| {
            let child = command.spawn().unwrap();
            std::thread::sleep(Duration::from_millis(50));
            drop(child);
            Kind::Other
        });
    }
}

fn dropped_children_die_with_their_parent(here: &Here) {
    // what is left of a namespace dies with its command, even if nobody waits
    let sandbox = host().unshare(Namespaces::PID).die_with_parent();
    leaves_nothing(here, &sandbox, "sleep 60 & exit 0", |command| {
        drop(command.spawn().unwrap());
        Kind::Other
    });
    let sandbox = host().unshare(Namespaces::PID);
    leaves_nothing(here, &sandbox, "sleep 60 & exit 0", |command| {
        drop(command.spawn().unwrap());
        Kind::Other
    });
}

fn prepared_sandboxes(here: &Here) {
    for sandbox in few_sandboxes() {
        leaves_nothing(here, &sandbox, "exit 0", |command| {
            drop(command.stdout(Stdio::piped()).prepare().unwrap());
            Kind::Other
        });
        let kind = leaves_nothing(here, &sandbox, "exit 3", |command| {
            Kind::of(&command.prepare().unwrap().start().unwrap().wait())
        });
        assert_eq!(kind, Kind::Ran(3));
        leaves_nothing(here, &sandbox, "exit 3", |command| {
            drop(command.prepare().unwrap().start().unwrap());
            Kind::Other
        });
        for killed in [true, false] {
            let kind = leaves_nothing(here, &sandbox, "exit 0", |command| {
                let prepared = command.prepare().unwrap();
                let pid = if killed { prepared.id() } else { prepared.sandbox_pid().unwrap() };
                kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
                std::thread::sleep(Duration::from_millis(10));
                Kind::of(&prepared.start().and_then(|mut child| child.wait()))
            });
            assert!(!matches!(kind, Kind::Ran(_)), "{kind:?}");
        }
    }
}

/// bwrap waits for its maps; if there will be none, it must not wait on.
fn id_maps_that_cannot_be_written(here: &Here) {
    let ids = [IdRange::new(0, rustix::process::getuid().as_raw(), 1), IdRange::new(1, 100_000, 1000)];
    let sandbox = host().unshare(Namespaces::USER | Namespaces::PID).map_uids(ids).map_gids(ids);
    if here.root {
        // its report cannot be passed on: nobody reads there
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let silent = sandbox.clone().info_fd(OwnedFd::from(writer));
        assert_eq!(leaves_nothing(here, &silent, "exit 0", judge), Kind::System);
        assert_eq!(leaves_nothing(here, &sandbox, "exit 3", judge), Kind::Ran(3));
    } else if leaves_nothing(here, &sandbox, "exit 0", judge) != Kind::System {
        skip("this user has subordinate ids");
    }
}
