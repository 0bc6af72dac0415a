//! The loop from fault to remedy, closed: each fault is foretold, met, explained, and removed by the first remedy that the
//! crate proposes, until the same sandbox starts.

use std::path::Path;
use std::sync::{LazyLock, Mutex};

use libtest_mimic::Failed;
use serde::Deserialize;
use serde_json::Value;

use crate::bundle::{Bundle, PROGRAM, Seccomp, Status, Wrapper};
use crate::faults::{Fault, Says};
use crate::table::{Row, Rows, check};
use crate::trying::Foretold::{Never, Perhaps, Surely};
use crate::trying::{Applied, Foretold, Pod, Profile, Tried, World, follow, judge, parameter};
use crate::wrapper::AS_USER;

/// The causes that each fault leads through, in turn, and whether the first one can be foretold. Every fault that is not
/// listed must start.
const LEADS: &[(&str, Foretold, &[&str])] = &[
    ("crio", Surely, &["UM01", "PR01"]),
    ("masked_crio", Surely, &["PR01"]),
    ("crio_with_setfcap", Surely, &["PR01"]),
    ("ambient", Surely, &["CP01"]),
    ("setuid_without_capabilities", Surely, &["CP02", "PR01"]),
    ("ids_differ", Surely, &["CP04"]),
    ("group_ids_differ", Surely, &["UM05"]),
    ("file_capabilities_outside_bounds", Perhaps, &["CP03"]),
    ("not_executable", Never, &["CP08"]),
    ("library_missing", Never, &["EX10"]),
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
    // of CRI-O's filters the older ones let it pass, as this one does
    ("pod_crio_user_unmasked", Perhaps, &[]),
    ("pod_runtime_default", Perhaps, &["NS01"]),
    ("pod_sys_admin", Surely, &["PR01"]),
    ("docker", Surely, &["NS01", "PR01"]),
    ("docker_user", Surely, &["NS01", "PR01"]),
    ("docker_sys_admin", Surely, &["MT08", "PR01"]),
    ("containerd_runtime_default", Surely, &["NS01", "PR01"]),
    ("podman_hostname", Perhaps, &["MT11"]),
    ("enosys", Perhaps, &["NS10"]),
    // Podman's own filter lets it pass
    ("enosys_mount", Never, &["MT03"]),
    ("eperm_mount", Perhaps, &["MT02"]),
    ("eperm_tmpfs", Perhaps, &["MT07"]),
    ("eperm_pivot_root", Never, &["MT08"]),
    ("eperm_eventfd", Perhaps, &["SF02"]),
    ("eperm_umount", Never, &["MT10"]),
    ("eperm_unshare", Perhaps, &["UM07"]),
    ("eperm_netlink", Never, &["LO04"]),
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
    ("nested_in_roots_disabling", Surely, &["NS13", "PR03"]),
    ("nested_in_a_users_disabling", Never, &["NS13"]),
    ("unreadable", Surely, &["UM12"]),
    ("landlock", Never, &["MT04"]),
    ("landlock_user", Never, &["MT04"]),
    ("landlock_writing", Surely, &["UM04"]),
    ("landlock_writing_user", Surely, &["UM04"]),
    ("unmapped", Surely, &["NS04"]),
    ("unmapped_user", Surely, &["NS04"]),
    ("exec_links_in_a_circle", Never, &["EX12"]),
    ("exec_interpreters_in_a_circle", Never, &["EX12"]),
    ("line_source_missing", Never, &["BD01"]),
    ("line_destination_below_what_is_read_only", Never, &["BD03"]),
    ("line_file_on_a_directory", Never, &["BD05"]),
    ("line_link_in_the_place_of_a_directory", Never, &["BD07"]),
    ("line_loader_missing", Never, &["EX01"]),
    ("line_link_to_a_loader_that_is_missing", Never, &["EX01"]),
    ("line_program_missing", Never, &["EX02"]),
    ("line_program_not_executable", Never, &["EX03"]),
    ("line_program_of_another_machine", Never, &["EX04"]),
    ("line_network_without_a_user_namespace", Surely, &["LO02"]),
    ("line_working_directory_missing", Never, &["EX08"]),
    ("line_label_without_selinux", Surely, &["EX09"]),
    ("line_mount_on_a_link", Never, &["BD04"]),
    ("line_user_namespaces_not_disabled", Surely, &["UM11"]),
    ("line_source_out_of_reach", Never, &["BD06"]),
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

    fn apply(&mut self, remedy: &Value) -> Result<Applied, String> {
        let action = &remedy["action"];
        let nobody = || format!("nobody applies this here: {action}");
        let bundle = self.bundle.clone();
        let mut applied = Applied::AsWritten;
        let changed = if let Some(wanted) = Pod::read(remedy)? {
            pod(bundle, wanted, remedy)
        } else if !action["container"].is_null() {
            let options =
                Options::deserialize(&action["container"]).map_err(|error| format!("{error}: {action}"))?;
            options.apply(bundle, remedy)
        } else if let Some(lines) = action["commands"].as_array() {
            let lines: Option<Vec<&str>> = lines.iter().map(Value::as_str).collect();
            let (bundle, how) = commands(bundle, &lines.ok_or_else(nobody)?);
            applied = how;
            Some(bundle)
        } else if let Some((name, value)) = parameter(remedy) {
            bundle.sysctl_changed(name, value.parse().map_err(|_| nobody())?)
        } else {
            let told = action["manual"].as_str().ok_or_else(nobody)?;
            outer(&bundle, told).or_else(|| {
                applied = Applied::ByHand;
                by_hand(bundle, told)
            })
        };
        self.bundle = changed.ok_or_else(nobody)?;
        Ok(applied)
    }
}

