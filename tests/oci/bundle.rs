//! Containers shaped as real runtimes shape them, made by runc.
//!
//! A [`Bundle`] says what the container is like; each [`Bundle::run`] makes it anew, runs one program in it and leaves
//! nothing behind. The root file system is the machine's own, as an overlay: what is written there is lost.
#![allow(dead_code, reason = "a kit: what a fault does not need, its remedy may")]

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) use crate::presets::{Runtime, Seccomp};
use crate::stage::{self, GATE, Stage};
pub(crate) use crate::stage::{Ended, Status};
pub(crate) use crate::wrapper::Wrapper;

/// This test program, in every container.
pub(crate) const PROGRAM: &str = "/opt/bwrap-launch-test";

/// With less, runc itself has not enough processes: smaller limits are set when it is done.
const RUNC_NEEDS: u32 = 32;

/// The first of the users who have no other processes.
const FIRST_ALONE: u32 = 1_000_000;

/// Limits that may be too small for runc, so that the container's own process sets them.
const LATE_LIMITS: [&str; 2] = ["RLIMIT_NPROC", "RLIMIT_NOFILE"];

/// What LXC's file system covers in `/proc`.
pub(crate) const LXCFS: [&str; 7] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
];

/// What a path is covered with, once the container is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// A file with this text, from a file system that calls itself `lxcfs`.
    File(&'static str),
    /// An empty file system in memory.
    Tmpfs,
    /// `/dev/null`, as runtimes cover files.
    Null,
}

/// A mount of `config.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) destination: String,
    pub(crate) kind: String,
    pub(crate) source: String,
    pub(crate) options: Vec<String>,
}

impl Mount {
    fn new(destination: &str, kind: &str, source: &str, options: &[&str]) -> Self {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Self {
            destination: destination.to_owned(),
            kind: kind.to_owned(),
            source: source.to_owned(),
            options,
        }
    }

    fn json(&self) -> Value {
        let Self { destination, kind, source, options } = self;
        json!({ "destination": destination, "type": kind, "source": source, "options": options })
    }
}

/// A container.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "they are independent")]
pub(crate) struct Bundle {
    pub(crate) runtime: Runtime,
    /// The bounding set, and what user 0 has.
    pub(crate) capabilities: BTreeSet<String>,
    /// What other users have.
    pub(crate) ambient: BTreeSet<String>,
    pub(crate) masked: Vec<String>,
    pub(crate) readonly: Vec<String>,
    pub(crate) seccomp: Seccomp,
    /// Whether it has a user namespace, as pods with `hostUsers: false`: 65536 ids from 100000 on.
    pub(crate) user_namespace: bool,
    pub(crate) uid: u32,
    /// Each run has a user whom no other run has.
    pub(crate) alone: bool,
    pub(crate) gid: u32,
    pub(crate) no_new_privs: bool,
    pub(crate) readonly_root: bool,
    pub(crate) pids_limit: Option<u32>,
    /// Names as `RLIMIT_NPROC`, soft and hard limits.
    pub(crate) rlimits: Vec<(String, u64, u64)>,
    /// Whether `/proc` is there when the program starts; runc itself always needs it.
    pub(crate) proc: bool,
    pub(crate) proc_options: Vec<String>,
    /// Beside those that every container has.
    pub(crate) mounts: Vec<Mount>,
    pub(crate) overmounts: Vec<(String, Over)>,
    pub(crate) removed: Vec<String>,
    pub(crate) removed_devices: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) sysctls: Vec<(String, String)>,
    /// As `config.json` calls them, without `user`.
    pub(crate) namespaces: Vec<String>,
    /// What is copied from the machine, and where to.
    pub(crate) copies: Vec<(PathBuf, String)>,
    /// Shell commands that change the files in `$root` before the container is made.
    pub(crate) preparations: Vec<String>,
    /// Shell commands that change the made container's mounts, with every privilege, before the program starts.
    pub(crate) alterations: Vec<String>,
    /// What the program runs in, from the outside to the inside.
    pub(crate) wrappers: Vec<Wrapper>,
    /// The words before the program's own.
    pub(crate) behind: Vec<String>,
    pub(crate) timeout: Duration,
}

