//! Control groups: made, entered before the command runs, read, and removed, however it ends.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use bwrap_launch::{
    Child, Ending, Error, Figure, IoMax, Limit, Limits, Namespaces, Resource, Sandbox, Stdio, Stop, Usage,
};

use crate::cases;
use crate::common::{Case, Here, SETTLE, host, released, skip, watch, within};

pub(crate) const CASES: &[Case] = cases![
    its_limits_are_there_before_the_command,
    memory_runs_out,
    memory_runs_out_in_a_group_around,
    processes_run_out,
    processor_time_runs_out,
    nothing_outlives_the_group,
    however_it_ends_the_group_is_gone,
    who_lost_the_parent_is_listed_and_killed,
    what_was_used_is_counted,
    without_a_group_proc_tells_what_was_used,
    a_group_that_is_not_ours,
    what_this_version_does_not_know,
    what_others_left_is_removed,
    what_the_command_made_below_is_removed,
    a_kill_while_it_is_entered,
];

/// A group of the case's own in every hierarchy, for the groups of its sandboxes.
pub(crate) struct Parent {
    name: String,
    pub(crate) directories: Vec<PathBuf>,
    unified: bool,
}

impl Parent {
    /// Skips the case where nobody but root may have one.
    pub(crate) fn new(here: &Here) -> Self {
        if !here.root {
            skip("only root makes groups here");
        }
        let name = format!("bwrap-launch-test-{}", std::process::id());
        let root = Path::new("/sys/fs/cgroup");
        let unified = root.join("cgroup.controllers").exists();
        let hierarchies: Vec<PathBuf> = if unified {
            let _ = fs::write(root.join("cgroup.subtree_control"), "+memory +pids +cpu +io");
            vec![root.to_owned()]
        } else {
            let names = ["memory", "pids", "cpu", "cpuacct", "blkio"];
            names.into_iter().map(|name| root.join(name)).filter(|path| path.is_dir()).collect()
        };
        if hierarchies.is_empty() {
            skip("no control groups are mounted");
        }
        let directories: Vec<PathBuf> = hierarchies.into_iter().map(|path| path.join(&name)).collect();
        for directory in &directories {
            if let Err(error) = fs::create_dir(directory) {
                skip(&format!("no group can be made here: {error}"));
            }
        }
        Self { name, directories, unified }
    }

    fn limits(&self) -> Limits {
        Limits::new().below(format!("/{}", self.name))
    }

    /// The directories of groups below it.
    fn groups(&self) -> Vec<PathBuf> {
        self.directories.iter().flat_map(|directory| Self::groups_in(directory)).collect()
    }

    pub(crate) fn groups_in(directory: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect()
    }

    /// What a file says of the only group below.
    fn says(&self, file: &str) -> String {
        let path = self.groups().into_iter().map(|group| group.join(file)).find(|path| path.exists());
        let path = path.unwrap_or_else(|| panic!("no group has {file}"));
        fs::read_to_string(path).unwrap().trim().to_owned()
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        for directory in &self.directories {
            if let Err(error) = fs::remove_dir(directory) {
                eprintln!("{}: {error}", directory.display());
                std::process::exit(1);
            }
        }
    }
}

/// The hierarchy is writable inside, where nobody bound it otherwise.
fn what_the_command_made_below_is_removed(here: &Here) {
    let parent = Parent::new(here);
    let groups = parent.directories.iter().map(|directory| format!("{}/*/", directory.display()));
    let groups: Vec<String> = groups.collect();
    let script = format!(
        "for group in {}; do [ ! -d $group ] || mkdir -p $group/one/two $group/three; done; for list in {}; do [ -e $list ] && echo $$ >$list; done; echo; sleep 60 &",
        groups.join(" "),
        groups.iter().map(|group| format!("{group}one/two/cgroup.procs")).collect::<Vec<_>>().join(" ")
    );
    for sandbox in [Sandbox::new().bind("/", "/"), Sandbox::new().bind("/", "/").unshare(Namespaces::PID)] {
        let limits = parent.limits().require(Limit::Accounting);
        let mut command = here.shell(&sandbox, &script);
        let holders = watch(&mut command);
        let mut child = command.stdout(Stdio::piped()).limits(&limits).spawn().unwrap();
        drop(command);
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        assert!(!parent.groups().is_empty());
        child.wait().unwrap();
        assert!(parent.groups().is_empty(), "{:?} {sandbox}", parent.groups());
        assert!(released(&holders, SETTLE), "what was moved there is not killed: {sandbox}");
    }
}

