//! Many sandboxes: pools, groups, hundreds alive at a time, thousands one after the other.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use bwrap_launch::{
    Command, Error, ExitStatus, Group, Limit, Limits, Pool, Prepared, Sandbox, Stdio, tokio as front,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt;

use crate::cases;
use crate::common::{Case, Here, host, within};
use crate::front::Tokio;
use crate::inventory::{Inventory, few_sandboxes, marked, sandboxes, token, unchanged};
use crate::support::{Kind, SETTLE, released, share, stand_in, watch};
use crate::thief::{beside_a_fork_and_a_thief, load};

pub(crate) const CASES: &[Case] = cases![
    a_pool_is_kept_full,
    a_pool_for_tokio_is_kept_full,
    a_pool_that_cannot_be_filled,
    a_pool_whose_limits_cannot_be_set,
    what_a_pool_gives_is_limited,
    a_group_ends_one_by_one,
    a_group_for_tokio_ends_one_by_one,
    hundreds_are_alive,
    hundreds_are_alive_for_tokio,
    thousands_of_launches_beside_a_fork_and_a_thief,
];

/// A shell that reads what to do from its input.
fn reader(here: &Here, sandbox: &Sandbox) -> Command {
    let mut command = here.command(sandbox, "sh");
    command.args(["-s", &token(here)]).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// Kills every bwrap of this case that is a child of ours, and sees that they have ended.
fn kill_all(here: &Here) {
    let own = std::process::id().to_string();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| {
            String::from_utf8_lossy(&fs::read(entry.path().join(name)).unwrap_or_default()).into_owned()
        };
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let ours =
            read("stat").rsplit(')').next().is_some_and(|rest| rest.split_whitespace().nth(1) == Some(&own));
        if ours && read("cmdline").contains(&token(here)) {
            kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
            let ends = || {
                let stat = read("stat");
                stat.is_empty() || stat.contains(") Z ") || stat.contains(") X ")
            };
            assert!(within(SETTLE, ends), "process {pid} does not end");
        }
    }
}

fn a_pool_is_kept_full(here: &Here) {
    for sandbox in few_sandboxes() {
        unchanged(&token(here), "a pool", || {
            let mut command = reader(here, &sandbox);
            let holders = watch(&mut command);
            let pool = Pool::new(command, 3).unwrap();
            pool.fill().unwrap();
            assert_eq!((pool.ready(), pool.size()), (3, 3));
            // more than it has
            for number in 0..8 {
                let mut child = pool.take().unwrap().start().unwrap();
                let script = format!("echo {number}; exit 4");
                std::io::Write::write_all(child.stdin.as_mut().unwrap(), script.as_bytes()).unwrap();
                let output = child.wait_with_output().unwrap();
                assert_eq!((output.status.raw(), output.stdout), (4, format!("{number}\n").into_bytes()));
            }
            assert!(pool.fill_timeout(SETTLE).unwrap());
            // what is broken is not given out
            kill_all(here);
            for _ in 0..3 {
                let mut child = pool.take_timeout(SETTLE).unwrap().unwrap().start().unwrap();
                assert_eq!(Kind::of(&child.wait()), Kind::Ran(0), "{sandbox}");
            }
            assert!(pool.fill_timeout(SETTLE).unwrap());
            // and is replaced although nobody asks
            kill_all(here);
            let whole =
                || pool.ready() == 3 && Inventory::take("no token").new_children(&Inventory::default()) == 3;
            assert!(within(SETTLE, whole), "it is not filled again");
            drop(pool);
            assert!(released(&holders, SETTLE), "something is left in {sandbox}");
        });
    }
}

fn a_pool_for_tokio_is_kept_full(here: &Here) {
    for (runtime, sandbox) in [Tokio::one_thread(), Tokio::threads()].iter().zip(few_sandboxes().iter().rev())
    {
        unchanged(&token(here), "a pool", || {
            let mut command = front::Command::from(reader(here, sandbox));
            let holders = watch(command.as_std_mut());
            runtime.0.block_on(async {
                let pool = front::Pool::new(command, 2).unwrap();
                pool.fill().await.unwrap();
                assert_eq!((pool.ready(), pool.size()), (2, 2));
                for number in 0..6 {
                    let mut child = pool.take().await.unwrap().start().await.unwrap();
                    let script = format!("echo {number}; exit 4");
                    child.stdin.as_mut().unwrap().write_all(script.as_bytes()).await.unwrap();
                    let output = child.wait_with_output().await.unwrap();
                    assert_eq!((output.status.raw(), output.stdout), (4, format!("{number}\n").into_bytes()));
                }
                pool.fill().await.unwrap();
                kill_all(here);
                let mut child = pool.take().await.unwrap().start().await.unwrap();
                assert_eq!(Kind::of(&child.wait().await), Kind::Ran(0), "{sandbox}");
                // taken, and not started
                drop(pool.take().await.unwrap());
            });
            assert!(released(&holders, SETTLE), "something is left in {sandbox}");
        });
    }
}

