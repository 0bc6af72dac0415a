//! Limits that each process has: seen from inside, on the command alone, and when they cannot be set.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::time::Duration;

use bwrap_launch::{
    Error, Filter, IoPriority, Limit, Limits, Namespaces, Resource, Sandbox, Scheduling, Stdio,
};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

use crate::cases;
use crate::common::{Case, Here, host, released, skip, watch};

pub(crate) const CASES: &[Case] = cases![
    every_resource,
    how_many_processes,
    the_other_kinds,
    bwrap_itself_has_none,
    a_launch_without_limits_has_no_gate,
    what_cannot_be_set_is_an_error,
    what_is_optional_is_reported,
    a_held_sandbox_gets_them_at_its_start,
    a_sandbox_that_fails_fails_in_spawn,
    a_filter_stays_and_two_cannot_be,
    time_runs_while_it_is_set_up,
];

/// With process 1 between bwrap and the command, without, and with a descriptor that bwrap keeps for it.
fn sandboxes() -> [Sandbox; 3] {
    let kept = std::io::pipe().unwrap().1;
    // the user's /proc must be that of the PID namespace
    [host().unshare(Namespaces::PID).proc("/proc"), host(), host().sync_fd(kept)]
}

const RESOURCES: [(Resource, &str); 16] = [
    (Resource::AddressSpace, "Max address space"),
    (Resource::Core, "Max core file size"),
    (Resource::CpuTime, "Max cpu time"),
    (Resource::Data, "Max data size"),
    (Resource::FileSize, "Max file size"),
    (Resource::Locks, "Max file locks"),
    (Resource::LockedMemory, "Max locked memory"),
    (Resource::MessageQueues, "Max msgqueue size"),
    (Resource::Nice, "Max nice priority"),
    (Resource::OpenFiles, "Max open files"),
    (Resource::Processes, "Max processes"),
    (Resource::RealTimePriority, "Max realtime priority"),
    (Resource::RealTimeSpan, "Max realtime timeout"),
    (Resource::Resident, "Max resident set"),
    (Resource::PendingSignals, "Max pending signals"),
    (Resource::Stack, "Max stack size"),
];

/// `/proc/PID/limits`: what is limited, softly and hard.
fn parsed(text: &str) -> BTreeMap<String, (Option<u64>, Option<u64>)> {
    let lines = text.lines().skip(1).map(|line| {
        let (name, rest) = line.split_at(26);
        let mut values = rest.split_whitespace().map(|word| word.parse().ok());
        (name.trim().to_owned(), (values.next().unwrap(), values.next().unwrap()))
    });
    lines.collect()
}

fn every_resource(here: &Here) {
    let own = parsed(&fs::read_to_string("/proc/self/limits").unwrap());
    // what is there already, and a little less of what is no number of the user's other processes
    let mut limits = Limits::new();
    let mut expected = own.clone();
    let mut lowered = 0;
    // root's own number of processes is not limited
    let bind = |resource: Resource| resource != Resource::Processes || !here.root;
    for (resource, name) in RESOURCES.into_iter().filter(|(resource, _)| bind(*resource)) {
        let (_, hard) = own[name];
        let value = match resource {
            Resource::Processes | Resource::PendingSignals => hard.or(Some(1 << 20)),
            Resource::Nice | Resource::RealTimePriority => Some(0),
            _ => Some(hard.map_or(1 << 36, |hard| hard / 2)),
        };
        let soft = value.map(|value| value / 2);
        let (soft, value) = if resource == Resource::Processes { (value, value) } else { (soft, value) };
        limits = limits.rlimit(resource, soft, value);
        expected.insert(name.to_owned(), (soft, value));
        lowered += usize::from(own[name] != expected[name]);
    }
    assert!(lowered >= 10, "only {lowered} of them differ from what the caller has");
    for sandbox in sandboxes() {
        let output = here.shell(&sandbox, "cat /proc/self/limits").limits(&limits).output().unwrap();
        assert_eq!(parsed(&String::from_utf8(output.stdout).unwrap()), expected);
    }
    // they bind
    let script = format!("cd '{}'; trap '' XFSZ; echo x > f", here.scratch.display());
    let sandbox = host().bind(&here.scratch, &here.scratch);
    let limits = Limits::new().rlimit(Resource::FileSize, 0, 0);
    let output = here.shell(&sandbox, &script).limits(&limits).output().unwrap();
    assert!(!output.status.success(), "it wrote more than it may");
    assert_eq!(fs::metadata(here.scratch.join("f")).unwrap().len(), 0);
}

