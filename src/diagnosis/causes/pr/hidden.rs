//! What hides parts of every procfs that is visible, and who put it there.

use std::path::Path;

use crate::diagnosis::Cause;
use crate::diagnosis::case::Case;
use crate::diagnosis::setting::Setting;
use crate::diagnosis::visible_proc::{Cover, Flaw, FlawKind, Visibility, on_mount_points, visibility};
use crate::host::{Fact, Platform};

/// What mountinfo says about a procfs in a new user namespace.
pub(in crate::diagnosis) enum Seen {
    Unknown,
    /// The kernel mounts one.
    Whole,
    /// It does not.
    Hidden(Hidden),
}

/// Why no procfs counts as a whole one.
pub(in crate::diagnosis) struct Hidden {
    /// Which of the causes that is: exactly one.
    pub(in crate::diagnosis) cause: Cause,
    /// Who did what.
    pub(in crate::diagnosis) summary: String,
    /// What was seen in mountinfo.
    pub(in crate::diagnosis) evidence: String,
    /// What is mounted where.
    pub(in crate::diagnosis) covers: Vec<Cover>,
    /// `/proc` is read-only and nothing else: the id maps cannot be written then, which comes first.
    pub(in crate::diagnosis) read_only: bool,
    /// What is not known, and could mean that one counts.
    pub(in crate::diagnosis) doubt: Option<String>,
}

/// Paths in /proc that container runtimes hide or make read-only.
const MASKED: &[&str] = &[
    "acpi",
    "apm",
    "asound",
    "bus",
    "fs",
    "interrupts",
    "irq",
    "kallsyms",
    "kcore",
    "keys",
    "kmsg",
    "latency_stats",
    "sched_debug",
    "scsi",
    "sys",
    "sysrq-trigger",
    "timer_list",
    "timer_stats",
];

/// Paths that bwrap covers when root starts it.
const OUTER_BWRAP: &[&str] = &["sys", "sysrq-trigger", "irq", "bus"];

pub(in crate::diagnosis) fn look(case: &Case<'_>) -> Seen {
    let Fact::Present(mounts) = &case.host.mounts else { return Seen::Unknown };
    match visibility(mounts, case.kernel()) {
        Visibility::Whole => Seen::Whole,
        Visibility::None => Seen::Hidden(Hidden {
            cause: Cause::CoveredProc,
            summary: "no whole procfs is mounted where this process could see it".into(),
            evidence: "/proc/self/mountinfo has no mount of a procfs' root directory".into(),
            covers: Vec::new(),
            read_only: false,
            doubt: None,
        }),
        Visibility::Flawed(flaws) => {
            let part = flaws.iter().find(|flaw| flaw.kind == FlawKind::Part);
            let doubt = part.filter(|_| case.kernel().is_none()).map(|flaw| {
                format!(
                    "the kernel's version: before Linux 7.2 the procfs on {} counts",
                    flaw.point.display()
                )
            });
            Seen::Hidden(Hidden { doubt, ..judge(case, &flaws) })
        }
    }
}

/// What is mounted where older kernels do not know that the directory is empty for ever.
pub(in crate::diagnosis) fn doubtful(case: &Case<'_>) -> Option<Hidden> {
    let covers = on_mount_points(case.host.mounts.present()?);
    if covers.is_empty() {
        return None;
    }
    let points: Vec<String> = covers.iter().map(|cover| cover.point.display().to_string()).collect();
    let list = points.join(", ");
    let mounted: Vec<String> =
        covers.iter().map(|cover| format!("{} ({})", cover.point.display(), cover.filesystem)).collect();
    Some(Hidden {
        cause: Cause::CoveredProc,
        summary: format!(
            "{list} is covered, and for an older kernel that hides a part of /proc, so it mounts no other procfs"
        ),
        evidence: format!("mounted on /proc: {} (/proc/self/mountinfo)", mounted.join(", ")),
        covers,
        read_only: false,
        doubt: Some(
            "whether this kernel knows that these directories are empty for ever: newer ones do".into(),
        ),
    })
}

fn judge(case: &Case<'_>, flaws: &[Flaw]) -> Hidden {
    // something over the whole of it hides that procfs itself; the one on top is what a person sees
    let buried = |flaw: &&Flaw| !matches!(&flaw.kind, FlawKind::Covered(covers) if covers.iter().any(|cover| cover.point == flaw.point));
    let mut counted: Vec<&Flaw> = flaws.iter().filter(buried).collect();
    if counted.is_empty() {
        counted = flaws.iter().collect();
    }
    let below: Vec<(&Path, &Cover)> = counted
        .iter()
        .filter_map(|flaw| match &flaw.kind {
            FlawKind::Covered(covers) => Some((flaw, covers)),
            _ => None,
        })
        .flat_map(|(flaw, covers)| {
            covers.iter().map(|cover| (cover.point.strip_prefix(&flaw.point).unwrap_or(&cover.point), cover))
        })
        .collect();
    if below.is_empty() {
        return uncovered(&counted);
    }
    let points: Vec<String> = below.iter().map(|(_, cover)| cover.point.display().to_string()).collect();
    let list = shortened(&points);
    let mounted: Vec<String> =
        below.iter().map(|(_, cover)| format!("{} ({})", cover.point.display(), cover.filesystem)).collect();
    let (named, who) = culprit(case, &below);
    Hidden {
        cause: named,
        summary: format!(
            "{who} {list}, and the kernel mounts no procfs in a user namespace that sees no whole one"
        ),
        evidence: format!("mounted on /proc: {} (/proc/self/mountinfo)", mounted.join(", ")),
        covers: below.iter().map(|(_, cover)| (*cover).clone()).collect(),
        read_only: false,
        doubt: None,
    }
}