fn both() -> [Sandbox; 2] {
    [host().unshare(Namespaces::PID), host()]
}

/// Starts it, and waits until it has written something.
fn running(here: &Here, sandbox: &Sandbox, script: &str, limits: &Limits) -> Child {
    let mut command = here.shell(sandbox, script);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).limits(limits).spawn().unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    child
}

fn disk() -> Option<(u32, u32)> {
    let disks = fs::read_dir("/sys/block").ok()?.flatten();
    let numbers = disks.filter_map(|disk| fs::read_to_string(disk.path().join("dev")).ok());
    let parsed = numbers.filter_map(|text| {
        let (major, minor) = text.trim().split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    });
    // neither memory nor loop devices
    parsed.into_iter().find(|(major, _)| ![1, 7].contains(major))
}

fn its_limits_are_there_before_the_command(here: &Here) {
    let parent = Parent::new(here);
    let quota = Duration::from_millis(50);
    let mut limits = parent
        .limits()
        .memory_max(64 << 20)
        .pids_max(20)
        .require(Limit::CpuMax { quota, period: Duration::from_millis(100) });
    let mut expected: Vec<(&str, String)> = if parent.unified {
        limits = limits.require(Limit::MemoryHigh(60 << 20)).require(Limit::OomGroup);
        vec![
            ("memory.max", (64 << 20).to_string()),
            ("memory.high", (60 << 20).to_string()),
            ("memory.oom.group", "1".into()),
            ("pids.max", "20".into()),
            ("cpu.max", "50000 100000".into()),
        ]
    } else {
        vec![
            ("memory.limit_in_bytes", (64 << 20).to_string()),
            ("pids.max", "20".into()),
            ("cpu.cfs_quota_us", "50000".into()),
            ("cpu.cfs_period_us", "100000".into()),
        ]
    };
    let swap = if parent.unified { "memory.swap.max" } else { "memory.memsw.limit_in_bytes" };
    let has_swap = if parent.unified {
        parent.directories[0].join(swap).exists()
    } else {
        Path::new("/sys/fs/cgroup/memory").join(swap).exists()
    };
    if has_swap {
        // whichever comes first
        limits = limits.require(Limit::SwapMax(8 << 20)).memory_max(64 << 20);
        expected.push((swap, ((if parent.unified { 8 } else { 72 }) << 20).to_string()));
    }
    if let Some((major, minor)) = disk() {
        let mut io = IoMax::new(major, minor);
        io.write_bytes = Some(10 << 20);
        limits = limits.require(Limit::IoMax(io));
        let (file, text) = if parent.unified {
            ("io.max", format!("{major}:{minor} rbps=max wbps=10485760 riops=max wiops=max"))
        } else {
            ("blkio.throttle.write_bps_device", format!("{major}:{minor} 10485760"))
        };
        expected.push((file, text));
    }
    println!("{} limits", expected.len());
    for sandbox in both() {
        // the command looks at the very first
        let mut child = running(here, &sandbox, "cat /proc/self/cgroup; echo .; read x", &limits);
        for (file, text) in &expected {
            assert_eq!(&parent.says(file), text, "{file}");
        }
        let of = |pid: u32| fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        assert!(of(child.sandbox_pid().unwrap()).contains(&parent.name));
        assert!(!of(child.id()).contains(&parent.name), "bwrap itself is in it");
        assert_eq!(of(child.id()), of(std::process::id()));
        drop(child.stdin.take());
        let output = child.wait_with_output().unwrap();
        let inside = String::from_utf8_lossy(&output.stdout).into_owned();
        let named = inside.lines().filter(|line| line.contains(&format!("/{}/bwrap-launch-", parent.name)));
        assert!(named.count() >= 1, "{inside}");
        assert_eq!(parent.groups(), [] as [PathBuf; 0]);
    }
    // with a namespace of its own it sees nothing of where that is, but the names from the caller's group on
    if !parent.unified {
        return;
    }
    let sandbox = host().unshare(Namespaces::PID | Namespaces::CGROUP).proc("/proc");
    let output = here.shell(&sandbox, "cat /proc/self/cgroup").limits(&limits).output().unwrap();
    assert!(output.stdout.starts_with(b"0::/"), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Without a group of ours, the kernel's counter tells of a kill that it was not for memory, or leaves it open.
fn memory_runs_out_in_a_group_around(here: &Here) {
    let sandbox = host().unshare(Namespaces::PID);
    let counted = || {
        let text = fs::read_to_string("/proc/vmstat").unwrap();
        text.lines().find(|line| line.starts_with("oom_kill ")).map(str::to_owned)
    };
    let before = counted();
    // what was counted before that is counted anew
    thread::sleep(Duration::from_millis(1100));
    let mut child = here.shell(&sandbox, "kill -9 $$").spawn().unwrap();
    let (ending, kills) = (child.wait().unwrap().ending(), child.usage().memory_kills);
    // somebody else's process may have been killed meanwhile
    let still = before.is_some() && before == counted();
    if still || ending != (Ending::MaybeOutOfMemory { code: 137 }) {
        assert_eq!(ending, Ending::SignaledOrExited { signal: 9, code: 137 });
        assert_eq!(kills, Figure::Exact(0));
    }
    let parent = Parent::new(here);
    let Some(group) = parent.directories.iter().find(|path| {
        ["memory.max", "memory.limit_in_bytes"]
            .iter()
            .any(|file| fs::write(path.join(file), "33554432").is_ok())
    }) else {
        skip("groups have no controller of memory here");
    };
    let script = format!("echo $$ > {}/cgroup.procs && exec tail -n 1 /dev/zero", group.display());
    let mut child = here.shell(&sandbox.bind("/sys/fs/cgroup", "/sys/fs/cgroup"), &script).spawn().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.ending(), Ending::MaybeOutOfMemory { code: 137 }, "{status}");
    assert_eq!((status.out_of_memory(), child.usage().memory_kills), (false, Figure::Unknown));
}

fn memory_runs_out(here: &Here) {
    let parent = Parent::new(here);
    let limits = parent.limits().memory_max(32 << 20);
    let sandbox = host().unshare(Namespaces::PID).tmpfs("/mnt");
    for script in [
        // memory of its own, and a file in memory
        "head -c 100m /dev/zero | tail -n 1 > /dev/null",
        "head -c 100m /dev/zero > /mnt/big",
    ] {
        let mut child = here.shell(&sandbox, script).limits(&limits).spawn().unwrap();
        let status = child.wait().unwrap();
        let usage = child.usage();
        let kills = usage.memory_kills.value().unwrap();
        assert!(kills >= 1 && usage.memory_kills.is_exact(), "{script}: {status}, {usage:?}");
        assert!(usage.peak_memory.value().is_none_or(|peak| peak <= 33 << 20), "{usage:?}");
        // the shell of the first succeeds or fails as the last of the pipe does
        assert_eq!(status.out_of_memory(), !status.success(), "{script}: {status}");
    }
    for script in ["exec tail -n 1 /dev/zero > /dev/null", "tail -n 1 /dev/zero > /dev/null || exit 3"] {
        let status = here.shell(&sandbox, script).limits(&limits).status().unwrap();
        let code = if script.contains("exit") { 3 } else { 137 };
        assert_eq!(status.ending(), Ending::OutOfMemory { code }, "{script}: {status}");
    }
    // who comes to terms with it ends by itself
    let status = here.shell(&sandbox, "tail -n 1 /dev/zero > /dev/null; exit 0").limits(&limits).status();
    assert_eq!(status.unwrap().ending(), Ending::Exited(0));
    assert_eq!(parent.groups(), [] as [PathBuf; 0]);
}

fn processes_run_out(here: &Here) {
    let parent = Parent::new(here);
    // `output` ends when nobody has its pipes any more
    let script = "i=0; while [ $i -lt 40 ]; do sleep 60 >/dev/null 2>&1 & i=$((i+1)); done; wait";
    for sandbox in both() {
        let output = here.shell(&sandbox, script).limits(&parent.limits().pids_max(12)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("fork"), "{}: {said}", output.status);
    }
    assert_eq!(parent.groups(), [] as [PathBuf; 0]);
}

fn processor_time_runs_out(here: &Here) {
    let parent = Parent::new(here);
    let period = Duration::from_millis(10);
    let limits =
        parent.limits().require(Limit::CpuMax { quota: period / 5, period }).require(Limit::Accounting);
    let mut command = here.shell(&host().unshare(Namespaces::PID), "while :; do :; done");
    let start = std::time::Instant::now();
    let mut child = command.limits(&limits).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    // it is counted by ticks, and has its turns
    let mut used = Duration::ZERO;
    within(SETTLE, || {
        used = child.usage().user.value().unwrap();
        !used.is_zero()
    });
    let passed = start.elapsed();
    child.kill().unwrap();
    let _ = child.wait();
    assert!(used > Duration::ZERO && used < passed / 2, "{used:?} in {passed:?}");
}

/// Without a PID namespace, what the command leaves behind lives on; not in a group of its own.
fn nothing_outlives_the_group(here: &Here) {
    let parent = Parent::new(here);
    for sandbox in both() {
        let mut command = here
            .shell(&sandbox, "sleep 60 & setsid sleep 60 & setsid sh -c 'sleep 60 & sleep 60' & sleep .1");
        command.limits(&parent.limits().require(Limit::Accounting)).stdout(Stdio::null());
        let holders = watch(&mut command);
        assert!(command.status().unwrap().success());
        drop(command);
        assert!(released(&holders, SETTLE), "something is left");
        assert_eq!(parent.groups(), [] as [PathBuf; 0]);
    }
}

fn who_lost_the_parent_is_listed_and_killed(here: &Here) {
    let parent = Parent::new(here);
    for sandbox in both() {
        let script = "(setsid sh -c 'sleep 60 & exec sleep 60' &); echo; exec sleep 60";
        let mut command = here.shell(&sandbox, script);
        command.limits(&parent.limits().require(Limit::Accounting)).stdout(Stdio::piped());
        let holders = watch(&mut command);
        let mut child = command.spawn().unwrap();
        drop(command);
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let all = || {
            let listed = child.processes().unwrap();
            let words =
                listed.iter().filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).ok());
            listed.len() == 3 && words.filter(|words| words == "sleep\x0060\0").count() == 3
        };
        assert!(within(SETTLE, all), "{:?} in {sandbox}", child.processes());
        child.kill().unwrap();
        // before anybody waits, which removes the group
        assert!(released(&holders, SETTLE), "something is left of {sandbox}");
        let _ = child.wait();
        assert_eq!(parent.groups(), [] as [PathBuf; 0]);
    }
}

