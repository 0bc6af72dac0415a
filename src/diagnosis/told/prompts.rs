//! The prompt of a shell, whose host is named as engines name containers and Kubernetes names pods.

use crate::host::Platform;

/// Of what a name is made that Kubernetes makes: no vowels, and no digits that look like some.
const MADE_UP: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// How the prompt of a shell in an application of Flatpak's begins, before the name of that. Distrobox has the parcel first.
const OF_FLATPAK: &str = "[\u{1f4e6} ";

/// The prompt that a line begins with, and where its shell is.
pub(super) fn prompt(line: &str) -> Option<(Platform, &str)> {
    if line.trim_start().starts_with(OF_FLATPAK) {
        return Some((Platform::Flatpak, OF_FLATPAK));
    }
    let prompt = line.split_whitespace().next()?;
    let (_, host) = prompt.split_once('@')?;
    let name = host.split_once(':')?.0;
    let platform = if is_number(name) {
        Platform::Docker
    } else if is_pod(name) {
        Platform::Kubernetes
    } else {
        return None;
    };
    Some((platform, prompt))
}

/// By the container's number: `root@3f2a9c1b7d44:/#`.
fn is_number(name: &str) -> bool {
    name.len() == 12 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// By a pod of a Deployment, with the number of its `ReplicaSet` and one of its own: `root@executor-7c9d8f6b5-x2k4p:/#`.
fn is_pod(name: &str) -> bool {
    let made_up = |part: &str, length: std::ops::RangeInclusive<usize>| {
        length.contains(&part.len()) && part.bytes().all(|byte| MADE_UP.contains(&byte))
    };
    let mut parts = name.rsplitn(3, '-');
    let (own, set, of) = (parts.next(), parts.next(), parts.next());
    of.is_some_and(|of| !of.is_empty())
        && own.is_some_and(|part| made_up(part, 5..=5))
        && set.is_some_and(|part| made_up(part, 8..=10) && part.bytes().any(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_containers_and_pods() {
        for (line, platform) in [
            ("root@3f2a9c1b7d44:/# bwrap", Some(Platform::Docker)),
            ("root@executor-7c9d8f6b5-x2k4p:/# bwrap", Some(Platform::Kubernetes)),
            ("zuul@zuul-executor-5d68b9f8c4-9xk2v:~$ bwrap", Some(Platform::Kubernetes)),
            ("[\u{1f4e6} net.lutris.Lutris ~]$ bwrap", Some(Platform::Flatpak)),
            ("\u{1f4e6}[me@fedora ~]$ bwrap", None),
            ("me@my-laptop-x2k4p:~$ bwrap", None),
            ("me@build-worker-small:~$ bwrap", None),
            ("me@ip-172312345-x2k4p:~$ bwrap", None),
            ("me@7c9d8f6b5-x2k4p:~$ bwrap", None),
            ("user@deadbeefcafe0:/#", None),
        ] {
            assert_eq!(prompt(line).map(|(platform, _)| platform), platform, "{line}");
        }
    }
}
