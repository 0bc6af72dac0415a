//! Records of the kernel's log about bwrap: who denied what. They tell what bwrap's message leaves open, and may be all there is.

use std::cmp::Reverse;

use super::case::Case;
use super::denial::{Denial, KERNEL};
use super::finding::{Bearing, Confidence, Evidence, Finding};
use super::setting::Setting;
use super::symptom::Symptom;
use super::told::of_profile;
use super::weigh::weigh;
use super::wish::uncapitalized;
use super::{Cause, causes};
use crate::bwrap::message::Errno;
use crate::host::{Fact, Host, RESTRICTION};

impl Denial {
    /// What it may mean, the likeliest first.
    fn causes(&self) -> impl Iterator<Item = Cause> {
        let rows = include_str!("audit.tsv").lines().filter(|row| !row.starts_with('#'));
        rows.filter_map(|row| {
            let mut fields = row.split('\t');
            let code = fields.next()?;
            let who = fields.next() == Some(self.who);
            (who && fields.all(|word| self.words().any(|own| fits(word, own)))).then_some(code)?.parse().ok()
        })
    }

    fn evidence(&self) -> Evidence {
        Evidence { bearing: Bearing::For, text: format!("the kernel's log says so: {}", self.line) }
    }
}

/// Whether a word of a row is that of a record; it may end in an asterisk.
fn fits(row: &str, own: &str) -> bool {
    row.strip_suffix('*').map_or(row == own, |begin| own.starts_with(begin))
}

/// A host with what the records tell of it in place of what nobody looked at.
pub(super) fn over(denials: &[Denial], mut host: Host) -> Host {
    let Some(label) = denials.iter().find_map(Denial::label) else { return host };
    let security = &mut host.security;
    if !security.label.is_unknown()
        || !security.apparmor_enabled.is_unknown()
        || !security.selinux_filesystem.is_unknown()
    {
        return host;
    }
    let domain = label.split(':').nth(2);
    if is_restriction(&label) {
        // bwrap came there by the namespace that it made: of who started it that says nothing
        host.sysctls.entry(RESTRICTION.to_owned()).or_insert_with(|| Fact::Present("1".to_owned()));
        return host;
    }
    security.apparmor_enabled = Fact::Present(domain.is_none());
    security.selinux_filesystem = Fact::Present(domain.is_some());
    let engines = ["container_", "svirt_", "spc_t", "openshift_"];
    // those that udica writes end so
    let engine =
        |domain: &str| engines.iter().any(|of| domain.starts_with(of)) || domain.ends_with(".process");
    let elsewhere = domain.is_some_and(|domain| !engine(domain));
    if host.platforms.is_unknown()
        && let Some(sighting) = of_profile(&label)
    {
        host.platforms = Fact::Present(vec![sighting]);
    }
    security.label = Fact::Present(label);
    // in a container nothing runs in the domain of a user or a service
    if elsewhere && host.platforms.is_unknown() {
        host.platforms = Fact::Absent;
    }
    host
}

/// Whether a profile is the one in which that puts the namespaces of unconfined programs.
fn is_restriction(label: &str) -> bool {
    label.split([' ', '/']).any(|name| name.trim_start_matches('&') == "unprivileged_userns")
}

/// What a text that is none of bwrap's says of denials.
pub(super) fn find(case: &Case<'_>) -> Option<Finding> {
    let denial = case.symptom?.denials.iter().find(|denial| denial.who != KERNEL)?;
    if let Some(rule) =
        denial.causes().next().and_then(|cause| causes::all().find(|rule| rule.cause == cause))
    {
        let mut found = weigh(Confidence::High).finding(rule.cause, rule.remedies(case));
        found.evidence.insert(0, denial.evidence());
        return Some(found);
    }
    let mut found = causes::unexplained(case);
    found.summary = format!("{} denies bwrap something, as the kernel's log says", denial.who);
    found.evidence.insert(0, denial.evidence());
    Some(found)
}

/// What is said of records of what was let pass, where bwrap itself said nothing: nothing failed by that, and what would.
pub(super) fn let_pass(case: &Case<'_>) -> Option<Finding> {
    let all = &case.symptom.filter(|symptom| symptom.message().is_none())?.passed;
    let rule =
        |record: &Denial| record.causes().find_map(|cause| causes::all().find(|rule| rule.cause == cause));
    let record = all.iter().find(|record| rule(record).is_some()).or(all.first())?;
    let mut found = causes::unexplained(case);
    if found.cause != Cause::Unexplained {
        return None;
    }
    found.summary = format!(
        "{} only notes here what it would deny, and lets it pass: by that nothing failed",
        record.who
    );
    found.evidence.insert(0, record.evidence());
    if let Some(rule) = rule(record) {
        let host = over(all, case.host.clone());
        let mut later = rule.remedies(&Case::new(case.symptom, &host, case.sandbox));
        for remedy in &mut later {
            remedy.summary = format!("Before it is enforced: {}", uncapitalized(&remedy.summary));
        }
        found.remedies.splice(0..0, later);
    }
    Some(found)
}