impl Bundle {
    fn new(runtime: Runtime) -> Self {
        let environment = runtime.environment().into_iter().chain([
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", "/root"),
            ("HOSTNAME", "here"),
        ]);
        Self {
            runtime,
            capabilities: runtime.capabilities().into_iter().collect(),
            ambient: BTreeSet::new(),
            masked: runtime.masked(),
            readonly: runtime.readonly(),
            seccomp: if runtime.is_kubernetes() { Seccomp::None } else { runtime.seccomp() },
            user_namespace: false,
            uid: 0,
            alone: false,
            gid: 0,
            no_new_privs: false,
            readonly_root: false,
            pids_limit: None,
            rlimits: Vec::new(),
            proc: true,
            proc_options: Vec::new(),
            mounts: Vec::new(),
            overmounts: Vec::new(),
            removed: Vec::new(),
            removed_devices: Vec::new(),
            environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            sysctls: Vec::new(),
            namespaces: ["mount", "pid", "network", "ipc", "uts"].map(str::to_owned).into(),
            copies: Vec::new(),
            preparations: Vec::new(),
            alterations: Vec::new(),
            wrappers: Vec::new(),
            behind: Vec::new(),
            timeout: Duration::from_secs(30),
        }
    }

    /// Nothing covered, filtered or dropped: as near to no container at all as runc comes.
    pub(crate) fn bare() -> Self {
        Self::new(Runtime::Bare)
    }

    /// As `docker run`.
    pub(crate) fn docker() -> Self {
        Self::new(Runtime::Docker)
    }

    /// As `podman run`, by root.
    pub(crate) fn podman() -> Self {
        Self::new(Runtime::Podman)
    }

    /// A pod on containerd.
    pub(crate) fn containerd() -> Self {
        Self::new(Runtime::Containerd)
    }

    /// A pod on CRI-O.
    pub(crate) fn crio() -> Self {
        Self::new(Runtime::Crio)
    }

    // --- privileges ------------------------------------------------------------------------------------------------

    /// Grants a capability: `CAP_SYS_ADMIN` or `SYS_ADMIN`.
    pub(crate) fn cap_add(mut self, name: &str) -> Self {
        self.capabilities.insert(capability(name));
        self
    }

    pub(crate) fn cap_drop(mut self, name: &str) -> Self {
        self.capabilities.remove(&capability(name));
        self
    }

    /// Drops every capability.
    pub(crate) fn drop_all(mut self) -> Self {
        self.capabilities.clear();
        self
    }

    /// Makes capabilities ambient, as Podman does with what it adds for other users than root.
    pub(crate) fn ambient(mut self, names: &[&str]) -> Self {
        self.ambient = names.iter().map(|name| capability(name)).collect();
        self.capabilities.extend(self.ambient.clone());
        self
    }

    pub(crate) fn uid(mut self, uid: u32) -> Self {
        (self.uid, self.alone) = (uid, false);
        self
    }

    /// Runs as a user who has no other processes, in other containers and runs neither: some limits are on all of a user's.
    pub(crate) fn alone(mut self) -> Self {
        (self.uid, self.alone) = (FIRST_ALONE, true);
        self
    }

    pub(crate) fn gid(mut self, gid: u32) -> Self {
        self.gid = gid;
        self
    }

    pub(crate) fn no_new_privs(mut self, on: bool) -> Self {
        self.no_new_privs = on;
        self
    }

    pub(crate) fn user_namespace(mut self, on: bool) -> Self {
        self.user_namespace = on;
        self
    }

    pub(crate) fn seccomp(mut self, profile: Seccomp) -> Self {
        self.seccomp = profile;
        self
    }

    /// The runtime's own seccomp profile, as a pod with `seccompProfile: {type: RuntimeDefault}` has it.
    pub(crate) fn seccomp_default(mut self) -> Self {
        self.seccomp = self.runtime.seccomp();
        self
    }

    // --- files -----------------------------------------------------------------------------------------------------

    /// Covers these paths, instead of the runtime's.
    pub(crate) fn masked<T: AsRef<str>>(mut self, paths: &[T]) -> Self {
        self.masked = paths.iter().map(|path| path.as_ref().to_owned()).collect();
        self
    }

    /// Covers nothing and makes nothing read-only, as `systempaths=unconfined` and `procMount: Unmasked` do.
    pub(crate) fn unmasked(mut self) -> Self {
        self.masked.clear();
        self.readonly.clear();
        self
    }

