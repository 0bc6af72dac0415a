//! Namespaces: which are new, what is reported of them, and existing ones that are joined.

use std::fs::{self, File};

use bwrap_launch::{Child, Ending, Errno, Error, Namespaces, Sandbox, Stdio, Stop};

use crate::cases;
use crate::common::{Case, Here, SETTLE, within};
use crate::support::{base, error, variants};

pub(crate) const CASES: &[Case] = cases![
    the_network_is_a_loopback_device,
    as_pid_1_the_command_is_process_1,
    both_reports_name_the_child_and_the_status,
    both_reports_name_the_namespaces,
    shared_namespaces_are_not_reported,
    a_user_namespace_is_joined,
    a_pid_namespace_is_joined,
    joined_processes_see_each_other,
    a_pid_namespace_of_another_owner_is_not_joined,
];

fn the_network_is_a_loopback_device(here: &Here) {
    let ours = fs::read_link("/proc/self/ns/net").unwrap();
    for sandbox in variants(&base().unshare(Namespaces::NET).proc("/proc").dev("/dev")) {
        let seen = here.prints(&sandbox, "readlink /proc/self/ns/net; tail -n +3 /proc/self/net/dev");
        let (namespace, devices) = seen.split_once('\n').unwrap();
        assert_ne!(namespace, ours.to_str().unwrap());
        assert!(devices.trim().starts_with("lo:") && devices.lines().count() == 1, "{devices}");
        // it is up: it answers
        let script = "use IO::Socket::INET; my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or \
                      die; IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $s->sockport) or die; print 1";
        let output = here.command(&sandbox, "perl").args(["-e", script]).output().unwrap();
        assert_eq!(output.stdout, b"1", "{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn as_pid_1_the_command_is_process_1(here: &Here) {
    let sandbox = base().unshare(Namespaces::PID);
    assert_eq!(here.prints(&sandbox, "echo $$"), "2\n");
    assert_eq!(here.prints(&sandbox.as_pid_1(), "echo $$"), "1\n");
}

/// Launches `script`, which must exit with 42, and returns the child and what bwrap wrote for the caller.
fn with_info(here: &Here, sandbox: &Sandbox, script: &str) -> (Child, serde_json::Value) {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = here.shell(&sandbox.clone().info_fd(writer), script);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let info = serde_json::Deserializer::from_reader(reader).into_iter().next().unwrap().unwrap();
    child.wait_ready().unwrap();
    (child, info)
}

fn both_reports_name_the_child_and_the_status(here: &Here) {
    for sandbox in variants(&base()) {
        let (mut child, info) = with_info(here, &sandbox, "exit 42");
        let pid = child.sandbox_pid().unwrap();
        assert_eq!(info["child-pid"].as_u64(), Some(pid.into()));
        assert_ne!(pid, child.id());
        assert_eq!(child.wait().unwrap().code(), Some(42));
    }
}

fn both_reports_name_the_namespaces(here: &Here) {
    let new = Namespaces::IPC | Namespaces::PID | Namespaces::NET | Namespaces::UTS | Namespaces::CGROUP_TRY;
    let script = "for i in cgroup ipc mnt net pid uts; do stat -L -c %i /proc/self/ns/$i; done";
    let (mut child, info) = with_info(here, &base().unshare(new).proc("/proc"), script);
    let ids = child.namespaces().unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let inside: Vec<u64> = text.lines().map(|line| line.parse().unwrap()).collect();
    let names = ["cgroup", "ipc", "mnt", "net", "pid", "uts"];
    let reported = [ids.cgroup, ids.ipc, ids.mnt, ids.net, ids.pid, ids.uts];
    for ((name, reported), inside) in names.into_iter().zip(reported).zip(inside) {
        assert_eq!(reported, Some(inside), "{name}");
        assert_eq!(info[format!("{name}-namespace")].as_u64(), Some(inside), "{name}");
        let outside = fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert_ne!(outside.to_str().unwrap(), format!("{name}:[{inside}]"));
    }
}

fn shared_namespaces_are_not_reported(here: &Here) {
    let (mut child, info) = with_info(here, &base(), "true");
    let ids = child.namespaces().unwrap();
    assert_eq!((ids.ipc, ids.net, ids.pid, ids.uts, ids.cgroup), (None, None, None, None, None));
    assert_eq!(info["mnt-namespace"].as_u64(), Some(ids.mnt.unwrap()));
    assert!(info.get("net-namespace").is_none(), "{info}");
    assert!(child.wait().unwrap().success());
}

/// A sandbox that stays until it is killed.
fn lasting(here: &Here, sandbox: &Sandbox) -> Child {
    let mut child = here.command(sandbox, "sleep").arg("60").spawn().unwrap();
    child.wait_ready().unwrap();
    child
}

fn namespace(child: &mut Child, name: &str) -> (File, String) {
    let path = format!("/proc/{}/ns/{name}", child.sandbox_pid().unwrap());
    let link = fs::read_link(&path).unwrap().into_os_string().into_string().unwrap();
    (File::open(path).unwrap(), link)
}

/// It is ready right before the command is executed, so it may be killed before or after that.
fn end(mut child: Child) {
    child.kill().unwrap();
    assert_eq!(Ending::of(&child.wait()), Ending::Stopped(Stop::Cancel));
}

fn a_user_namespace_is_joined(here: &Here) {
    let mut first = lasting(here, &base().unshare(Namespaces::USER));
    let (user, link) = namespace(&mut first, "user");
    let ours = fs::read_link("/proc/self/ns/user").unwrap();
    assert_ne!(link, ours.to_str().unwrap());
    let second = base().proc("/proc").join_user(user);
    assert_eq!(here.prints(&second, "readlink /proc/self/ns/user").trim(), link);
    end(first);
}

fn a_pid_namespace_is_joined(here: &Here) {
    let mut first = lasting(here, &base().unshare(Namespaces::USER | Namespaces::PID));
    let ((user, users), (pid, pids)) = (namespace(&mut first, "user"), namespace(&mut first, "pid"));
    let second = base().proc("/proc").join_user(user).join_pid(pid);
    let seen = here.prints(&second, "readlink /proc/self/ns/user /proc/self/ns/pid");
    assert_eq!(seen, format!("{users}\n{pids}\n"));
    let ours = fs::read_link("/proc/self/ns/pid").unwrap();
    assert_ne!(pids, ours.to_str().unwrap());
    end(first);
}

fn joined_processes_see_each_other(here: &Here) {
    let mut first = lasting(here, &base().unshare(Namespaces::USER | Namespaces::PID));
    let ((user, _), (pid, _)) = (namespace(&mut first, "user"), namespace(&mut first, "pid"));
    // a new PID namespace below the joined one hides them again
    let second = base().proc("/proc").join_user(user).join_pid(pid);
    let script = "cat /proc/[0-9]*/comm | grep -c sleep; true";
    // the first one's shell may not have come to it yet
    assert!(within(SETTLE, || here.prints(&second, script) == "1\n"));
    assert_eq!(here.prints(&second.unshare(Namespaces::PID), script), "0\n");
    end(first);
}

/// With `--dev` and another id the command is in a second user namespace, which does not own the PID namespace.
fn a_pid_namespace_of_another_owner_is_not_joined(here: &Here) {
    let mut first = lasting(here, &base().dev("/dev").unshare(Namespaces::USER | Namespaces::PID).uid(7));
    let ((user, _), (pid, _)) = (namespace(&mut first, "user"), namespace(&mut first, "pid"));
    let Error::Refused(failure) = error(here, &base().join_user(user).join_pid(pid)) else {
        panic!("not refused");
    };
    end(first);
    // the process that failed says why, the one that waited for it only that it did
    let message = failure.message().unwrap();
    assert_eq!(message.pattern(), Some("Setting pidns failed"), "{:?}", failure.messages());
    assert_eq!(message.errno().and_then(Errno::code), Some(libc::EPERM));
}
