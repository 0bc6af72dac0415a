//! What mounting needs beside permission: a /tmp, room in the mount table, a kernel with the file system.

use std::collections::HashMap;
use std::ffi::OsStr;

use super::super::prelude::*;
use super::layers::{Below, OVERLAYS, other_overlay, which};
use crate::host::FileKind;

rules! {
    TmpMissing, Anytime, ["Failed to mount tmpfs" => (ENOENT ENOTDIR)],
        unless "`ls -ld /tmp`, typed where bwrap is started, shows a directory"
        => tmp_missing, |case| Wish::Tmp.grant(case);

    MountLimit, Anytime, [
        "Failed to make / slave", "Failed to mount tmpfs", "setting up newroot bind",
        "Can't bind mount %s on %s", "Can't mount tmpfs on %s", "Can't mount proc on %s",
        "Can't mount devpts on %s", "Can't mount mqueue on %s",
        "Can't make overlay mount on %s with options %s", "Failed to make old root rprivate" => (ENOSPC)
    ],
        unless "it fails with fs.mount-max raised, too" => mount_limit, more_mounts;

    RootIsInitramfs, Anytime, ["pivot_root", "pivot_root(/newroot)" => (EINVAL)],
        unless "`grep ' / / ' /proc/self/mountinfo` shows another file system than rootfs"
        => initramfs;

    ChrootBelowSharedMount, Failed, ["pivot_root", "pivot_root(/newroot)" => (EINVAL)],
        unless "with `unshare --mount` in front of the chroot it fails alike"
        => chroot_below_shared;

    OverlayUnsupported, Anytime, [
        "Can't make overlay mount on %s with options %s",
        "Can't make overlay mount on %s with options %s: Overlay directories may not overlap"
    ],
        unless "`unshare -Urm mount -t overlay ...` with the same directories works in the same place"
        => overlay_unsupported, other_overlay;
}

/// bwrap mounts a tmpfs on /tmp, in its own mount namespace, and builds the sandbox in there.
fn tmp_missing(case: &Case<'_>) -> Option<Judgement> {
    let seen = |text: &str| evidence::file(case, "/tmp", text);
    Some(match case.host.files.get(Path::new("/tmp")) {
        Some(Fact::Absent) => weigh(High)
            .summary("there is no /tmp, on which bwrap builds the sandbox")
            .pro(seen("/tmp does not exist")),
        Some(Fact::Present(FileKind::Other | FileKind::Device)) => weigh(High)
            .summary("/tmp is no directory, and bwrap builds the sandbox on it")
            .pro(seen("/tmp exists, and is no directory")),
        _ if !case.failed() => return None,
        Some(Fact::Present(FileKind::Directory)) => {
            weigh(Low).contra(seen("/tmp is a directory now: it was made after bwrap failed, or elsewhere"))
        }
        // nothing else gives this answer to a tmpfs
        _ => weigh(High).unknown("whether there is a /tmp"),
    })
}

/// The kernel's first root has none below it, and stays.
fn initramfs(case: &Case<'_>) -> Option<Judgement> {
    let mounts = &case.host.mounts;
    if mounts.present().is_none() {
        let told = case.told();
        let root = told.and_then(|told| told.mounts.iter().rfind(|mount| mount.point == Path::new("/")));
        let shown =
            root.map(|root| root.filesystem == "rootfs").or(told.filter(|told| told.rootfs).map(|_| true));
        let what = "rootfs, the initramfs, is what is mounted on /";
        if let Some(seen) = evidence::told(case, (shown == Some(true)).then_some(what)) {
            return Some(weigh(High).pro(seen));
        }
        // of another place, perhaps
        let doubtful = shown == Some(false) || case.on(Platform::Chroot);
        let what = "what is mounted on / where bwrap runs: /proc/self/mountinfo";
        return open(case, if doubtful { Low } else { Medium }, what);
    }
    let root = mounted_on(case, Path::new("/"))?;
    let seen = "the file system on / is rootfs, the initramfs (/proc/self/mountinfo)";
    (root.filesystem == "rootfs").then(|| weigh(High).seen(mounts, seen))
}

