//! Why a sandbox will not start, or did not: what is foretold, what is tried, what a failed launch reports.
//!
//! `cargo run --example why`

use bwrap_launch::{Bwrap, Result, Sandbox, doctor};

fn main() -> Result<()> {
    let bwrap = Bwrap::find()?;
    let sandbox = Sandbox::new().ro_bind("/", "/").proc("/proc").dev("/dev").tmpfs("/tmp").unshare_all();

    println!("--- foretold, from what the host says\n{}", doctor::predict(&bwrap, &sandbox));
    println!("--- tried, without running anything\n{}", doctor::probe(&bwrap)?);

    // a sandbox that starts nowhere
    let broken = sandbox.ro_bind("/no/such/tools", "/opt");
    if let Err(error) = broken.command("true").bwrap(&bwrap).status() {
        println!("--- in a line\n{error}\n\n--- as a report\n{}", error.report());
    }
    Ok(())
}