/// What a pod's specification comes to in the container.
fn pod(mut bundle: Bundle, wanted: Pod, remedy: &Value) -> Option<Bundle> {
    let Pod {
        host_users,
        unmasked_proc,
        run_as_user,
        add_capabilities,
        seccomp,
        // none of these is in these containers
        apparmor: None,
        selinux_type: None,
        empty_dir,
        required_scc: None,
    } = wanted
    else {
        return None;
    };
    if let Some(shared) = host_users {
        bundle = bundle.user_namespace(!shared);
    }
    if unmasked_proc {
        // the API server refuses one without the other
        if !bundle.user_namespace {
            return None;
        }
        bundle = bundle.unmasked();
    }
    if let Some(uid) = run_as_user {
        bundle = bundle.uid(uid);
    }
    for name in add_capabilities {
        bundle = bundle.cap_add(&name);
    }
    match seccomp {
        None => {}
        Some(Profile::Unconfined) => bundle = bundle.seccomp(Seccomp::None),
        Some(Profile::Localhost(_)) => bundle = bundle.seccomp(filter(remedy)?),
    }
    if let Some(path) = empty_dir {
        bundle = bundle.mount(&path, "tmpfs", "tmpfs", &["mode=777"]);
    }
    Some(bundle)
}

/// The system call filter that comes with a remedy.
fn filter(remedy: &Value) -> Option<Seccomp> {
    let file = remedy["files"].as_array()?.iter().find(|file| {
        Path::new(file["path"].as_str().unwrap_or_default()).extension().is_some_and(|end| end == "json")
    })?;
    Some(Seccomp::Custom(serde_json::from_str(file["content"].as_str()?).ok()?))
}

/// Options of `docker run` and `podman run`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    engine: String,
    add: Vec<String>,
    remove: Vec<String>,
    service: Option<String>,
}

impl Options {
    fn apply(self, mut bundle: Bundle, remedy: &Value) -> Option<Bundle> {
        let Self { engine, add, remove, service: None } = self else { return None };
        for (option, value) in pairs(&add)? {
            bundle = match (option, value) {
                ("--security-opt", "systempaths=unconfined") if engine == "docker" => bundle.unmasked(),
                ("--security-opt", "unmask=ALL") if engine == "podman" => bundle.unmasked(),
                ("--security-opt", "unmask=/proc/*") if engine == "podman" => bundle.unmasked_below("/proc/"),
                ("--security-opt", "seccomp=unconfined") => bundle.seccomp(Seccomp::None),
                ("--security-opt", value) if value.starts_with("seccomp=") => bundle.seccomp(filter(remedy)?),
                ("--user", uid) => bundle.uid(uid.parse().ok()?),
                ("--cap-add", name) => bundle.cap_add(name),
                ("--pids-limit", limit) => bundle.pids_limit(limit.parse().ok()?),
                ("--ulimit", limit) => {
                    let (name, values) = limit.split_once('=')?;
                    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
                    bundle.rlimit(&name.to_uppercase(), soft.parse().ok()?, hard.parse().ok()?)
                }
                ("--tmpfs", path) => {
                    bundle.mount(path, "tmpfs", "tmpfs", &["nosuid", "nodev", "noexec", "mode=1777"])
                }
                _ => return None,
            };
        }
        for (option, value) in pairs(&remove)? {
            bundle = match (option, value) {
                ("--cap-drop", name) => bundle.cap_add(name),
                // none of these containers has any added
                ("--cap-add", "") => bundle,
                _ => return None,
            };
        }
        Some(bundle)
    }
}

