//! What hides parts of every procfs that is visible, and who put it there.

use std::os::unix::ffi::OsStrExt;

use super::super::prelude::*;
use crate::diagnosis::visible_proc::{Flaw, FlawKind, on_mount_points};

/// What mountinfo says about a procfs in a new user namespace.
pub(in crate::diagnosis) enum Seen<'a> {
    Unknown,
    /// The kernel mounts one.
    Whole,
    /// It does not.
    Hidden(Hidden<'a>),
}

/// Why no procfs counts as a whole one.
pub(in crate::diagnosis) struct Hidden<'a> {
    /// Which of the causes that is: exactly one.
    pub(in crate::diagnosis) cause: Cause,
    /// Who did what.
    pub(in crate::diagnosis) summary: String,
    /// What was seen in mountinfo.
    pub(in crate::diagnosis) evidence: String,
    /// What is mounted where.
    pub(in crate::diagnosis) covers: Vec<&'a Mount>,
    /// `/proc` is read-only and nothing else: the id maps cannot be written then, which comes first.
    pub(in crate::diagnosis) read_only: bool,
    /// What is not known, and could mean that one counts.
    pub(in crate::diagnosis) doubt: Option<String>,
}

impl<'a> Hidden<'a> {
    /// Nothing covers it.
    fn bare(cause: Cause, summary: String, evidence: impl Into<String>) -> Self {
        let evidence = evidence.into();
        Self { cause, summary, evidence, covers: Vec::new(), read_only: false, doubt: None }
    }

    /// These cover it.
    fn covered(cause: Cause, summary: String, covers: Vec<&'a Mount>) -> Self {
        let named = covers.iter().map(|cover| format!("{} ({})", cover.point.display(), cover.filesystem));
        let evidence = format!("mounted on /proc: {} (/proc/self/mountinfo)", shortened(named, SEEN));
        Self { covers, ..Self::bare(cause, summary, evidence) }
    }
}

/// Paths in /proc that container runtimes hide or make read-only.
const MASKED: &str = "acpi apm asound bus fs interrupts irq kallsyms kcore keys kmsg latency_stats sched_debug scsi sys \
                      sysrq-trigger timer_list timer_stats";

/// Those of them that they make read-only.
const READ_ONLY: &str = "bus fs irq sys sysrq-trigger";

/// Paths that bwrap covers when root starts it.
const OUTER_BWRAP: &str = "sys sysrq-trigger irq bus";

pub(in crate::diagnosis) fn look<'a>(case: &Case<'a>) -> Seen<'a> {
    match case.visibility() {
        None => Seen::Unknown,
        Some(Ok(())) => Seen::Whole,
        Some(Err(none)) if none.is_empty() => {
            let summary = "no whole procfs is mounted where this process could see it".to_owned();
            let seen = "/proc/self/mountinfo has no mount of a procfs' root directory";
            Seen::Hidden(Hidden::bare(Cause::CoveredProc, summary, seen))
        }
        Some(Err(flaws)) => {
            let part = flaws.iter().find(|flaw| flaw.kind == FlawKind::Part);
            let doubt = part.filter(|_| case.kernel().is_none()).map(|flaw| {
                let point = flaw.mount.point.display();
                format!("the kernel's version: before Linux 7.2 the procfs on {point} counts")
            });
            Seen::Hidden(Hidden { doubt, ..judge(case, flaws) })
        }
    }
}

/// What is mounted where older kernels do not know that the directory is empty for ever.
pub(in crate::diagnosis) fn doubtful<'a>(case: &Case<'a>) -> Option<Hidden<'a>> {
    let covers = on_mount_points(case.host.mounts.present()?);
    rule_out(covers.is_empty())?;
    let list = points(&covers);
    let why = "is covered, and for an older kernel that hides a part of /proc, so it mounts no other procfs";
    let doubt =
        "whether this kernel knows that these directories are empty for ever: newer ones do".to_owned();
    let hidden = Hidden::covered(Cause::CoveredProc, format!("{list} {why}"), covers);
    Some(Hidden { doubt: Some(doubt), ..hidden })
}

