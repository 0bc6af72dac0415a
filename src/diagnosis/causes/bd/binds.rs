//! Binds that the kernel refuses.

use super::destinations::{SETATTR, UNMOUNTED, unmounted};
use super::lookup::{Spot, is_kept_mounted};
use crate::diagnosis::causes::prelude::*;
use crate::diagnosis::launcher::Launcher;

/// File systems whose mounts come, go and fail on their own.
const FRAGILE: &[&str] = &["autofs", "nfs", "nfs4", "cifs", "smb3", "ceph", "9p"];
/// What a mount keeps if it was made outside of our user namespace.
const LOCKED: &[&str] = &["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime"];

/// The mount that could not be changed, as the host sees it.
fn refused(spot: &Spot<'_>) -> Option<PathBuf> {
    let inside = spot.message.failing_path().unwrap_or(spot.path);
    match spot.found?.operation {
        Operation::RemountRo(_) => spot.mount()?.operation.outside(inside),
        _ => spot.found?.operation.outside(inside),
    }
}

fn is_fragile(mount: &Mount) -> bool {
    FRAGILE.contains(&mount.filesystem.as_str()) || mount.filesystem.starts_with("fuse")
}

/// The flags of a mount that could be locked.
fn locked(mount: &Mount) -> Vec<&str> {
    mount.options.iter().map(String::as_str).filter(|option| LOCKED.contains(option)).collect()
}

/// Whether a system call filter may have answered in the kernel's place, which changes the flags of any mount that does not fail on its
/// own: bwrap keeps those that are locked. `None` if nobody knows the mount.
pub(in crate::diagnosis) fn filter_may_refuse(case: &Case<'_>) -> Option<bool> {
    let mount = mounted_on(case, &refused(&Spot::destination(case)?)?)?;
    Some(!is_fragile(mount) && !by_module(case))
}

/// Whether the answer is a security module's, or may be.
fn by_module(case: &Case<'_>) -> bool {
    let may_be_labelled = case.label().is_some() || case.host.security.label.is_unknown();
    case.errno() == Some(libc::EACCES) && may_be_labelled
}

fn denial_of(label: &str) -> String {
    format!("whether the security label {label} is denied it: AVC or DENIED in dmesg")
}

/// bwrap binds a tree with all that is mounted in it, and sets the flags of each mount.
pub(super) fn remount(case: &Case<'_>) -> Option<Judgement> {
    let spot = Spot::destination(case)?;
    rule_out(unmounted(case))?;
    let host = refused(&spot);
    let place = host.as_deref().or(spot.message.failing_path()).unwrap_or(spot.path);
    let by_module = by_module(case);
    let by_filter = case.filtered() == Some(true)
        && (filter_may_refuse(case) == Some(true) || spot.message.reason() == Some(SETATTR));
    let (name, errno, shown) = (spot.name(), case.answer(), place.display());
    let found = spot
        .weigh(if by_module || by_filter { Medium } else { High })
        .refuted_by(format!("a sandbox that binds only {shown} starts"))
        .summary(format!("{name}: the mount on {shown} does not take its flags: {errno}"))
        .said(case);
    let found = match host.as_deref().and_then(|path| mounted_on(case, path)) {
        Some(mount) => {
            let Mount { filesystem, source, .. } = mount;
            let flags = match locked(mount) {
                none if none.is_empty() => "no flags that could be locked".to_owned(),
                flags => flags.join(","),
            };
            let what =
                format!("it is a mount of {filesystem} ({source}) with {flags} (/proc/self/mountinfo)");
            let fragile = format!("mounts of {filesystem} can refuse to be remounted, or be gone");
            let mounts = &case.host.mounts;
            found.seen(mounts, what).seen(mounts, is_fragile(mount).then_some(fragile))
        }
        None => found.unknown(format!("what is mounted there: `findmnt -T {}`", word(place))),
    };
    Some(found.unknown(by_module.then(|| denial_of(case.label().unwrap_or_default()))))
}

