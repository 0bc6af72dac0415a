//! The limit on open files.

use crate::diagnosis::case::Case;
use crate::diagnosis::finding::Confidence::{High, Medium};
use crate::diagnosis::weigh::{Judgement, LAUNCH, rules, weigh};
use crate::diagnosis::wish::{Limit, Wish, raise};
use crate::diagnosis::{Remedy, evidence};

const FILES: &[i32] = &[libc::EMFILE, libc::ENFILE];

rules! {
    DescriptorLimit, Anytime, [
        LAUNCH => FILES, "Can't read /proc/sys/kernel/overflowuid" => FILES,
        "Can't read /proc/sys/kernel/overflowgid" => FILES, "Can't open /proc" => FILES, "eventfd()" => FILES,
        "pipe2()" => FILES, "Can't create intermediate pids socket" => FILES,
        "Can't create privsep socket" => FILES, "loopback: Failed to create NETLINK_ROUTE socket" => FILES,
        "open /proc/%s failed" => FILES, "setting up uid map" => FILES, "setting up gid map" => FILES,
        "error writing to setgroups" => FILES, "Can't open source %s" => FILES,
        "Can't open /proc/self/mountinfo" => FILES, "Can't create file at %s" => FILES,
        "Can't create file %s" => FILES, "Can't create file %s/%s" => FILES,
        "Can't create tmpfile for %s" => FILES, "creating %s/console" => FILES, "Can't resolve %s" => FILES,
        "Can't bind mount %s on %s" => FILES, "Can't remount readonly on %s" => FILES,
        "Unable to open destination O_PATH fd \"%s\"" => FILES, "open(\"%s\", O_PATH)" => FILES,
        "can't open /" => FILES, "cannot open /proc/sys/user/max_user_namespaces" => FILES,
        "Unable to open lock file %s" => FILES, "Can't create signalfd" => FILES,
        "open /proc/%s/ns failed" => FILES, "execvp %s" => FILES,
    ],
        unless "the same fails alike after `ulimit -n` was raised, in the process that starts bwrap"
        => descriptor_limit, more_files;
}

/// bwrap holds /proc and two event counters open beside standard input and output before it makes anything.
const DESCRIPTORS: u64 = 6;

fn descriptor_limit(case: &Case<'_>) -> Option<Judgement> {
    let process = &case.host.process;
    let (limit, open) = (process.descriptor_limit.present(), process.descriptors.present());
    if case.errno() == Some(libc::ENFILE) {
        return Some(weigh(High).summary("the whole system may open no more files (fs.file-max)").pro(
            evidence::heard(
                case,
                "the kernel answered ENFILE, which is about the system and not about this process",
            ),
        ));
    }
    let text = match (limit, open) {
        (Some(limit), Some(open)) => format!("{open} of {limit} open files (RLIMIT_NOFILE: `ulimit -n`)"),
        (Some(limit), None) => format!("a limit of {limit} open files (RLIMIT_NOFILE: `ulimit -n`)"),
        _ if case.failed() => {
            return Some(
                weigh(High)
                    .pro(evidence::heard(
                        case,
                        "the kernel answered that this process opens no more files (EMFILE)",
                    ))
                    .unknown("the limit: `ulimit -n`"),
            );
        }
        _ => return None,
    };
    if case.failed() {
        return Some(
            weigh(High)
                .summary(format!("bwrap could open no more files: {text}"))
                .pro(evidence::heard(
                    case,
                    "the kernel answered that this process opens no more files (EMFILE)",
                ))
                .pro(evidence::seen(&process.descriptor_limit, text)),
        );
    }
    if limit.is_some_and(|limit| *limit < DESCRIPTORS) {
        return Some(
            weigh(High)
                .summary(format!("{text}, and bwrap needs more"))
                .pro(evidence::seen(&process.descriptor_limit, text)),
        );
    }
    // most of ours bwrap does not inherit, but a launch opens some of its own
    let left = limit.zip(open).map(|(limit, open)| limit.saturating_sub(*open));
    left.filter(|left| *left < DESCRIPTORS + 2).map(|_| {
        weigh(Medium)
            .summary(format!("hardly any file can be opened any more: {text}"))
            .pro(evidence::seen(&process.descriptor_limit, text))
    })
}

fn more_files(case: &Case<'_>) -> Vec<Remedy> {
    if case.errno() == Some(libc::ENFILE) {
        return raise(case, "fs.file-max", 1_000_000, "programs can take more of the kernel's memory");
    }
    Wish::More(Limit::Files).grant(case)
}