fn what_a_pool_gives_is_limited(here: &Here) {
    let runtime = Tokio::threads();
    for sandbox in few_sandboxes() {
        let command = || {
            let mut command = marked(here, &sandbox, "nice");
            command.limits(&Limits::new().nice(7)).stdout(Stdio::piped());
            command
        };
        unchanged(&token(here), "a pool", || {
            let pool = Pool::new(command(), 1).unwrap();
            pool.fill().unwrap();
            for held in ["one that was held", "one that was held, or not"] {
                let child = pool.take().unwrap().start().unwrap();
                assert_eq!(child.wait_with_output().unwrap().stdout, b"7\n", "{held}");
            }
        });
        unchanged(&token(here), "a pool for tokio", || {
            runtime.0.block_on(async {
                let pool = front::Pool::new(command().into(), 1).unwrap();
                pool.fill().await.unwrap();
                for held in ["one that was held", "one that was held, or not"] {
                    let child = pool.take().await.unwrap().start().await.unwrap();
                    assert_eq!(child.wait_with_output().await.unwrap().stdout, b"7\n", "{held}");
                }
            });
        });
    }
}

fn a_pool_whose_limits_cannot_be_set(here: &Here) {
    unchanged("no token", "pools without their limits", || {
        let limited = || {
            let mut command = here.command(&host(), "true");
            command.limits(&Limits::new().require(Limit::Accounting).below("/no/such/group"));
            command
        };
        let pool = Pool::new(limited(), 2).unwrap();
        assert!(matches!(pool.fill(), Err(Error::Limit(_))));
        assert!(matches!(pool.take().and_then(Prepared::start), Err(Error::Limit(_))));
        assert_eq!(pool.ready(), 0);
        let runtime = Tokio::one_thread();
        runtime.0.block_on(async {
            let pool = front::Pool::new(limited().into(), 2).unwrap();
            assert!(matches!(pool.fill().await, Err(Error::Limit(_))));
            assert_eq!(pool.ready(), 0);
        });
    });
}

fn a_pool_that_cannot_be_filled(here: &Here) {
    unchanged("no token", "pools that cannot be filled", || {
        let broken = || here.command(&host().ro_bind("/nonexistent", "/mnt"), "true");
        let pool = Pool::new(broken(), 2).unwrap();
        assert!(matches!(pool.fill(), Err(Error::SetupFailed(_))));
        assert!(matches!(pool.take(), Err(Error::SetupFailed(_))));
        assert_eq!(pool.ready(), 0);
        let runtime = Tokio::one_thread();
        runtime.0.block_on(async {
            let pool = front::Pool::new(broken().into(), 2).unwrap();
            assert!(matches!(pool.fill().await, Err(Error::SetupFailed(_))));
            assert!(matches!(pool.take().await, Err(Error::SetupFailed(_))));
        });
        drop(runtime);
        assert!(matches!(Pool::new(here.command(&host(), ""), 2), Err(Error::Invalid(_))));
        // one whose set-up never ends
        let mut command = host().command("true");
        command.bwrap(&stand_in(here, "hangs", "exec sleep 60"));
        let holders = watch(&mut command);
        let pool = Pool::new(command, 1).unwrap();
        assert!(!pool.fill_timeout(Duration::from_millis(100)).unwrap());
        assert!(pool.take_timeout(Duration::from_millis(100)).unwrap().is_none());
        drop(pool);
        assert!(released(&holders, SETTLE));
    });
}

/// Ends at once, with these statuses in turn, and never.
fn few(here: &Here) -> Vec<(Command, Kind)> {
    let mut all = Vec::new();
    for (code, sandbox) in (0_u8..).zip(few_sandboxes()) {
        all.push((marked(here, &sandbox, &format!("exit {code}")), Kind::Ran(code)));
        all.push((marked(here, &sandbox.clone().ro_bind("/nonexistent", "/mnt"), "true"), Kind::SetupFailed));
        all.push((marked(here, &sandbox, "exec sleep 60"), Kind::Ran(137)));
    }
    all
}