/// Options and their values, whether written `--option=value` or `--option value`.
fn pairs(options: &[String]) -> Option<Vec<(&str, &str)>> {
    let mut words = options.iter().flat_map(|words| words.split(' '));
    let mut pairs = Vec::new();
    while let Some(option) = words.next() {
        pairs.push(match option.split_once('=') {
            Some(pair) => pair,
            None if option == "--cap-add" => (option, ""),
            None => (option, words.next()?),
        });
    }
    Some(pairs)
}

/// What comes of the commands that a remedy wants typed: those that run a program, and shells' limits, come before the program;
/// what systemd is told about a control group, its limit is set to; all others run as they stand, with every privilege, where the
/// program will run.
fn commands(bundle: Bundle, lines: &[&str]) -> (Bundle, Applied) {
    let shell = |bundle: Bundle, line: &str| {
        bundle.behind(&["bash", "-c", &format!("{line} && exec \"$@\""), "bash"])
    };
    if lines.iter().any(|line| line.starts_with("apt-get install --reinstall bubblewrap")) {
        // there is no network in it
        return (bundle.restored(), Applied::ByHand);
    }
    let changed = match lines {
        [line] if line.starts_with("ulimit ") => shell(bundle, line),
        [line] if line.ends_with(" COMMAND") => {
            let words: Vec<&str> = line.split(' ').filter(|word| *word != "COMMAND").collect();
            bundle.behind(&words)
        }
        [line] if pids_limit(line).is_some() => bundle.pids_limit(pids_limit(line).unwrap()),
        lines => bundle.alter(&lines.join("\n")),
    };
    (changed, Applied::AsWritten)
}

/// The limit that a command sets for a control group.
fn pids_limit(line: &str) -> Option<u32> {
    let property =
        line.strip_prefix("systemctl set-property ").and_then(|rest| rest.split_once(" TasksMax="));
    let file = line.strip_prefix("echo ").and_then(|rest| rest.split_once(" > "));
    let file = file.filter(|(_, path)| path.ends_with("/pids.max")).map(|(limit, _)| limit);
    property.map(|(_, limit)| limit).or(file)?.parse().ok()
}

/// What is printed for the line of what is around: `NEW` instead of `OLD`, or of an outer bwrap an option that is left out, or what
/// comes before it.
fn outer(bundle: &Bundle, text: &str) -> Option<Bundle> {
    let nested = |root, disable_userns| Wrapper::NestedBwrap { root, disable_userns };
    let changed =
        |old: Wrapper, new: Wrapper| bundle.clone().rewrapped(|wrapper| *wrapper == old, Some(&new));
    if let Some((new, old)) = text.split_once("` instead of `") {
        let is = |wrapper: &Wrapper, words: &str| wrapper.prefix(bundle).join(" ") == format!("{words} --");
        let (old, new) = (old.split('`').next()?, new.rsplit('`').next()?);
        let mapped = Some(Wrapper::Unshare { levels: 1 }).filter(|wrapper| is(wrapper, new))?;
        return bundle.clone().rewrapped(|wrapper| is(wrapper, old), Some(&mapped));
    }
    let (how, rest) = text.split_once("an outer bwrap: ")?.1.split_once(' ')?;
    match how {
        "without" => {
            let option = rest.split([';', ',', ' ']).next();
            let roots = [true, false].into_iter().filter(|_| option == Some("--disable-userns"));
            roots.into_iter().find_map(|root| changed(nested(root, true), nested(root, false)))
        }
        "behind" => {
            let words: Vec<&str> = rest.strip_prefix('`')?.split_once('`')?.0.split(' ').collect();
            if words != AS_USER {
                return None;
            }
            changed(nested(true, false), nested(false, false))
        }
        _ => None,
    }
}

/// What a person does whom a remedy of words only tells so: a layer that the words name is taken away or made otherwise. These
/// words are asked for, so that a remedy that says something else is not proven by this; and the layer must be there.
fn by_hand(bundle: Bundle, text: &str) -> Option<Bundle> {
    let says = |words: &str| text.contains(words);
    if says("or bwrap --bind TREE / --dev /dev --proc /proc from outside") {
        return bundle.rewrapped(|wrapper| matches!(wrapper, Wrapper::Chroot { .. }), None);
    }
    if says("Start bwrap before the Landlock rules are applied") {
        return bundle.rewrapped(|wrapper| matches!(wrapper, Wrapper::Landlock { .. }), None);
    }
    if says("denies calls that bwrap makes") {
        return Some(bundle.seccomp(Seccomp::None));
    }
    if says("follows them one by one, and shows the one that leads back") {
        return Some(bundle.alter("ln -sfn true /usr/bin/to"));
    }
    if says("a script as interpreter needs another line") {
        return Some(bundle.alter("printf '#!/bin/sh\\n' > /usr/bin/by"));
    }
    if says("names what it was built for") {
        return Some(bundle.alter("cp /usr/bin/true /srv/foreign"));
    }
    if says("Take the read-only volume that is mounted on /proc") {
        return Some(bundle.proc_usual());
    }
    if says("take the volume that is mounted on /dev away") {
        return Some(bundle.devices());
    }
    None
}

