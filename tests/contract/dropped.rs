//! What is true of futures only: they can be dropped at any time.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use bwrap_launch::{Error, Limit, Limits, Sandbox, Stdio, Step, tokio as front};

use crate::cases;
use crate::common::{Case, Here, described, host};
use crate::front::Tokio;
use crate::inventory::{few_sandboxes, marked, token, unchanged};
use crate::support::{Numbers, SETTLE, released, share, stand_in, watch};

pub(crate) const CASES: &[Case] = cases![
    futures_dropped_at_random_moments,
    children_dropped_at_random_moments,
    waits_of_one_child_dropped_at_random_moments,
    a_bwrap_that_never_reports_is_ended,
    a_runtime_that_ends_leaves_nothing,
    without_a_runtime_there_is_an_error,
    a_runtime_without_io_or_time_is_an_error,
    the_runtime_goes_on_meanwhile,
];

fn command(here: &Here, sandbox: &Sandbox, script: &str) -> front::Command {
    marked(here, sandbox, script).into()
}

/// Both kinds of runtimes.
fn runtimes() -> [Tokio; 2] {
    [Tokio::one_thread(), Tokio::threads()]
}

/// Does something for so long. Says whether it was done.
async fn for_a_while(limit: Duration, work: impl Future) -> bool {
    tokio::time::timeout(limit, pin!(work)).await.is_ok()
}

fn futures_dropped_at_random_moments(here: &Here) {
    for runtime in runtimes() {
        unchanged(&token(here), "futures dropped", || {
            let (mut numbers, mut dropped) = (Numbers::new(31), 0);
            let launches = (200 / share()).max(8);
            for (number, sandbox) in few_sandboxes().iter().cycle().take(launches).enumerate() {
                let mut command = command(here, sandbox, "exec sleep 60");
                if number % 3 == 0 {
                    // a control group, where there can be one
                    command.limits(&Limits::new().optional(Limit::Accounting));
                }
                let holders = watch(command.as_std_mut());
                let limit = Duration::from_micros(numbers.below(10_000));
                dropped += usize::from(!runtime.0.block_on(async {
                    match number / 4 % 4 {
                        0 => for_a_while(limit, command.status()).await,
                        1 => for_a_while(limit, command.output()).await,
                        // dropped with what comes of it
                        2 => for_a_while(limit, command.prepare()).await,
                        _ => for_a_while(limit, command.kill_on_drop(true).spawn()).await,
                    }
                }));
                drop(command);
                let left =
                    if released(&holders, SETTLE) { Vec::new() } else { crate::common::holders(&holders) };
                assert!(left.is_empty(), "way {}: {} in {sandbox}", number / 4 % 4, described(&left));
            }
            println!("{dropped} of {launches} were not done");
        });
    }
}

fn children_dropped_at_random_moments(here: &Here) {
    for runtime in runtimes() {
        unchanged(&token(here), "children dropped", || {
            let mut numbers = Numbers::new(37);
            for sandbox in few_sandboxes().iter().cycle().take((80 / share()).max(4)) {
                let mut command = command(here, sandbox, "exec sleep 60");
                let holders = watch(command.as_std_mut());
                let child = runtime.0.block_on(command.kill_on_drop(true).spawn()).unwrap();
                numbers.pause(6_000);
                drop((child, command));
                assert!(released(&holders, SETTLE), "something is left in {sandbox}");
            }
        });
    }
}

fn waits_of_one_child_dropped_at_random_moments(here: &Here) {
    for runtime in runtimes() {
        unchanged(&token(here), "waits dropped", || {
            let mut numbers = Numbers::new(41);
            for sandbox in few_sandboxes().iter().cycle().take((12 / share()).max(4)) {
                let mut command = command(here, sandbox, "sleep 0.05; exit 5");
                runtime.0.block_on(async {
                    let mut child = command.spawn().await.unwrap();
                    let mut limit = || Duration::from_micros(numbers.below(3_000));
                    for _ in 0..30 {
                        for_a_while(limit(), child.wait_ready()).await;
                        for_a_while(limit(), child.wait()).await;
                    }
                    assert_eq!(child.wait().await.unwrap().raw(), 5);
                });
                // while it is found out why it failed, too
                let mut command = front::Command::from(
                    here.command(&sandbox.clone().ro_bind("/nonexistent", "/mnt"), "true"),
                );
                runtime.0.block_on(async {
                    let mut child = command.stderr(Stdio::null()).spawn().await.unwrap();
                    while !for_a_while(Duration::from_micros(numbers.below(500)), child.wait()).await {}
                    assert!(matches!(child.wait().await, Err(Error::SetupFailed(_))));
                });
            }
        });
    }
}