fn however_it_ends_the_group_is_gone(here: &Here) {
    let parent = Parent::new(here);
    let limits = parent.limits().pids_max(50);
    let gone = || parent.groups().is_empty();
    for sandbox in both() {
        // killed
        let mut child = running(here, &sandbox, "echo; sleep 60", &limits);
        assert!(!gone());
        child.kill().unwrap();
        let _ = child.wait();
        assert!(gone(), "killed");
        // dropped: it runs on, and is seen to its end
        let mut child = running(here, &sandbox, "echo; read x", &limits);
        let stdin = child.stdin.take();
        drop(child);
        assert!(!gone(), "a command that was dropped runs on");
        drop(stdin);
        assert!(within(SETTLE, gone), "dropped");
        // too late
        let mut command = here.command(&sandbox, "sleep");
        command.arg("60").limits(&limits);
        assert!(command.status_timeout(Duration::from_millis(300)).unwrap().is_none());
        assert!(gone(), "given up");
        // never started
        drop(here.command(&sandbox, "true").limits(&limits).prepare().unwrap());
        assert!(gone(), "never started");
        // a program that is not there
        assert!(here.command(&sandbox, "/nonexistent").limits(&limits).status().is_err());
        assert!(gone(), "not executed");
        // another limit that cannot be set, before and after
        for limits in [
            limits.clone().affinity([1000]),
            limits.clone().require(Limit::CpuMax {
                quota: Duration::from_secs(1 << 40),
                period: Duration::from_secs(1),
            }),
        ] {
            let error = here.command(&sandbox, "true").limits(&limits).status().unwrap_err();
            assert!(matches!(error, Error::Limit(_)), "{error}");
            assert!(gone(), "{error}");
        }
    }
    // many at once
    let mut children: Vec<Child> =
        (0..10).map(|_| here.command(&host(), "true").limits(&limits).spawn().unwrap()).collect();
    assert!(children.iter_mut().all(|child| child.wait().unwrap().success()));
    assert!(gone());
}

