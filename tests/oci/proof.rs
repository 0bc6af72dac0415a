//! The loop from fault to remedy, closed: each fault is foretold, met, explained, and removed by the first remedy that the
//! crate proposes, until the same sandbox starts.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use bwrap_launch::diagnosis::Outlook;
use libtest_mimic::Failed;
use serde_json::Value;

use crate::bundle::{Bundle, PROGRAM, Seccomp, Status, Wrapper};
use crate::faults::{Fault, Says};
use crate::table::{Rows, check};
use crate::trying::{Tried, World, follow};

/// The causes that each fault leads through, in turn, and whether the first one can be foretold. Every fault that is not
/// listed must start.
const LEADS: &[(&str, Foretold, &[&str])] = &[
    ("crio", Surely, &["UM01", "PR01"]),
    ("masked_crio", Surely, &["PR01"]),
    ("crio_with_setfcap", Surely, &["PR01"]),
    ("ambient", Surely, &["CP01"]),
    ("setuid_without_capabilities", Surely, &["CP02", "PR01"]),
    ("no_setfcap", Surely, &["UM01"]),
    ("no_sys_admin_without_userns", Surely, &["NS07", "PR01"]),
    ("masked_docker_19", Surely, &["PR01"]),
    ("masked_docker_25", Surely, &["PR01"]),
    ("masked_docker_28", Surely, &["PR01"]),
    ("masked_podman_4", Surely, &["PR01"]),
    ("masked_podman_5", Surely, &["PR01"]),
    ("masked_one_file", Surely, &["PR01"]),
    ("masked_one_directory", Surely, &["PR01"]),
    ("masked_as_user", Surely, &["PR01"]),
    ("readonly_paths", Surely, &["PR01"]),
    ("lxcfs", Surely, &["PR02"]),
    ("tmpfs_over_proc_driver", Surely, &["PR02"]),
    ("null_over_proc_interrupts", Surely, &["PR01"]),
    ("proc_readonly", Surely, &["UM03"]),
    ("proc_noatime", Surely, &["PR04"]),
    ("proc_nodiratime", Surely, &["PR04"]),
    ("proc_strictatime", Surely, &["PR04"]),
    ("proc_subset_pid", Surely, &["PR09"]),
    ("no_proc", Surely, &["PR09"]),
    ("masked_and_disabling", Surely, &["UM10"]),
    ("pod", Surely, &["PR01"]),
    ("pod_user", Surely, &["PR01"]),
    ("pod_dropped", Surely, &["UM01", "PR01"]),
    ("pod_dropped_unmasked", Surely, &["UM01"]),
    ("pod_dropped_user", Surely, &["PR01"]),
    ("pod_crio", Surely, &["UM01", "PR01"]),
    ("pod_crio_unmasked", Surely, &["UM01"]),
    ("pod_runtime_default", Perhaps, &["NS01"]),
    ("pod_sys_admin", Surely, &["PR01"]),
    ("docker", Surely, &["NS01", "PR01"]),
    ("docker_user", Surely, &["NS01", "PR01"]),
    ("docker_sys_admin", Surely, &["MT08", "PR01"]),
    ("containerd_runtime_default", Surely, &["NS01", "PR01"]),
    ("podman_hostname", Perhaps, &["MT11"]),
    ("enosys", Perhaps, &["NS10"]),
    ("enosys_mount", Perhaps, &["MT03"]),
    ("eperm_mount", Perhaps, &["MT02"]),
    ("eperm_pivot_root", Perhaps, &["MT08"]),
    ("eperm_umount", Perhaps, &["MT10"]),
    ("eperm_unshare", Perhaps, &["UM07"]),
    ("eperm_netlink", Perhaps, &["LO04"]),
    ("pids_1", Surely, &["NS16"]),
    ("pids_2", Surely, &["NS16"]),
    ("pids_3", Surely, &["NS17"]),
    ("nproc_1", Surely, &["NS16"]),
    ("nproc_2", Surely, &["NS16"]),
    ("nofile_4", Surely, &["DF01"]),
    ("pod_max_user", Surely, &["NS07"]),
    ("pod_max_user_asked_for", Surely, &["NS12"]),
    ("pod_max_user_as_user", Surely, &["NS12"]),
    ("pod_max_user_1_as_user", Surely, &["UM08"]),
    ("pod_max_net", Surely, &["NS15"]),
    ("max_user_asked_for", Surely, &["NS12"]),
    ("max_net", Surely, &["NS15"]),
    ("max_pid", Surely, &["NS15"]),
    ("max_mnt", Surely, &["NS15"]),
    ("max_ipc", Surely, &["NS15"]),
    ("max_uts", Surely, &["NS15"]),
    ("max_cgroup", Surely, &["NS15"]),
    ("chroot", Surely, &["NS03"]),
    ("chroot_on_a_mount", Never, &["NS03"]),
    ("nested_in_roots", Surely, &["PR03"]),
    ("nested_in_roots_disabling", Surely, &["NS13"]),
    ("nested_in_a_users_disabling", Never, &["NS13"]),
    ("landlock", Never, &["MT04"]),
    ("landlock_user", Never, &["MT04"]),
    ("landlock_writing", Surely, &["UM04"]),
    ("landlock_writing_user", Surely, &["UM04"]),
    ("unmapped", Surely, &["NS04"]),
    ("unmapped_user", Surely, &["NS04"]),
    ("no_tmp", Surely, &["MT05"]),
    ("pod_no_null", Surely, &["DV03"]),
    ("no_null", Surely, &["DV03"]),
    ("no_zero", Surely, &["DV03"]),
    ("no_full", Surely, &["DV03"]),
    ("no_random", Surely, &["DV03"]),
    ("no_urandom", Surely, &["DV03"]),
    ("no_tty", Surely, &["DV03"]),
    ("stack_seccomp_setfcap_masks", Surely, &["NS01", "UM01", "PR01"]),
    ("stack_setfcap_masks", Surely, &["UM01", "PR01"]),
    ("stack_masks", Surely, &["PR01"]),
    ("stack_masks_as_user", Surely, &["PR01"]),
    ("stack_setfcap_pivot_masks", Surely, &["UM01", "MT08", "PR01"]),
    ("stack_pivot_masks", Surely, &["MT08", "PR01"]),
    ("stack_tmp_masks", Surely, &["MT05", "PR01"]),
    ("stack_landlock_masks", Surely, &["UM04", "PR01"]),
    ("stack_landlock_setfcap_masks", Surely, &["UM04", "UM01", "PR01"]),
    ("stack_readonly_setfcap", Surely, &["UM03", "UM01", "PR01"]),
    ("stack_masks_null", Surely, &["PR01", "DV03"]),
    ("stack_pids_seccomp", Surely, &["NS16", "NS01", "UM01", "PR01"]),
    ("stack_pids_setfcap_masks", Surely, &["NS16", "UM01", "PR01"]),
];

