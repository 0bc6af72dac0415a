//! A control group for one sandbox (`cgroups(7)`): made, entered, read and removed.
//!
//! Version 1 is tested by launches here, version 2 in virtual machines (`tests/vm`).

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use procfs_core::FromRead;
use procfs_core::process::MountInfos;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, test_kill_process};

use self::nested::{PATIENCE, groups_in};
use self::refusal::Refusal;
#[cfg(feature = "tokio")]
pub(super) use self::removal::Left;
pub(super) use self::removal::Removal;
use self::setting::Setting;
use super::handle::Handle;
use super::limits::Limit;
use super::processes::numbers;
use super::usage::{Figure, Usage};
use crate::process_local::ProcessLocal;

mod nested;
mod refusal;
mod removal;
mod setting;

/// What every name begins with.
const NAME: &str = "bwrap-launch";

/// How many were made, for names that do not repeat.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// The group, in every hierarchy that is needed.
#[derive(Debug)]
pub(super) struct Group {
    parts: Vec<Part>,
}

/// Who is in a group, for those who do not own it. Nobody is, once it is removed.
#[derive(Debug)]
pub(super) struct Members(Vec<Part>);

impl Members {
    /// Kills them all.
    pub(super) fn kill(&self) {
        // they are the same in every hierarchy, and one can kill those that are still to come, too
        if let Some(part) = self.best() {
            part.kill();
        }
    }

    pub(super) fn list(&self) -> Vec<i32> {
        self.best().map(Part::list).unwrap_or_default()
    }

    fn best(&self) -> Option<&Part> {
        self.0.iter().find(|part| part.unified).or(self.0.first())
    }
}

/// The group in one hierarchy.
#[derive(Debug, Clone)]
struct Part {
    directory: PathBuf,
    /// Version 2.
    unified: bool,
    /// What may be set and read there.
    controllers: Vec<String>,
}

/// A limit that could not be set on a group that is there.
#[derive(Debug)]
pub(super) struct Refused<'a> {
    pub(super) limit: &'a Limit,
    pub(super) optional: bool,
    pub(super) source: io::Error,
    pub(super) remedy: Option<Arc<str>>,
}

/// One hierarchy of control groups, as this thread sees it.
struct Hierarchy {
    unified: bool,
    controllers: Vec<String>,
    /// Where it is mounted, and which group of it that shows.
    point: PathBuf,
    root: PathBuf,
    /// The group of this thread.
    own: PathBuf,
}

impl Hierarchy {
    fn all() -> io::Result<Vec<Self>> {
        let mounts = MountInfos::from_file("/proc/thread-self/mountinfo").map_err(io::Error::other)?;
        let text = fs::read_to_string("/proc/thread-self/cgroup")?;
        // ID:CONTROLLERS:PATH
        let lines = text.lines().filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            Some((parts.next()?, parts.next()?))
        });
        Ok(lines
            .filter_map(|(controllers, own)| {
                let unified = controllers.is_empty();
                let controllers: Vec<String> = controllers.split(',').map(str::to_owned).collect();
                // the last mount is the one on top
                let mount = mounts.0.iter().rev().find(|mount| match mount.fs_type.as_str() {
                    "cgroup2" => unified,
                    "cgroup" => {
                        !unified && controllers.iter().all(|name| mount.super_options.contains_key(name))
                    }
                    _ => false,
                })?;
                Some(Self {
                    unified,
                    controllers: if unified { Vec::new() } else { controllers },
                    point: mount.mount_point.clone(),
                    root: PathBuf::from(&mount.root),
                    own: PathBuf::from(own),
                })
            })
            .collect())
    }

    /// Where a group of this hierarchy is seen.
    fn directory(&self, group: &Path) -> PathBuf {
        // a container may see the host's name of its own group, which is the root of what it sees
        let below = group.strip_prefix(&self.root).or_else(|_| group.strip_prefix("/")).unwrap_or(group);
        if below.as_os_str().is_empty() { self.point.clone() } else { self.point.join(below) }
    }
}

/// What version 1 and version 2 call what is to be counted.
const COUNTED: [&str; 5] = ["cpuacct", "memory", "blkio", "pids", "io"];

