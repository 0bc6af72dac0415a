//! Stand-ins for bwrap that do what no bwrap should: wrappers that hang, say nothing, or leave something behind.

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::bwrap::stand_in::{dies, script};

/// What the trials' sandboxes need, so that no real bwrap is.
const HELP: &str = "--args --json-status-fd --block-fd --seccomp --add-seccomp-fd --info-fd --sync-fd --clearenv --setenv --unsetenv --ro-bind \
                    --bind --proc --dev --tmpfs --unshare-all --unshare-user --unshare-user-try --unshare-ipc --unshare-pid \
                    --unshare-net --unshare-uts --unshare-cgroup --unshare-cgroup-try --new-session --die-with-parent --chdir";

/// A bwrap that answers for itself and then does what the script says. `$DIR` is its directory.
fn stand_in(body: &str) -> (TempDir, Bwrap) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bwrap");
    let text = format!(
        "PATH=/usr/bin:/bin; DIR=${{0%/*}}\ncase $1 in --version) echo bubblewrap 0.8.0; exit;; --help) for word in {HELP}; do echo \
         \"    $word\"; done; exit;; esac\n{body}"
    );
    script(&path, &text);
    let bwrap = Bwrap::at(path).unwrap();
    (directory, bwrap)
}

#[test]
fn a_probe_keeps_its_deadline_and_leaves_nothing() {
    for (what, script) in [
        ("it hangs", "sleep 60"),
        ("it hangs in processes that it started", "(sleep 60 & echo $! >>$DIR/pids; sleep 60); sleep 60"),
        (
            "it closes what it does not know",
            "exec 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&- 2>&-; sleep 60 & echo $! >>$DIR/pids; wait",
        ),
    ] {
        let (directory, bwrap) = stand_in(&format!("echo $$ >>$DIR/own; {script}"));
        let began = Instant::now();
        let probe = probe_until(&bwrap, began + Duration::from_millis(500)).unwrap();
        assert!(began.elapsed() < Duration::from_secs(20), "{what}: {:?}", began.elapsed());
        // what was not tried is not reported
        assert_eq!(probe.trials.len(), 1, "{what}: {probe}");
        assert!(matches!(probe.trials[0].outcome, TrialOutcome::TimedOut), "{what}: {probe}");
        let answers = (probe.works_without_network_namespace(), probe.works_with_network_namespace());
        assert_eq!((probe.works(), answers), (false, (Some(false), None)), "{what}");
        assert!(probe.to_string().contains("no time for more sandboxes with a network"), "{probe}");
        let read = |name| std::fs::read_to_string(directory.path().join(name)).unwrap_or_default();
        for pid in read("own").lines() {
            assert!(!Path::new("/proc").join(pid).exists(), "{what}: not even a zombie");
        }
        assert!(read("pids").lines().all(dies), "{what}");
    }
}

#[test]
fn whoever_fails_without_a_word_is_not_asked_again() {
    let (directory, bwrap) = stand_in("echo x >>$DIR/count; exit 1");
    let probe = probe_until(&bwrap, Instant::now() + PATIENCE).unwrap();
    let count = std::fs::read_to_string(directory.path().join("count")).unwrap().lines().count();
    assert_eq!(count, probe.trials.len());
    // with and without a network; root may do without a user namespace, which is tried, too
    assert_eq!(count, if getuid().is_root() { 4 } else { 2 });
    assert_eq!(
        (probe.works_without_network_namespace(), probe.works_with_network_namespace()),
        (Some(false), Some(false))
    );
    assert!(matches!(probe.failure().unwrap().trial, Trial::Root));
}

#[test]
fn the_reason_is_found_where_bwrap_cannot_start() {
    let (directory, bwrap) = stand_in("exit 0");
    std::fs::remove_file(directory.path().join("bwrap")).unwrap();
    let error = probe(&bwrap).unwrap_err();
    assert!(matches!(error, Error::System { .. }), "{error}");
    let TrialOutcome::Failed { error, diagnosis } = try_sandbox(&bwrap, &Sandbox::new().ro_bind("/", "/"))
    else {
        panic!("it started")
    };
    assert_eq!(diagnosis.as_deref(), error.diagnosis());
}

#[test]
fn a_probe_that_ran_out_of_time_promises_nothing() {
    let report = |trial: Trial, outcome| TrialReport {
        trial,
        user_namespace: true,
        sandbox: trial.sandbox(),
        outcome,
    };
    let mut probe = Probe { trials: Vec::new() };
    assert_eq!((probe.works(), probe.works_without_network_namespace()), (false, None));
    probe.trials.push(report(Trial::Root, TrialOutcome::Works));
    assert_eq!((probe.works(), probe.works_without_network_namespace()), (false, None));
    probe.trials.push(report(Trial::Devices, TrialOutcome::Works));
    let answers = (probe.works_without_network_namespace(), probe.works_with_network_namespace());
    assert_eq!((probe.works(), answers), (false, (Some(true), None)));
    probe.trials.push(report(Trial::Everything, TrialOutcome::TimedOut));
    assert!(matches!(probe.failure().unwrap().trial, Trial::Everything));
    probe
        .trials
        .push(TrialReport { user_namespace: false, ..report(Trial::Everything, TrialOutcome::Works) });
    assert!(probe.works() && probe.works_only_without_user_namespace() && probe.failure().is_none());
    assert!(probe.to_string().contains(", without a user namespace"), "{probe}");
}

/// Its own filter, and its descriptors, are the trial's affair.
#[test]
fn what_cannot_be_held_is_tried_without() {
    let (directory, bwrap) = stand_in("echo x >>$DIR/count; exit 1");
    let count =
        || std::fs::read_to_string(directory.path().join("count")).unwrap_or_default().lines().count();
    let filter = || vec![6_u8, 0, 0, 0, 0, 0, 0xff, 0x7f];
    let sandbox = Sandbox::new().ro_bind("/", "/").seccomp(filter()).seccomp(filter());
    let outcome = try_sandbox(&bwrap, &sandbox);
    assert!(
        matches!(&outcome, TrialOutcome::Failed { error, .. } if error.failure().is_some()),
        "{outcome:?}"
    );
    assert_eq!(count(), 1);
    // what a filter of the line's own is refused for is not
    let refuses =
        "echo x >>$DIR/count; echo 'bwrap: prctl(PR_SET_SECCOMP): Operation not permitted' >&2; exit 1";
    for (sandbox, tried) in [(Sandbox::new(), 2), (Sandbox::new().seccomp(filter()), 1)] {
        let (directory, bwrap) = stand_in(refuses);
        assert!(!try_sandbox(&bwrap, &sandbox.ro_bind("/", "/")).works());
        let count = std::fs::read_to_string(directory.path().join("count")).unwrap().lines().count();
        assert_eq!(count, tried);
    }
}

#[test]
fn a_command_is_tried_with_all_checks_of_its_launch() {
    let (directory, bwrap) = stand_in("echo x >>$DIR/count; exit 1");
    let mut command = Sandbox::new().ro_bind("/", "/").command("true");
    command.args((0..9_000).map(|number| number.to_string()));
    let outcome = try_command(&bwrap, &command);
    assert!(matches!(outcome, TrialOutcome::Failed { error: Error::Invalid(_), .. }), "{outcome:?}");
    let outcome = try_command(&bwrap, &Sandbox::new().ro_bind("/", "/").command(""));
    assert!(matches!(outcome, TrialOutcome::Failed { error: Error::Invalid(_), .. }), "{outcome:?}");
    // nothing was started for that
    assert!(!directory.path().join("count").exists());
}