pub(super) fn leave_mount_out(case: &Case<'_>) -> Vec<Remedy> {
    let Some(spot) = Spot::destination(case) else {
        return vec![told!(BD02, "bind-beside-mount", place = "the mount")];
    };
    // of a line that nobody knows mostly the same inside and outside
    let host = refused(&spot).or_else(|| spot.message.failing_path().map(Path::to_owned));
    let place = host.as_deref().map_or("the mount".to_owned(), shown);
    let unmount = host.and_then(|path| match case.host.mounts.present() {
        Some(_) => {
            let fragile = mounted_on(case, &path).filter(|mount| is_fragile(mount))?;
            Some(unmount(&place, &fragile.point))
        }
        None => is_gone(case).then(|| stop_automount(&path)),
    });
    // a mount that is there takes its flags, or says something else
    let gone = case.errno() == Some(libc::EINVAL) && case.host.mounts.present().is_none();
    let again = gone.then(|| told!(BD02, "try-again"));
    Vec::new().or(unmount).or(again).or([told!(BD02, "bind-beside-mount", place)]).or(spot.leave_out())
}

/// Whether the answer is that of a mount that came or went meanwhile: what is mounted when it is looked at is there for one look,
/// and not for the next.
fn is_gone(case: &Case<'_>) -> bool {
    const GONE: &[i32] =
        &[libc::ENODEV, libc::ENOENT, libc::ESTALE, libc::EIO, libc::ENOTCONN, libc::EHOSTDOWN, libc::EINVAL];
    case.errno().is_none_or(|errno| GONE.contains(&errno))
}

/// What fails and comes back, or can do without for a while; not what the system runs from.
fn unmount(place: &str, point: &Path) -> Remedy {
    if is_kept_mounted(point) { look_at_mount(point) } else { told!("unmount", place, point = word(point)) }
}

fn look_at_mount(point: &Path) -> Remedy {
    told!(BD09, "look-at-mount", point = word(point))
}

/// Of a mount that is known to come and go.
fn stop_mount(point: &Path) -> Remedy {
    if is_kept_mounted(point) {
        look_at_mount(point)
    } else {
        told!(BD09, "stop-automount", point = word(point))
    }
}

/// Where nobody looked at the mounts.
fn stop_automount(point: &Path) -> Remedy {
    stop_mount(point).needs("an automount or a mount of a server there, as `findmnt -T` shows")
}

/// The bind itself.
pub(super) fn denied(case: &Case<'_>) -> Option<Judgement> {
    let spot = Spot::destination(case)?;
    let (message, path) = (spot.message, spot.path.display());
    if case.says(&["Can't remount readonly on %s"]) && message.reason() == Some(UNMOUNTED) {
        // that is nothing that the kernel denies
        return None;
    }
    let source =
        message.source().map_or_else(|| "the source".to_owned(), |source| source.display().to_string());
    let (_, why) = meaning(case, Cause::BindDenied)?;
    let vague = case.errno() == Some(libc::ENOENT) || message.errno().is_none();
    let errno = message.errno().map_or_else(String::new, |errno| format!(": {}", errno.text()));
    let filter = "whether the system call filter denies this kind of mount (Seccomp: 2 in /proc/self/status)";
    spot.weigh(if vague { Low } else { Medium })
        .refuted_by(format!("`unshare -Urm mount --rbind {source} /mnt`, typed in the same place, works"))
        .summary(format!("{}: {source} could not be bound on {path}{errno}", spot.name()))
        .said(case)
        .heard(case, why)
        .unknown(case.host.security.label.present().map(|label| denial_of(label)))
        .unknown((case.filtered() == Some(true)).then_some(filter))
        .into()
}