impl Group {
    /// Makes a group and sets its limits. Returns those that could not be set, too.
    ///
    /// # Errors
    ///
    /// If no group can be made; then there is none.
    pub(super) fn make<'a>(
        limits: &[(&'a Limit, bool)],
        below: Option<&Path>,
    ) -> Result<(Self, Vec<Refused<'a>>), Refusal> {
        let proc = Path::new("/proc/thread-self/cgroup");
        let hierarchies = Hierarchy::all().map_err(|error| Refusal::of(error, proc, false))?;
        let mut refused = Vec::new();
        // what is to be set where
        let mut settings: Vec<(&Hierarchy, Setting, &'a Limit, bool)> = Vec::new();
        let mut counted = false;
        for (limit, optional) in limits {
            if **limit == Limit::Accounting {
                counted = true;
                continue;
            }
            let found = [false, true].into_iter().find_map(|unified| {
                let setting = Setting::of(limit, unified, limits);
                let controller = match &setting {
                    Ok(setting) => setting.controller,
                    // it is known to the other version only
                    Err(_) => "memory",
                };
                let has = |hierarchy: &&Hierarchy| {
                    hierarchy.unified == unified
                        && (unified || hierarchy.controllers.iter().any(|name| name == controller))
                };
                Some((hierarchies.iter().find(has)?, setting))
            });
            match found {
                Some((hierarchy, Ok(setting))) => settings.push((hierarchy, setting, limit, *optional)),
                Some((_, Err(source))) => {
                    refused.push(Refused { limit, optional: *optional, source, remedy: None });
                }
                None => {
                    let Refusal { source, remedy } = Refusal::not_mounted();
                    refused.push(Refused { limit, optional: *optional, source, remedy });
                }
            }
        }
        let mut group = Self { parts: Vec::new() };
        for hierarchy in &hierarchies {
            let needs: Vec<&str> = settings
                .iter()
                .filter(|(other, ..)| std::ptr::eq(*other, hierarchy))
                .map(|(_, setting, ..)| setting.controller)
                .collect();
            let v1_counts = hierarchy.controllers.iter().any(|name| COUNTED.contains(&name.as_str()));
            // version 2 counts in any case, where it is all there is
            let counts = counted && (v1_counts || hierarchy.unified && hierarchies.len() == 1);
            if !needs.is_empty() || counts {
                group.parts.push(Part::make(hierarchy, below, &needs, counts)?);
            }
        }
        if group.parts.is_empty() && refused.is_empty() {
            return Err(Refusal::not_mounted());
        }
        // version 1 takes no limit of both that is below the one of memory alone
        settings.sort_by_key(|(_, _, limit, _)| matches!(limit, Limit::SwapMax(_)));
        for (hierarchy, setting, limit, optional) in settings {
            let of_hierarchy = |part: &&Part| part.unified == hierarchy.unified;
            let done = match group.parts.iter().find(|part| part.has(setting.controller)) {
                Some(part) => setting.writes.iter().try_for_each(|(file, text)| {
                    let path = part.directory.join(file);
                    write(&path, text).map_err(|error| Refusal::of_setting(error, &path))
                }),
                None => Err(Refusal::without_controller(
                    setting.controller,
                    group.parts.iter().find(of_hierarchy).and_then(|part| part.directory.parent()),
                )),
            };
            if let Err(Refusal { source, remedy }) = done {
                refused.push(Refused { limit, optional, source, remedy });
            }
        }
        Ok((group, refused))
    }

    /// Moves a process into the group.
    pub(super) fn enter(&self, pid: Pid) -> Result<(), Refusal> {
        for part in &self.parts {
            let path = part.directory.join("cgroup.procs");
            write(&path, &pid.as_raw_pid().to_string())
                .map_err(|error| Refusal::of(error, &path, part.unified))?;
        }
        Ok(())
    }

    pub(super) fn members(&self) -> Members {
        Members(self.parts.clone())
    }

    /// What its processes have used so far.
    pub(super) fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        for part in &self.parts {
            part.count(&mut usage);
        }
        usage
    }
}

impl Part {
    fn make(
        hierarchy: &Hierarchy,
        below: Option<&Path>,
        needs: &[&str],
        counts: bool,
    ) -> Result<Self, Refusal> {
        let unified = hierarchy.unified;
        let own = hierarchy.directory(below.unwrap_or(&hierarchy.own));
        let mut bases = vec![own.as_path()];
        if unified && below.is_none() && own != hierarchy.point {
            // with version 2 a group that has processes has no limits below it: beside it there may be
            bases.extend(own.parent());
        }
        // what is only counted may be missing, but is not given up for a group where it can be had
        let counted: &[&str] = if unified && counts { &["memory", "io"] } else { &[] };
        let all = [needs, counted].concat();
        if unified {
            // a group gets none that its parent does not hand down, which systemd leaves to whom the parent is delegated
            let lacks = |base: &&Path| all.iter().filter(|name| !offers(base, name)).count();
            bases.sort_by_key(lacks);
        }
        let mut refusal = None;
        for wanted in [all.as_slice(), needs] {
            for base in &bases {
                match Self::make_in(hierarchy, base, wanted) {
                    Ok(part) => return Ok(part),
                    // why its own group cannot be used says more than that the one above is another's
                    Err(error) if *base == own || refusal.is_none() => refusal = Some(error),
                    Err(_) => {}
                }
            }
        }
        Err(refusal.unwrap_or_else(|| Refusal::of(ErrorKind::NotFound.into(), &own, unified)))
    }

