//! What was measured, as a page and as a chart.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use bwrap_launch::Bwrap;

pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) times: Vec<Duration>,
    pub(crate) rate: f64,
    pub(crate) longest: Duration,
}

pub(crate) struct Table {
    pub(crate) resident: String,
    pub(crate) rounds: usize,
    pub(crate) rows: Vec<Row>,
}

pub(crate) fn page(bwrap: &Bwrap, tables: &[Table]) -> String {
    let mut page = String::from(
        "# Side by side\n\nWritten by `cargo bench --bench peers`.\n\n![The same as a chart](peers.svg)\n",
    );
    for Table { resident, rounds, rows } in tables {
        let _ = write!(
            page,
            "\n## {resident} resident in the caller\n\n\
             | | median | 90th percentile | to bwrap itself | launches a second, 8 threads | longest stall of another thread |\n\
             |---|---|---|---|---|---|\n"
        );
        for Row { name, times, rate, longest } in rows {
            let ratios =
                times.iter().zip(&rows[0].times).map(|(own, base)| own.as_secs_f64() / base.as_secs_f64());
            let (ratio, longest) = (part(ratios.collect(), 0.5), longest.as_secs_f64() * 1e3);
            let [median, ninth] = [0.5, 0.9].map(|quantile| millis(times, quantile));
            let _ = writeln!(
                page,
                "| {name} | {median:.2} ms | {ninth:.2} ms | {ratio:.2} | {rate:.0} | {longest:.1} ms |"
            );
        }
        let _ = writeln!(page, "\n{rounds} rounds, in which all take turns.");
    }
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let _ = write!(
        page,
        "\nFrom the description of a sandbox to the end of `true` in it; the ratio is the median of those of the same round. A thread that\n\
         sleeps for a millisecond and takes 1 MiB of memory is held up while eight others launch. It is the same sandbox, that of Zuul's\n\
         executor, for all but sandbox-runtime and Codex, which have their own; hakoniwa makes it without bwrap. Zuul's driver,\n\
         sandbox-runtime and hakoniwa run in processes of their own, with as much memory; Codex is a program that each launch starts.\n\
         What is in no row could not be had where this was measured.\n\n\
         {cores} cores ({cpu}), Linux {}; bubblewrap {}, bwrap-launch {}, Zuul 14.3.0, hakoniwa 1.8.0, sandbox-runtime 0.0.83, Codex 0.171.0.\n",
        read("/proc/sys/kernel/osrelease").trim(),
        bwrap.version_text(),
        env!("CARGO_PKG_VERSION"),
    );
    page
}

/// Has the chart drawn.
pub(crate) fn draw(program: &Path, path: &Path, tables: &[Table]) {
    let mut told = String::new();
    for (panel, value) in [
        ("One launch, median, in ms (logarithmic)", (|row| millis(&row.times, 0.5)) as fn(&Row) -> f64),
        ("Longest stall of another thread of the caller, in ms (logarithmic)", |row| {
            row.longest.as_secs_f64() * 1e3
        }),
    ] {
        for table in tables {
            for row in &table.rows {
                // (a bar of nothing has no logarithm)
                let value = value(row).max(0.01);
                let _ = writeln!(told, "{panel}\t{} resident\t{}\t{value}", table.resident, row.name);
            }
        }
    }
    let mut process = Process::new(program);
    let title = "A sandbox for `true`: this crate beside others";
    let mut process = process.arg(path).arg(title).stdin(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(told.as_bytes()).unwrap();
    assert!(process.wait().unwrap().success());
}

fn millis(times: &[Duration], quantile: f64) -> f64 {
    part(times.iter().map(Duration::as_secs_f64).collect(), quantile) * 1e3
}

fn part(mut values: Vec<f64>, quantile: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
    let index = (values.len() as f64 * quantile) as usize;
    values[index.min(values.len() - 1)]
}