fn how_many_processes(here: &Here) {
    let script = "for i in 1 2 3 4 5 6 7 8; do sleep 0.1 & done; wait; echo all";
    let limits = Limits::new().rlimit(Resource::Processes, 5, 5);
    // counted for each user namespace
    for sandbox in [host().unshare(Namespaces::USER), host().unshare_all()] {
        let mut command = here.shell(&sandbox, script);
        let all = fs::read_to_string("/proc/self/uid_map").unwrap();
        if !all.split_whitespace().eq(["0", "0", "4294967295"]) {
            skip("the machine's users are not seen here");
        }
        if !here.root {
            let output = command.limits(&limits).output().unwrap();
            assert_ne!(output.stdout, b"all\n", "it started more than it may");
            continue;
        }
        // the kernel exempts it, whatever the namespace
        let error = command.limits(&limits).output().unwrap_err();
        assert!(error.to_string().contains("exempts the machine's root"), "{error}");
        assert!(error.to_string().contains("Limit::PidsMax"), "{error}");
        let limit = Limit::Resource { resource: Resource::Processes, soft: Some(5), hard: Some(5) };
        let mut command = here.shell(&sandbox, "exit 3");
        let mut child = command.limits(&Limits::new().optional(limit)).spawn().unwrap();
        assert_eq!((child.wait().unwrap().code(), child.unapplied().len()), (Some(3), 1));
        let unlimited = Limits::new().rlimit(Resource::Processes, None, None);
        let unlimited = here.shell(&sandbox, "exit 3").limits(&unlimited).status();
        // more than the caller's own takes CAP_SYS_RESOURCE
        assert!(unlimited.is_err() || unlimited.unwrap().code() == Some(3));
    }
}

/// Number of a field of `/proc/PID/stat`, from 1, after the name.
fn field(stat: &str, number: usize) -> i64 {
    stat.rsplit_once(") ").unwrap().1.split_whitespace().nth(number - 3).unwrap().parse().unwrap()
}

const POLICY: usize = 41;
const NICE: usize = 19;

fn the_other_kinds(here: &Here) {
    let processors = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let last = (0..CpuSet::count()).rfind(|processor| processors.is_set(*processor).unwrap()).unwrap();
    let limits = Limits::new()
        .oom_score_adj(801)
        .nice(17)
        .affinity([last])
        .require(Limit::IoPriority(IoPriority::BestEffort(6)))
        .require(Limit::Scheduling(Scheduling::Batch));
    let script =
        "cat /proc/self/oom_score_adj; grep Cpus_allowed_list /proc/self/status; ionice; cat /proc/self/stat";
    for sandbox in sandboxes() {
        let output = here.shell(&sandbox, script).limits(&limits).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = said.lines().collect();
        let expected = ["801", &format!("Cpus_allowed_list:\t{last}"), "best-effort: prio 6"];
        assert_eq!(lines[..3], expected, "{said}");
        assert_eq!((field(lines[3], NICE), field(lines[3], POLICY)), (17, 3), "{said}");
    }
    for (limit, policy, io) in [
        (Limit::Scheduling(Scheduling::Idle), 5, "none: prio 0"),
        (Limit::IoPriority(IoPriority::Idle), 0, "idle"),
        (Limit::Scheduling(Scheduling::Other), 0, "none"),
    ] {
        let script = "ionice; cat /proc/self/stat";
        let output = here.shell(&host(), script).limits(&Limits::new().require(limit)).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.starts_with(io) || io.starts_with("none") && said.starts_with("unknown"), "{said}");
        assert_eq!(field(said.lines().nth(1).unwrap(), POLICY), policy, "{said}");
    }
    // what takes a privilege works with it, and is denied without
    for (limit, script, expected) in [
        (Limit::Scheduling(Scheduling::RoundRobin(3)), "cut -d' ' -f41 /proc/self/stat", "2"),
        (Limit::IoPriority(IoPriority::RealTime(5)), "ionice", "realtime: prio 5"),
        (Limit::OomScoreAdj(-1), "cat /proc/self/oom_score_adj", "-1"),
        (Limit::Nice(-1), "nice", "-1"),
    ] {
        match here.shell(&host(), script).limits(&Limits::new().require(limit.clone())).output() {
            Ok(output) => assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{expected}\n")),
            Err(Error::Limit(unapplied)) => {
                assert_eq!(unapplied.error().kind(), std::io::ErrorKind::PermissionDenied);
                println!("{unapplied}");
            }
            Err(error) => panic!("{limit}: {error}"),
        }
    }
}

