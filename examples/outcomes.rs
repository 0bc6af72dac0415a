//! What can become of a launch: one of each, and how to tell them apart.

use bwrap_launch::{Error, ExitStatus, Result, Sandbox, Stdio};

fn main() {
    let sandbox = Sandbox::new().ro_bind("/", "/").dev("/dev").unshare_all().die_with_parent();
    let broken = sandbox.clone().ro_bind("/no/such/directory", "/mnt");
    let cases = [
        ("exits with 1, as bwrap's own failures do", run(&sandbox, "sh", "exit 1")),
        ("is killed", run(&sandbox, "sh", "kill -9 $$")),
        ("prints what bwrap would print", run(&sandbox, "sh", "echo bwrap: setting up uid map >&2; exit 1")),
        ("does not exist", run(&sandbox, "no-such-program", "")),
        ("has no sandbox to run in", run(&broken, "sh", "")),
    ];
    for (what, outcome) in cases {
        println!("A command that {what}:");
        match outcome {
            Ok(status) if status.signal().is_some() => println!("    it ran and was killed ({status})"),
            Ok(status) => println!("    it ran and exited ({status})"),
            Err(Error::Refused(why)) => println!("    it did not run, bwrap made no sandbox: {why}"),
            Err(Error::SetupFailed(why)) => println!("    it did not run, the set-up failed: {why}"),
            Err(Error::NotExecuted(why)) => println!("    it did not run, it cannot be executed: {why}"),
            Err(error) => println!("    {error}"),
        }
    }
}

fn run(sandbox: &Sandbox, program: &str, script: &str) -> Result<ExitStatus> {
    sandbox.command(program).args(["-c", script]).env("PATH", "/usr/bin:/bin").stderr(Stdio::null()).status()
}
