//! What lies below the layers of an overlay: a user namespace of its own may not uncover what mounts hide, and the kernel refuses a layer
//! that has some.

use std::ffi::OsStr;

use super::super::prelude::*;
use crate::sandbox::{Overlay, OverlayKind};

/// Since this version user namespaces mount overlays.
pub(super) const OVERLAYS: (u32, u32) = (5, 11);

/// The overlay that the message is about, among several.
pub(super) fn which(case: &Case<'_>) -> Option<usize> {
    let path = case.message()?.path()?;
    let is = |operation: &Operation| matches!(operation, Operation::Overlay(_)) && operation.is_on(path);
    case.sandbox?.operations.iter().position(is)
}

fn overlay<'a>(case: &Case<'a>) -> Option<&'a Overlay> {
    let index = which(case).or_else(|| case.plan.as_ref()?.overlay)?;
    let Operation::Overlay(overlay) = case.sandbox?.operations.get(index)? else { return None };
    Some(overlay)
}

/// What is mounted below a layer.
pub(super) enum Below {
    /// These are.
    Seen(String),
    /// A layer is the root, below which something always is.
    Root,
    /// Nobody looked, and of what answers so it is what is left: bwrap itself made the upper directory, or there is none.
    Perhaps(PathBuf),
}

impl Below {
    /// Whether something lies below a layer, where the kernel's answer can be about that.
    pub(super) fn of(case: &Case<'_>) -> Option<Self> {
        let old = case.kernel().is_some_and(|version| version < OVERLAYS);
        rule_out(case.errno() != Some(libc::EINVAL) || old || case.user_namespace() == Some(false))?;
        let options = Options::of(case);
        let layers = overlay(case).map(|overlay| overlay.layers.clone());
        let layers = layers.or_else(|| options.as_ref().map(|options| options.layers.clone()))?;
        if let Some(list) = mounted_below(case, &layers) {
            return Some(Self::Seen(list));
        }
        if layers.iter().any(|layer| layer == Path::new("/")) {
            return Some(Self::Root);
        }
        // where mounts were read, none are there
        rule_out(case.host.mounts.present().is_some())?;
        let first = layers.into_iter().next()?;
        options.filter(|options| options.own_upper).map(|_| Self::Perhaps(first))
    }

    /// How sure it is, and why the kernel refused it.
    pub(super) fn why(&self) -> (Confidence, String) {
        match self {
            Self::Seen(list) => (High, format!("mounts lie below a layer, and are locked there: {list}")),
            Self::Root => (
                High,
                "a layer is /, and the mounts below it (/proc, /dev, /sys) are locked there".to_owned(),
            ),
            Self::Perhaps(_) => (
                Medium,
                "something is mounted below a layer, and locked there, or the layers are too deep".to_owned(),
            ),
        }
    }

    fn remedy(self) -> Remedy {
        match self {
            Self::Seen(list) => told!(MT13, "no-submounts", list),
            Self::Root => told!(MT13, "layers-one-by-one"),
            Self::Perhaps(layer) => {
                told!(MT13, "no-submounts", list = format!("`findmnt -R {}` shows what", word(&layer)))
            }
        }
    }
}

/// The mounts below layers, as far as somebody looked, or a text shows some.
fn mounted_below(case: &Case<'_>, layers: &[PathBuf]) -> Option<String> {
    let told = || case.told().map_or(&[][..], |told| &told.mounts[..]);
    let (mounts, sure) = match case.host.mounts.present() {
        Some(mounts) => (&mounts[..], case.user_namespace() == Some(true)),
        None => (told(), true),
    };
    let below =
        |mount: &&Mount| layers.iter().any(|layer| mount.point.starts_with(layer) && mount.point != *layer);
    let found: Vec<String> = mounts.iter().filter(below).take(6).map(|it| shown(&it.point)).collect();
    (!found.is_empty() && sure).then(|| found.join(", "))
}

/// What the options say that bwrap prints in its message.
struct Options {
    layers: Vec<PathBuf>,
    /// The upper directory is in bwrap's own tmpfs, or there is none.
    own_upper: bool,
}