fn what_was_used_is_counted(here: &Here) {
    let parent = Parent::new(here);
    let limits = parent.limits().require(Limit::Accounting);
    // in children that are waited for, in one that is not, and in a file in memory
    let script = "burn() { i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; }; (burn); burn & (setsid sh -c 'head -c 8m /dev/zero > /mnt/f'); burn; wait";
    let sandbox = host().unshare(Namespaces::PID).tmpfs("/mnt");
    let mut child = here.shell(&sandbox, script).limits(&limits).spawn().unwrap();
    assert!(child.wait().unwrap().success());
    let usage = child.usage();
    println!("{usage:?}");
    assert!(usage.user.is_exact() && usage.system.is_exact());
    // a hundred thousand rounds of a shell take that long anywhere
    let time = usage.user.value().unwrap() + usage.system.value().unwrap();
    assert!(time > Duration::from_millis(20) && time < Duration::from_secs(60), "{usage:?}");
    assert!(matches!(usage.peak_memory, Figure::Exact(8_388_608..) | Figure::AtLeast(_)), "{usage:?}");
    assert_eq!(usage.memory_kills, Figure::Exact(0));
    assert_eq!(child.usage(), usage, "it stays so");
}

fn without_a_group_proc_tells_what_was_used(here: &Here) {
    // so that nobody else waits for process 1 before it is asked
    bwrap_launch::adopt_orphans().unwrap();
    let time = |usage: Usage| usage.user.value().unwrap() + usage.system.value().unwrap();
    let least = Duration::from_millis(10);
    let script = "(i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done); echo; read x";
    for sandbox in both().into_iter().chain([host().unshare(Namespaces::PID).as_pid_1()]) {
        for asked in [true, false] {
            let mut child = running(here, &sandbox, script, &Limits::new());
            let before = if asked { child.usage() } else { Usage::default() };
            if asked {
                assert!(time(before) >= least && !before.user.is_exact(), "{before:?} in {sandbox}");
                assert!(matches!(before.peak_memory, Figure::AtLeast(100_000..)), "{before:?} in {sandbox}");
            }
            let _ = child.wait();
            let after = child.usage();
            assert!(time(after) >= least && !after.user.is_exact(), "{after:?} in {sandbox}");
            assert!(!asked || time(after) >= time(before), "{before:?} {after:?} in {sandbox}");
            assert_eq!((after.peak_memory, child.usage()), (before.peak_memory, after), "{sandbox}");
        }
    }
}