/// Rows of the table in the documentation.
static ROWS: LazyLock<Mutex<Rows>> = LazyLock::new(Mutex::default);

const INTRODUCTION: &str = "\
# What was proven in containers

Each row is a container that `runc` made, shaped as the runtimes shape theirs, in which the same sandbox (all namespaces, the
host's root read-only, a new /proc and /dev; another where the fault needs it) was launched, failed with this message, was
diagnosed, and then started once the first remedy was applied to the container, or to the sandbox. Faults that stand in several
rows are stacked: each remedy uncovers the next cause. `tests/oci` runs every row, on two versions of bwrap, and fails if this
page says something else; the messages here are those of the first version. Foretold is from the host's facts alone; files that
a line names are what `doctor::predict` and `bwrap-doctor` look at, too.

There is no Docker, Kubernetes or systemd in it: what a remedy wants of those is set in runc's configuration, `TasksMax=` as
or `pids.max` as limit of the container's control group.
";

/// Compares the table with the page in `docs`.
pub(crate) fn compare(all_passed: bool) -> Result<(), String> {
    let faults = crate::faults::all();
    let known = faults.into_iter().map(|fault| fault.name).filter(|name| name != INDISTINCT).collect();
    check("proven-in-containers.md", INTRODUCTION, &known, &ROWS.lock().unwrap(), all_passed)
}

/// `record`: for the table.
pub(crate) fn prove(fault: &Fault, bundle: Bundle, bwrap: String, record: bool) -> Result<(), Failed> {
    let line = fault.arguments.iter().map(|word| (*word).to_owned()).collect();
    let mut container = Container { bundle, bwrap, line };
    if fault.name == INDISTINCT {
        return indistinct(&mut container);
    }
    let (steps, tried) = follow(&mut container, "")?;
    let listed = LEADS.iter().find(|(name, ..)| *name == fault.name);
    let (foretold, causes): (Foretold, &[&str]) =
        listed.map_or((Never, &[]), |(_, foretold, causes)| (*foretold, causes));
    judge(causes, foretold, &steps, &tried)?;
    if record {
        ROWS.lock().unwrap().insert(fault.name.clone(), Row { steps, outlook: tried.outlook });
    }
    Ok(())
}

/// Whether this fault leads through several causes.
pub(crate) fn is_stack(fault: &Fault) -> bool {
    // what is mounted over /proc there hides what the engine masks below it
    let hides = "stack_readonly_setfcap";
    LEADS.iter().any(|(name, _, causes)| *name == fault.name && causes.len() > 1) && fault.name != hides
}

/// Applies what the first report offers against all that it sees at once; the same sandbox must start then. Says what was seen.
pub(crate) fn at_once(fault: &Fault, bundle: Bundle, bwrap: String) -> Result<Vec<String>, Failed> {
    let line = fault.arguments.iter().map(|word| (*word).to_owned()).collect();
    let mut container = Container { bundle, bwrap, line };
    let tried = container.attempt(&[])?;
    let mut seen = vec![tried.cause().to_owned()];
    seen.extend(tried.foreseen().into_iter().map(str::to_owned));
    let remedies = tried.diagnosis["at_once"].as_array().cloned().unwrap_or_default();
    let told = || format!("{}\n{seen:?}\n{remedies:#?}", tried.error);
    let mut changes = Vec::new();
    for remedy in &remedies {
        match remedy["action"].get("sandbox") {
            Some(change) => changes.push(change.clone()),
            None => {
                container.apply(remedy).map_err(|error| format!("{error}: {}", told()))?;
            }
        }
    }
    let after = container.attempt(&changes)?;
    if after.started() {
        return Ok(seen);
    }
    let then = serde_json::to_string(&after.diagnosis["causes"][0]["summary"]).unwrap();
    Err(format!("{}\nthen {}: {then}", told(), after.error).into())
}

/// Every fault that does not start is listed, and nothing else is.
pub(crate) fn every_fault_is_listed() {
    let faults = crate::faults::all();
    let failing = faults.iter().filter(|fault| !matches!(fault.says, Says::Nothing));
    let mut failing: Vec<&str> = failing.map(|fault| fault.name.as_str()).collect();
    // the launcher itself is one process more
    let more = ["pids_3"];
    // what is only told to be uncertain does not fail
    let leading = LEADS.iter().filter(|(name, _, codes)| !codes.is_empty() && !more.contains(name));
    let mut listed: Vec<&str> = leading.map(|(name, ..)| *name).collect();
    listed.push(INDISTINCT);
    failing.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, failing);
}