impl Options {
    fn of(case: &Case<'_>) -> Option<Self> {
        let options = case.message()?.subject().and_then(OsStr::to_str)?;
        let value =
            |name: &str| options.split(',').find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
        let outside = |path: &str| {
            path.strip_prefix("/oldroot").map(|path| Path::new("/").join(path.trim_start_matches('/')))
        };
        let layers: Option<Vec<PathBuf>> = value("lowerdir")?.split(':').map(outside).collect();
        let own_upper = value("upperdir").is_none_or(|upper| upper.starts_with("/tmp-overlay-upper-"));
        Some(Self { layers: layers?, own_upper })
    }
}

pub(super) fn other_overlay(case: &Case<'_>) -> Vec<Remedy> {
    let operation = which(case).or_else(|| case.plan.as_ref()?.overlay);
    let kind = overlay(case).map(|overlay| &overlay.kind);
    let below = Below::of(case);
    // an upper directory elsewhere does not help then
    let in_memory = below.is_none() && matches!(kind, Some(OverlayKind::Writable { .. }));
    let in_memory = in_memory.then(|| told!(MT13, "in-memory"));
    let without = below.map(Below::remedy);
    let old = case.kernel().is_none_or(|version| version < OVERLAYS);
    let newer = old.then(|| told!(MT13, "kernel-with-overlays"));
    let leave_out = operation.map(Remedy::leave_out);
    Vec::new().or(without).or(in_memory).or([told!(MT13, "bind-copy-instead")]).or(newer).or(leave_out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use crate::diagnosis::fixtures::machine;
    use crate::diagnosis::{Confidence, Symptom, diagnose_pasted};
    use crate::host::{Fact, Host};

    /// How sure the first cause is, with its reason, and the first remedy.
    fn explained(before: &str, options: &str, host: &Host) -> (Confidence, String, String) {
        let text = format!(
            "{before}\nbwrap: Can't make overlay mount on /newroot/x with options {options},userxattr: Invalid argument"
        );
        let mut causes = diagnose_pasted(&Symptom::from_text(text.as_bytes()), host, None).causes;
        let first = causes.remove(0);
        assert_eq!(first.cause.code(), "MT13", "{options}");
        (first.confidence, first.summary, first.remedies[0].summary.clone())
    }

    const OWN: &str = "upperdir=/tmp-overlay-upper-0,workdir=/tmp-overlay-work-0,lowerdir=/oldroot/var";
    const OTHERS: &str = "upperdir=/oldroot/home/u/up,workdir=/oldroot/home/u/work,lowerdir=/oldroot/usr";

    #[test]
    fn what_lies_below_a_layer_is_to_blame() {
        let host = Host::default();
        let (_, why, helps) = explained("", OWN, &host);
        assert!(why.contains("mounted below a layer") && helps.contains("without mounts"), "{why}: {helps}");
        let lxcfs = "lxcfs on /var/lib/lxcfs type fuse.lxcfs (rw,nosuid)";
        let (sure, why, _) = explained(lxcfs, OWN, &host);
        assert!(sure == Confidence::High && why.contains("/var/lib/lxcfs"), "{why}");
        let root = "upperdir=/oldroot/ext/test,workdir=/oldroot/ext/wd,lowerdir=/oldroot/";
        let (sure, why, helps) = explained("", root, &host);
        assert!(
            sure == Confidence::High && why.contains("a layer is /") && helps.contains("one by one"),
            "{why}: {helps}"
        );
        let (_, why, _) = explained("", "lowerdir=/oldroot/etc:/oldroot/home/u/etc", &host);
        assert!(why.contains("too deep") && !why.contains("upper directory"), "{why}");
    }

    #[test]
    fn what_is_not_below_it_is_not() {
        let host = Host::default();
        let (_, why, _) = explained("", OTHERS, &host);
        assert!(why.contains("upper directory"), "{why}");
        let beside = "lxcfs on /var/lib/lxcfs type fuse.lxcfs (rw,nosuid)";
        assert!(explained(beside, OTHERS, &host).1.contains("upper directory"));
        let mut old = Host::default();
        old.kernel.release = Fact::Present("5.4.0-42-generic".into());
        assert!(!explained("", OWN, &old).1.contains("below a layer"));
        // somebody looked, and nothing is there
        assert!(!explained("", OWN, &machine()).1.contains("below a layer"));
    }
}
