//! bwrap's command line, and what it checks before it makes anything.

use super::cp::path;
use super::ex::EXECVP;
use super::prelude::*;
use super::vr::subject;
use crate::bwrap::message::Spoken;
use crate::bwrap::options;
use crate::diagnosis::launcher::Launcher;

rules! {
    BadArguments, Failed, [
        UNKNOWN, "usage: %s [OPTIONS...] [--] COMMAND [ARGS...]%s", "%s takes an argument",
        "%s takes two arguments", "%s takes three arguments", "%s takes an octal argument <= 07777",
        "%s given twice for the same action", "%s used multiple times",
        "%s does not take an empty path argument", "Unknown --debug-opt value: %s",
        "--args not supported in arguments file", ARGS, "--overlay requires at least one --overlay-src",
        "--overlay-opt must be followed%s",
        "--overlay-src must be followed by another --overlay-src or one of --overlay, --tmp-overlay, or --ro-overlay",
        "--perms must be followed by an option that creates a file",
        "--ro-overlay requires at least two --overlay-src", "--size (for tmpfs) is limited to %zu",
        "--size must be followed by --tmpfs", "--size takes a non-zero number of bytes",
        "--tmp-overlay requires at least one --overlay-src", TOO_MANY, "Invalid fd: %s", "Invalid gid: %s",
        "Invalid uid: %s", "unknown cap: %s", "setenv failed", "unsetenv failed"
    ] => bad_arguments, correct_or_shorten;

    OperandMissing, Anytime, [
        EXECVP, "Can't find source path %s", "Can't open source %s", "Can't chdir to %s", "Can't mkdir %s"
    ],
        unless "a file or directory has that name, and is meant"
        => operand_missing,
        |case| Vec::new().or(swallowed(case).map(|(_, option)| told!(AR03, "give-operand", option)));

    ArgumentsTooLong, Failed, [LAUNCH, EXECVP => (E2BIG)],
        unless "`getconf ARG_MAX` is larger than the line and the environment, and no word has 128 KiB"
        => |case| Some(weigh(High).heard(case, "the kernel takes no more (E2BIG)")), |case| {
            let worktrees = case.others().any(|text| text.contains("worktree"));
            let agent = matches!(Launcher::of(case), Some(Launcher::ClaudeCode | Launcher::Codex));
            Vec::new().or((worktrees || agent).then(|| told!(AR04, "prune-worktrees"))).or([told!(AR04, "shorter-line")])
        };

    ContradictoryOptions, Anytime, [
        "Specifying --uid requires --unshare-user or --userns",
        "Specifying --gid requires --unshare-user or --userns", "--disable-userns is not compatible with --userns-block-fd",
        "--disable-userns requires --unshare-user", "--userns is not compatible with --unshare-user",
        "--userns is not compatible with --unshare-user-try", "--userns-block-fd requires --info-fd",
        "--userns-block-fd requires --unshare-user", "--seccomp cannot be combined with --add-seccomp-fd",
        "--add-seccomp-fd cannot be combined with --seccomp",
        "Specifying --as-pid-1 and --lock-file is not permitted",
        "Specifying --as-pid-1 requires --unshare-pid", "Specifying --hostname requires --unshare-uts",
        "The %s option is not permitted in setuid mode", "--cap-add in setuid mode can be used only by root",
        "--userns doesn't work in setuid mode", "--userns2 doesn't work in setuid mode",
        "Overlay mounts are not supported in setuid mode"; MQUEUE => (EPERM)
    ],
        unless "the same options are accepted by the same bwrap" => contradictory_options, settle;
}

/// The operation with a name that is an option's, and that name.
fn swallowed(case: &Case<'_>) -> Option<(usize, String)> {
    let operations = case.sandbox?.operations.iter().enumerate();
    let mut names = operations.map(|(index, it)| (index, it.destination().to_string_lossy().into_owned()));
    names.find(|(_, name)| options::find(name).is_some())
}

fn operand_missing(case: &Case<'_>) -> Option<Judgement> {
    let (index, option) = swallowed(case)?;
    let summary = format!("operation {} has {option} for a path: an operand before it is missing", index + 1);
    let found = weigh(if case.failed() { High } else { Medium }).summary(summary).operation(Some(index));
    Some(found.asked(case, "all words after it are taken for something else than they were meant as"))
}

/// Of other ids than the caller's, without a user namespace to have them in.
const IDS: &str = "requires --unshare-user or --userns";
/// Of what a bwrap that is setuid root does not do for others.
const SETUID: &str = "setuid mode";

/// Whether the message is one of those.
fn is_of(case: &Case<'_>, part: &str) -> bool {
    case.message().and_then(Message::pattern).is_some_and(|pattern| pattern.contains(part))
}

fn correct_or_shorten(case: &Case<'_>) -> Vec<Remedy> {
    vec![if case.says(&[TOO_MANY]) {
        told!(AR01, "fewer-words")
    } else if case.says(&[ARGS]) && case.errno() == Some(libc::EBADF) {
        told!(AR01, "bwrap-itself")
    } else {
        told!("correct-options", summary = "Correct the option that the message names")
    }]
}

