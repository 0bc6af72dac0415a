//! Records of the kernel's audit log about bwrap: who denied what. They tell what bwrap's message leaves open, and may be all there is.

use super::case::Case;
use super::finding::{Confidence, Finding};
use super::weigh::weigh;
use super::{Cause, causes};
use crate::bwrap::message::is_program;

/// A record in which somebody denies bwrap something.
struct Record<'t> {
    line: &'t str,
    who: &'static str,
    words: Vec<&'t str>,
}

impl<'t> Record<'t> {
    fn read(line: &'t str) -> Option<Self> {
        let words: Vec<&str> = line.split(|letter: char| letter.is_whitespace() || letter == ':').collect();
        let has = |word: &str| words.contains(&word);
        let names = |word: &&str| {
            let value = word.strip_prefix("comm=").or(word.strip_prefix("exe="));
            value.is_some_and(|value| is_program(value.trim_matches('"').as_bytes()))
        };
        let who = if has("avc") && has("denied") {
            "SELinux"
        } else if has("apparmor=\"DENIED\"") || has("target=\"unprivileged_userns\"") {
            "AppArmor"
        } else if has("type=SECCOMP") || has("type=1326") {
            "seccomp"
        } else {
            return None;
        };
        // what was only told of, and allowed
        let allowed = has("permissive=1") || has("code=0x7ffc0000");
        (words.iter().any(names) && !allowed).then_some(Self { line: line.trim(), who, words })
    }

    fn cause(&self) -> Option<Cause> {
        let rows = include_str!("audit.tsv").lines().filter(|row| !row.starts_with('#'));
        let fits = rows.map(|row| row.split('\t')).find_map(|mut fields| {
            let code = fields.next()?;
            let who = fields.next() == Some(self.who);
            (who && fields.all(|word| self.words.contains(&word))).then_some(code)
        });
        fits?.parse().ok()
    }
}

