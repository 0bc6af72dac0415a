//! openat2(2), with which bwrap 0.12 walks paths.

use crate::diagnosis::case::Case;
use crate::diagnosis::evidence;
use crate::diagnosis::finding::Confidence::High;
use crate::diagnosis::remedy::{Remedy, told};
use crate::diagnosis::setting::Setting;
use crate::diagnosis::weigh::{Judgement, rules, weigh};
use crate::diagnosis::wish::unit;
use crate::host::Platform;

rules! {
    Openat2Missing, Failed, [
        "Can't open source %s" => (ENOSYS), "Can't open %s" => (ENOSYS), "Can't resolve %s" => (ENOSYS),
        "Can't mkdir %s" => (ENOSYS), "Can't mkdir parents for %s" => (ENOSYS),
        "Can't create file at %s" => (ENOSYS),
    ],
        unless "bwrap 0.11 fails at the same path, too"
        => missing, permit;
}

fn missing(case: &Case<'_>) -> Option<Judgement> {
    let judgement = weigh(High)
        .heard(case, "bwrap walks paths with openat2(2) since 0.12, and was told that there is no such call");
    Some(match (case.filtered(), case.kernel()) {
        (_, Some(version)) if version < (5, 6) => judgement.seen(
            &case.host.kernel.release,
            format!("Linux has it since 5.6; this is {}.{}", version.0, version.1),
        ),
        (Some(true), _) => judgement.pro(evidence::filter(case).so()),
        _ => judgement,
    })
}

fn permit(case: &Case<'_>) -> Vec<Remedy> {
    let mut remedies = Vec::new();
    if Setting::of(case) == Setting::Unit {
        remedies.push(Remedy::new(
            "Change RestrictSUIDSGID of the systemd unit",
            unit(case, &[("RestrictSUIDSGID", "no")]),
            "the service may make setuid and setgid files; with NoNewPrivileges=yes they give nobody anything",
        ));
    }
    if case.on(Platform::GVisor) {
        remedies.push(told!("newer-gvisor-openat2"));
    }
    remedies.push(told!("bwrap-without-openat2"));
    remedies
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Cause;
    use crate::diagnosis::fixtures::{explain, machine, only_on, whole};

    #[test]
    fn an_answer_that_there_is_no_such_call_is_explained() {
        let mut host = machine();
        let message = "Can't open source /usr: Function not implemented";
        assert_eq!(explain(message, &host, &whole()).cause(), Some(Cause::Openat2Missing));
        host = only_on(host, Platform::SystemdUnit);
        let found = explain(message, &host, &whole());
        assert!(found.remedy().is_some_and(|remedy| remedy.instructions().contains("RestrictSUIDSGID=no")));
        let missing = "Can't open source /usr: No such file or directory";
        assert_ne!(explain(missing, &host, &whole()).cause(), Some(Cause::Openat2Missing));
    }
}