/// Beside a message: what the records confirm comes first, and what they say that the message leaves open is said.
pub(super) fn confirm(symptom: &Symptom, case: &Case<'_>, causes: &mut Vec<Finding>) {
    if symptom.message().is_none() {
        return;
    }
    // of what is as sure, what a record speaks for
    let mut first = Vec::new();
    for denial in &symptom.denials {
        let told: Vec<Cause> = denial.causes().collect();
        let explains = causes.iter_mut().find(|finding| told.contains(&finding.cause));
        let Some(finding) = explains else {
            let beside = beside(denial, &told, case);
            first.extend(beside.iter().map(|finding| finding.cause));
            causes.extend(beside);
            continue;
        };
        // which of several mounts covers /proc the kernel does not say
        let sure = denial.who != KERNEL || Setting::of(case) != Setting::Unknown;
        if sure {
            finding.confidence = Confidence::High;
        }
        first.push(finding.cause);
        let evidence = denial.evidence();
        if !finding.evidence.contains(&evidence) {
            finding.evidence.insert(0, evidence);
        }
    }
    if causes.len() > 1 {
        causes.retain(|finding| finding.cause != Cause::Unexplained);
    }
    causes.sort_by_key(|finding| (Reverse(finding.confidence), !first.contains(&finding.cause)));
}

