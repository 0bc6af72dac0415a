//! How a program that launches sandboxes tests what it does when they fail: on any machine, without bwrap and without privileges.
//!
//! `cargo run --features testing --example unit_testing`; in a crate of your own these are `#[test]`s, and the feature is switched
//! on in `[dev-dependencies]`.

use std::time::Duration;

use bwrap_launch::testing::{At, Outcome, StandIn};
use bwrap_launch::{Bwrap, Error, Sandbox, Version};

/// What a small build service reports.
#[derive(Debug, PartialEq)]
enum Report {
    Passed,
    /// It is the author's business.
    Failed(i32),
    /// It is the operator's: nothing of the author's code ran.
    NoSandbox(String),
    /// It may have run: never start it again without a look.
    Lost,
}

/// The code to be tested.
fn build(bwrap: &Bwrap) -> Report {
    let sandbox = Sandbox::new().ro_bind("/", "/").dev("/dev").proc("/proc").unshare_all().die_with_parent();
    match sandbox.command("make").arg("check").bwrap(bwrap).output() {
        Ok(output) if output.status.success() => Report::Passed,
        Ok(output) => Report::Failed(output.status.raw().into()),
        Err(Error::Undecided(_)) => Report::Lost,
        Err(error) => match error.failure().and_then(|failure| failure.message()) {
            Some(message) => Report::NoSandbox(message.text().to_string_lossy().into_owned()),
            None => Report::NoSandbox(error.to_string()),
        },
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let version = Version::new(0, 11, 0);
    let stand_in = StandIn::new(version, &Outcome::exits(0))?;
    let masked = "Can't mount proc on /newroot/proc: Operation not permitted";
    for (outcome, expected) in [
        (Outcome::exits(0).takes(Duration::from_millis(50)), Report::Passed),
        (Outcome::exits(2).stderr("make: *** [check] Error 1\n"), Report::Failed(2)),
        // a command that says what bwrap would say is a command that failed
        (Outcome::exits(1).stderr(format!("bwrap: {masked}\n")), Report::Failed(1)),
        (Outcome::killed(9), Report::Failed(137)),
        (Outcome::set_up_fails(masked), Report::NoSandbox(masked.to_owned())),
        (Outcome::dies(At::Run, 9), Report::Lost),
    ] {
        stand_in.next(&outcome)?;
        let report = build(stand_in.bwrap());
        assert_eq!(report, expected);
        println!("{report:?}");
    }
    // what it asked for
    let launches = stand_in.launches()?;
    assert!(launches.iter().all(|launch| launch.get_program() == "make"));
    println!("{launches:#?}");
    Ok(())
}
