//! Where a container runs: namespaces and control groups of its own, in which everything it needs is made anew.
//!
//! A run is one shell in new mount, PID and cgroup namespaces. The root file system is an overlay over the machine's
//! own root, kept in memory. When the shell ends, or is killed, or whoever runs it dies, all of it is gone, but for
//! the empty control groups: those are removed after the run, and those of runs that were killed by the next one.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) status: Status,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// The program ran, and ended so. It is the container's first process, so no signal from inside kills it.
    Code(i32),
    /// runc could not start it, and says why. (What a shell or a wrapper before the program could not do shows as
    /// [`Status::Code`].)
    NotStarted(String),
    /// It was killed for taking too long.
    TimedOut,
}

impl Ended {
    pub(crate) fn success(&self) -> bool {
        self.status == Status::Code(0)
    }

    /// The last line on stderr that bwrap printed, without `bwrap: `.
    pub(crate) fn bwrap(&self) -> Option<&str> {
        self.stderr.lines().rev().find_map(|line| line.strip_prefix("bwrap: "))
    }
}

/// What the script needs to know.
pub(crate) struct Stage<'a> {
    /// An identifier of the run.
    pub(crate) name: &'a str,
    /// `config.json`.
    pub(crate) config: &'a str,
    /// Paths of the root file system that are not there, quoted for the shell.
    pub(crate) removed: &'a str,
    /// Shell commands that make files in `$root`, before the container is made.
    pub(crate) before: &'a str,
    /// Shell commands that change the made container, whose first process is `$pid`, before the program starts.
    pub(crate) after: &'a str,
    /// The cgroup of the container.
    pub(crate) cgroup: &'a str,
    /// Paths that `before` reads, which the scratch directory must not cover.
    pub(crate) inputs: &'a [&'a Path],
    pub(crate) timeout: Duration,
}

/// Runs inside the new namespaces, as their first process.
const SCRIPT: &str = r#"
set -eu
name=$1 scratch=$2 cgroup=$3 config=$4 removed=$5 before=$6 after=$7 root=$2/root
say() { printf '\000%s' "$1" >&2; }
trap 'say "failed: the stage could not be set"' EXIT

if [ -d /sys/fs/cgroup/pids ]; then
    # the hierarchies that runc cannot do without, seen from the run's own group
    umount -R /sys/fs/cgroup
    mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
    mkdir /sys/fs/cgroup/devices /sys/fs/cgroup/pids /sys/fs/cgroup/systemd
    mount -t cgroup -o devices cgroup /sys/fs/cgroup/devices
    mount -t cgroup -o pids cgroup /sys/fs/cgroup/pids
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
    pids=/sys/fs/cgroup/pids$cgroup
else
    pids=/sys/fs/cgroup$cgroup
fi

mount -t tmpfs -o mode=755 tmpfs "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$root" "$scratch/files"
# makes a directory of the overlay's own, with the attributes that it has
own() {
    if [ -d "$scratch/upper$1" ]; then return; fi
    case $1 in /*/*) own "${1%/*}" ;; esac
    mkdir "$scratch/upper$1"
    chmod --reference "$1" "$scratch/upper$1"
    chown --reference "$1" "$scratch/upper$1"
}
eval "set -- $removed"
for path; do
    case $path in /*/*) own "${path%/*}" ;; esac
    # how overlays say that something is not there; to remove what others write in would be a race
    if [ -e "$path" ]; then mknod "$scratch/upper$path" c 0 0; fi
done
mount -t overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" overlay "$root"
eval "$before"
printf %s "$config" >"$scratch/config.json"
run() {
    runc --root "$scratch/state" --log "$scratch/log" run --bundle "$scratch" --pid-file "$scratch/pid" "$@" "$name"
}
code=0
if [ -z "$after" ]; then
    run || code=$?
else
    mkfifo "$scratch/go" "$scratch/ready"
    exec 3<>"$scratch/go" 4<>"$scratch/ready" 5<&0
    { run --preserve-fds 2 && code=0 || code=$?; echo ended >&4; exit $code; } <&5 5<&- &
    read -r state <&4
    if [ "$state" = ready ]; then
        # runc writes it when it is done, a moment later
        until [ -s "$scratch/pid" ]; do sleep 0.005; done
        pid=$(cat "$scratch/pid")
        eval "$after"
        echo >&3
    fi
    wait $! || code=$?
fi
trap - EXIT
if grep -q level=error "$scratch/log" 2>/dev/null; then
    say "failed: $(grep level=error "$scratch/log")"
else
    say "ended: $code"