fn a_group_that_is_not_ours(here: &Here) {
    let missing = Limits::new().memory_max(1 << 30).below("/bwrap-launch-no-such-group");
    let error = here.command(&host(), "true").limits(&missing).status().unwrap_err();
    let Error::Limit(unapplied) = &error else { panic!("{error}") };
    assert!(unapplied.remedy().unwrap().contains("Limits::below"), "{error}");
    if here.root {
        return;
    }
    // a user has none where nobody gave any, and says what to do
    let limits = Limits::new().pids_max(50);
    let error = here.command(&host(), "true").limits(&limits).status().unwrap_err();
    let Error::Limit(unapplied) = &error else { panic!("{error}") };
    assert!(
        ["Delegate=yes", "cgcreate"].iter().any(|word| unapplied.remedy().unwrap().contains(word)),
        "{error}"
    );
    println!("{error}");
    // what is optional is reported, and what needs no group is set
    let limits =
        Limits::new().optional(Limit::PidsMax(50)).optional(Limit::Accounting).rlimit(Resource::Core, 0, 0);
    let mut child = here.shell(&host(), "ulimit -c").stdout(Stdio::piped()).limits(&limits).spawn().unwrap();
    assert_eq!(child.unapplied().len(), 2);
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((said.as_str(), child.wait().unwrap().success()), ("0\n", true));
}