    /// Leaves what is below a directory as it is.
    pub(crate) fn unmasked_below(mut self, directory: &str) -> Self {
        let kept = |path: &String| !path.starts_with(directory);
        self.masked.retain(kept);
        self.readonly.retain(kept);
        self
    }

    /// Makes these paths read-only, instead of the runtime's.
    pub(crate) fn readonly_paths<T: AsRef<str>>(mut self, paths: &[T]) -> Self {
        self.readonly = paths.iter().map(|path| path.as_ref().to_owned()).collect();
        self
    }

    pub(crate) fn readonly_root(mut self, on: bool) -> Self {
        self.readonly_root = on;
        self
    }

    /// Mounts something more, as `config.json` would.
    pub(crate) fn mount(mut self, destination: &str, kind: &str, source: &str, options: &[&str]) -> Self {
        self.mounts.push(Mount::new(destination, kind, source, options));
        self
    }

    pub(crate) fn proc_readonly(self) -> Self {
        self.proc_options("ro")
    }

    /// There is no `/proc` but an empty directory.
    pub(crate) fn no_proc(mut self) -> Self {
        self.proc = false;
        self
    }

    /// Mounts `/proc` with more options, such as `subset=pid`.
    pub(crate) fn proc_options(mut self, options: &str) -> Self {
        self.proc_options.extend(options.split(',').map(str::to_owned));
        self
    }

    /// How `/proc` keeps times: `noatime`, `nodiratime`, `strictatime`.
    pub(crate) fn proc_atime(self, mode: &str) -> Self {
        self.proc_options(mode)
    }

    /// Covers a path that exists, whatever runc says to that.
    pub(crate) fn overmount(mut self, path: &str, over: Over) -> Self {
        self.overmounts.push((path.to_owned(), over));
        self
    }

    /// Makes `/proc` as usual again: there, and without more options.
    pub(crate) fn proc_usual(mut self) -> Self {
        self.proc = true;
        self.proc_options.clear();
        self
    }

    /// Covers what LXC covers.
    pub(crate) fn lxcfs(self) -> Self {
        LXCFS.iter().fold(self, |bundle, path| bundle.overmount(path, Over::File("lxcfs\n")))
    }

    /// Removes a file or directory of the root file system.
    pub(crate) fn remove(mut self, path: &str) -> Self {
        self.removed.push(path.to_owned());
        self
    }

    /// Puts back the files that were removed.
    pub(crate) fn restored(mut self) -> Self {
        self.removed.clear();
        self
    }

    /// Puts back the devices that were removed.
    pub(crate) fn devices(mut self) -> Self {
        self.removed_devices.clear();
        self
    }

    /// Removes a device that every container has.
    pub(crate) fn remove_device(mut self, path: &str) -> Self {
        self.removed_devices.push(path.to_owned());
        self
    }

    /// Copies a file or directory of the machine, which everybody may read then.
    pub(crate) fn copy(mut self, from: impl Into<PathBuf>, to: &str) -> Self {
        self.copies.push((from.into(), to.to_owned()));
        self
    }

    /// Changes the files in `"$root"` with a shell command.
    pub(crate) fn prepare(mut self, command: &str) -> Self {
        self.preparations.push(command.to_owned());
        self
    }

    /// Changes the mounts with a shell command that runs in the container, but with all privileges.
    pub(crate) fn alter(mut self, command: &str) -> Self {
        self.alterations.push(command.to_owned());
        self
    }

    // --- limits and the rest ---------------------------------------------------------------------------------------

    pub(crate) fn pids_limit(mut self, processes: u32) -> Self {
        self.pids_limit = Some(processes);
        self
    }

