//! What it takes to look before launching, and to explain afterwards: medians, `cargo bench --bench doctor`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bwrap_launch::diagnosis::{self, Symptom, diagnose};
use bwrap_launch::host::{Fact, Host};
use bwrap_launch::{Bwrap, Circumstances, Error, Sandbox, Stdio, doctor};

fn main() -> Result<(), Error> {
    let bwrap = Bwrap::find()?;
    let sandbox = Sandbox::new().ro_bind("/", "/").proc("/proc").dev("/dev").tmpfs("/tmp").unshare_all();
    let host = Host::snapshot_for(bwrap.path(), bwrap.version_text());
    let symptom = Symptom::from_text(b"bwrap: Can't mount proc on /newroot/proc: Operation not permitted\n");
    let missing = Sandbox::new().ro_bind("/", "/").ro_bind("/nonexistent", "/mnt");
    println!("{:<60} median of 200", format!("bubblewrap {}", bwrap.version_text()));
    row("Host::snapshot_for", || drop(black_box(Host::snapshot_for(bwrap.path(), bwrap.version_text()))));
    row("diagnosis::predict, of a snapshot", || drop(black_box(diagnosis::predict(&host, &sandbox))));
    row("doctor::predict: both", || drop(black_box(doctor::predict(&bwrap, &sandbox))));
    row("diagnosis::diagnose", || drop(black_box(diagnose(&symptom, &host, Some(&sandbox)))));
    row("doctor::probe: six sandboxes", || drop(black_box(doctor::probe(&bwrap))));
    let mut crowded = host.clone();
    if let Fact::Present(mounts) = &mut crowded.mounts
        && let Some(last) = mounts.last().cloned()
    {
        mounts.extend((0..100_000).map(|index| {
            let mut mount = last.clone();
            mount.point = format!("/srv/{index}").into();
            mount
        }));
    }
    row("diagnosis::diagnose, of a host with 100,000 mounts", || {
        drop(black_box(diagnose(&symptom, &crowded, Some(&sandbox))));
    });
    // as many words as bwrap reads
    let large = (0..3000).fold(Sandbox::new(), |sandbox, index| {
        sandbox.ro_bind(format!("/usr/share/doc/{index}"), format!("/srv/{}/{index}", index % 7))
    });
    row("Sandbox::check, of 3,000 binds", || drop(black_box(large.check())));
    row("Sandbox::lint, of 3,000 binds", || drop(black_box(large.lint(&Circumstances::default()))));
    row("a launch that fails, diagnosed", || {
        let mut command = missing.command("true");
        command.bwrap(&bwrap).stderr(Stdio::piped());
        drop(black_box(command.output()));
    });
    Ok(())
}

fn row(what: &str, mut work: impl FnMut()) {
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    println!("{what:<60} {:>8.3} ms", median.as_secs_f64() * 1000.0);
}
