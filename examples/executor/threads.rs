//! The executor with a thread for each build that runs.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use bwrap_launch::NextLine;

use super::Executor;
use super::builds::Build;
use super::phases::{Job, LINE, Launched, Phase, TICK, not_spawned, show, show_progress};
use super::report::Report;

pub(crate) fn run(executor: &Executor, builds: Vec<Build>, at_a_time: usize) -> Vec<Report> {
    let queue = Mutex::new(builds.into_iter().enumerate());
    let reports = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((number, build)) = next else { break };
                    let report = (number, run_build(executor, build));
                    reports.lock().unwrap_or_else(PoisonError::into_inner).push(report);
                }
            });
        }
    });
    let mut reports = reports.into_inner().unwrap_or_else(PoisonError::into_inner);
    reports.sort_by_key(|(number, _)| *number);
    reports.into_iter().map(|(_, report)| report).collect()
}

fn run_build(executor: &Executor, build: Build) -> Report {
    let mut job = Job::begin(executor, build);
    while let Some(phase) = job.next() {
        let started = Instant::now();
        let launched = launch(executor, &job, phase, started);
        job.ended(phase, started, launched);
    }
    job.finish()
}

fn launch(executor: &Executor, job: &Job, phase: Phase, started: Instant) -> Launched {
    let mut child = match job.command(executor, phase)?.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(not_spawned(error)),
    };
    let killer = child.killer();
    let _covered = executor.cancel.covers(killer.clone());
    let mut lines = child.lines(LINE);
    loop {
        match lines.next_timeout(TICK)? {
            NextLine::Line(line) => show(job, phase, &line.text()),
            NextLine::TimedOut => show_progress(job, phase, started, killer.processes()?.len()),
            NextLine::End => break,
        }
    }
    drop(lines);
    Ok((child.wait(), child.usage(), child.unapplied().to_vec()))
}
