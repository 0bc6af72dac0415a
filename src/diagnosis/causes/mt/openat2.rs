//! openat2(2), with which bwrap 0.12 walks paths.

use super::super::prelude::*;

rules! {
    Openat2Missing, Failed, [
        "Can't open source %s", "Can't open %s", "Can't resolve %s", "Can't mkdir %s",
        "Can't mkdir parents for %s", "Can't create file at %s", "Can't open overlay source %s",
        "Can't open overlay workdir %s" => (ENOSYS)
    ],
        unless "bwrap 0.11 fails at the same path, too" => missing, permit;
}

fn missing(case: &Case<'_>) -> Option<Judgement> {
    let found = weigh(High)
        .heard(case, "bwrap walks paths with openat2(2) since 0.12, and was told that there is no such call");
    Some(match case.kernel() {
        Some((major, minor)) if (major, minor) < (5, 6) => {
            found.seen(&case.host.kernel.release, format!("Linux has it since 5.6; this is {major}.{minor}"))
        }
        _ => found.pro(evidence::filter(case).so()),
    })
}

fn permit(case: &Case<'_>) -> Vec<Remedy> {
    let in_unit = || told!(MT14, "setuid-files-of-unit" => unit(case, &[("RestrictSUIDSGID", "no")]));
    let unit = (Setting::of(case) == Setting::Unit).then(in_unit);
    let gvisor = case.on(Platform::GVisor).then(|| told!(MT14, "newer-gvisor-openat2"));
    let otherwise = told!(MT14, "bwrap-without-openat2");
    match Setting::of(case) {
        // whose runsc is the platform's business
        Setting::Managed(_) => otherwise.or(gvisor),
        _ => Vec::new().or(unit).or(gvisor).or([otherwise]),
    }
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