/// Of all that the kernel answers so, bwrap sees to the rest: its new root is a mount, below the old one.
fn chroot_below_shared(case: &Case<'_>) -> Option<Judgement> {
    let mounts = &case.host.mounts;
    let whether = "whether it is a chroot: `findmnt /` there, compared with that of process 1";
    if let Some(sighting) = case.sighting(Platform::Chroot) {
        // a text may speak of another one
        let spoken = case.told().is_some_and(|told| told.spoken.contains(&Platform::Chroot));
        let sure = if spoken { Medium } else { High };
        return Some(weigh(sure).pro(evidence::sighted(sighting)));
    }
    if mounts.present().is_none() {
        rule_out(case.told().is_some_and(|told| told.rootfs))?;
        return open(case, Medium, whether);
    }
    let root = mounted_on(case, Path::new("/"))?;
    rule_out(root.filesystem == "rootfs")?;
    let seen = "a mount is on /, and not rootfs (/proc/self/mountinfo): what is left is a mount around it that is shared";
    // which may answer anything
    let filter = "whether it is the system call filter that answers pivot_root(2) so";
    let filter = (case.filtered() == Some(true)).then_some(filter);
    Some(weigh(Medium).seen(mounts, seen).unknown(whether).unknown(filter))
}

/// A path as mountinfo has it: without a slash at its end.
fn bare(path: &Path) -> &OsStr {
    path.components().as_path().as_os_str()
}

/// What a sandbox adds to a copy of the mount table, at the least, while the old root is still there: (mounts there, least, likely).
fn count(case: &Case<'_>) -> Option<(u64, u64, u64)> {
    let (mounts, sandbox) = (case.host.mounts.present()?, case.sandbox?);
    let binds = || sandbox.operations.iter().filter_map(Operation::as_bind);
    let mut below: HashMap<&OsStr, u64> = binds().map(|bind| (bare(&bind.source), 0)).collect();
    for above in mounts.iter().flat_map(|mount| mount.point.ancestors().skip(1)) {
        if let Some(count) = below.get_mut(above.as_os_str()) {
            *count += 1;
        }
    }
    // with the tmpfs on /tmp, and the new root in it
    let all = 2 + sandbox.operations.iter().filter(|operation| operation.is_mount()).count() as u64;
    let optional = binds().filter(|bind| bind.optional).count() as u64;
    // what is mounted below a source is bound with it
    let more: u64 = binds().filter_map(|bind| below.get(bare(&bind.source))).sum();
    Some((mounts.len() as u64, all - optional, all + more))
}

fn mount_limit(case: &Case<'_>) -> Option<Judgement> {
    const MAX: &str = "fs.mount-max";
    let Some(limit) = number(case, MAX) else {
        return open(case, Medium, "how many mounts are allowed: /proc/sys/fs/mount-max");
    };
    let mounts = &case.host.mounts;
    // each mount of the sandbox's brings all that are there with it, at the most: counting takes a while
    let most = mounts.present().zip(case.sandbox).map(|(mounts, sandbox)| {
        (mounts.len() as u64 + 1).saturating_mul(sandbox.operations.len() as u64 + 2)
    });
    rule_out(!case.failed() && most.is_none_or(|most| most <= limit))?;
    let counted = count(case);
    if let Some((there, least, likely)) = counted.filter(|(there, _, likely)| there + likely > limit) {
        let sure = case.failed() || there + least > limit;
        let summary =
            format!("fs.mount-max allows {limit} mounts; there are {there}, and the sandbox adds {likely}");
        let found = weigh(if sure { High } else { Medium }).summary(summary);
        let found = found.pro(evidence::parameter(case, MAX));
        return Some(found.seen(mounts, format!("/proc/self/mountinfo has {there} lines")));
    }
    rule_out(!case.failed())?;
    // the kernel has no other reason to say this about a bind, and few about the others
    let found = weigh(Medium).pro(evidence::parameter(case, MAX));
    Some(match counted {
        Some((there, _, likely)) => found.seen_against(
            mounts,
            format!("{there} mounts are visible here, and the sandbox adds about {likely}"),
        ),
        None => found.unknown("how many mounts the sandbox makes"),
    })
}

fn more_mounts(case: &Case<'_>) -> Vec<Remedy> {
    let opens = "mount namespaces can take more of the kernel's memory";
    raise(case, "fs.mount-max", 200_000, opens).or([told!(MT12, "bind-fewer-trees")])
}