/// What covers /proc, as far as that is known: seen, or told where nobody looked.
pub(in crate::diagnosis) fn covers<'a>(case: &Case<'a>) -> Option<Vec<&'a Mount>> {
    match look(case) {
        Seen::Hidden(hidden) => Some(hidden.covers),
        Seen::Whole => doubtful(case).map(|hidden| hidden.covers),
        Seen::Unknown => {
            let covers: Vec<_> = told_covers(case).into_iter().map(|(_, cover)| cover).collect();
            (!covers.is_empty()).then_some(covers)
        }
    }
}

/// What a text tells of mounts below /proc, with their paths there; but for the one that is on every machine, and counts for nothing.
fn told_covers<'a>(case: &Case<'a>) -> Vec<(&'a Path, &'a Mount)> {
    let mounts = case.told().map_or(&[][..], |told| &told.mounts);
    let below = mounts.iter().filter_map(|mount| Some((mount.point.strip_prefix("/proc").ok()?, mount)));
    below.filter(|(path, _)| !["", "sys/fs/binfmt_misc"].map(Path::new).contains(path)).collect()
}

/// Settings of a unit that cover parts of /proc.
pub(super) const COVERING: &[&str] = &["ProtectKernelTunables", "ProtectKernelLogs", "ProcSubset"];

/// What that is: which of the causes, who did it, and where.
pub(in crate::diagnosis) fn told_hidden(case: &Case<'_>) -> Option<(Cause, String, String)> {
    rule_out(!matches!(look(case), Seen::Unknown))?;
    let below = told_covers(case);
    if below.is_empty() && case.told()?.qubes {
        let who = "a virtual machine of Qubes has xenfs mounted on /proc/xen".to_owned();
        return Some((
            Cause::CoveredProc,
            who,
            "it is one of Qubes' (`findmnt -R /proc` shows xenfs)".to_owned(),
        ));
    }
    if below.is_empty() {
        let settings = case.told()?.settings(COVERING)?;
        let who = format!("{settings} in the systemd unit covers parts of /proc");
        return Some((Cause::CoveredProc, who, settings));
    }
    let (by, who) = culprit(case, &below);
    let list = points(&below.iter().map(|(_, cover)| *cover).collect::<Vec<_>>());
    Some((by, format!("{who} {list}"), format!("mounted on /proc: {list}")))
}

fn judge<'a>(case: &Case<'a>, flaws: &[Flaw<'a>]) -> Hidden<'a> {
    // something over the whole of it hides that procfs itself; the one on top is what a person sees
    let buried = |flaw: &&Flaw| match &flaw.kind {
        FlawKind::Covered(covers) => {
            covers.iter().all(|cover| cover.point.as_os_str() != flaw.mount.point.as_os_str())
        }
        _ => true,
    };
    let mut counted: Vec<&Flaw> = flaws.iter().filter(buried).collect();
    if counted.is_empty() {
        counted = flaws.iter().collect();
    }
    let covers = counted.iter().filter_map(|flaw| match &flaw.kind {
        FlawKind::Covered(covers) => Some((flaw.mount, covers)),
        _ => None,
    });
    let below = covers.flat_map(|(mount, covers)| {
        covers.iter().map(|cover| (mount.rest(&cover.point).unwrap_or(&cover.point), *cover))
    });
    let below: Vec<(&Path, &'a Mount)> = below.take(JUDGED).collect();
    if below.is_empty() {
        return uncovered(&counted);
    }
    let covers: Vec<&Mount> = below.iter().map(|(_, cover)| *cover).collect();
    let (named, who) = culprit(case, &below);
    let list = points(&covers);
    let rule = "and the kernel mounts no procfs in a user namespace that sees no whole one";
    Hidden::covered(named, format!("{who} {list}, {rule}"), covers)
}

/// Nothing is mounted on them: the mounts themselves are otherwise than the kernel wants.
fn uncovered<'a>(flaws: &[&Flaw<'a>]) -> Hidden<'a> {
    let atime = flaws.iter().find_map(|flaw| match &flaw.kind {
        FlawKind::Atime(options) => Some((flaw.mount.point.display(), options)),
        _ => None,
    });
    if let Some((point, options)) = atime {
        let mode = if options.is_empty() { "strictatime".to_owned() } else { options.join(",") };
        let summary = format!("{point} is mounted with {mode}, and a new procfs would be with relatime");
        let seen = format!("the mount on {point} has {mode} (/proc/self/mountinfo)");
        return Hidden::bare(Cause::ProcAtime, summary, seen);
    }
    if let Some(part) = flaws.iter().find(|flaw| flaw.kind == FlawKind::Part) {
        let point = part.mount.point.display();
        let summary =
            format!("{point} is mounted with subset=pid, and the kernel wants a whole procfs to be visible");
        let seen = format!("the procfs on {point} has the option subset=pid (/proc/self/mountinfo)");
        return Hidden::bare(Cause::CoveredProc, summary, seen);
    }
    let list = points(&flaws.iter().map(|flaw| flaw.mount).collect::<Vec<_>>());
    let summary =
        format!("{list} is mounted read-only, and the kernel wants a writable procfs to be visible");
    let seen = format!("the mount on {list} has the option ro (/proc/self/mountinfo)");
    let read_only = flaws.iter().any(|flaw| flaw.mount.point.as_os_str() == "/proc");
    Hidden { read_only, ..Hidden::bare(Cause::CoveredProc, summary, seen) }
}

