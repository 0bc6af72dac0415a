//! The limit on open files.

use super::prelude::*;

rules! {
    DescriptorLimit, Anytime, [LAUNCH, ANY => (EMFILE ENFILE); LAUNCH => (EBADF)],
        unless "the same fails alike after `ulimit -n` was raised, in the process that starts bwrap"
        => descriptor_limit, more_files;
}

/// What is said of a mount itself.
const MOUNTS: &[&str] = &[
    "Can't mount devpts on %s",
    "Can't mount proc on %s",
    "Can't mount tmpfs on %s",
    "Can't mount mqueue on %s",
    "Failed to mount tmpfs",
    "Creating proc failed",
    "mounting proc",
    "Can't make overlay mount on %s with options %s",
];

/// bwrap holds /proc and two event counters open beside standard input and output before it makes anything.
const DESCRIPTORS: u64 = 6;

fn descriptor_limit(case: &Case<'_>) -> Option<Judgement> {
    let process = &case.host.process;
    let (limit, open) = (process.descriptor_limit.present(), process.descriptors.present());
    if case.errno() == Some(libc::ENFILE) {
        let answer = "the kernel answered ENFILE, which is about the system and not about this process";
        let summary = "the whole system may open no more files (fs.file-max)";
        return Some(weigh(High).summary(summary).heard(case, answer));
    }
    if case.says(MOUNTS) {
        let answer = "the kernel answered EMFILE to a mount, which opens no file: it has no number left for a file system without a disk";
        let summary = "too many file systems without a disk are mounted on the whole machine (a million of tmpfs, proc, overlay)";
        return Some(
            weigh(Medium)
                .summary(summary)
                .heard(case, answer)
                .unknown("how many: `cat /proc/*/mountinfo | wc -l` as root"),
        );
    }
    let text = limit.map(|limit| match open {
        Some(open) => format!("{open} of {limit} open files (RLIMIT_NOFILE: `ulimit -n`)"),
        None => format!("a limit of {limit} open files (RLIMIT_NOFILE: `ulimit -n`)"),
    });
    if case.failed() {
        // what bwrap is given is put at numbers that the limit has to allow
        let answer = match case.not_started {
            Some(libc::EBADF) => "the system gives bwrap no descriptor of that number (EBADF)",
            _ => "the kernel answered that this process opens no more files (EMFILE)",
        };
        let found = weigh(High).heard(case, answer);
        let summary = text.as_ref().map(|text| format!("bwrap could open no more files: {text}"));
        let found = found.summary(summary);
        return Some(found.seen_or(&process.descriptor_limit, text, "the limit: `ulimit -n`"));
    }
    let (limit, text) = (*limit?, text?);
    // most of ours bwrap does not inherit, but a launch opens some of its own
    let few = open.is_some_and(|open| limit.saturating_sub(*open) < DESCRIPTORS + 2);
    rule_out(limit >= DESCRIPTORS && !few)?;
    let found = if limit < DESCRIPTORS {
        weigh(High).summary(format!("{text}, and bwrap needs more"))
    } else {
        weigh(Medium).summary(format!("hardly any file can be opened any more: {text}"))
    };
    Some(found.seen(&process.descriptor_limit, text))
}

fn more_files(case: &Case<'_>) -> Vec<Remedy> {
    if case.errno() == Some(libc::ENFILE) {
        return raise(case, "fs.file-max", 1_000_000, "programs can take more of the kernel's memory");
    }
    if case.failed() && case.says(MOUNTS) {
        return vec![told!(DF01, "leftover-mounts")];
    }
    Wish::More(Limit::Files).grant(case)
}