    fn make_in(hierarchy: &Hierarchy, base: &Path, wanted: &[&str]) -> Result<Self, Refusal> {
        let unified = hierarchy.unified;
        let controllers = if unified { enable(base, wanted)? } else { hierarchy.controllers.clone() };
        sweep(base);
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{NAME}-{}-{}-{number}", pid_namespace(), std::process::id());
            let directory = base.join(name);
            match fs::create_dir(&directory) {
                Ok(()) => return Ok(Self { directory, unified, controllers }),
                // of a process that had this number before, and was killed
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Refusal::of(error, &directory, unified)),
            }
        }
    }

    fn kill(&self) {
        if self.unified && write(&self.directory.join("cgroup.kill"), "1").is_ok() {
            return;
        }
        let handles: Vec<_> = self
            .list()
            .into_iter()
            .filter_map(|pid| Some((pid, Handle::open(Pid::from_raw(pid)?).ok()?)))
            .collect();
        // still in it once the handles are open: no number was taken over meanwhile
        let still: HashSet<i32> = self.list().into_iter().collect();
        for (_, handle) in handles.iter().filter(|(pid, _)| still.contains(pid)) {
            let _ = handle.signal(Signal::KILL);
        }
    }

    fn list(&self) -> Vec<i32> {
        numbers(&self.text("cgroup.procs").unwrap_or_default())
    }

    fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }

    fn text(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.directory.join(file)).ok()
    }

    fn number(&self, file: &str) -> Option<u64> {
        self.text(file)?.trim().parse().ok()
    }

    fn count(&self, usage: &mut Usage) {
        if self.unified {
            let stat = self.text("cpu.stat").unwrap_or_default();
            let time = |name| field(&stat, name).map(Duration::from_micros);
            usage.user = Figure::exact(time("user_usec"));
            usage.system = Figure::exact(time("system_usec"));
            if self.has("memory") {
                // memory.peak came with Linux 5.19
                usage.peak_memory = match self.number("memory.peak") {
                    Some(peak) => Figure::Exact(peak),
                    None => Figure::at_least(self.number("memory.current")),
                };
                usage.memory_kills =
                    Figure::exact(self.text("memory.events").and_then(|text| field(&text, "oom_kill")));
            }
            if let Some(io) = self.text("io.stat") {
                usage.read = Figure::Exact(sum(&io, "rbytes="));
                usage.written = Figure::Exact(sum(&io, "wbytes="));
            }
            return;
        }
        if self.has("cpuacct") {
            // in which mode it was spent is only sampled, as the kernel does for each process: a part of what was counted
            let of = |file| self.number(file).map(u128::from);
            let parts = of("cpuacct.usage_user").zip(of("cpuacct.usage_sys"));
            if let Some((all, (user, system))) = of("cpuacct.usage").zip(parts) {
                let share = all.saturating_mul(user) / (user + system).max(1);
                let time = |nanoseconds| u64::try_from(nanoseconds).ok().map(Duration::from_nanos);
                usage.user = Figure::exact(time(if user + system == 0 { all } else { share }));
                usage.system = Figure::exact(time(if user + system == 0 { 0 } else { all - share }));
            }
        }
        if self.has("memory") {
            usage.peak_memory = Figure::exact(self.number("memory.max_usage_in_bytes"));
            usage.memory_kills =
                Figure::exact(self.text("memory.oom_control").and_then(|text| field(&text, "oom_kill")));
        }
        if self.has("blkio")
            && let Some(io) = self.text("blkio.throttle.io_service_bytes")
        {
            // what is written later, from memory, is nobody's in version 1
            usage.read = Figure::Exact(sum(&io, "Read "));
            usage.written = Figure::AtLeast(sum(&io, "Write "));
        }
    }
}