/// Its monitor stays as the caller is.
fn bwrap_itself_has_none(here: &Here) {
    let read = |pid: &str| {
        let text = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
        let stat = text("stat");
        (
            parsed(&text("limits")),
            text("oom_score_adj"),
            field(&stat, NICE),
            field(&stat, POLICY),
            text("cgroup"),
        )
    };
    let own = read("self");
    let limits = Limits::new()
        .rlimit(Resource::Core, 1, 1)
        .rlimit(Resource::OpenFiles, 50, 60)
        .oom_score_adj(801)
        .nice(17)
        .require(Limit::Scheduling(Scheduling::Batch));
    for sandbox in sandboxes() {
        let mut command = here.shell(&sandbox, "echo; read x");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).limits(&limits);
        let mut child = command.spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        assert_eq!(read(&child.id().to_string()), own);
        assert_ne!(read(&child.sandbox_pid().unwrap().to_string()), own);
        let _ = child.wait().unwrap();
    }
}

fn a_launch_without_limits_has_no_gate(here: &Here) {
    let seccomp = |limits: &Limits| {
        let output = here.shell(&host(), "grep Seccomp: /proc/self/status").limits(limits).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let (without, with) = (seccomp(&Limits::new()), seccomp(&Limits::new().nice(13)));
    assert_eq!(without, fs::read_to_string("/proc/self/status").map(|text| line(&text, "Seccomp:")).unwrap());
    assert_eq!(with, "Seccomp:\t2\n");
}

fn line(text: &str, name: &str) -> String {
    format!("{}\n", text.lines().find(|line| line.starts_with(name)).unwrap())
}

/// What the caller must not do, or nobody can.
fn impossible(here: &Here) -> Vec<Limit> {
    let mut limits = vec![Limit::Affinity([1000].into())];
    if !here.root {
        limits.push(Limit::Nice(-19));
        limits.push(Limit::OomScoreAdj(-999));
        limits.push(Limit::Resource { resource: Resource::LockedMemory, soft: None, hard: None });
        limits.push(Limit::Scheduling(Scheduling::Fifo(90)));
        limits.push(Limit::IoPriority(IoPriority::RealTime(0)));
    }
    limits
}

fn what_cannot_be_set_is_an_error(here: &Here) {
    for sandbox in sandboxes() {
        for limit in impossible(here) {
            let mark = here.scratch.join("ran");
            let sandbox = sandbox.clone().bind(&here.scratch, &here.scratch);
            let mut command = here.command(&sandbox, "touch");
            command.arg(&mark).limits(&Limits::new().nice(11).require(limit.clone()));
            let holders = watch(&mut command);
            for launch in 0..3 {
                let error = match launch {
                    0 => command.spawn().unwrap_err(),
                    1 => command.output().unwrap_err(),
                    _ => command.prepare().unwrap().start().unwrap_err(),
                };
                let Error::Limit(unapplied) = &error else { panic!("{limit}: {error}") };
                assert_eq!(unapplied.limit(), &limit);
                assert!(unapplied.remedy().is_some(), "{error}");
                assert!(error.to_string().starts_with(&format!("could not set {limit}: ")), "{error}");
            }
            drop(command);
            assert!(released(&holders, Duration::ZERO), "{limit}: something is left");
            assert!(!mark.exists(), "{limit}: the command ran");
        }
    }
}

fn what_is_optional_is_reported(here: &Here) {
    let impossible = impossible(here);
    let limits = impossible.iter().cloned().fold(Limits::new(), Limits::optional);
    for sandbox in sandboxes() {
        let mut child = here.command(&sandbox, "true").limits(&limits).spawn().unwrap();
        let said: Vec<&Limit> = child.unapplied().iter().map(bwrap_launch::Unapplied::limit).collect();
        assert_eq!(said, impossible.iter().collect::<Vec<_>>());
        assert!(child.wait().unwrap().success());
    }
    let mut child =
        here.command(&host(), "true").limits(&Limits::new().optional(Limit::Nice(13))).spawn().unwrap();
    assert!(child.unapplied().is_empty() && child.wait().unwrap().success());
}

fn a_held_sandbox_gets_them_at_its_start(here: &Here) {
    let niceness = |pid: u32| field(&fs::read_to_string(format!("/proc/{pid}/stat")).unwrap(), NICE);
    for sandbox in sandboxes() {
        let mut command = here.shell(&sandbox, "nice");
        let own = niceness(std::process::id());
        let prepared = command.stdout(Stdio::piped()).limits(&Limits::new().nice(19)).prepare().unwrap();
        assert_eq!(niceness(prepared.sandbox_pid().unwrap()), own);
        assert_eq!(prepared.start().unwrap().wait_with_output().unwrap().stdout, b"19\n");
    }
}

fn a_sandbox_that_fails_fails_in_spawn(here: &Here) {
    let limits = Limits::new().nice(11);
    let error =
        here.command(&host().ro_bind("/nonexistent", "/mnt"), "true").limits(&limits).spawn().unwrap_err();
    assert!(matches!(error, Error::SetupFailed(_)), "{error}");
    // a program that is not there is found only when it is executed
    let mut child = here.command(&host(), "/nonexistent").limits(&limits).spawn().unwrap();
    assert!(matches!(child.wait(), Err(Error::NotExecuted(_))));
    // a process that it may not have
    let limits = Limits::new().rlimit(Resource::AddressSpace, 1 << 12, 1 << 12);
    let mut child = here.command(&host(), "true").limits(&limits).spawn().unwrap();
    assert!(child.wait().is_err() || !child.wait().unwrap().success());
}

fn a_filter_stays_and_two_cannot_be(here: &Here) {
    // ioctl(TIOCSTI) is denied
    let filtered = host().seccomp(Filter::terminal().unwrap());
    let limits = Limits::new().nice(14);
    let output =
        here.shell(&filtered, "nice; grep Seccomp: /proc/self/status").limits(&limits).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "14\nSeccomp:\t2\n");
    if !here.bwrap.accepts("--add-seccomp-fd") {
        skip("this bwrap takes one filter");
    }
    let error = here
        .command(&filtered.clone().seccomp(Filter::terminal().unwrap()), "true")
        .limits(&limits)
        .check()
        .unwrap_err();
    assert!(error.to_string().contains("limits and several seccomp filters exclude each other"), "{error}");
}

/// bwrap waits for content that nobody writes.
fn time_runs_while_it_is_set_up(here: &Here) {
    let (reader, writer) = std::io::pipe().unwrap();
    let sandbox = host().tmpfs("/mnt").file(reader, "/mnt/late");
    let mut command = here.command(&sandbox, "true");
    command.limits(&Limits::new().nice(11));
    assert!(command.status_timeout(Duration::from_millis(200)).unwrap().is_none());
    drop(writer);
}