    /// Sets a limit: `RLIMIT_NPROC` or `NPROC`.
    pub(crate) fn rlimit(mut self, name: &str, soft: u64, hard: u64) -> Self {
        let name = if name.starts_with("RLIMIT_") { name.to_owned() } else { format!("RLIMIT_{name}") };
        self.rlimits.retain(|(other, ..)| *other != name);
        self.rlimits.push((name, soft, hard));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn env_remove(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// Sets a `user.max_*` limit in the container's own user namespace, which it must have. For other containers
    /// there is [`Wrapper::UserNamespaceLimit`].
    pub(crate) fn sysctl_in_userns(mut self, name: &str, value: u32) -> Self {
        self.sysctls.push((name.to_owned(), value.to_string()));
        self
    }

    /// Sets a limit to another value that [`sysctl_in_userns`](Self::sysctl_in_userns) or a wrapper set; `None` if neither did.
    pub(crate) fn sysctl_changed(mut self, name: &str, value: u32) -> Option<Self> {
        let set = self.sysctls.iter_mut().filter(|(known, _)| known == name);
        let mut changed = set.map(|(_, old)| *old = value.to_string()).count();
        for wrapper in &mut self.wrappers {
            if let Wrapper::UserNamespaceLimit { kind, value: old } = wrapper
                && name == format!("user.max_{kind}_namespaces")
            {
                *old = value;
                changed += 1;
            }
        }
        (changed > 0).then_some(self)
    }

    /// Which namespaces are new, as `config.json` calls them; `mount` must be among them, and `user` is
    /// [`user_namespace`](Self::user_namespace).
    pub(crate) fn namespaces(mut self, kinds: &[&str]) -> Self {
        self.namespaces = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        self
    }

    /// Runs the program in something more, inside the wrappers added before.
    pub(crate) fn wrapper(mut self, wrapper: Wrapper) -> Self {
        self.wrappers.push(wrapper);
        self
    }

    /// Puts other wrappers in the place of some, or none; `None` if there is none of those.
    pub(crate) fn rewrapped(
        mut self,
        which: impl Fn(&Wrapper) -> bool,
        other: Option<&Wrapper>,
    ) -> Option<Self> {
        let there = self.wrappers.iter().any(&which);
        let wrappers = self.wrappers.into_iter();
        self.wrappers = wrappers
            .filter_map(|wrapper| if which(&wrapper) { other.cloned() } else { Some(wrapper) })
            .collect();
        there.then_some(self)
    }

    /// Runs the program behind these words, inside of everything else.
    pub(crate) fn behind(mut self, words: &[&str]) -> Self {
        self.behind.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// How long a run may take: 30 seconds unless said otherwise.
    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    // --- running ---------------------------------------------------------------------------------------------------

    /// Runs a program of the container with this input.
    pub(crate) fn run<T: AsRef<str>>(&self, program: &str, arguments: &[T], stdin: &[u8]) -> Ended {
        static USERS: AtomicU32 = AtomicU32::new(FIRST_ALONE);
        if self.alone {
            // nor has one of another test program
            let user = USERS.fetch_add(1, Ordering::Relaxed) + 128 * std::process::id();
            let user = self.clone().uid(user);
            return user.run(program, arguments, stdin);
        }
        assert!(self.user_namespace || self.sysctls.is_empty(), "no user namespace of its own: {self:?}");
        let name = stage::name();
        let identifier = identifier(&name);
        let cgroup = self.runtime.cgroup(&identifier);
        let exe = std::env::current_exe().unwrap();
        let mut inputs: Vec<&Path> = self.copies.iter().map(|(from, _)| from.as_path()).collect();
        inputs.push(&exe);
        let mut words = self.late_limits();
        words.extend(self.wrappers.iter().flat_map(|wrapper| wrapper.prefix(self)));
        words.extend(self.behind.iter().cloned());
        words.push(program.to_owned());
        words.extend(arguments.iter().map(|argument| argument.as_ref().to_owned()));
        let after = self.after();
        if !after.is_empty() {
            let gate = ["/bin/sh", "-c", GATE, "sh"].map(str::to_owned);
            words.splice(0..0, gate);
        }
        let files = format!("{}/files", stage::scratch(&inputs));
        let config = self.config(&words, &cgroup, &files).to_string();
        let removed = self.removed.iter().map(|path| quoted(path)).collect::<Vec<_>>().join(" ");
        let before = self.before(&exe);
        Stage {
            name: &name,
            config: &config,
            removed: &removed,
            before: &before,
            after: &after,
            cgroup: &cgroup,
            inputs: &inputs,
            timeout: self.timeout,
        }
        .run(stdin)
    }

    /// The words that set limits which runc would not survive.
    fn late_limits(&self) -> Vec<String> {
        let late = self.rlimits.iter().filter(|(name, ..)| LATE_LIMITS.contains(&name.as_str()));
        let limit = |(name, soft, hard): &(String, u64, u64)| {
            format!("--{}={soft}:{hard}", name.trim_start_matches("RLIMIT_").to_lowercase())
        };
        let limits: Vec<String> = late.map(limit).collect();
        if limits.is_empty() {
            return limits;
        }
        [vec!["prlimit".to_owned()], limits, vec!["--".to_owned()]].concat()
    }

    /// What `process.capabilities` says. Nobody can be given what we do not have.
    fn capability_sets(&self) -> Value {
        let ours = caps::read(None, caps::CapSet::Permitted).unwrap();
        let ours: BTreeSet<String> = ours.iter().map(ToString::to_string).collect();
        let bounding: Vec<&String> = self.capabilities.intersection(&ours).collect();
        let ambient: Vec<&String> = self.ambient.intersection(&ours).collect();
        // execve(2) would take them from other users anyway
        let effective = if self.uid == 0 { &bounding } else { &ambient };
        json!({
            "bounding": bounding,
            "effective": effective,
            "permitted": effective,
            "inheritable": ambient,
            "ambient": ambient,
        })
    }

    /// `config.json`.
    fn config(&self, words: &[String], cgroup: &str, files: &str) -> Value {
        let environment: Vec<String> =
            self.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let limits: Vec<Value> = self
            .rlimits
            .iter()
            .filter(|(name, ..)| !LATE_LIMITS.contains(&name.as_str()))
            .map(|(name, soft, hard)| json!({ "type": name, "soft": soft, "hard": hard }))
            .collect();
        let mut namespaces: Vec<Value> = self.namespaces.iter().map(|kind| json!({ "type": kind })).collect();
        let mut linux = json!({
            "cgroupsPath": cgroup,
            "maskedPaths": self.masked,
            "readonlyPaths": self.readonly,
            "resources": { "devices": [{ "allow": true, "access": "rwm" }] },
        });
        if self.user_namespace {
            namespaces.push(json!({ "type": "user" }));
            let mapping = json!([{ "containerID": 0, "hostID": 100_000, "size": 65_536 }]);
            linux["uidMappings"] = mapping.clone();
            linux["gidMappings"] = mapping;
        }
        if !stage::hierarchical() {
            // as runtimes do with version 2 only
            namespaces.push(json!({ "type": "cgroup" }));
        }
        linux["namespaces"] = Value::Array(namespaces);
        if let Some(limit) = self.pids_limit.filter(|limit| *limit >= RUNC_NEEDS) {
            linux["resources"]["pids"] = json!({ "limit": limit });
        }
        if let Some(profile) = self.seccomp.profile(|name| self.capabilities.contains(name)) {
            linux["seccomp"] = profile;
        }
        let mut config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": { "uid": self.uid, "gid": self.gid },
                "args": words,
                "env": environment,
                "cwd": "/",
                "capabilities": self.capability_sets(),
                "rlimits": limits,
                "noNewPrivileges": self.no_new_privs,
            },
            "root": { "path": "root", "readonly": self.readonly_root },
            "mounts": self.all_mounts(files).iter().map(Mount::json).collect::<Vec<_>>(),
            "linux": linux,
        });
        if self.namespaces.iter().any(|kind| kind == "uts") {
            config["hostname"] = json!("here");
        }
        config
    }

