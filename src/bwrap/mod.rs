//! The program: the only rooms that know bwrap's text, its options, its JSON and its messages.
//!
//! A new option of bwrap is a row in `options`, a line in `arguments` (the way there) and one in `parse` (the way
//! back); a new message is a row in `message/table`.

mod advisory;
pub(crate) mod arguments;
mod ask;
mod binary;
pub(crate) mod line;
pub(crate) mod message;
pub(crate) mod options;
mod parse;
#[cfg(test)]
pub(crate) mod stand_in;
pub(crate) mod status;
mod version;

pub use advisory::Advisory;
pub(crate) use ask::is_denial;
pub(crate) use binary::find_helper;
pub use binary::{Bwrap, BwrapError};
pub(crate) use message::decisive;
pub use message::{Message, Severity, Stage};
pub use options::MissingOption;
pub use parse::ParseError;
pub(crate) use parse::{parse, parse_after};
pub use status::NamespaceIds;
pub use version::Version;
