//! Ready-made sandboxes, to be used as they are or as a beginning.
//!
//! Each yields a plain [`Sandbox`](crate::Sandbox) or [`Command`](crate::Command), which can be changed as any other, and says
//! what it protects against and what it does not:
//!
//! * [`ci`]: a build, with the host's tools or a root file system of its own;
//! * [`agent`]: a coding agent, which may change a project and nothing that acts outside of the sandbox later;
//! * [`zuul`]: a playbook, as the executor of [Zuul](https://zuul-ci.org/) runs it.

pub mod agent;
mod base;
pub mod ci;
pub mod zuul;