    /// What every container has, what the runtime adds, and what we were told to.
    fn all_mounts(&self, files: &str) -> Vec<Mount> {
        let sys = if self.runtime == Runtime::Bare { "rw" } else { "ro" };
        let quiet = ["nosuid", "noexec", "nodev"];
        let proc: Vec<&str> = quiet.into_iter().chain(self.proc_options.iter().map(String::as_str)).collect();
        let mut mounts = vec![
            Mount::new("/proc", "proc", "proc", &proc),
            Mount::new("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            Mount::new(
                "/dev/pts",
                "devpts",
                "devpts",
                &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
            ),
            Mount::new(
                "/dev/shm",
                "tmpfs",
                "shm",
                &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
            ),
            Mount::new("/dev/mqueue", "mqueue", "mqueue", &quiet),
            Mount::new("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", sys]),
            Mount::new("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", sys]),
        ];
        for (index, (destination, _)) in self.runtime.binds().into_iter().enumerate() {
            mounts.push(Mount::new(
                destination,
                "bind",
                &format!("{files}/{index}"),
                &["rbind", "rprivate", "rw"],
            ));
        }
        if self.runtime.is_kubernetes() {
            let (destination, source) = (SERVICE_ACCOUNT, format!("{files}/serviceaccount"));
            mounts.push(Mount::new(destination, "bind", &source, &["rbind", "rprivate", "ro"]));
        }
        mounts.extend(self.mounts.clone());
        mounts
    }

    /// The commands that make the files of the root file system, and those that are bound over it.
    fn before(&self, exe: &Path) -> String {
        let mut script = Vec::new();
        let program = [(exe.to_owned(), PROGRAM.to_owned())];
        for (from, to) in program.iter().chain(&self.copies) {
            let (from, to) = (quoted(&from.to_string_lossy()), format!("\"$root\"{}", quoted(to)));
            script.push(format!("mkdir -p \"$(dirname {to})\"; cp -rL {from} {to}; chmod -R a+rX {to}"));
        }
        // the machine may be a container itself
        script.push(MARKS.map(|mark| format!("rm -rf \"$root\"{mark}")).join("; "));
        for path in self.runtime.files() {
            script.push(format!(": >\"$root\"{path}"));
        }
        for (index, (path, text)) in self.runtime.binds().into_iter().enumerate() {
            script.push(format!("printf %s {} >\"$scratch\"/files/{index}", quoted(text)));
            if !path.starts_with("/dev/") {
                // a container's root that is not the machine's could not make it
                script.push(format!("mkdir -p \"$(dirname \"$root\"{path})\""));
                script.push(format!("[ -e \"$root\"{path} ] || : >\"$root\"{path}"));
            }
        }
        if self.runtime.is_kubernetes() {
            script.push(format!("mkdir -p \"$root\"{SERVICE_ACCOUNT} \"$scratch\"/files/serviceaccount"));
            script.push("printf pods >\"$scratch\"/files/serviceaccount/namespace".to_owned());
        }
        script.extend(self.preparations.clone());
        script.join("\n")
    }

    /// The commands that do to the made container what runc cannot, or refuses to.
    fn after(&self) -> String {
        let mut script = Vec::new();
        for (path, over) in &self.overmounts {
            let path = quoted(path);
            script.push(match over {
                Over::Null => format!("mount --bind /dev/null {path}"),
                Over::Tmpfs => format!("mount -t tmpfs tmpfs {path}"),
                Over::File(text) => format!(
                    "mount -t tmpfs lxcfs /mnt; mkdir -p \"$(dirname /mnt{path})\"; \
                     printf %s {} >/mnt{path}; mount --bind /mnt{path} {path}; umount /mnt",
                    quoted(text)
                ),
            });
        }
        for path in &self.removed_devices {
            let path = quoted(path);
            script.push(format!("umount -q {path} || :; rm {path}"));
        }
        script.extend(self.alterations.clone());
        script.extend(self.wrappers.iter().filter_map(Wrapper::preparation));
        if !self.proc {
            // the last, as mount and umount need it
            script.push("umount -l /proc".to_owned());
        }
        let mut outer = Vec::new();
        if !script.is_empty() {
            let script = quoted(&script.join("\n"));
            outer.push(format!("nsenter --target $pid --mount --pid -- sh -ec {script}"));
        }
        for (name, value) in &self.sysctls {
            let script = format!("echo {value} >/proc/sys/{}", name.replace('.', "/"));
            outer.push(format!("nsenter --target $pid --user -- sh -c {}", quoted(&script)));
        }
        if let Some(limit) = self.pids_limit.filter(|limit| *limit < RUNC_NEEDS) {
            outer.push(format!("echo {limit} >\"$pids\"/pids.max"));
        }
        outer.join("\n")
    }
}

/// What runtimes leave in containers.
const MARKS: [&str; 4] =
    ["/.dockerenv", "/run/.containerenv", "/run/secrets/kubernetes.io", "/run/systemd/container"];

/// Where pods find their service account.
const SERVICE_ACCOUNT: &str = "/run/secrets/kubernetes.io/serviceaccount";

/// The full name of a capability.
fn capability(name: &str) -> String {
    if name.starts_with("CAP_") { name.to_owned() } else { format!("CAP_{name}") }
}

/// 64 hexadecimal digits that no other run has.
fn identifier(name: &str) -> String {
    let digits = |part: u8| {
        let mut hasher = DefaultHasher::new();
        (name, part).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    };
    [0, 1, 2, 3].map(digits).concat()
}

/// A word for the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