/// From inside, 33 nested user namespaces look like an ancestor's limit, which is far likelier: it comes second there, and
/// following the first remedy proves nothing.
const INDISTINCT: &str = "nesting_33";

fn indistinct(container: &mut Container) -> Result<(), Failed> {
    let tried = container.attempt(&[])?;
    let causes = tried.diagnosis["causes"].as_array().into_iter().flatten();
    let codes: Vec<&str> = causes.filter_map(|cause| cause["code"].as_str()).collect();
    if codes.first() == Some(&"NS13") && codes.contains(&"NS14") {
        Ok(())
    } else {
        Err(format!("{codes:?}: {}", tried.error).into())
    }
}

/// What a snapshot of the host can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foretold {
    /// That it fails.
    Surely,
    /// That it may fail.
    Perhaps,
    /// Nothing: only trying tells.
    Never,
}
use Foretold::{Never, Perhaps, Surely};

/// A container in which a sandbox is tried, and to which remedies are applied.
struct Container {
    bundle: Bundle,
    bwrap: String,
    line: Vec<String>,
}

impl World for Container {
    fn attempt(&mut self, changes: &[Value]) -> Result<Tried, String> {
        let changes = serde_json::to_string(changes).unwrap();
        let mut words = vec!["--helper", "try", &changes];
        words.extend(self.line.iter().map(String::as_str));
        let bundle = self.bundle.clone().env("BWRAP", &self.bwrap);
        let ended = bundle.run(PROGRAM, &words, b"");
        Tried::read(&ended.stdout)
            .filter(|_| ended.status == Status::Code(0))
            .ok_or_else(|| format!("{:?}: {}\n{}", ended.status, ended.stdout, ended.stderr))
    }

    fn apply(&mut self, remedy: &Value) -> Result<(), String> {
        let action = &remedy["action"];
        let changed = if !action["pod"].is_null() {
            pod(self.bundle.clone(), &action["pod"], remedy)
        } else if !action["container"].is_null() {
            options(self.bundle.clone(), &action["container"], remedy)
        } else {
            by_hand(self.bundle.clone(), remedy)
        };
        self.bundle = changed.ok_or_else(|| format!("nobody applies this here: {action}"))?;
        Ok(())
    }
}