/// Enables controllers below a group, as far as they are there. Says which are.
fn enable(base: &Path, wanted: &[&str]) -> Result<Vec<String>, Refusal> {
    let file = base.join("cgroup.subtree_control");
    let list = |path: &Path| -> Result<Vec<String>, Refusal> {
        let text = fs::read_to_string(path).map_err(|error| Refusal::of(error, path, true))?;
        Ok(text.split_whitespace().map(str::to_owned).collect())
    };
    if !wanted.is_empty() && has_processes(base) {
        // said by the kernel for some controllers; others make what is below a group that no process may enter
        return Err(Refusal::of(Errno::BUSY.into(), &file, true));
    }
    let enabled = list(&file)?;
    let among = |names: &[String], name: &str| names.iter().any(|other| other == name);
    let mut missing: Vec<&str> = wanted.iter().copied().filter(|name| !among(&enabled, name)).collect();
    if missing.is_empty() {
        return Ok(enabled);
    }
    let there = list(&base.join("cgroup.controllers"))?;
    missing.retain(|name| among(&there, name));
    if !missing.is_empty() {
        let text = format!("+{}", missing.join(" +"));
        write(&file, &text).map_err(|error| Refusal::of(error, &file, true))?;
    }
    list(&file)
}

/// Whether groups below may have this controller.
fn offers(base: &Path, controller: &str) -> bool {
    let there = fs::read_to_string(base.join("cgroup.controllers")).unwrap_or_default();
    there.split_whitespace().any(|name| name == controller)
}

/// Whether this is a group with processes of its own. The root of the hierarchy, which may have both, does not count.
fn has_processes(base: &Path) -> bool {
    base.join("cgroup.type").exists()
        && fs::read_to_string(base.join("cgroup.procs")).is_ok_and(|text| !text.is_empty())
}

/// Removes, once for each place, what processes have left there that were killed.
fn sweep(base: &Path) {
    static SWEPT: ProcessLocal<HashSet<PathBuf>> = ProcessLocal::shared();
    if !SWEPT.lock().insert(base.to_owned()) {
        return;
    }
    let prefix = format!("{NAME}-{}-", pid_namespace());
    let deadline = Instant::now() + PATIENCE;
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = || -> Option<Pid> {
            let (pid, _) = name.to_str()?.strip_prefix(&prefix)?.split_once('-')?;
            Pid::from_raw(pid.parse().ok()?)
        };
        if owner().is_some_and(|owner| test_kill_process(owner) == Err(Errno::SRCH)) {
            // not if something is in it
            for directory in groups_in(&entry.path(), deadline).iter().chain([&entry.path()]) {
                let _ = fs::remove_dir(directory);
            }
        }
    }
}

/// Names of processes mean nothing to those in another PID namespace, who may use the same hierarchy.
fn pid_namespace() -> String {
    let link = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let text = link.file_name().and_then(OsStr::to_str).unwrap_or_default();
    text.chars().filter(char::is_ascii_digit).collect()
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// The number after a name, in lines of both.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The sum of all numbers that follow this text.
fn sum(text: &str, before: &str) -> u64 {
    let numbers = text.match_indices(before).filter_map(|(at, _)| {
        let rest = text.get(at + before.len()..)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
    });
    numbers.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel_are_read() {
        let stat = "usage_usec 30\nuser_usec 10\nsystem_usec 20\n";
        assert_eq!((field(stat, "user_usec"), field(stat, "usec")), (Some(10), None));
        let io = "8:16 rbytes=1 wbytes=20 rios=3 wios=4\n8:0 rbytes=100 wbytes=0 rios=1 wios=0\n";
        assert_eq!((sum(io, "rbytes="), sum(io, "wbytes=")), (101, 20));
        assert_eq!(sum("8:0 Read 5\n8:0 Write 7\n8:16 Read 1\nTotal 13\n", "Read "), 6);
    }

    #[test]
    fn a_group_is_found_where_it_is_mounted() {
        let hierarchy = |root: &str, point: &str| Hierarchy {
            unified: true,
            controllers: Vec::new(),
            point: point.into(),
            root: root.into(),
            own: "/".into(),
        };
        for (root, group, expected) in [
            ("/", "/a/b", "/sys/fs/cgroup/a/b"),
            ("/", "/", "/sys/fs/cgroup"),
            // a container without a cgroup namespace
            ("/docker/0123", "/docker/0123", "/sys/fs/cgroup"),
            ("/docker/0123", "/docker/0123/jobs", "/sys/fs/cgroup/jobs"),
        ] {
            assert_eq!(hierarchy(root, "/sys/fs/cgroup").directory(Path::new(group)), Path::new(expected));
        }
    }
}