fn a_group_ends_one_by_one(here: &Here) {
    unchanged(&token(here), "a group", || {
        let (mut group, mut kinds) = (Group::new(), Vec::new());
        for (mut command, kind) in few(here) {
            kinds.push(kind);
            group.push(command.spawn().unwrap());
        }
        let asleep = kinds.iter().filter(|kind| **kind == Kind::Ran(137)).count();
        while group.len() > asleep {
            let (key, mut child) = group.wait_any_timeout(SETTLE).unwrap().unwrap();
            assert_eq!(Kind::of(&child.wait()), kinds[key]);
        }
        assert!(group.wait_any_timeout(Duration::from_millis(20)).unwrap().is_none());
        for member in 0..kinds.len() {
            if let Some(child) = group.get_mut(member) {
                child.wait_ready().unwrap();
            }
        }
        group.kill().unwrap();
        let ended = group.wait_all_timeout(SETTLE).unwrap();
        assert_eq!((ended.len(), group.len()), (asleep, 0));
        for (_, mut child) in ended {
            assert!(!child.wait().is_ok_and(ExitStatus::success));
        }
        assert!(group.wait_any().unwrap().is_none() && group.wait_all().unwrap().is_empty());
    });
}

fn a_group_for_tokio_ends_one_by_one(here: &Here) {
    for runtime in [Tokio::one_thread(), Tokio::threads()] {
        unchanged(&token(here), "a group", || {
            runtime.0.block_on(async {
                let (mut group, mut kinds) = (front::Group::new(), Vec::new());
                for (command, kind) in few(here) {
                    kinds.push(kind);
                    group.push(front::Command::from(command).spawn().await.unwrap());
                }
                let asleep = kinds.iter().filter(|kind| **kind == Kind::Ran(137)).count();
                while group.len() > asleep {
                    // given up in between
                    let any = tokio::time::timeout(Duration::from_millis(1), group.wait_any()).await;
                    let Ok(any) = any else { continue };
                    let (key, mut child) = any.unwrap().unwrap();
                    assert_eq!(Kind::of(&child.wait().await), kinds[key]);
                }
                assert!(group.wait_any_timeout(Duration::from_millis(20)).await.unwrap().is_none());
                // who has ended while all are waited for is not lost when that is given up
                let quick = front::Command::new(&host(), "true").spawn().await.unwrap();
                let quick = group.push(quick);
                let all = tokio::time::timeout(Duration::from_secs(1), group.wait_all()).await;
                assert!(all.is_err() && group.len() == asleep + 1);
                let (key, mut child) = group.wait_any().await.unwrap().unwrap();
                assert!(key == quick && child.wait().await.unwrap().success());
                group.kill().await.unwrap();
                let ended = group.wait_all_timeout(SETTLE).await.unwrap();
                assert_eq!((ended.len(), group.len()), (asleep, 0));
                for (_, mut child) in ended {
                    assert!(!child.wait().await.is_ok_and(ExitStatus::success));
                }
                assert!(group.wait_any().await.unwrap().is_none());
            });
        });
    }
}

/// Descriptors, threads, and bytes of memory that this process has.
fn costs() -> (usize, usize, usize) {
    let count = |directory: &str| fs::read_dir(directory).unwrap().count();
    let pages: usize =
        fs::read_to_string("/proc/self/statm").unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    (count("/proc/self/fd"), count("/proc/self/task"), pages * rustix::param::page_size())
}

/// How many are to be alive: fewer where machines are slow.
fn hundreds() -> usize {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    (500 / share()).max(20)
}