/// What a pod's security context comes to in the container.
fn pod(mut bundle: Bundle, pod: &Value, remedy: &Value) -> Option<Bundle> {
    if pod["host_users"] == false {
        bundle = bundle.user_namespace(true);
    }
    if pod["unmasked_proc"] == true {
        // the API server refuses one without the other
        if !bundle.user_namespace {
            return None;
        }
        bundle = bundle.unmasked();
    }
    if let Some(uid) = pod["run_as_user"].as_u64() {
        let uid = u32::try_from(uid).ok()?;
        bundle = bundle.uid(uid).gid(uid);
    }
    for name in pod["add_capabilities"].as_array().into_iter().flatten() {
        bundle = bundle.cap_add(name.as_str()?);
    }
    if pod["seccomp"] == "unconfined" {
        bundle = bundle.seccomp(Seccomp::None);
    } else if pod["seccomp"]["localhost"].is_string() {
        bundle = bundle.seccomp(profile(remedy)?);
    }
    if let Some(path) = pod["empty_dir"].as_str() {
        bundle = bundle.restore(path);
    }
    Some(bundle)
}

/// The system call filter that comes with a remedy.
fn profile(remedy: &Value) -> Option<Seccomp> {
    let file = remedy["files"].as_array()?.iter().find(|file| {
        Path::new(file["path"].as_str().unwrap_or_default()).extension().is_some_and(|end| end == "json")
    })?;
    Some(Seccomp::Custom(serde_json::from_str(file["content"].as_str()?).ok()?))
}

/// What options of `docker run` and `podman run` come to.
fn options(mut bundle: Bundle, container: &Value, remedy: &Value) -> Option<Bundle> {
    let words = |key: &str| -> Vec<String> {
        let list = container[key].as_array().into_iter().flatten();
        let words = list.flat_map(|word| word.as_str().unwrap_or_default().split(' '));
        // --option=value or --option value
        words.flat_map(|word| word.splitn(2, '=')).map(str::to_owned).collect()
    };
    for pair in words("add").chunks(2) {
        let [option, value] = pair else { return None };
        bundle = match (option.as_str(), value.as_str()) {
            ("--security-opt", "systempaths=unconfined" | "unmask=ALL" | "unmask=/proc/*") => {
                bundle.unmasked()
            }
            ("--security-opt", value) if value.starts_with("seccomp=") => bundle.seccomp(profile(remedy)?),
            ("--user", uid) => {
                let uid = uid.split(':').next()?.parse().ok()?;
                bundle.uid(uid).gid(uid)
            }
            ("--cap-add", name) => bundle.cap_add(name),
            ("--pids-limit", _) => Bundle { pids_limit: None, ..bundle },
            ("--tmpfs", path) => bundle.restore(path),
            _ => return None,
        };
    }
    words("remove").is_empty().then_some(bundle)
}

/// What a person types or does whom a remedy tells so. Commands are run as they stand, with every privilege; of a remedy in
/// words, these words are asked for, so that one that says something else is not proven by this.
fn by_hand(bundle: Bundle, remedy: &Value) -> Option<Bundle> {
    let action = &remedy["action"];
    let summary = remedy["summary"].as_str()?;
    if let Some(commands) = action["commands"].as_array() {
        let lines: Vec<&str> = commands.iter().filter_map(Value::as_str).collect();
        return match lines.as_slice() {
            ["setpriv --reuid=1000 --regid=1000 --clear-groups COMMAND"] => Some(bundle.uid(1000).gid(1000)),
            [line] if line.starts_with("ulimit ") => Some(bundle.unlimited()),
            [line] if line.contains("TasksMax=") => Some(Bundle { pids_limit: None, ..bundle }),
            [line] if line.starts_with("mkdir -p -m 1777 /tmp") => Some(bundle.restore("/tmp")),
            [line] if line.starts_with("chmod u-s ") => Some(Bundle { preparations: Vec::new(), ..bundle }),
            [line] if line.starts_with("setpriv --ambient-caps=-all") => {
                Some(Bundle { ambient: BTreeSet::new(), ..bundle })
            }
            lines => Some(bundle.alter(&lines.join("\n"))),
        };
    }
    if let Some(parameter) = action["sysctl"].as_object() {
        let (name, value) = (parameter["name"].as_str()?, parameter["value"].as_str()?);
        let number = value.parse().ok()?;
        return Some(bundle.sysctl_raised(name, number));
    }
    let text = action["manual"].as_str()?;
    // what was done around the program is not done
    let around = [
        "or bwrap --bind TREE / --dev /dev --proc /proc from outside",
        "Start bwrap before the Landlock rules are applied",
        "unshare(1): --map-user",
        "denies calls that bwrap makes",
        "without --disable-userns",
    ];
    if around.iter().any(|words| text.contains(words)) {
        return Some(bundle.unwrapped().seccomp(Seccomp::None));
    }
    if text.contains("Take the read-only volume that is mounted on /proc") {
        return Some(bundle.proc_usual());
    }
    if text.contains("take the volume that is mounted on /dev away") {
        return Some(bundle.restore("/dev/null"));
    }
    if summary == "Start the outer bwrap as another user than root" {
        let outer = Wrapper::NestedBwrap { root: false, disable_userns: false };
        return Some(bundle.unwrapped().wrapper(outer));
    }
    None
}

