//! What may go to another thread, be shared by threads, and outlive its maker. It is a promise: losing it breaks callers.

use bwrap_launch::diagnosis::{Diagnosis, Finding, Prediction, Remedy, Symptom};
use bwrap_launch::host::Host;
use bwrap_launch::op::Operation;
use bwrap_launch::{
    Bwrap, BwrapError, Capability, Child, ChildStderr, ChildStdin, ChildStdout, Command, Content, Descriptor,
    Error, ExitStatus, Failure, Filter, Group, Killer, Limits, Message, Output, Pool, Prepared, Results,
    Sandbox, Stdio, Terminal, Unapplied, Undecided, Usage,
};

const fn everywhere<T: Send + Sync + 'static>() {}

#[test]
fn everything_goes_everywhere() {
    everywhere::<(Sandbox, Operation, Content, Descriptor, Filter, Capability)>();
    everywhere::<(Command, Child, Prepared, Stdio, Output, ExitStatus)>();
    everywhere::<(ChildStdin, ChildStdout, ChildStderr, Terminal)>();
    everywhere::<(Killer, Group, Pool, Results, Limits, Unapplied, Usage)>();
    everywhere::<(Error, Failure, Undecided, BwrapError, Bwrap, Message)>();
    everywhere::<(Host, Symptom, Diagnosis, Finding, Prediction, Remedy)>();
}

/// As `anyhow` and `Box<dyn Error + Send + Sync>` want it.
#[test]
fn errors_can_be_boxed() {
    let boxed: Box<dyn std::error::Error + Send + Sync> = Box::new(BwrapError::NotAbsolute("bwrap".into()));
    assert!(boxed.to_string().contains("bwrap"));
}

#[cfg(feature = "tokio")]
mod tokio {
    use bwrap_launch::Sandbox;
    use bwrap_launch::tokio::{
        Child, ChildStderr, ChildStdin, ChildStdout, Command, Group, Lines, Pool, Prepared, Terminal,
    };

    use super::everywhere;

    #[test]
    fn everything_goes_everywhere() {
        everywhere::<(Command, Child, Prepared, Group, Pool, Lines<'static>)>();
        everywhere::<(ChildStdin, ChildStdout, ChildStderr, Terminal)>();
    }

    /// As `tokio::spawn` wants it.
    fn goes<T: Send>(_: &T) {}

    #[test]
    fn futures_go_to_other_threads() {
        let mut command = Command::new(&Sandbox::new(), "true");
        goes(&command.spawn());
        goes(&command.status());
        goes(&command.output());
        goes(&command.prepare());
        goes(&async move {
            let mut child = command.spawn().await?;
            child.wait_ready().await?;
            while let Some(line) = child.lines(100).next().await {
                line?;
            }
            child.kill().await?;
            child.wait().await?;
            let mut group = Group::new();
            group.push(command.prepare().await?.start().await?);
            group.kill().await?;
            group.wait_any().await?;
            let pool = Pool::new(command, 1)?;
            pool.take().await?.start().await?.wait_with_output().await
        });
    }
}