fi
"#;

/// Waits for the commands of `after`, then becomes the program.
pub(crate) const GATE: &str = r#"echo ready >&4; read -r _ <&3; exec 3<&- 4>&- "$@""#;

/// Enters the run's control groups, then a cgroup namespace that begins there.
const ENTER: &str = r#"
for hierarchy in devices pids systemd; do
    group=/sys/fs/cgroup/$hierarchy/$1
    if [ -d "$group" ]; then echo 0 >"$group/cgroup.procs"; fi
done
script=$2
shift 2
exec unshare --cgroup -- sh -c "$script" sh "$@"
"#;

/// What the control groups of runs are called, before the number of the process that made them.
const PREFIX: &str = "bwrap-launch-test.";

/// Names a run, and sweeps up after those that were killed.
pub(crate) fn name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    static SWEEP: Once = Once::new();
    SWEEP.call_once(sweep);
    format!("{PREFIX}{}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Where the memory for a run is mounted: any directory that every system has, and from which nothing is needed.
pub(crate) fn scratch(inputs: &[&Path]) -> &'static str {
    let free = |directory: &&&str| {
        Path::new(directory).is_dir() && !inputs.iter().any(|input| input.starts_with(directory))
    };
    ["/mnt", "/media", "/srv", "/opt"].iter().find(free).expect("a directory to mount on")
}

/// Whether control groups are of version 1: several hierarchies.
pub(crate) fn hierarchical() -> bool {
    Path::new("/sys/fs/cgroup/pids").is_dir()
}

/// Where the groups of runs are.
fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    if hierarchical() {
        ["devices", "pids", "systemd"].map(|name| root.join(name)).into()
    } else {
        vec![root.to_owned()]
    }
}

/// The control groups of a run, which go with it.
struct Groups(String);

impl Groups {
    fn new(name: &str) -> Self {
        if hierarchical() {
            for hierarchy in hierarchies() {
                fs::create_dir(hierarchy.join(name)).unwrap();
            }
        }
        Self(name.to_owned())
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(3);
        for hierarchy in hierarchies() {
            let group = hierarchy.join(&self.0);
            // what was killed takes a moment to leave
            while !remove(&group) && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Removes a control group and those below, and says whether it is gone.
fn remove(group: &Path) -> bool {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    fs::remove_dir(group).is_ok() || !group.exists()
}

/// Removes the control groups of processes that are gone.
pub(crate) fn sweep() {
    for hierarchy in hierarchies() {
        for entry in fs::read_dir(hierarchy).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let maker = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('.').next());
            if maker.is_some_and(|maker| !Path::new("/proc").join(maker).exists()) {
                remove(&entry.path());
            }
        }
    }
}

/// Reads to the end, in a thread of its own.
fn read(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Whether the child ended in time; it is killed otherwise.
fn ends(child: &mut Child, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
    true
}

impl Stage<'_> {
    /// Runs the container.
    pub(crate) fn run(&self, stdin: &[u8]) -> Ended {
        let groups = Groups::new(self.name);
        let cgroup =
            if hierarchical() { self.cgroup.to_owned() } else { format!("/{}{}", self.name, self.cgroup) };
        let mut command = Command::new("setpriv");
        // each dies with the one before: this thread, unshare, the shell, all in its PID namespace
        command.args(["--pdeathsig", "KILL", "--", "unshare", "--mount", "--propagation", "private"]);
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-c", ENTER, "sh"]);
        command.args([self.name, SCRIPT, self.name, scratch(self.inputs), &cgroup]);
        command.args([self.config, self.removed, self.before, self.after]);
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("setpriv, of util-linux");
        let (stdout, stderr) = (read(child.stdout.take().unwrap()), read(child.stderr.take().unwrap()));
        let (mut pipe, bytes) = (child.stdin.take().unwrap(), stdin.to_owned());
        // who does not read its input closes it
        let writer = thread::spawn(move || drop(pipe.write_all(&bytes)));
        let in_time = ends(&mut child, self.timeout);
        writer.join().unwrap();
        let (stdout, mut stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
        drop(groups);
        let said = stderr.rfind('\0').map(|at| stderr.split_off(at)).unwrap_or_default();
        let status = match said.trim_start_matches('\0').split_once(": ") {
            Some(("ended", code)) => Status::Code(code.parse().unwrap()),
            Some((_, reason)) => Status::NotStarted(reason.to_owned()),
            None if in_time => Status::NotStarted("the stage was killed".to_owned()),
            None => Status::TimedOut,
        };
        Ended { status, stdout, stderr }
    }
}