fn sleeper(here: &Here) -> Command {
    let mut command = here.command(&host().unshare_all().die_with_parent(), "sleep");
    command.arg("600").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn affordable(what: &str, number: usize, before: (usize, usize, usize)) {
    let after = costs();
    let (descriptors, threads) = (after.0 - before.0, after.1.saturating_sub(before.1));
    let memory = after.2.saturating_sub(before.2);
    println!("{number} {what}: {descriptors} descriptors, {threads} threads, {memory} bytes");
    // a pool has an event of its own, and so has the keeper
    assert!(descriptors <= 4 * number + 2, "{what}: {descriptors} descriptors for {number}");
    // the keeper, and that of a pool
    assert!(threads <= 2, "{what}: {threads} threads for {number}");
    // some pages are none of theirs
    assert!(memory <= number * (16 << 10) + (1 << 20), "{what}: {memory} bytes for {number}");
}

fn hundreds_are_alive(here: &Here) {
    let number = hundreds();
    unchanged("no token", "hundreds of sandboxes", || {
        let (mut command, mut group) = (sleeper(here), Group::new());
        command.status_timeout(Duration::ZERO).unwrap();
        let before = costs();
        for _ in 0..number {
            group.push(command.spawn().unwrap());
        }
        for key in 0..number {
            group.get_mut(key).unwrap().wait_ready().unwrap();
        }
        assert!(group.wait_any_timeout(Duration::from_millis(20)).unwrap().is_none());
        affordable("sandboxes", number, before);
        group.kill().unwrap();
        assert_eq!(group.wait_all_timeout(Duration::from_secs(60)).unwrap().len(), number);
        drop(group);
        let before = costs();
        let pool = Pool::new(sleeper(here), number / 10).unwrap();
        pool.fill().unwrap();
        affordable("held sandboxes", number / 10, before);
    });
}

fn hundreds_are_alive_for_tokio(here: &Here) {
    let number = hundreds();
    let runtime = Tokio::one_thread();
    unchanged("no token", "hundreds of sandboxes", || {
        runtime.0.block_on(async {
            let (mut command, mut group) = (front::Command::from(sleeper(here)), front::Group::new());
            command.status_timeout(Duration::ZERO).await.unwrap();
            let before = costs();
            for _ in 0..number {
                group.push(command.spawn().await.unwrap());
            }
            for key in 0..number {
                group.get_mut(key).unwrap().wait_ready().await.unwrap();
            }
            assert!(group.wait_any_timeout(Duration::from_millis(20)).await.unwrap().is_none());
            affordable("sandboxes for Tokio", number, before);
            group.kill().await.unwrap();
            assert_eq!(group.wait_all_timeout(Duration::from_secs(60)).await.unwrap().len(), number);
        });
    });
}

/// A launch that ends in one of several ways.
async fn launch(way: usize, sandbox: &Sandbox, command: impl Fn(&Sandbox, &str) -> front::Command) {
    match way % 6 {
        0 => assert_eq!(command(sandbox, "exit 3").output().await.unwrap().status.raw(), 3),
        1 => {
            let broken = sandbox.clone().ro_bind("/nonexistent", "/mnt");
            assert!(matches!(command(&broken, "true").output().await, Err(Error::SetupFailed(_))));
        }
        2 => {
            let mut child = command(sandbox, "exec sleep 60").spawn().await.unwrap();
            child.kill().await.unwrap();
            assert!(!child.wait().await.is_ok_and(ExitStatus::success));
        }
        3 => drop(command(sandbox, "true").spawn().await.unwrap()),
        4 => drop(command(sandbox, "true").prepare().await.unwrap()),
        _ => {
            let mut command = command(sandbox, "exec sleep 60");
            let _ = tokio::time::timeout(Duration::from_millis(3), command.status()).await;
        }
    }
}

fn thousands_of_launches_beside_a_fork_and_a_thief(here: &Here) {
    let runtime = Tokio::threads();
    unchanged(&token(here), "thousands of launches", || {
        beside_a_fork_and_a_thief(|| {
            let (all, bwrap, token) = (Arc::new(sandboxes()), here.bwrap.clone(), token(here));
            let launched = runtime.0.block_on(async {
                let tasks: Vec<_> = (0..32)
                    .map(|task| {
                        let (all, bwrap, token) = (Arc::clone(&all), bwrap.clone(), token.clone());
                        tokio::spawn(async move {
                            for run in 0..load() {
                                let sandbox = &all[(task + run) % all.len()];
                                launch(task + run / all.len(), sandbox, |sandbox, script| {
                                    let mut command = front::Command::new(sandbox, "sh");
                                    command.args(["-c", script, &token]).bwrap(&bwrap);
                                    command
                                })
                                .await;
                            }
                        })
                    })
                    .collect();
                let mut launched = Ok(());
                for task in tasks {
                    launched = launched.and(task.await);
                }
                launched
            });
            launched.unwrap();
        });
    });
}