pub(super) fn bind_otherwise(case: &Case<'_>) -> Vec<Remedy> {
    let source = case.message().and_then(Message::source);
    let otherwise = match source {
        Some(source) if source == Path::new("/") => told!(BD09, "bind-below-root"),
        Some(source) => told!(BD09, "bind-above-or-below", source = word(source)),
        None => told!(BD09, "bind-another-path"),
    };
    let of_flatpak = Launcher::of(case) == Some(Launcher::Flatpak);
    let first = source.and_then(|source| match (case.errno(), case.host.mounts.present()) {
        (Some(libc::EPERM | libc::EINVAL), None)
            if of_flatpak && !source.to_string_lossy().starts_with("/bindfile") =>
        {
            Some(told!("flatpak-without", path = word(source)))
        }
        // of a whole system it takes hours, and labels that were given by hand
        (Some(libc::EACCES), _) if case.on(Platform::Snap) => Some(told!(NS06, "instead-of-snap")),
        // without SELinux nothing has a label
        (Some(libc::EACCES), _)
            if source.components().count() <= 2 || case.host.security.selinux_filesystem.is(&false) =>
        {
            Some(told!(BD09, "ask-module"))
        }
        (Some(libc::EACCES), _) => Some(told!(BD09, "label-anew", source = word(source))),
        (Some(libc::EINVAL), _) => None,
        _ if !is_gone(case) => None,
        (Some(libc::ESTALE), None) if source == Path::new("/") => {
            Some(told!(BD09, "stale-submount", source = word(source)))
        }
        (_, None) => Some(stop_automount(source)),
        (_, Some(mounts)) => {
            let mount = mount_of(mounts, source).filter(|mount| is_fragile(mount))?;
            Some(stop_mount(&mount.point))
        }
    });
    Vec::new().or(first).or([otherwise]).or(Spot::destination(case).and_then(|spot| spot.leave_out()))
}

/// What the kernel answers to a mount on a file that has no name any more: of a file that was bound by itself, when another one took
/// its place outside.
pub(super) fn replaced(case: &Case<'_>) -> Option<Judgement> {
    rule_out(crate::diagnosis::causes::dv::about_device(case))?;
    let spot = Spot::destination(case)?;
    let source = spot.message.source().unwrap_or(spot.path);
    let is_gone =
        |mount: &&Mount| mount.point == source && mount.root.to_string_lossy().ends_with("//deleted");
    let refuted = format!(
        "`grep -F {} /proc/self/mountinfo`, typed where bwrap runs, shows no //deleted",
        word(source)
    );
    let found = |confidence, spot: &Spot<'_>| spot.weigh(confidence).refuted_by(refuted.clone());
    let shown = source.display();
    let summary = format!("{}: what was mounted at {shown} has been replaced since", spot.name());
    let seen = format!("what is mounted at {shown} is deleted (//deleted in /proc/self/mountinfo)");
    let mounts = &case.host.mounts;
    if let Some(known) = mounts.present() {
        rule_out(!known.iter().any(|mount| is_gone(&mount)))?;
        return Some(found(High, &spot).summary(summary).said(case).seen(mounts, seen));
    }
    if case.told().is_some_and(|told| told.mounts.iter().any(|mount| is_gone(&mount))) {
        return Some(found(High, &spot).summary(summary).said(case).pro(evidence::told(case, seen)));
    }
    // a directory of which one is mounted in another is bound with it, and seldom replaced; what is bound at another place was a
    // link there more often
    let unknown =
        format!("whether {shown} is a mount whose file is deleted: /proc/self/mountinfo, where bwrap runs");
    let confidence = if source == spot.path { Medium } else { Low };
    Some(found(confidence, &spot).summary(summary).said(case).unknown(unknown))
}

pub(super) fn start_outer_anew(case: &Case<'_>) -> Vec<Remedy> {
    let Some(spot) = Spot::destination(case) else { return Vec::new() };
    let point = word(spot.message.source().unwrap_or(spot.path));
    told!(BD11, "start-outer-anew", point).or([told!(BD11, "directory-instead")]).or(spot.leave_out())
}
