//! The contract: what every front does.

use std::time::{Duration, Instant};

use bwrap_launch::diagnosis::Cause;
use bwrap_launch::{
    Capture, Command, Ending, Error, Explain, Filter, Heard, IdRange, Limit, Limits, Namespaces, Resource,
    Sandbox, Stdio, Stop,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::common::{Case, Here, host, skip, within};
use crate::front::{Front, Std, Tokio};
use crate::inventory::{few_sandboxes, marked, token, unchanged};
use crate::support::{Kind, Numbers, SETTLE, released, share, stand_in, watch};

const LONG: Duration = Duration::from_secs(60);

/// Does a case in a front, and sees that everything is then as it was.
macro_rules! contract {
    ($($keep:ident $case:ident),+ $(,)?) => { &[$(
        (concat!("std::", stringify!($case)), |here: &Here| $keep(here, Std, $case)),
        (concat!("tokio::", stringify!($case)), |here: &Here| $keep(here, Tokio::one_thread(), $case)),
        (concat!("tokio-threads::", stringify!($case)), |here: &Here| $keep(here, Tokio::threads(), $case)),
    )+] };
}

pub(crate) use contract;

pub(crate) fn keep<F: Front>(here: &Here, front: F, case: impl Fn(&F, &Here)) {
    unchanged(&token(here), "the case", || case(&front, here));
    drop(front);
}

/// The watchdog stays as long as its caller.
fn keep_with_watchdog<F: Front>(here: &Here, front: F, case: impl Fn(&F, &Here)) {
    assert!(front.status(tied(here.command(&host(), "true"))).unwrap().success());
    keep(here, front, case);
}

pub(crate) const CASES: &[Case] = contract![
    keep what_ran_has_its_status,
    keep what_did_not_run_has_its_verdict,
    keep a_failure_is_explained,
    keep nothing_is_launched_for_nothing,
    keep output_is_all_of_it,
    keep output_has_its_limit,
    keep streams_are_piped,
    keep input_is_closed_by_waiting,
    keep limits_of_time,
    keep waiting_can_be_given_up,
    keep waiting_for_the_set_up,
    keep killing,
    keep killing_at_random_moments,
    keep a_bwrap_that_somebody_kills,
    keep holding,
    keep a_dropped_child_runs_on,
    keep a_dropped_child_has_its_grace,
    keep ids_are_mapped,
    keep a_filter_from_a_pipe,
    keep limits_of_time_at_random_moments,
    keep limits_hold,
    keep limits_that_cannot_be_set,
    keep_with_watchdog killing_while_limits_are_set,
    keep_with_watchdog dying_with_the_caller,
];

fn what_ran_has_its_status<F: Front>(front: &F, here: &Here) {
    for sandbox in few_sandboxes() {
        for (script, code) in
            [("exit 0", 0), ("exit 3", 3), ("sh -c 'kill -9 $$'; exit $?", 137), ("exit 255", 255)]
        {
            let status = front.status(marked(here, &sandbox, script)).unwrap();
            assert_eq!(status.raw(), code, "{script} in {sandbox}");
            let mut child = front.spawn(marked(here, &sandbox, script)).unwrap();
            assert_eq!(front.wait(&mut child).unwrap(), status, "{script} in {sandbox}");
            assert_eq!(front.wait(&mut child).unwrap(), status, "asked again");
            assert_eq!(front.try_wait(&mut child).unwrap(), Some(status), "asked again");
            assert_eq!(front.wait_timeout(&mut child, Duration::ZERO).unwrap(), Some(status), "asked again");
            front.kill(&mut child).unwrap();
        }
    }
}

/// Commands that do not run, and what that is called.
fn failing(here: &Here) -> Vec<(Command, Kind)> {
    let stuck = host().join_user_after_setup(std::fs::File::open("/proc/self/ns/user").unwrap());
    vec![
        (marked(here, &host().ro_bind("/nonexistent", "/mnt"), "true"), Kind::SetupFailed),
        (here.command(&host(), "no-such-program"), Kind::NotExecuted),
        (here.command(&host().unshare_all(), "/etc/passwd"), Kind::NotExecuted),
        (marked(here, &stuck, "true"), Kind::Refused),
    ]
}

fn what_did_not_run_has_its_verdict<F: Front>(front: &F, here: &Here) {
    for way in 0..4 {
        for (command, kind) in failing(here) {
            let line = command.to_string();
            let outcome = match way {
                0 => front.status(command),
                1 => front.output(command).map(|output| output.status),
                2 => front.status_timeout(command, LONG).map(|status| status.expect("in time")),
                _ => {
                    let mut child = front.spawn(command).unwrap();
                    let outcome = front.wait(&mut child);
                    assert_eq!(Kind::of(&front.wait(&mut child)), kind, "asked again: {line}");
                    let again = within(SETTLE, || !matches!(front.try_wait(&mut child), Ok(None)));
                    assert!(again && Kind::of(&front.wait(&mut child)) == kind, "{line}");
                    outcome
                }
            };
            assert_eq!(Kind::of(&outcome), kind, "{line}");
        }
    }
}

fn a_failure_is_explained<F: Front>(front: &F, here: &Here) {
    let broken = host().ro_bind("/nonexistent", "/mnt");
    let silent = || {
        let mut command = here.command(&broken, "true");
        command.stderr(Stdio::null());
        command
    };
    let error = front.status(silent()).unwrap_err();
    let failure = error.failure().unwrap();
    assert_eq!(failure.heard(), Heard::AskedAgain);
    assert_eq!(failure.message().unwrap().path().unwrap(), "/nonexistent");
    assert_eq!(error.diagnosis().unwrap().cause(), Some(Cause::SourceMissing));
    let mut child = front.spawn(silent()).unwrap();
    let error = front.wait(&mut child).unwrap_err();
    assert_eq!((error.failure().unwrap().heard(), error.diagnosis().is_some()), (Heard::Lost, true));
    let mut command = silent();
    command.explain(Explain::Nothing);
    let error = front.status(command).unwrap_err();
    assert_eq!((error.failure().unwrap().heard(), error.diagnosis().is_some()), (Heard::Lost, false));
    let error = front.output(here.command(&broken, "true")).unwrap_err();
    assert_eq!(error.failure().unwrap().heard(), Heard::Captured);
    // what is piped is captured, whoever reads it
    let mut command = here.command(&broken, "true");
    command.stderr(Stdio::piped());
    let mut child = front.spawn(command).unwrap();
    let error = front.wait(&mut child).unwrap_err();
    assert_eq!(error.failure().unwrap().heard(), Heard::Captured);
}

fn nothing_is_launched_for_nothing<F: Front>(front: &F, here: &Here) {
    let command = || here.command(&Sandbox::new().ro_bind("/", ""), "true");
    assert!(matches!(front.spawn(command()), Err(Error::Invalid(_))));
    assert!(matches!(front.output(command()), Err(Error::Invalid(_))));
    assert!(matches!(front.prepare(command()), Err(Error::Invalid(_))));
    assert!(matches!(front.status_timeout(command(), LONG), Err(Error::Invalid(_))));
    let two = host().seccomp(allow_all()).seccomp(allow_all());
    assert!(matches!(front.prepare(here.command(&two, "true")), Err(Error::Invalid(_))));
}

/// A filter that allows everything: `BPF_RET | BPF_K` with `SECCOMP_RET_ALLOW`.
fn allow_all() -> Filter {
    let (code, value) = (6_u16.to_ne_bytes(), 0x7fff_0000_u32.to_ne_bytes());
    Filter::new([code[0], code[1], 0, 0, value[0], value[1], value[2], value[3]])
}

fn output_is_all_of_it<F: Front>(front: &F, here: &Here) {
    const SIZE: usize = 3 << 20;
    for sandbox in few_sandboxes() {
        let script = format!("head -c {SIZE} /dev/zero & head -c {SIZE} /dev/zero >&2; wait; exit 4");
        let output = front.output(marked(here, &sandbox, &script)).unwrap();
        assert_eq!((output.status.raw(), output.stdout.len(), output.stderr.len()), (4, SIZE, SIZE));
        let mut command = marked(here, &sandbox, &script);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = front.wait_with_output(front.spawn(command).unwrap()).unwrap();
        assert_eq!((output.status.raw(), output.stdout.len(), output.stderr.len()), (4, SIZE, SIZE));
    }
    // what holds a stream open and is left behind in a PID namespace ends with it
    let sandbox = host().unshare(Namespaces::PID);
    let began = Instant::now();
    let output = front.output(marked(here, &sandbox, "echo x; sleep 50 &")).unwrap();
    assert_eq!(output.stdout, b"x\n");
    assert!(began.elapsed() < Duration::from_secs(20));
}

fn output_has_its_limit<F: Front>(front: &F, here: &Here) {
    for sandbox in few_sandboxes() {
        let mut command = marked(here, &sandbox, "seq 100000; seq 200000 >&2; exit 4");
        command.capture(Capture::ends(4, 7)).stderr(Stdio::merged());
        let output = front.output(command).unwrap();
        assert_eq!((output.status.raw(), output.stdout.as_slice()), (4, &b"1\n2\n200000\n"[..]));
        assert_eq!(output.stdout_cut().map(|cut| cut.missing), Some(588_895 + 1_288_895 - 11));
    }
}

fn streams_are_piped<F: Front>(front: &F, here: &Here) {
    // more than a pipe holds
    let text: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut command = marked(here, &host().unshare_all(), "head -c 5; cat >/dev/null; echo end");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = front.spawn(command).unwrap();
    front.write(&mut child, b"hello").unwrap();
    assert_eq!(front.read(&mut child, 5).unwrap(), b"hello");
    front.write(&mut child, &text).unwrap();
    assert_eq!(front.try_wait(&mut child).unwrap(), None);
    front.close(&mut child);
    let output = front.wait_with_output(child).unwrap();
    assert_eq!((output.status.success(), output.stdout.as_slice()), (true, &b"end\n"[..]));
}

fn input_is_closed_by_waiting<F: Front>(front: &F, here: &Here) {
    for sandbox in few_sandboxes() {
        let mut command = marked(here, &sandbox, "cat; exit 5");
        command.stdin(Stdio::piped());
        let mut child = front.spawn(command).unwrap();
        assert_eq!(front.wait(&mut child).unwrap().raw(), 5);
    }
}

fn limits_of_time<F: Front>(front: &F, here: &Here) {
    for sandbox in few_sandboxes() {
        let short = Duration::from_millis(150);
        let nap = || {
            let mut command = marked(here, &sandbox, "sleep 60");
            let holders = watch(&mut command);
            (command, holders)
        };
        let ((command, first), began) = (nap(), Instant::now());
        assert!(front.status_timeout(command, short).unwrap().is_none());
        let (command, second) = nap();
        assert!(front.output_timeout(command, short).unwrap().is_none());
        assert!(began.elapsed() >= 2 * short && began.elapsed() < LONG / 2);
        for holders in [first, second] {
            // without a PID namespace, too: bwrap's descendants are killed
            assert!(released(&holders, SETTLE), "something is left in {sandbox}");
        }
        let output = front.output_timeout(marked(here, &sandbox, "echo x"), LONG).unwrap().unwrap();
        assert_eq!(output.stdout, b"x\n");
        assert_eq!(front.status_timeout(marked(here, &sandbox, "exit 9"), LONG).unwrap().unwrap().raw(), 9);
    }
}

fn waiting_can_be_given_up<F: Front>(front: &F, here: &Here) {
    for sandbox in few_sandboxes() {
        let mut command = marked(here, &sandbox, "read x; exit 6");
        let (reader, mut writer) = std::io::pipe().unwrap();
        command.stdin(reader);
        let mut child = front.spawn(command).unwrap();
        for _ in 0..20 {
            assert_eq!(front.wait_timeout(&mut child, Duration::from_millis(2)).unwrap(), None);
            assert_eq!(front.try_wait(&mut child).unwrap(), None);
        }
        std::io::Write::write_all(&mut writer, b"\n").unwrap();
        assert_eq!(front.wait_timeout(&mut child, LONG).unwrap().unwrap().raw(), 6);
    }
}

fn waiting_for_the_set_up<F: Front>(front: &F, here: &Here) {
    for sandbox in few_sandboxes() {
        let mut child = front.spawn(marked(here, &sandbox, "exit 7")).unwrap();
        assert!(front.wait_ready_timeout(&mut child, LONG).unwrap());
        front.wait_ready(&mut child).unwrap();
        let (bwrap, inside) = front.pids(&mut child);
        assert!(inside.is_some_and(|inside| inside != bwrap));
        assert_eq!(front.wait(&mut child).unwrap().raw(), 7);
        assert_eq!(front.pids(&mut child), (bwrap, inside), "it is still known");
        front.wait_ready(&mut child).unwrap();
        let mut child = front.spawn(marked(here, &sandbox.ro_bind("/nonexistent", "/mnt"), "true")).unwrap();
        assert!(matches!(front.wait_ready(&mut child), Err(Error::SetupFailed(_))));
        assert!(matches!(front.wait_ready(&mut child), Err(Error::SetupFailed(_))), "asked again");
        assert!(matches!(front.wait(&mut child), Err(Error::SetupFailed(_))));
    }
}

fn killing<F: Front>(front: &F, here: &Here) {
    for sandbox in few_sandboxes() {
        let mut command = marked(here, &sandbox, "echo up; sleep 60");
        command.stdout(Stdio::piped());
        let mut child = front.spawn(command).unwrap();
        assert_eq!(front.read(&mut child, 3).unwrap(), b"up\n");
        front.kill(&mut child).unwrap();
        front.kill(&mut child).unwrap();
        let outcome = front.wait(&mut child);
        assert_eq!(Kind::of(&outcome), Kind::Ran(137), "{sandbox}");
        front.kill(&mut child).unwrap();
    }
}

fn killing_at_random_moments<F: Front>(front: &F, here: &Here) {
    let mut numbers = Numbers::new(23);
    let mut ran = 0;
    for sandbox in few_sandboxes().iter().cycle().take((60 / share()).max(4)) {
        let mut child = front.spawn(marked(here, sandbox, "exec sleep 60")).unwrap();
        numbers.pause(6_000);
        front.kill(&mut child).unwrap();
        let outcome = front.wait(&mut child);
        assert!(!matches!(Kind::of(&outcome), Kind::Ran(code) if code != 137), "{outcome:?}");
        ran += usize::from(outcome.is_ok());
    }
    println!("{ran} ran");
}

fn a_bwrap_that_somebody_kills<F: Front>(front: &F, here: &Here) {
    for sandbox in few_sandboxes() {
        let mut command = marked(here, &sandbox, "echo up; exec sleep 60");
        command.stdout(Stdio::piped());
        let mut child = front.spawn(command).unwrap();
        assert_eq!(front.read(&mut child, 3).unwrap(), b"up\n");
        let (bwrap, _) = front.pids(&mut child);
        kill_process(Pid::from_raw(bwrap.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
        assert!(matches!(front.wait(&mut child), Err(Error::Undecided(_))), "{sandbox}");
    }
}

fn holding<F: Front>(front: &F, here: &Here) {
    for sandbox in few_sandboxes() {
        let mut command = marked(here, &sandbox, "echo ran");
        command.stdout(Stdio::piped());
        let prepared = front.prepare(command).unwrap();
        let (bwrap, inside) = front.held_pids(&prepared);
        assert!(inside.is_some_and(|inside| inside != bwrap));
        let child = front.start(prepared).unwrap();
        assert_eq!(front.wait_with_output(child).unwrap().stdout, b"ran\n");
        // dropped, it never runs
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut command = marked(here, &sandbox, "echo ran");
        command.stdout(writer);
        drop(front.prepare(command).unwrap());
        assert_eq!(std::io::read_to_string(&mut reader).unwrap(), "");
        let prepared = front.prepare_timeout(marked(here, &sandbox, "exit 8"), LONG).unwrap().unwrap();
        let mut child = front.start(prepared).unwrap();
        assert_eq!(front.wait(&mut child).unwrap().raw(), 8);
        // killed meanwhile
        let prepared = front.prepare(marked(here, &sandbox, "true")).unwrap();
        let (bwrap, _) = front.held_pids(&prepared);
        kill_process(Pid::from_raw(bwrap.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
        let ended = front.start(prepared).and_then(|mut child| front.wait(&mut child));
        assert!(!matches!(Kind::of(&ended), Kind::Ran(_)), "{ended:?} in {sandbox}");
        let broken = marked(here, &sandbox.ro_bind("/nonexistent", "/mnt"), "true");
        assert!(matches!(front.prepare(broken), Err(Error::SetupFailed(_))));
    }
}

fn a_dropped_child_runs_on<F: Front>(front: &F, here: &Here) {
    for (number, sandbox) in few_sandboxes().into_iter().enumerate() {
        let mark = here.scratch.join(format!("mark-{number}"));
        let script = format!("sleep 0.1; : > {}", mark.display());
        drop(front.spawn(marked(here, &sandbox.bind(&here.scratch, &here.scratch), &script)).unwrap());
        assert!(within(SETTLE, || mark.exists()), "it was ended");
    }
}

fn a_dropped_child_has_its_grace<F: Front>(front: &F, here: &Here) {
    let [began, asked] = ["began", "asked"].map(|name| here.scratch.join(name));
    let script =
        format!("trap ': > {}; exit' TERM; : > {}; sleep 60 & wait", asked.display(), began.display());
    let sandbox = host().unshare(Namespaces::PID).bind(&here.scratch, &here.scratch);
    let mut command = marked(here, &sandbox, &script);
    command.kill_on_drop(true).grace(Duration::from_secs(60));
    let prepared = front.prepare(command).unwrap();
    let killer = front.held_killer(&prepared);
    let child = front.start(prepared).unwrap();
    assert!(within(SETTLE, || began.exists()));
    drop(child);
    assert!(within(SETTLE, || asked.exists()), "it was not asked to end");
    assert_eq!(killer.stopped(), Some(Stop::Drop));
}

fn ids_are_mapped<F: Front>(front: &F, here: &Here) {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    if !here.root && nix::unistd::User::from_uid(uid.into()).ok().flatten().is_none() {
        skip("newuidmap maps ids of users with a name only; scripts/test-tools makes one");
    }
    // the subordinate ids that scripts/test-tools gives to its user
    let ids = |own| [IdRange::new(0, own, 1), IdRange::new(1, 600_000, 1000)];
    let sandbox = host().proc("/proc").unshare(Namespaces::USER | Namespaces::PID);
    let sandbox = sandbox.map_uids(ids(uid)).map_gids(ids(gid));
    let output = front.output(here.shell(&sandbox, "tr -s ' ' < /proc/self/uid_map")).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!(" 0 {uid} 1\n 1 600000 1000\n"));
    let held = front.prepare(here.shell(&sandbox, "exit 3")).unwrap();
    let mut child = front.start(held).unwrap();
    assert_eq!(front.wait(&mut child).unwrap().raw(), 3);
    // a bwrap that never says which process it is about
    let hangs = stand_in(here, "hangs", "exec sleep 60");
    let mut command = sandbox.command("true");
    command.bwrap(&hangs);
    assert!(front.status_timeout(command, Duration::from_millis(100)).unwrap().is_none());
    let mut command = sandbox.command("true");
    command.bwrap(&hangs).timeout(Duration::from_millis(100));
    let error = front.status(command).unwrap_err();
    assert_eq!(error.ending(), Ending::Stopped(Stop::Timeout), "{error}");
}

fn a_filter_from_a_pipe<F: Front>(front: &F, here: &Here) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let sandbox = host().seccomp(Filter::new(std::os::fd::OwnedFd::from(reader)));
    let late = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        let (code, value) = (6_u16.to_ne_bytes(), 0x7fff_0000_u32.to_ne_bytes());
        std::io::Write::write_all(
            &mut writer,
            &[code[0], code[1], 0, 0, value[0], value[1], value[2], value[3]],
        )
        .unwrap();
    });
    assert_eq!(front.status(marked(here, &sandbox, "exit 3")).unwrap().raw(), 3);
    late.join().unwrap();
    // whoever writes it takes longer than there is time
    let (reader, writer) = std::io::pipe().unwrap();
    let sandbox = host().seccomp(Filter::new(std::os::fd::OwnedFd::from(reader)));
    let limit = Duration::from_millis(50);
    assert!(front.status_timeout(marked(here, &sandbox, "true"), limit).unwrap().is_none());
    assert!(front.prepare_timeout(marked(here, &sandbox, "true"), limit).unwrap().is_none());
    drop(writer);
}

fn limits_of_time_at_random_moments<F: Front>(front: &F, here: &Here) {
    let mut numbers = Numbers::new(29);
    let mut late = 0;
    let launches = (80 / share()).max(4);
    for sandbox in few_sandboxes().iter().cycle().take(launches) {
        let limit = Duration::from_micros(numbers.below(12_000));
        let mut command = marked(here, sandbox, "true & true");
        let holders = watch(&mut command);
        late += usize::from(match numbers.below(3) {
            0 => front.status_timeout(command, limit).unwrap().is_none(),
            1 => front.output_timeout(command, limit).unwrap().is_none(),
            _ => front.prepare_timeout(command, limit).unwrap().is_none(),
        });
        assert!(released(&holders, SETTLE), "something is left in {sandbox}");
    }
    println!("{late} of {launches} were late");
}

fn tied(mut command: Command) -> Command {
    command.die_with_caller(true);
    command
}

fn dying_with_the_caller<F: Front>(front: &F, here: &Here) {
    for sandbox in few_sandboxes() {
        let command = |script| tied(marked(here, &sandbox, script));
        assert_eq!(front.status(command("exit 3")).unwrap().raw(), 3, "{sandbox}");
        assert_eq!(front.output(command("echo hello")).unwrap().stdout, b"hello\n", "{sandbox}");
        let mut child = front.spawn(command("exit 4")).unwrap();
        assert_eq!(front.wait(&mut child).unwrap().raw(), 4, "{sandbox}");
        let held = front.prepare(command("exit 5")).unwrap();
        let mut child = front.start(held).unwrap();
        assert_eq!(front.wait(&mut child).unwrap().raw(), 5, "{sandbox}");
        drop(front.prepare(command("exit 6")).unwrap());
        let limit = Duration::from_millis(50);
        assert!(front.status_timeout(command("sleep 60"), limit).unwrap().is_none(), "{sandbox}");
        let two = sandbox.clone().seccomp(allow_all()).seccomp(allow_all());
        assert!(matches!(front.spawn(tied(here.command(&two, "true"))), Err(Error::Invalid(_))));
    }
    for (command, kind) in failing(here) {
        let line = command.to_string();
        assert_eq!(Kind::of(&front.status(tied(command))), kind, "{line}");
    }
}

/// What a command with these limits says of them.
const LIMITED: &[u8] = b"37\n7\n";

fn limited(here: &Here, sandbox: &Sandbox, limits: &Limits) -> Command {
    let mut command = marked(here, sandbox, "ulimit -n; nice");
    command.limits(&limits.clone().rlimit(Resource::OpenFiles, 37, 37).nice(7)).stdout(Stdio::piped());
    command
}

fn limits_hold<F: Front>(front: &F, here: &Here) {
    let nice = rustix::process::getpriority_process(None).unwrap();
    assert_ne!(nice, 7, "this case itself is as nice");
    for sandbox in few_sandboxes() {
        let command = || limited(here, &sandbox, &Limits::new());
        assert_eq!(front.output(command()).unwrap().stdout, LIMITED, "output in {sandbox}");
        let output = front.output_timeout(command(), LONG).unwrap().expect("in time");
        assert_eq!(output.stdout, LIMITED, "output_timeout in {sandbox}");
        let child = front.spawn(command()).unwrap();
        assert_eq!(front.wait_with_output(child).unwrap().stdout, LIMITED, "spawn in {sandbox}");
        let held = front.prepare(command()).unwrap();
        let child = front.start(held).unwrap();
        assert_eq!(front.wait_with_output(child).unwrap().stdout, LIMITED, "prepare in {sandbox}");
        let status = |script: &str| {
            let mut command = marked(here, &sandbox, script);
            command.limits(&Limits::new().nice(7));
            command
        };
        assert_eq!(front.status(status("exit $(nice)")).unwrap().raw(), 7, "status in {sandbox}");
        let ended = front.status_timeout(status("exit $(nice)"), LONG).unwrap().expect("in time");
        assert_eq!(ended.raw(), 7, "status_timeout in {sandbox}");
        // its time is as limited as ever
        let mut command = status("sleep 60");
        command.timeout(Duration::from_millis(300));
        // (on a busy machine perhaps before the command begins)
        assert_eq!(Ending::of(&front.status(command)), Ending::Stopped(Stop::Timeout), "{sandbox}");
        assert!(front.status_timeout(status("sleep 60"), Duration::from_millis(50)).unwrap().is_none());
    }
}

/// In a group, too, where there may be one: entering it takes the longest.
fn killing_while_limits_are_set<F: Front>(front: &F, here: &Here) {
    let limits = Limits::new().nice(7).rlimit(Resource::Core, 0, 0).optional(Limit::PidsMax(50));
    let mut numbers = Numbers::new(24);
    let (mut starting, mut started) = (0, 0);
    for (round, sandbox) in few_sandboxes().iter().cycle().take((120 / share()).max(8)).enumerate() {
        let mut command = marked(here, sandbox, "exec sleep 60");
        command.limits(&limits).die_with_caller(round % 2 == 0);
        let prepared = front.prepare(command).unwrap();
        let killer = front.held_killer(&prepared);
        let ended = std::thread::scope(|scope| {
            scope.spawn(|| {
                numbers.pause(15_000);
                killer.kill().unwrap();
            });
            let child = front.start(prepared);
            starting += usize::from(child.is_err());
            started += usize::from(child.is_ok());
            child.and_then(|mut child| front.wait(&mut child))
        });
        assert_eq!(Ending::of(&ended), Ending::Stopped(Stop::Cancel), "{ended:?} in {sandbox}");
    }
    println!("counted: {starting} killed while they were started, {started} later");
}

fn limits_that_cannot_be_set<F: Front>(front: &F, here: &Here) {
    let missing = Limits::new().below("/bwrap-launch-no-such-group");
    let must = missing.clone().memory_max(1 << 30);
    for sandbox in few_sandboxes() {
        let command = |limits: &Limits| {
            let (reader, writer) = std::io::pipe().unwrap();
            let mut command = marked(here, &sandbox, "echo ran; nice");
            command.limits(limits).stdout(writer);
            (command, reader)
        };
        let ways: [&dyn Fn(Command) -> Option<Error>; 3] =
            [&|command| front.status(command).err(), &|command| front.spawn(command).err(), &|command| {
                front.prepare(command).and_then(|held| front.start(held)).err()
            }];
        for way in ways {
            let (command, reader) = command(&must);
            assert!(matches!(way(command), Some(Error::Limit(_))), "{sandbox}");
            assert_eq!(std::io::read_to_string(reader).unwrap(), "", "it ran in {sandbox}");
        }
        // without what is optional it runs, with all that can be set
        let (command, reader) = command(&missing.clone().optional(Limit::MemoryMax(1 << 30)).nice(7));
        assert!(front.status(command).unwrap().success());
        assert_eq!(std::io::read_to_string(reader).unwrap(), "ran\n7\n", "{sandbox}");
        let two = sandbox.seccomp(allow_all()).seccomp(allow_all());
        let mut command = here.command(&two, "true");
        command.limits(&Limits::new().nice(7));
        assert!(matches!(front.spawn(command), Err(Error::Invalid(_))));
    }
}
