//! The same executor with a task of Tokio's for each build that runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bwrap_launch::tokio::Command;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::task::{block_in_place, spawn};
use tokio::time::timeout;

use super::Executor;
use super::builds::Build;
use super::phases::{Job, LINE, Launched, Phase, TICK, not_spawned, show, show_progress};
use super::report::Report;

pub(crate) async fn run(executor: Arc<Executor>, builds: Vec<Build>, at_a_time: usize) -> Vec<Report> {
    let queue = Arc::new(Mutex::new(builds.into_iter().enumerate()));
    let worker = |_| {
        let (executor, queue) = (Arc::clone(&executor), Arc::clone(&queue));
        spawn(async move {
            let mut reports = Vec::new();
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((number, build)) = next else { break reports };
                reports.push((number, run_build(&executor, build).await));
            }
        })
    };
    let workers: Vec<_> = (0..at_a_time).map(worker).collect();
    let mut reports = Vec::new();
    for worker in workers {
        match worker.await {
            Ok(some) => reports.extend(some),
            Err(error) => eprintln!("executor: {error}"),
        }
    }
    reports.sort_by_key(|(number, _)| *number);
    reports.into_iter().map(|(_, report)| report).collect()
}

async fn run_build(executor: &Executor, build: Build) -> Report {
    let mut job = block_in_place(|| Job::begin(executor, build));
    while let Some(phase) = job.next() {
        let started = Instant::now();
        let launched = launch(executor, &job, phase, started).await;
        job.ended(phase, started, launched);
    }
    block_in_place(|| job.finish())
}

async fn launch(executor: &Executor, job: &Job, phase: Phase, started: Instant) -> Launched {
    let mut child = match Command::from(job.command(executor, phase)?).spawn().await {
        Ok(child) => child,
        Err(error) => return Ok(not_spawned(error)),
    };
    let killer = child.killer();
    let _covered = executor.cancel.covers(killer.clone());
    if let Some(stdout) = child.stdout.take() {
        let mut stdout = BufReader::new(stdout);
        let mut line = Vec::new();
        loop {
            let left = (LINE - line.len()) as u64;
            match timeout(TICK, (&mut stdout).take(left).read_until(b'\n', &mut line)).await {
                // what came of the line until now is kept
                Err(_) => show_progress(job, phase, started, killer.processes()?.len()),
                Ok(Err(error)) => return Err(error.into()),
                Ok(Ok(0)) if line.is_empty() => break,
                Ok(Ok(_)) => {
                    let text = String::from_utf8_lossy(&line);
                    show(job, phase, text.strip_suffix('\n').unwrap_or(&text));
                    line.clear();
                }
            }
        }
    }
    Ok((child.wait().await, child.usage(), child.unapplied().to_vec()))
}
