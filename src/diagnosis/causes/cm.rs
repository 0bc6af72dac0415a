//! What the command says once it runs, or a helper of the launcher's before it: not bwrap's words, and taken for them.

use super::prelude::*;
use crate::diagnosis::evidence;
use crate::diagnosis::launcher::Launcher;

rules! {
    HelperConfined, Failed, [],
        unless "with `allowAllUnixSockets` the launcher's sandbox fails alike"
        => helper, |case| {
            let hidden = is_hidden(case).then(|| told!("agent-deny-less"));
            Vec::new().or(hidden).or([told!(CM01, "all-unix-sockets")])
        };

    DevicesUnusable, Failed, [],
        unless "inside, `ls -l /dev/null` shows a device, and `findmnt -T /dev/null` no nodev"
        => devices, |case| match devices_of(case) {
            // what is there is hidden again
            Some(Devices::Covered) => vec![told!(CM02, "dev-after-binds")],
            _ => told!(CM02, "dev-after-binds").or([told!(CM02, "dev-bind")]),
        };

    LibraryNotVisible, Failed, [],
        unless "inside, `ldd` on the program finds each of its libraries"
        => library, |case| {
            let steam = Launcher::of(case) == Some(Launcher::Steam);
            // what is relative to the program takes its path from there
            let shown = case.sandbox.and_then(|sandbox| sandbox.shows(Path::new("/proc/self/exe")));
            let proc = (shown != Some(true) && !steam).then(|| told!(CM03, "proc-for-origin"));
            let own = steam.then(|| told!(CM03, "steam-libraries"));
            Vec::new().or(own).or(proc).or([told!(CM03, "bind-libraries")])
        };

    RuntimeDamaged, Failed, [],
        unless "`flatpak repair` finds nothing, and another application of the same runtime starts"
        => damaged, |case| {
            if is_of_cache(case) {
                return vec![told!(CM04, "own-the-directory")];
            }
            vec![told!(CM04, "repair-runtime")]
        };

    NoNewPrivileges, Failed, [],
        unless "`grep NoNewPrivs /proc/self/status`, typed in the same place, prints 0"
        => |case| started(case, Cause::NoNewPrivileges, "the program says so");

    ZombiesLeft, Failed, [],
        unless "process 1 there is an init (`cat /proc/1/comm`): systemd, tini, docker-init, catatonit"
        => |case| said(case, Cause::ZombiesLeft, "ps shows one that has ended, and whose end nobody has asked for");
}

/// Whether the shell inside did not find the launcher's helper.
fn is_hidden(case: &Case<'_>) -> bool {
    let says = |line: String| {
        ["no such file", "not found"].iter().any(|words| line.to_ascii_lowercase().contains(words))
    };
    evidence::others_line(case, Cause::HelperConfined).is_some_and(says)
}

fn helper(case: &Case<'_>) -> Option<Judgement> {
    let hidden = is_hidden(case);
    let who = if hidden { "the shell inside says so" } else { "the helper inside says so" };
    let summary =
        "the launcher's helper cannot be seen inside: a rule of its settings hides where it is installed";
    Some(said(case, Cause::HelperConfined, who)?.summary(hidden.then_some(summary)))
}

/// What a line shows at /dev.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Devices {
    /// What a bind of / or nothing brings.
    None,
    /// Some, which a later bind of / hides.
    Covered,
    Sound,
}

fn devices_of(case: &Case<'_>) -> Option<Devices> {
    let operations = &case.sandbox?.operations;
    let on = |path| operations.iter().rposition(|operation| operation.destination() == Path::new(path));
    let (dev, root) = (on("/dev"), on("/"));
    Some(match dev {
        None => Devices::None,
        Some(dev) if root.is_some_and(|root| root > dev) => Devices::Covered,
        Some(_) => Devices::Sound,
    })
}

fn devices(case: &Case<'_>) -> Option<Judgement> {
    let found = said(case, Cause::DevicesUnusable, "the command says so")?;
    Some(match devices_of(case) {
        Some(Devices::Sound) => return None,
        Some(Devices::Covered) => found.asked(case, "a bind of / comes after /dev and hides it"),
        Some(Devices::None) => found
            .asked(case, "no operation puts a /dev there: what comes with / is bound without its devices"),
        None => if_started(case, found),
    })
}

fn library(case: &Case<'_>) -> Option<Judgement> {
    started(case, Cause::LibraryNotVisible, "its loader says so")
}

/// What ldconfig says where it may not write what Flatpak gives it for that: a directory of the application's, in its user's home.
const CACHE: &str = "ldconfig: Can't create temporary cache file";

fn is_of_cache(case: &Case<'_>) -> bool {
    evidence::others_line(case, Cause::RuntimeDamaged).is_some_and(|line| line.contains(CACHE))
}

/// Flatpak prints what wait(2) gives: a signal that ended ldconfig(8) is 128 and its number, in the second byte.
fn damaged(case: &Case<'_>) -> Option<Judgement> {
    let line = evidence::others_line(case, Cause::RuntimeDamaged)?;
    if is_of_cache(case) {
        let found = weigh(High).heard(case, format!("ldconfig says so: {line}"));
        return Some(found.summary(
            "ldconfig may not write the application's directory below ~/.var/app: it is another user's",
        ));
    }
    let Some((_, status)) = line.split_once("exit status ") else {
        return said(case, Cause::RuntimeDamaged, "Flatpak says so");
    };
    let status: i32 = status.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok()?;
    let signal = (status >> 8) - 128;
    // others than these say nothing of files
    rule_out(![libc::SIGILL, libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV].contains(&signal))?;
    weigh(High)
        .summary(format!(
            "signal {signal} ended ldconfig, which Flatpak runs first: the runtime's files are damaged"
        ))
        .heard(case, format!("Flatpak says so: {line}"))
        .into()
}

/// What a command says that may have been started by anybody.
fn started(case: &Case<'_>, of: Cause, who: &str) -> Option<Judgement> {
    Some(if_started(case, said(case, of, who)?))
}

fn if_started(case: &Case<'_>, found: Judgement) -> Judgement {
    let by_bwrap = case.sandbox.is_some()
        || case.others().any(|text| text.contains("bwrap") || text.contains("ubblewrap"));
    if by_bwrap || Launcher::of(case).is_some() {
        return found;
    }
    found.confidence(Low).unknown("whether bwrap started this command: nothing in the text says so")
}

fn said(case: &Case<'_>, of: Cause, who: &str) -> Option<Judgement> {
    let line = evidence::others_line(case, of)?;
    Some(weigh(Medium).heard(case, format!("{who}: {line}")))
}

/// What a text that is none of bwrap's is known to say.
pub(in crate::diagnosis) fn find(case: &Case<'_>) -> Option<Finding> {
    super::all()
        .filter(|rule| evidence::others_line(case, rule.cause).is_some())
        .find_map(|rule| rule.find(case))
}