/// What a text that is none of bwrap's says of denials.
pub(super) fn find(case: &Case<'_>) -> Option<Finding> {
    let others: Vec<_> = case.others().collect();
    let record = others.iter().flat_map(|text| text.lines()).find_map(Record::read)?;
    let said = format!("the kernel's audit log says so: {}", record.line);
    let heard = |confidence| weigh(confidence).heard(case, said);
    if let Some(rule) = record.cause().and_then(|cause| causes::all().find(|rule| rule.cause == cause)) {
        return Some(heard(Confidence::High).finding(rule.cause, rule.remedies(case)));
    }
    let mut found = causes::unexplained(case);
    found.summary = format!("{} denies bwrap something, as the kernel's audit log says", record.who);
    let evidence = heard(Confidence::Low).finding(found.cause, Vec::new()).evidence;
    found.evidence.splice(..0, evidence);
    Some(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]

    use super::super::{Symptom, diagnose};
    use super::*;
    use crate::host::Host;

    fn first(text: &str) -> Finding {
        diagnose(&Symptom::from_text(text.as_bytes()), &Host::default(), None).causes[0].clone()
    }

    #[test]
    fn rows_name_causes_that_there_are() {
        for row in include_str!("audit.tsv").lines().filter(|row| !row.starts_with('#')) {
            let cause = row.split('\t').next().and_then(|code| code.parse::<Cause>().ok());
            assert!(cause.is_some_and(|cause| causes::all().any(|rule| rule.cause == cause)), "{row}");
        }
    }

    #[test]
    fn a_record_names_who_denied() {
        let apparmor = |fields: &str| {
            format!("audit: type=1400 audit(1795442949.054:32): {fields} pid=440 comm=\"bwrap\"")
        };
        let selinux = |perm: &str, target: &str, class: &str| {
            format!(
                "type=AVC msg=audit(1700000000.123:456): avc:  denied  {{ {perm} }} for  pid=12 comm=\"bwrap\" dev=\"x\" \
                 scontext=system_u:system_r:container_t:s0:c1,c2 tcontext=system_u:object_r:{target}:s0 tclass={class} permissive=0"
            )
        };
        let seccomp = |call: u32, arch: &str| {
            format!(
                "type=SECCOMP msg=audit(1700000000.1:1): auid=1000 uid=1000 gid=1000 ses=1 pid=2 comm=\"bwrap\" \
                 exe=\"/usr/bin/bwrap\" sig=31 arch={arch} syscall={call} compat=0 ip=0x7f code=0x80000000"
            )
        };
        for (text, code) in [
            (
                apparmor(
                    "apparmor=\"DENIED\" operation=\"mount\" error=-13 profile=\"docker-default\" name=\"/\"",
                ),
                "MT01",
            ),
            (
                apparmor(
                    "apparmor=\"DENIED\" operation=\"mount\" profile=\"p\" name=\"/newroot/proc/\" fstype=\"proc\"",
                ),
                "PR06",
            ),
            (apparmor("apparmor=\"DENIED\" operation=\"pivotroot\" profile=\"p\" name=\"/tmp/\""), "MT09"),
            (apparmor("apparmor=\"DENIED\" operation=\"userns_create\" profile=\"p\""), "NS09"),
            (
                apparmor(
                    "apparmor=\"DENIED\" operation=\"capable\" profile=\"unprivileged_userns\" capname=\"setpcap\"",
                ),
                "UM02",
            ),
            (
                apparmor(
                    "apparmor=\"DENIED\" operation=\"capable\" profile=\"unprivileged_userns\" capname=\"net_admin\"",
                ),
                "LO01",
            ),
            (
                apparmor("apparmor=\"AUDIT\" operation=\"userns_create\" target=\"unprivileged_userns\""),
                "UM02",
            ),
            (selinux("mount", "proc_t", "filesystem"), "PR05"),
            (selinux("mount", "devpts_t", "filesystem"), "DV01"),
            (selinux("mounton", "root_t", "dir"), "MT16"),
            (selinux("create", "container_t", "user_namespace"), "NS08"),
            (selinux("net_admin", "container_t", "cap_userns"), "LO05"),
            (seccomp(165, "c000003e"), "MT02"),
            (seccomp(40, "c00000b7"), "MT02"),
            (seccomp(41, "c000003e"), "LO04"),
            (seccomp(41, "c00000b7"), "MT08"),
            (seccomp(272, "c000003e"), "UM07"),
        ] {
            let found = first(&format!("Jan 02 03:04:05 host kernel: {text}\n"));
            assert_eq!((found.cause.code(), found.confidence), (code, Confidence::High), "{text}");
            assert!(found.evidence[0].text.contains(text.trim()) && !found.remedies.is_empty(), "{found:?}");
        }
        for (other, who) in
            [(selinux("read", "user_home_t", "file"), "SELinux"), (seccomp(9999, "c000003e"), "seccomp")]
        {
            let found = first(&other);
            assert_eq!(found.cause, Cause::Unexplained);
            assert!(found.summary.starts_with(who) && found.evidence[0].text.contains(&other), "{found:?}");
        }
    }

    #[test]
    fn others_and_what_is_allowed_are_no_denial_of_bwraps() {
        let mount = "type=AVC avc:  denied  { mount } for  pid=1 comm=\"bwrap\" tcontext=u:r:proc_t:s0 tclass=filesystem permissive=0";
        for text in [
            mount.replace("bwrap", "cat"),
            mount.replace("permissive=0", "permissive=1"),
            mount.replace("denied", "granted"),
            "audit: apparmor=\"ALLOWED\" operation=\"mount\" profile=\"p\" comm=\"bwrap\"".to_owned(),
            "type=SECCOMP comm=\"bwrap\" arch=c000003e syscall=165 code=0x7ffc0000".to_owned(),
            "type=SYSCALL comm=\"bwrap\" arch=c000003e syscall=165 success=yes".to_owned(),
        ] {
            let found = first(&text);
            assert_eq!(found.cause, Cause::Unexplained, "{text}");
            assert!(!found.summary.contains("audit"), "{found:?}");
        }
        // what bwrap itself said is more
        assert_eq!(first(&format!("{mount}\nbwrap: pivot_root: Invalid argument")).cause.code(), "MT15");
    }
}
