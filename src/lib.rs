//! scaffolding
mod bwrap;
mod error;
mod launch;
mod sandbox;
pub use bwrap::*;
pub use error::*;
pub use launch::*;
pub use sandbox::*;