fn what_this_version_does_not_know(here: &Here) {
    let parent = Parent::new(here);
    let unknown = [Limit::MemoryHigh(1 << 30), Limit::OomGroup, Limit::SwapMax(0)];
    let limits = unknown.iter().cloned().fold(parent.limits().pids_max(50), Limits::optional);
    let mut child = here.command(&host(), "true").limits(&limits).spawn().unwrap();
    let unapplied: Vec<&Limit> = child.unapplied().iter().map(bwrap_launch::Unapplied::limit).collect();
    if parent.unified {
        // swap may be off
        assert!(unapplied.iter().all(|limit| **limit == unknown[2]), "{unapplied:?}");
    } else {
        assert_eq!(unapplied, unknown.iter().collect::<Vec<_>>());
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(parent.groups(), [] as [PathBuf; 0]);
}

/// A caller that was killed leaves an empty group.
fn what_others_left_is_removed(here: &Here) {
    let parent = Parent::new(here);
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap();
    let number: String = namespace.to_str().unwrap().chars().filter(char::is_ascii_digit).collect();
    let mut ended = std::process::Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    let left = |pid: u32| format!("bwrap-launch-{number}-{pid}-0");
    let (dead, alive) = (left(ended.id()), left(1));
    for directory in &parent.directories {
        for name in [&dead, &alive] {
            fs::create_dir(directory.join(name)).unwrap();
        }
    }
    assert!(here.command(&host(), "true").limits(&parent.limits().pids_max(50)).status().unwrap().success());
    let used = if parent.unified {
        &parent.directories[0]
    } else {
        parent.directories.iter().find(|path| path.starts_with("/sys/fs/cgroup/pids")).unwrap()
    };
    assert!(!used.join(&dead).exists() && used.join(&alive).exists());
    for directory in &parent.directories {
        for name in [&dead, &alive] {
            let _ = fs::remove_dir(directory.join(name));
        }
    }
}

fn a_kill_while_it_is_entered(here: &Here) {
    let parent = Parent::new(here);
    let limits = parent.limits().memory_max(64 << 20).pids_max(50);
    for (round, sandbox) in both().iter().cycle().take(40).enumerate() {
        let mut command = here.shell(sandbox, "exec sleep 60");
        let holders = watch(command.limits(&limits));
        let prepared = command.prepare().unwrap();
        drop(command);
        let killer = prepared.killer();
        let ended = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_micros(400) * u32::try_from(round).unwrap());
                killer.kill().unwrap();
            });
            prepared.start().and_then(|mut child| child.wait())
        });
        assert_eq!(Ending::of(&ended), Ending::Stopped(Stop::Cancel), "round {round}: {ended:?}");
        assert!(released(&holders, SETTLE), "round {round}: something is left");
        assert_eq!(parent.groups(), [] as [PathBuf; 0], "round {round}");
    }
}
