//! What judges and rules speak in: `use ...::prelude::*` stands at the head of every file of causes.

pub(super) use std::path::Path;

pub(super) use crate::bwrap::Message;
pub(super) use crate::bwrap::message::Errno;
pub(super) use crate::diagnosis::case::Case;
pub(super) use crate::diagnosis::facts::word;
pub(super) use crate::diagnosis::finding::Confidence::{self, High, Low, Medium};
pub(super) use crate::diagnosis::need::Need;
pub(super) use crate::diagnosis::remedy::told;
pub(super) use crate::diagnosis::setting::Setting;
pub(super) use crate::diagnosis::weigh::{Judgement, rule_out, rules, weigh};
pub(super) use crate::diagnosis::wish::Wish;
pub(super) use crate::diagnosis::{Cause, Remedy, SandboxChange, evidence};
pub(super) use crate::host::{Fact, Platform};
pub(super) use crate::sandbox::{Capability, Operation};
pub(super) use crate::visible::path as shown;