/// The cause, and who does what to the paths that follow.
fn culprit(case: &Case<'_>, below: &[(&Path, &Mount)]) -> (Cause, String) {
    let any = |test: &dyn Fn(&Path, &Mount) -> bool| below.iter().any(|(path, cover)| test(path, cover));
    let outer = !any(&|path, cover| !among(path, OUTER_BWRAP) || cover.filesystem != "proc");
    // runtimes make some of the four read-only in the same way
    let four = OUTER_BWRAP.split(' ').all(|name| any(&|path, _| path == Path::new(name)));
    let setting = Setting::of(case);
    let machine = matches!(setting, Setting::Machine | Setting::Unit | Setting::Unknown);
    if by_outer_line(case, below) {
        return (Cause::CoveredProc, "a mount in the outer bwrap's own line covers".into());
    }
    // it leaves out what its user may not write: within a user namespace, and without capabilities, two are left
    let left = has_two(below) && machine && setting != Setting::Unit;
    if outer && (case.on(Platform::Bubblewrap) || four && machine || left) {
        return (Cause::OuterBwrapCoversProc, "an outer bwrap, which root started, covers".into());
    }
    let masked = any(&|path, cover| among(path, MASKED) && !is_lxcfs(cover));
    // what is masked by default comes with what is read-only by default, and Unmasked takes both away
    if masked && is_cri_o(case) && !any(&|path, _| among(path, READ_ONLY)) {
        return (Cause::UnmaskedProcMasked, "although the pod says procMount: Unmasked, CRI-O masks".into());
    }
    if masked && setting != Setting::Unit {
        return (Cause::MaskedProc, format!("{} masks", runtime(case)));
    }
    let who = if masked {
        "the settings of the systemd unit cover"
    } else if any(&|_, cover| is_lxcfs(cover)) {
        "LXCFS covers"
    } else if any(&|path, _| is_nvidia(path)) {
        "the NVIDIA container runtime covers"
    } else if any(&|_, cover| is_xenfs(cover)) {
        "Xen's own file system covers"
    } else {
        "mounts cover"
    };
    (Cause::CoveredProc, who.into())
}