const ARGS: &str = "Can't read --args data";
const UNKNOWN: &str = "Unknown option %s";
const TOO_MANY: &str = "Exceeded maximum number of arguments %u";

fn bad_arguments(case: &Case<'_>) -> Option<Judgement> {
    let message = case.message()?;
    if case.says(&[UNKNOWN]) {
        let name = subject(case);
        let found = weigh(High)
            .refuted_by("`bwrap --help` of the newest bubblewrap lists it")
            .summary(format!("{name} is no option of bwrap; it may be misspelt"))
            .heard(case, format!("no release of bubblewrap that is known here has {name}"));
        // those that are known are too new
        return options::find(&name).is_none().then_some(found);
    }
    let text = message.text().to_string_lossy();
    let refused =
        || format!("bwrap does not accept its arguments: {}", text.lines().next().unwrap_or_default());
    let summary = meaning(case, Cause::BadArguments).map_or_else(refused, |(_, why)| why.to_owned());
    let asked = message.spoken() == Spoken::Asked;
    weigh(if asked { Medium } else { High })
        .refuted_by("the same command line is accepted by the same bwrap")
        .summary(summary)
        .heard(case, "bwrap ended while it read its arguments, before it made anything")
        .unknown(asked.then_some("whether it was asked to print this (--help)"))
        .into()
}

/// Which id bwrap would have to change without a user namespace to change it in: its kind, what is asked, what is there.
fn foreign_id(case: &Case<'_>) -> Option<(&'static str, u32, u32)> {
    let sandbox = case.sandbox?;
    rule_out(case.user_namespace() != Some(false) || case.joins_user_namespace())?;
    rule_out(case.root() != Some(true))?;
    let (identity, process) = (&sandbox.identity, &case.host.process);
    let differs = |kind: &'static str, asked: Option<u32>, real: &Fact<u32>| {
        let (asked, real) = (asked?, *real.present()?);
        (asked != real).then_some((kind, asked, real))
    };
    differs("user", identity.uid, &process.real_uid)
        .or_else(|| differs("group", identity.gid, &process.real_gid))
}

const MQUEUE: &str = "Can't mount mqueue on %s";

/// The message queues that are to be mounted without an IPC namespace to have them in: a user namespace of its own may not mount
/// those of the one outside.
fn foreign_queues(case: &Case<'_>) -> Option<usize> {
    let sandbox = case.sandbox?;
    rule_out(sandbox.namespaces.new_ipc() || case.user_namespace() != Some(true))?;
    sandbox.operations.iter().position(|operation| matches!(operation, Operation::Mqueue(_)))
}

fn contradictory_options(case: &Case<'_>) -> Option<Judgement> {
    let queues = foreign_queues(case).filter(|_| !case.failed() || case.says(&[MQUEUE]));
    if let Some(index) = queues {
        let summary = "--mqueue mounts the message queues of the IPC namespace, which is not the sandbox's own: --unshare-ipc is missing";
        let asked = "it makes a user namespace of its own, which has no rights in the IPC namespace outside";
        return Some(weigh(High).summary(summary).operation(Some(index)).asked(case, asked));
    }
    rule_out(case.says(&[MQUEUE]))?;
    if let Some((kind, asked, real)) = foreign_id(case).filter(|_| !case.failed() || is_of(case, IDS)) {
        let summary =
            format!("the sandbox asks for {kind} id {asked}, which {real} can be only in a user namespace");
        let seen =
            format!("real {kind} id {real} (/proc/self/status), and root gets no user namespace unasked");
        return Some(weigh(High).summary(summary).seen(&case.host.process.uid, seen));
    }
    let text = case.message()?.text().to_string_lossy();
    let setuid = is_of(case, SETUID);
    let what = if setuid {
        "bwrap is setuid root and does less so"
    } else {
        "options of the sandbox contradict each other"
    };
    let found = weigh(High).summary(format!("{what}: {text}"));
    Some(found.heard(case, "bwrap ended while it checked its options, before it made anything"))
}

fn settle(case: &Case<'_>) -> Vec<Remedy> {
    let check = told!("correct-options", summary = "Drop one of the options, or add the one that is missing");
    if foreign_queues(case).is_some() && (!case.failed() || case.says(&[MQUEUE])) {
        vec![told!("correct-options", summary = "Add --unshare-ipc, or leave --mqueue out")]
    } else if is_of(case, SETUID) {
        vec![told!("chmod-u-s", path = path(case)), check]
    } else {
        let lacking = [
            (IDS, SandboxChange::UnshareUser),
            ("--disable-userns requires --unshare-user", SandboxChange::UnshareUser),
            ("--as-pid-1 requires --unshare-pid", SandboxChange::UnsharePid),
            ("--hostname requires --unshare-uts", SandboxChange::KeepHostname),
        ];
        let change = lacking.into_iter().find(|(part, _)| !case.failed() || is_of(case, part));
        Vec::new().or(change.map(|(_, change)| Remedy::change(change))).or([check])
    }
}

#[cfg(test)]
mod tests;