/// Rows of the table in the documentation.
static ROWS: LazyLock<Mutex<Rows>> = LazyLock::new(Mutex::default);

const INTRODUCTION: &str = "\
# What was proven in containers

Each row is a container that `runc` made, shaped as the runtimes shape theirs, in which the same sandbox (all namespaces, the
host's root read-only, a new /proc and /dev) was launched, failed with this message, was diagnosed, and then started once the
first remedy was applied to the container, or to the sandbox. Faults that stand in several rows are stacked: each remedy
uncovers the next cause. `tests/oci` runs every row, on two versions of bwrap, and fails if this page says something else; the
messages here are those of the first version.
";

/// Compares the table with the page in `docs`.
pub(crate) fn compare() -> Result<(), String> {
    check("proven-in-containers.md", INTRODUCTION, &ROWS.lock().unwrap())
}

/// `record`: for the table.
pub(crate) fn prove(fault: &Fault, bundle: Bundle, bwrap: String, record: bool) -> Result<(), Failed> {
    let line = fault.arguments.iter().map(|word| (*word).to_owned()).collect();
    let mut container = Container { bundle, bwrap, line };
    if fault.name == INDISTINCT {
        return indistinct(&mut container);
    }
    let (steps, tried) = follow(&mut container, 0)?;
    let found: Vec<&str> = steps.iter().map(|step| step.cause.as_str()).collect();
    let Some((_, foretold, causes)) = LEADS.iter().find(|(name, ..)| *name == fault.name) else {
        if !found.is_empty() {
            return Err(format!("expected nothing, found {found:?}: {steps:#?}").into());
        }
        return match tried.outlook {
            Outlook::Starts => {
                if record {
                    ROWS.lock().unwrap().insert(fault.name.clone(), steps);
                }
                Ok(())
            }
            outlook => Err(format!("it starts, and was foretold: {outlook}: {:?}", tried.obstacles).into()),
        };
    };
    if found != *causes {
        return Err(format!("expected {causes:?}, found {found:?}: {steps:#?}").into());
    }
    for step in &steps {
        let verdicts = verdicts(&step.cause);
        if !verdicts.contains(&step.verdict.as_str()) {
            return Err(format!("one of {verdicts:?} was expected: {steps:#?}").into());
        }
    }
    let outlook = match foretold {
        Surely => Outlook::Fails,
        Perhaps => Outlook::Uncertain,
        Never => Outlook::Starts,
    };
    if steps[0].outlook != outlook {
        return Err(format!("expected to be foretold {foretold:?}: {steps:#?}").into());
    }
    // what comes next was said
    for pair in steps.windows(2) {
        let next = &pair[1].cause;
        // (where bwrap cannot even be asked for its version, nobody asks about the sandbox)
        if pair[0].verdict != "error" && pair[1].outlook == Outlook::Fails && !pair[0].foreseen.contains(next)
        {
            return Err(format!("{next} was not foreseen: {steps:#?}").into());
        }
    }
    if tried.outlook == Outlook::Fails {
        return Err(format!("in the end it starts, and was foretold to fail: {:?}", tried.obstacles).into());
    }
    if record {
        ROWS.lock().unwrap().insert(fault.name.clone(), steps);
    }
    Ok(())
}

/// What a launch that fails for this cause comes to. Where bwrap cannot even print its version, nothing is launched.
fn verdicts(cause: &str) -> &'static [&'static str] {
    match cause {
        "NS16" | "DF01" => &["refused", "error"],
        "CP01" | "CP02" | "PR09" => &["error"],
        "NS17" => &["not-executed"],
        _ if cause.starts_with("NS") => &["refused"],
        _ => &["setup-failed"],
    }
}

/// Every fault that does not start is listed, and nothing else is.
pub(crate) fn every_fault_is_listed() {
    let faults = crate::faults::all();
    let failing = faults.iter().filter(|fault| !matches!(fault.says, Says::Nothing));
    let mut failing: Vec<&str> = failing.map(|fault| fault.name.as_str()).collect();
    // the launcher itself is one process more
    let more = ["pids_3"];
    let mut listed: Vec<&str> =
        LEADS.iter().map(|(name, ..)| *name).filter(|name| !more.contains(name)).collect();
    listed.push(INDISTINCT);
    failing.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, failing);
}
