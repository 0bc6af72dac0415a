//! What may go to another thread, be shared by threads, and outlive its maker. It is a promise: losing it breaks callers.

use bwrap_launch::diagnosis::{Diagnosis, Finding, Prediction, Remedy, Symptom};
use bwrap_launch::host::Host;
use bwrap_launch::op::Operation;
use bwrap_launch::{
    Bwrap, BwrapError, Capability, Child, ChildStderr, ChildStdin, ChildStdout, Command, Content, Descriptor,
    Error, ExitStatus, Failure, Filter, Message, Output, Prepared, Sandbox, Stdio, Undecided,
};

const fn everywhere<T: Send + Sync + 'static>() {}

#[test]
fn everything_goes_everywhere() {
    everywhere::<(Sandbox, Operation, Content, Descriptor, Filter, Capability)>();
    everywhere::<(Command, Child, Prepared, Stdio, Output, ExitStatus)>();
    everywhere::<(ChildStdin, ChildStdout, ChildStderr)>();
    everywhere::<(Error, Failure, Undecided, BwrapError, Bwrap, Message)>();
    everywhere::<(Host, Symptom, Diagnosis, Finding, Prediction, Remedy)>();
}

/// As `anyhow` and `Box<dyn Error + Send + Sync>` want it.
#[test]
fn errors_can_be_boxed() {
    let boxed: Box<dyn std::error::Error + Send + Sync> = Box::new(BwrapError::NotAbsolute("bwrap".into()));
    assert!(boxed.to_string().contains("bwrap"));
}