/// Whether it was the line of an outer bwrap that mounted these: of itself bwrap covers nothing but for root, and runtimes hide more.
pub(super) fn by_outer_line(case: &Case<'_>, below: &[(&Path, &Mount)]) -> bool {
    let machine = matches!(Setting::of(case), Setting::Machine | Setting::Unknown);
    if !machine || !case.on(Platform::Bubblewrap) || below.is_empty() {
        return false;
    }
    // whose are the ids outside of a sandbox's own user namespace
    let root = case.host.user_namespace.uid_map.present().map(|map| map.iter().any(|ids| ids.outside == 0));
    if below.iter().all(|(path, cover)| among(path, OUTER_BWRAP) && cover.filesystem == "proc") {
        return root == Some(false) || !has_two(below);
    }
    let own = |(path, cover): &(&Path, &Mount)| !is_lxcfs(cover) && !is_nvidia(path) && !is_xenfs(cover);
    below.iter().all(own) && !below.iter().any(|(path, _)| among(path, "kcore timer_list"))
}

/// Whether a path in /proc is one of these.
fn among(path: &Path, names: &str) -> bool {
    names.split(' ').any(|name| path.as_os_str() == name)
}

/// Whether those are covered that bwrap covers for every root.
fn has_two(below: &[(&Path, &Mount)]) -> bool {
    ["bus", "irq"].iter().all(|name| below.iter().any(|(path, _)| *path == Path::new(name)))
}

/// CRI-O, or a pod whose runtime did not leave its name.
pub(super) fn is_cri_o(case: &Case<'_>) -> bool {
    let others = [Platform::Containerd, Platform::Docker, Platform::Podman];
    let other = others.into_iter().any(|engine| case.on(engine)) || case.hinted(Hint::Containerd);
    case.on(Platform::CriO) || case.on(Platform::Kubernetes) && !other
}

/// Whether a text tells of a pod whose fields for an unmasked /proc its cluster drops: of what else could mask it, CRI-O alone is known.
pub(in crate::diagnosis) fn drops_fields(case: &Case<'_>) -> bool {
    let Setting::Kubernetes { openshift } = Setting::of(case) else { return false };
    let privileged = case.told().is_some_and(|told| told.privileged);
    let new = case.hinted(Hint::NewKubernetes);
    let old = case.hinted(Hint::OldKubernetes) || case.hinted(Hint::MachinesIds);
    !new && !privileged && !case.on(Platform::CriO) && (openshift || old || case.hinted(Hint::Containerd))
}

pub(in crate::diagnosis) fn is_lxcfs(cover: &Mount) -> bool {
    cover.filesystem == "fuse.lxcfs"
}

fn is_xenfs(cover: &Mount) -> bool {
    cover.filesystem == "xenfs"
}

pub(in crate::diagnosis) fn is_nvidia(path: &Path) -> bool {
    path.as_os_str().as_bytes().split(|byte| *byte == b'/').any(|part| part == b"nvidia")
}

/// The runtime, by its name if that is known.
fn runtime(case: &Case<'_>) -> String {
    use Platform::{Containerd, CriO, Docker, Kubernetes, Lxc, Nspawn, Podman};
    let engines = [Docker, Podman, CriO, Containerd, Nspawn, Lxc, Kubernetes];
    let found = engines.into_iter().find(|engine| case.on(*engine));
    found.map_or_else(|| "the container runtime".to_owned(), |engine| engine.to_string())
}

/// Nobody mounts more than this on a procfs but to keep us busy: who did it is judged by the first of them.
const JUDGED: usize = 1000;

/// How many are named in a sentence, and how many where everything is that was seen.
pub(super) const SUMMED_UP: usize = 6;
const SEEN: usize = 40;

/// Where they are, for a sentence.
pub(in crate::diagnosis) fn points(mounts: &[&Mount]) -> String {
    shortened(mounts.iter().map(|mount| mount.point.display()), SUMMED_UP)
}

/// The first few, and how many more, unless that is one: its name is as short.
pub(super) fn shortened(names: impl ExactSizeIterator<Item: ToString>, most: usize) -> String {
    let all = names.len();
    let most = if all == most + 1 { all } else { most };
    let shown: Vec<String> = names.take(most).map(|name| name.to_string()).collect();
    let list = shown.join(", ");
    match all.saturating_sub(most) {
        0 => list,
        _ if all >= JUDGED => format!("{list} and many more"),
        rest => format!("{list} and {rest} more"),
    }
}
