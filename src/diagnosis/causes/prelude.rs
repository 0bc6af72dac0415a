//! What judges and rules speak in: `use ...::prelude::*` stands at the head of every file of causes.

pub(super) use std::path::{Path, PathBuf};

pub(super) use crate::bwrap::message::Errno;
pub(super) use crate::bwrap::{Message, Version};
pub(super) use crate::diagnosis::case::Case;
pub(super) use crate::diagnosis::confinement::permit_in_profile;
pub(super) use crate::diagnosis::confinement::{AppArmor, Selinux, apparmor_denies, selinux_denies};
pub(super) use crate::diagnosis::confinement::{differing, ids_differ, knows_landlock, landlocked};
pub(super) use crate::diagnosis::facts::{OPENS, enters_user_namespace, mount_of, number, setuid};
pub(super) use crate::diagnosis::facts::{stopped_by_masks, user_namespace, version, word};
pub(super) use crate::diagnosis::finding::Confidence::{self, High, Low, Medium};
pub(super) use crate::diagnosis::finding::Finding;
pub(super) use crate::diagnosis::need::Need;
pub(super) use crate::diagnosis::remedy::told;
pub(super) use crate::diagnosis::restriction::{lift_restriction, strips_capabilities};
pub(super) use crate::diagnosis::setting::Setting;
pub(super) use crate::diagnosis::weigh::{Judgement, KILLED, LAUNCH, rule_out, rules, weigh};
pub(super) use crate::diagnosis::wish::{self, Calls, Limit, Wish, raise};
pub(super) use crate::diagnosis::{Cause, Remedy, SandboxChange, SelinuxRule, Verdict, evidence};
pub(super) use crate::host::{Fact, Mount, Platform, Sighting};
pub(super) use crate::sandbox::{Capability, Operation, Sandbox, relative};
pub(super) use crate::visible::path as shown;