fn overlay_unsupported(case: &Case<'_>) -> Option<Judgement> {
    let planned = case.plan.as_ref().and_then(|plan| plan.overlay);
    let operation = planned.map(|first| which(case).unwrap_or(first));
    let found = |confidence| weigh(confidence).operation(operation);
    let release = &case.host.kernel.release;
    let old = release.present().filter(|_| case.kernel().is_some_and(|version| version < OVERLAYS));
    if let (Some(old), Some(true)) = (old, case.user_namespace())
        && (planned.is_some() || case.failed())
    {
        // Red Hat brought it to the kernel of its version 8
        let patched = old.contains(".el8");
        return found(if patched { Medium } else { High })
            .summary(format!("Linux {old} mounts no overlays in user namespaces; that takes 5.11"))
            .seen(release, format!("the kernel is {old} (uname -r)"))
            .asked(case, "bwrap mounts it in a user namespace of its own")
            .into();
    }
    let message = case.message()?;
    // that has another cause
    rule_out(case.errno() == Some(libc::ENOSPC))?;
    let (confidence, why) = meaning(case, Cause::OverlayUnsupported)?;
    let (confidence, why) = match Below::of(case).map(|below| below.why()) {
        Some((sure, why)) => (sure, why),
        None => (confidence, why.to_owned()),
    };
    let place = message.path().map_or_else(String::new, |path| format!(" on {}", path.display()));

    let version = "the kernel's version: before 5.11 no user namespace mounts overlays";
    found(confidence)
        .summary(format!("the overlay{place} was refused: {}: {why}", case.answer()))
        .said(case)
        .unknown(release.present().is_none().then_some(version))
        .unknown("the kernel's own words: a line with overlayfs: in dmesg")
        .into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;
    use crate::diagnosis::Action;
    use crate::diagnosis::Cause;
    use crate::diagnosis::Confidence;
    use crate::diagnosis::fixtures::{docker, explain, machine, mounts, pod, whole};
    use crate::diagnosis::{Outlook, predict};
    use crate::host::Host;
    use crate::sandbox::{Overlay, Sandbox};

    fn first_obstacle(host: &Host, sandbox: &Sandbox) -> Option<(Cause, Confidence)> {
        predict(host, sandbox).obstacles.first().map(|finding| (finding.cause, finding.confidence))
    }

    #[test]
    fn without_tmp_nothing_starts() {
        let mut host = machine();
        let message = "Failed to mount tmpfs: No such file or directory";
        assert_eq!(first_obstacle(&host, &whole()), None);
        host.files.insert("/tmp".into(), Fact::Absent);
        assert_eq!(first_obstacle(&host, &whole()), Some((Cause::TmpMissing, Confidence::High)));
        assert_eq!(explain(message, &host, &whole()).cause(), Some(Cause::TmpMissing));
        host.files.insert("/tmp".into(), Fact::Present(FileKind::Other));
        assert_eq!(first_obstacle(&host, &whole()), Some((Cause::TmpMissing, Confidence::High)));
        host.files.insert("/tmp".into(), Fact::Unknown);
        assert_eq!(first_obstacle(&host, &whole()), None);
        assert_eq!(explain(message, &host, &whole()).cause(), Some(Cause::TmpMissing));
        // another error has another cause
        let denied = explain("Failed to mount tmpfs: Permission denied", &host, &whole());
        assert!(denied.causes.iter().all(|finding| finding.cause != Cause::TmpMissing));
    }

    #[test]
    fn the_initramfs_is_no_root_to_leave() {
        let message = "pivot_root: Invalid argument";
        let cause = |host: &Host| explain(message, host, &whole()).cause();
        let mut host = machine();
        assert_eq!(cause(&host), Some(Cause::ChrootBelowSharedMount));
        host.mounts = Fact::Unknown;
        assert_eq!(cause(&host), Some(Cause::RootIsInitramfs));
        host.mounts = Fact::Present(mounts(&[
            "1 1 0:1 / / rw - rootfs rootfs rw",
            "2 1 0:2 / /proc rw,relatime - proc proc rw",
        ]));
        assert_eq!(cause(&host), Some(Cause::RootIsInitramfs));
        assert_eq!(first_obstacle(&host, &whole()), Some((Cause::RootIsInitramfs, Confidence::High)));
    }

    #[test]
    fn a_chroot_below_a_shared_mount_is_no_initramfs() {
        use crate::diagnosis::{Symptom, diagnose};
        let first = |text: &str| {
            let text = format!("{text}\nbwrap: pivot_root: Invalid argument");
            let found = diagnose(&Symptom::from_text(text.as_bytes()), &Host::default(), None).causes;
            (found[0].cause, found[0].confidence, found.iter().map(|found| found.cause).collect::<Vec<_>>())
        };
        let (cause, confidence, _) = first("arch-chroot /mnt flatpak install -y flathub x");
        assert_eq!((cause, confidence), (Cause::ChrootBelowSharedMount, Confidence::High));
        let (cause, confidence, _) = first("It is somewhere in a chroot, says the log");
        assert_eq!((cause, confidence), (Cause::ChrootBelowSharedMount, Confidence::Medium));
        let (cause, _, all) = first("");
        assert!(cause == Cause::RootIsInitramfs && all.contains(&Cause::ChrootBelowSharedMount));
        let (cause, confidence, all) = first("/      rootfs rootfs rw,size=8102252k");
        assert_eq!((cause, confidence, all.len()), (Cause::RootIsInitramfs, Confidence::High, 1));
    }

    #[test]
    fn tmp_comes_from_whatever_started_us() {
        let action = |host: &Host| {
            let message = "Failed to mount tmpfs: No such file or directory";
            explain(message, host, &whole()).causes[0].remedies[0].action.clone()
        };
        assert!(matches!(action(&machine()), Action::Commands(lines) if lines[0].contains("mkdir")));
        assert!(matches!(action(&docker()), Action::Container(options) if options.add == ["--tmpfs=/tmp"]));
        assert!(matches!(action(&pod()), Action::Pod(patch) if patch.empty_dir == Some("/tmp".into())));
    }

    #[test]
    fn mounts_are_counted_before_a_launch() {
        let mut host = machine();
        host.sysctls.insert("fs.mount-max".into(), Fact::Present("100000".into()));
        assert_eq!(first_obstacle(&host, &whole()), None);
        let message = "Can't bind mount /oldroot/usr on /newroot/usr: Unable to mount source on destination: \
                       Limit exceeded (ENOSPC). (Hint: Check that /proc/sys/fs/mount-max is sufficient)";
        let unlikely = explain(message, &host, &whole());
        assert_eq!(
            (unlikely.cause(), unlikely.causes[0].confidence),
            (Some(Cause::MountLimit), Confidence::Medium)
        );
        host.sysctls.insert("fs.mount-max".into(), Fact::Present("5".into()));
        assert_eq!(first_obstacle(&host, &whole()), Some((Cause::MountLimit, Confidence::High)));
        let sure = explain(message, &host, &whole());
        assert_eq!((sure.cause(), sure.causes[0].confidence), (Some(Cause::MountLimit), Confidence::High));
        assert!(sure.causes[0].summary.starts_with("fs.mount-max allows 5 mounts; there are 2"));
        // the tree below a source counts, as far as it is bound
        host.sysctls.insert("fs.mount-max".into(), Fact::Present("5".into()));
        let root = Sandbox::new().ro_bind("/", "/");
        assert_eq!(first_obstacle(&host, &root), Some((Cause::MountLimit, Confidence::Medium)));
        assert_eq!(first_obstacle(&host, &Sandbox::new().ro_bind("/usr", "/usr")), None);
    }

    #[test]
    fn old_kernels_mount_no_overlays() {
        let overlay = Sandbox::new().ro_bind("/", "/").add(Overlay::temporary("/usr").layer("/usr"));
        let predicted = |release: &str| {
            let mut host = machine();
            host.kernel.release = Fact::Present(release.into());
            first_obstacle(&host, &overlay)
        };
        assert_eq!(predicted("5.10.0-28-amd64"), Some((Cause::OverlayUnsupported, Confidence::High)));
        assert_eq!(
            predicted("4.18.0-553.el8_10.x86_64"),
            Some((Cause::OverlayUnsupported, Confidence::Medium))
        );
        for new in ["5.11.0", "6.1.0-25-amd64", "6.10.3", "10.0.0"] {
            assert_eq!(predicted(new), None, "{new}");
        }
        assert_eq!(predicted("custom"), None);
        // root without a user namespace always could
        let mut host = docker();
        host.kernel.release = Fact::Present("5.4.0".into());
        let overlays = predict(&host, &overlay).obstacles;
        assert!(overlays.iter().all(|finding| finding.cause != Cause::OverlayUnsupported));
        host = machine();
        host.kernel.release = Fact::Present("5.10.0".into());
        assert_eq!(predict(&host, &Sandbox::new().ro_bind("/", "/")).outlook, Outlook::Starts);
    }

    #[test]
    fn an_overlay_is_traced_back() {
        let sandbox = Sandbox::new()
            .add(Overlay::read_only("/a").layer("/x").layer("/y"))
            .add(Overlay::writable("/srv/up", "/srv/work", "/b").layer("/x"));
        let message =
            "Can't make overlay mount on /newroot/b with options upperdir=/oldroot/srv/up: Invalid argument";
        let diagnosis = explain(message, &machine(), &sandbox);
        let first = &diagnosis.causes[0];
        assert_eq!((first.cause, first.operation), (Cause::OverlayUnsupported, Some(1)));
        assert_eq!(first.confidence, Confidence::Medium);
        assert!(first.remedies[0].summary.contains("memory"));
        let full =
            explain(&message.replace("Invalid argument", "No space left on device"), &machine(), &sandbox);
        assert_eq!(full.cause(), Some(Cause::MountLimit));
    }
}