fn a_bwrap_that_never_reports_is_ended(here: &Here) {
    let bwrap = stand_in(here, "hangs", "exec sleep 60");
    for runtime in runtimes() {
        unchanged("no token", "a bwrap that hangs", || {
            let mut command = front::Command::new(&host(), "true");
            command.bwrap(&bwrap);
            let holders = watch(command.as_std_mut());
            runtime.0.block_on(async {
                let mut child = command.spawn().await.unwrap();
                // half a second is given; a busy machine may take as long for less
                let mut given = false;
                for _ in 0..3 {
                    given = !for_a_while(Duration::from_millis(100), child.kill()).await;
                    if given {
                        break;
                    }
                    let _ = child.wait().await;
                    child = command.spawn().await.unwrap();
                }
                assert!(given, "half a second is given");
                child.kill().await.unwrap();
                assert!(child.wait().await.is_err());
                assert!(!for_a_while(Duration::from_millis(100), command.status()).await);
                assert!(!for_a_while(Duration::from_millis(100), command.prepare()).await);
            });
            drop(command);
            assert!(released(&holders, SETTLE));
        });
    }
}

fn a_runtime_that_ends_leaves_nothing(here: &Here) {
    unchanged(&token(here), "a runtime that ended", || {
        for runtime in runtimes() {
            let mut command = command(here, &host().unshare_all(), "exec sleep 60");
            let holders = watch(command.as_std_mut());
            let child = runtime.0.block_on(command.kill_on_drop(true).spawn()).unwrap();
            let held = runtime.0.block_on(command.prepare()).unwrap();
            let task = runtime.0.spawn(async move { command.status().await });
            runtime.0.block_on(async { tokio::time::sleep(Duration::from_millis(20)).await });
            drop(runtime);
            drop((child, held, task));
            assert!(released(&holders, SETTLE));
        }
    });
}

fn without_a_runtime_there_is_an_error(here: &Here) {
    let poll = |future: &mut (dyn Future<Output = Result<(), Error>> + Unpin)| {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::Pin::new(future).poll(&mut context)
    };
    let refused = |step: Step, polled: std::task::Poll<Result<(), Error>>| match polled {
        std::task::Poll::Ready(Err(Error::System { step: met, source, .. })) => {
            assert_eq!(met, step);
            assert!(source.to_string().contains("no reactor running"), "{source}");
        }
        other => panic!("{other:?}"),
    };
    let mut command = command(here, &host(), "exec sleep 60");
    let outside = Step::EnterRuntime;
    assert!(!outside.launched());
    refused(outside, poll(&mut pin!(async { command.spawn().await.map(drop) })));
    refused(outside, poll(&mut pin!(async { command.output().await.map(drop) })));
    refused(outside, poll(&mut pin!(async { command.prepare().await.map(drop) })));
    // launched within, and waited for outside
    let runtime = Tokio::one_thread();
    let mut child = runtime.0.block_on(command.kill_on_drop(true).spawn()).unwrap();
    refused(Step::WaitForBwrap, poll(&mut pin!(async { child.wait().await.map(drop) })));
    // and within again
    assert!(runtime.0.block_on(child.wait_timeout(Duration::ZERO)).unwrap().is_none());
}

/// Tokio says so by a panic.
fn a_runtime_without_io_or_time_is_an_error(here: &Here) {
    std::panic::set_hook(Box::new(|_| {}));
    for (lacks, io) in [("I/O", false), ("timers", true)] {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = if io { builder.enable_io().build() } else { builder.enable_time().build() }.unwrap();
        let error = runtime.block_on(command(here, &host(), "exec sleep 60").status()).unwrap_err();
        let whole = format!("{error} {:?}", std::error::Error::source(&error));
        assert!(whole.contains(&format!("without {lacks}")) && whole.contains("enable_all()"), "{whole}");
    }
    drop(std::panic::take_hook());
}

/// A task that ticks beside them is never held up for long, whatever a launch meets.
fn the_runtime_goes_on_meanwhile(here: &Here) {
    let slow = stand_in(here, "slow", "sleep 1; exit 1");
    let runtime = Tokio::one_thread();
    // a busy machine holds it up, too, but not each time
    let longest = (0..5).map(|_| longest_tick(here, &runtime, &slow)).find(|longest| *longest < HELD_UP);
    assert!(longest.is_some(), "a task was held up for {HELD_UP:?} each time");
}

const HELD_UP: Duration = Duration::from_millis(500);

/// How long a task that ticks was held up at most while sandboxes were launched, one of them by a bwrap that takes a second to fail.
fn longest_tick(here: &Here, runtime: &Tokio, slow: &bwrap_launch::Bwrap) -> Duration {
    runtime.0.block_on(async {
        let ticking = tokio::spawn(async {
            let mut longest = Duration::ZERO;
            for _ in 0..100 {
                let began = std::time::Instant::now();
                tokio::time::sleep(Duration::from_millis(10)).await;
                longest = longest.max(began.elapsed());
            }
            longest
        });
        let mut command = front::Command::new(&host(), "true");
        // it refuses late, and is then asked again
        command.bwrap(slow).stderr(Stdio::null()).stdout(Stdio::null());
        assert!(command.status().await.is_err());
        let mut command = front::Command::new(&host(), "sleep");
        command.arg("60").bwrap(&here.bwrap);
        let mut child = command.spawn().await.unwrap();
        child.kill().await.unwrap();
        let _ = child.wait().await;
        drop(command.prepare().await.unwrap());
        ticking.await.unwrap()
    })
}