/// Nothing is mounted on them: the mounts themselves are otherwise than the kernel wants.
fn uncovered(flaws: &[&Flaw]) -> Hidden {
    let atime = flaws.iter().find_map(|flaw| match &flaw.kind {
        FlawKind::Atime(options) => Some((&flaw.point, options)),
        _ => None,
    });
    if let Some((point, options)) = atime {
        let mode = if options.is_empty() { "strictatime".to_owned() } else { options.join(",") };
        return Hidden {
            cause: Cause::ProcAtime,
            summary: format!(
                "{} is mounted with {mode}, and a new procfs would be with relatime",
                point.display()
            ),
            evidence: format!("the mount on {} has {mode} (/proc/self/mountinfo)", point.display()),
            covers: Vec::new(),
            read_only: false,
            doubt: None,
        };
    }
    if let Some(part) = flaws.iter().find(|flaw| flaw.kind == FlawKind::Part) {
        let point = part.point.display();
        return Hidden {
            cause: Cause::CoveredProc,
            summary: format!(
                "{point} is mounted with subset=pid, and the kernel wants a whole procfs to be visible"
            ),
            evidence: format!("the procfs on {point} has the option subset=pid (/proc/self/mountinfo)"),
            covers: Vec::new(),
            read_only: false,
            doubt: None,
        };
    }
    let points: Vec<String> = flaws.iter().map(|flaw| flaw.point.display().to_string()).collect();
    let list = points.join(", ");
    Hidden {
        cause: Cause::CoveredProc,
        summary: format!("{list} is mounted read-only, and the kernel wants a writable procfs to be visible"),
        evidence: format!("the mount on {list} has the option ro (/proc/self/mountinfo)"),
        covers: Vec::new(),
        read_only: points.iter().any(|point| point == "/proc"),
        doubt: None,
    }
}

/// The cause, and who does what to the paths that follow.
fn culprit(case: &Case<'_>, below: &[(&Path, &Cover)]) -> (Cause, String) {
    let any = |test: &dyn Fn(&Path, &Cover) -> bool| below.iter().any(|(path, cover)| test(path, cover));
    let all = |test: &dyn Fn(&Path, &Cover) -> bool| below.iter().all(|(path, cover)| test(path, cover));
    let among = |path: &Path, names: &[&str]| names.iter().any(|name| path == Path::new(name));
    let outer = all(&|path, cover| among(path, OUTER_BWRAP) && cover.filesystem == "proc");
    // runtimes make some of the four read-only in the same way
    let four = OUTER_BWRAP.iter().all(|name| any(&|path, _| path == Path::new(name)));
    let machine = matches!(Setting::of(case), Setting::Machine | Setting::Unit | Setting::Unknown);
    if outer && (case.on(Platform::Bubblewrap) || four && machine) {
        return (Cause::OuterBwrapCoversProc, "an outer bwrap, which root started, covers".into());
    }
    if any(&|path, cover| among(path, MASKED) && !is_lxcfs(cover)) {
        if Setting::of(case) == Setting::Unit {
            return (Cause::CoveredProc, "the settings of the systemd unit cover".into());
        }
        return (Cause::MaskedProc, format!("{} masks", runtime(case)));
    }
    let who = if any(&|_, cover| is_lxcfs(cover)) {
        "LXCFS covers"
    } else if any(&|path, _| is_nvidia(path)) {
        "the NVIDIA container runtime covers"
    } else if any(&|_, cover| cover.filesystem == "xenfs") {
        "Xen's own file system covers"
    } else {
        "mounts cover"
    };
    (Cause::CoveredProc, who.into())
}

pub(in crate::diagnosis) fn is_lxcfs(cover: &Cover) -> bool {
    cover.filesystem == "fuse.lxcfs"
}

pub(in crate::diagnosis) fn is_nvidia(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "nvidia")
}

/// The runtime, by its name if that is known.
fn runtime(case: &Case<'_>) -> String {
    let engines = [
        Platform::Docker,
        Platform::Podman,
        Platform::CriO,
        Platform::Containerd,
        Platform::Nspawn,
        Platform::Lxc,
        Platform::Kubernetes,
    ];
    let found = engines.into_iter().find(|engine| case.on(*engine));
    found.map_or_else(|| "the container runtime".to_owned(), |engine| engine.to_string())
}

/// The first few, and how many more.
fn shortened(points: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown: Vec<&str> = points.iter().take(SHOWN).map(String::as_str).collect();
    let rest = points.len().saturating_sub(SHOWN);
    let list = shown.join(", ");
    if rest == 0 { list } else { format!("{list} and {rest} more") }
}
