//! A part of the hierarchy that is given to a user, as systemd's `Delegate=` does: only where control groups have version 2.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::time::Duration;

use bwrap_launch::{Bwrap, Command, Ending, Error, Figure, Limit, Limits, Namespaces, Unapplied};

use super::groups::Parent;
use crate::cases;
use crate::common::{Case, Helper, Here, host, skip, user_ids};

pub(crate) const CASES: &[Case] = cases![
    a_user_has_groups_beside_the_subgroup,
    without_a_subgroup_it_says_so,
    a_controller_that_is_not_delegated_is_named,
    without_delegation_it_says_so,
];

/// What the user does, in the group that the case chose.
pub(crate) const HELPERS: &[Helper] = &[
    ("beside-the-subgroup", beside_the_subgroup),
    ("without-a-subgroup", without_a_subgroup),
    ("missing-controller", missing_controller),
    ("without-delegation", without_delegation),
];

/// A group, a subgroup of it named `main`, and how a user does something in one of them.
struct Unit {
    directory: PathBuf,
    /// Removed last.
    _parent: Parent,
}

impl Unit {
    /// With these controllers.
    fn new(here: &Here, controllers: &str) -> Self {
        if !Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
            skip("control groups of version 1 are not delegated");
        }
        let parent = Parent::new(here);
        let directory = parent.directories[0].clone();
        fs::write(directory.join("cgroup.subtree_control"), controllers).unwrap();
        let unit = Self { directory: directory.join("unit"), _parent: parent };
        fs::create_dir_all(unit.directory.join("main")).unwrap();
        unit
    }

    /// Gives it to the user, as systemd does.
    fn delegated(self) -> Self {
        let (uid, gid) = user_ids();
        let main = self.directory.join("main");
        for directory in [&self.directory, &main] {
            for file in ["", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"] {
                chown(directory.join(file), Some(uid), Some(gid)).unwrap();
            }
        }
        self
    }

    /// The user does it in this group of it; then nothing is left there.
    fn in_group(&self, here: &Here, group: &str, helper: &str) {
        let (uid, gid) = user_ids();
        let output = Process::new("sh")
            .args(["-ec", "echo $$ > \"$0/cgroup.procs\"; exec \"$@\""])
            .arg(self.directory.join(group))
            .args(["setpriv", &format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups"])
            .args(["--inh-caps=-all", "--"])
            .arg(std::env::current_exe().unwrap())
            .args(["--helper", helper])
            .arg(here.bwrap.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", output.status);
        print!("{said}");
        let left: Vec<PathBuf> = Parent::groups_in(&self.directory);
        assert_eq!(left, [self.directory.join("main")]);
        assert_eq!(Parent::groups_in(&left[0]), [] as [PathBuf; 0]);
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        for group in ["main", ""] {
            let _ = fs::remove_dir(self.directory.join(group));
        }
    }
}

fn a_user_has_groups_beside_the_subgroup(here: &Here) {
    Unit::new(here, "+memory +pids +cpu").delegated().in_group(here, "main", "beside-the-subgroup");
}

fn without_a_subgroup_it_says_so(here: &Here) {
    Unit::new(here, "+memory +pids +cpu").delegated().in_group(here, "", "without-a-subgroup");
}

fn a_controller_that_is_not_delegated_is_named(here: &Here) {
    Unit::new(here, "+memory +pids").delegated().in_group(here, "main", "missing-controller");
}

fn without_delegation_it_says_so(here: &Here) {
    Unit::new(here, "+memory +pids +cpu").in_group(here, "main", "without-delegation");
}

fn command(words: &[String], script: &str, limits: &Limits) -> Command {
    let mut command = host().unshare(Namespaces::PID).command("sh");
    command.bwrap(&Bwrap::at(&words[0]).unwrap()).args(["-c", script]).limits(limits);
    command
}

fn refusal(words: &[String], limits: &Limits) -> Unapplied {
    let error = command(words, "true", limits).status().unwrap_err();
    println!("{error}");
    let Error::Limit(unapplied) = error else { panic!("{error}") };
    Unapplied::clone(&unapplied)
}

fn own_group() -> String {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap();
    text.trim().strip_prefix("0::").unwrap().to_owned()
}

fn half_a_processor() -> Limit {
    Limit::CpuMax { quota: Duration::from_millis(50), period: Duration::from_millis(100) }
}

fn beside_the_subgroup(words: &[String]) {
    let limits = Limits::new().memory_max(32 << 20).pids_max(20).require(half_a_processor());
    let output = command(words, "cat /proc/self/cgroup", &limits).output().unwrap();
    let inside = String::from_utf8(output.stdout).unwrap();
    let unit = Path::new(&own_group()).parent().unwrap().to_owned();
    assert!(inside.starts_with(&format!("0::{}/bwrap-launch-", unit.display())), "{inside}");
    let mut child = command(words, "exec tail -n 1 /dev/zero", &limits).spawn().unwrap();
    assert_eq!(child.wait().unwrap().ending(), Ending::OutOfMemory { code: 137 });
    assert_eq!(child.usage().memory_kills, Figure::Exact(1));
    // what is only counted is counted in full, too
    let mut child = command(words, "true", &Limits::new().require(Limit::Accounting)).spawn().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(child.usage().user.is_exact(), "{:?}", child.usage());
    assert_eq!(child.usage().memory_kills, Figure::Exact(0));
}

fn without_a_subgroup(words: &[String]) {
    let unapplied = refusal(words, &Limits::new().pids_max(20));
    let remedy = unapplied.remedy().unwrap();
    let unit = format!("a group below /sys/fs/cgroup{} first", own_group());
    assert!(remedy.contains("DelegateSubgroup=main") && remedy.contains(&unit), "{remedy}");
    // what no controller is needed for is counted all the same
    let mut child = command(words, "true", &Limits::new().require(Limit::Accounting)).spawn().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(child.usage().user.is_exact(), "{:?}", child.usage());
}

fn missing_controller(words: &[String]) {
    let limits = Limits::new().memory_max(1 << 30);
    let unapplied = refusal(words, &limits.clone().require(half_a_processor()));
    assert_eq!(unapplied.limit(), &half_a_processor());
    assert!(unapplied.remedy().unwrap().contains("name cpu in its `Delegate=`"), "{unapplied}");
    let mut child = command(words, "true", &limits.optional(half_a_processor())).spawn().unwrap();
    let said: Vec<&Limit> = child.unapplied().iter().map(Unapplied::limit).collect();
    assert_eq!(said, [&half_a_processor()]);
    assert!(child.wait().unwrap().success());
}

fn without_delegation(words: &[String]) {
    let unapplied = refusal(words, &Limits::new().pids_max(20));
    assert!(unapplied.remedy().unwrap().contains("Delegate=yes"), "{unapplied}");
}
