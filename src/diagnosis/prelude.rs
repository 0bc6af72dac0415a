//! What all speak in who judge: cases, evidence, findings and what is done about them.

pub(super) use super::case::Case;
pub(super) use super::facts::rule_out;
pub(super) use super::finding::Confidence::{self, High, Low, Medium};
pub(super) use super::remedy::{Remedies, Remedy};
pub(super) use super::setting::Setting;
pub(super) use super::weigh::{Judgement, open, weigh};
pub(super) use super::{Verdict, evidence};
pub(super) use crate::bwrap::Message;
pub(super) use crate::bwrap::message::Errno;
pub(super) use crate::host::Fact;
pub(super) use crate::sandbox::Capability;