/// What was denied, where no cause of the message is that: it is not sure that this failure is meant.
fn beside(denial: &Denial, told: &[Cause], case: &Case<'_>) -> Option<Finding> {
    let answer = case.message().and_then(|message| message.errno()).and_then(Errno::code);
    let denied = matches!(
        (denial.who, answer),
        ("SELinux" | "AppArmor", Some(libc::EACCES)) | ("seccomp", Some(libc::EPERM))
    );
    let rule = causes::all().find(|rule| denied && told.first() == Some(&rule.cause))?;
    let mut found = weigh(Confidence::Medium)
        .unknown("whether the record is of this failure: the times of both")
        .finding(rule.cause, rule.remedies(case));
    found.evidence.insert(0, denial.evidence());
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
        // that nothing failed by it is said, and what would if it was enforced
        let found = first(&mount.replace("permissive=0", "permissive=1"));
        assert!(found.summary.starts_with("SELinux only notes here"), "{found:?}");
        assert!(found.remedies[0].summary.starts_with("Before it is enforced: "), "{found:?}");
        let complains = "apparmor=\"ALLOWED\" operation=\"getattr\" class=\"file\" comm=\"bwrap\"";
        let found = first(&format!("{complains}\n{complains}"));
        assert!(found.summary.starts_with("AppArmor only notes here"), "{found:?}");
        assert_eq!(found.evidence[0].text.matches("ALLOWED").count(), 1, "{found:?}");
        for beside in ["bwrap: pivot_root: Invalid argument", mount] {
            let found = first(&format!("{}\n{beside}", mount.replace("permissive=0", "permissive=1")));
            assert!(!found.summary.contains("only notes"), "{found:?}");
        }
        assert!(!first(&complains.replace("bwrap", "cat")).summary.contains("only notes"));
        // what bwrap itself said is more
        assert_eq!(first(&format!("{mount}\nbwrap: pivot_root: Invalid argument")).cause.code(), "MT15");
    }

    /// Beside bwrap's message a record says which of its causes it was, and to whom something was denied.
    #[test]
    fn a_record_beside_a_message_decides() {
        let avc = |perm: &str, domain: &str, class: &str| {
            format!(
                "type=AVC msg=audit(1753452302.125:641): avc:  denied  {{ {perm} }} for pid=2896 comm=\"bwrap\" path=\"/\" \
                 scontext=staff_u:staff_r:{domain}:s0-s0:c0.c1023 tcontext=system_u:object_r:root_t:s0 tclass={class} permissive=0"
            )
        };
        let userns = "audit: type=1400 audit(1:2): apparmor=\"AUDIT\" operation=\"userns_create\" profile=\"unconfined\" \
                      comm=\"bwrap\" target=\"unprivileged_userns\"";
        let denied = "audit: type=1400 audit(1:2): apparmor=\"DENIED\" operation=\"capable\" profile=\"unprivileged_userns\" \
                      comm=\"bwrap\" capname=\"sys_admin\"";
        let pivot = "audit: type=1326 audit(1:2): comm=\"bwrap\" exe=\"/usr/bin/bwrap\" arch=c000003e syscall=155 code=0x50000";
        let broken =
            avc("mounton", "staff_t", "dir").replace(" pid=", "\npid=").replace(" scontext", "\n> scontext");
        for (said, record, code) in [
            ("Failed to make / slave: Permission denied", &*avc("mounton", "staff_t", "dir"), "MT16"),
            ("Failed to make / slave: Permission denied", &*broken, "MT16"),
            (
                "Creating new namespace failed: Permission denied",
                &*avc("create", "user_t", "user_namespace"),
                "NS08",
            ),
            (
                "Failed to mount tmpfs: Permission denied",
                &*avc("mount", "httpd_t", "filesystem").replace("root_t", "tmpfs_t"),
                "MT06",
            ),
            ("loopback: Failed RTM_NEWADDR: Operation not permitted", userns, "LO01"),
            ("setting up uid map: Permission denied", userns, "UM02"),
            ("setting up uid map: Permission denied", denied, "UM02"),
            ("pivot_root: Operation not permitted", pivot, "MT08"),
        ] {
            for text in [format!("bwrap: {said}\n{record}\n"), format!("{record}\nbwrap: {said}\n")] {
                let found = first(&text);
                assert_eq!((found.cause.code(), found.confidence), (code, Confidence::High), "{text}");
                assert!(found.evidence[0].text.starts_with("the kernel's log says so: "), "{found:?}");
                assert_eq!(found.evidence[0].bearing, Bearing::For);
            }
        }
        // not of another program, not what was allowed, and not of another answer
        for record in [
            avc("mounton", "staff_t", "dir").replace("\"bwrap\"", "\"sshd\""),
            avc("mounton", "staff_t", "dir").replace("permissive=0", "permissive=1"),
        ] {
            let found = first(&format!("bwrap: Failed to make / slave: Permission denied\n{record}"));
            assert_eq!((found.cause.code(), found.confidence), ("MT01", Confidence::Medium), "{record}");
        }
        let other = first(&format!(
            "bwrap: Can't find source path /x: No such file or directory\n{}",
            avc("mounton", "a_t", "dir")
        ));
        assert_eq!(other.cause.code(), "BD01");
        // of a failure that it cannot have led to it is said, and not sure
        let beside = first(&format!(
            "bwrap: setting up uid map: Permission denied\n{}",
            avc("create", "user_t", "user_namespace")
        ));
        assert_eq!((beside.cause.code(), beside.confidence), ("NS08", Confidence::Medium));
    }

    #[test]
    fn what_helps_is_for_the_domain_of_the_record() {
        for (perm, domain, target, class, said) in [
            ("mounton", "staff_t", "root_t", "dir", ""),
            ("mounton", "staff_t", "root_t", "dir", "\nbwrap: Failed to make / slave: Permission denied"),
            (
                "mount",
                "httpd_t",
                "tmpfs_t",
                "filesystem",
                "\nbwrap: Failed to mount tmpfs: Permission denied",
            ),
        ] {
            let text = format!(
                "type=AVC msg=audit(1:2): avc:  denied  {{ {perm} }} for pid=1 comm=\"bwrap\" scontext=staff_u:staff_r:{domain}:s0 \
                 tcontext=system_u:object_r:{target}:s0 tclass={class} permissive=0{said}"
            );
            let remedy = &first(&text).remedies[0];
            let typed = format!("{} {}", remedy.summary, remedy.instructions());
            assert!(
                typed.contains(&format!("(allow {domain} {target} ")) && !typed.contains("container_t"),
                "{typed}"
            );
        }
        // what was looked at counts for more
        let mut host = Host::default();
        host.security.label = Fact::Present("system_u:system_r:container_t:s0:c1,c2".into());
        let [denials, _] = super::super::denial::read(
            b"avc: denied { mounton } for comm=\"bwrap\" scontext=a:b:staff_t:s0 tclass=dir",
        );
        assert_eq!(over(&denials, host.clone()).security, host.security);
    }

    /// It says by which rule a procfs is not mounted, and not what covers /proc.
    #[test]
    fn the_kernel_says_that_proc_is_covered() {
        let said = "$ sudo dmesg | tail\n[ 1.2] VFS: Mount too revealing\nbwrap: Can't mount proc on /newroot/proc: Operation not permitted";
        let found = first(said);
        assert_eq!((found.cause.code(), found.confidence), ("PR01", Confidence::Medium));
        assert!(found.evidence[0].text.ends_with("VFS: Mount too revealing"), "{found:?}");
        let found = first(&format!("$ docker run image\n{said}"));
        assert_eq!((found.cause.code(), found.confidence), ("PR01", Confidence::High));
        // alone it is nobody's failure
        assert_eq!(first("VFS: Mount too revealing").cause, Cause::Unexplained);
    }
}
