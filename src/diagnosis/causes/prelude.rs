//! What judges and rules speak in: `use ...::prelude::*` stands at the head of every file of causes.

pub(super) use std::path::{Path, PathBuf};

pub(super) use crate::bwrap::Version;
pub(super) use crate::diagnosis::confinement::permit_in_profile;
pub(super) use crate::diagnosis::confinement::{apparmor_denies, selinux_denies};
pub(super) use crate::diagnosis::confinement::{differing, ids_differ, knows_landlock, landlocked};
pub(super) use crate::diagnosis::facts::{OPENS, enters_user_namespace, number};
pub(super) use crate::diagnosis::facts::{stopped_by_masks, user_namespace, version, word};
pub(super) use crate::diagnosis::finding::Finding;
pub(super) use crate::diagnosis::need::Need;
pub(super) use crate::diagnosis::prelude::*;
pub(super) use crate::diagnosis::remedy::told;
pub(super) use crate::diagnosis::restriction::{lift_restriction, strips_capabilities};
pub(super) use crate::diagnosis::weigh::{KILLED, LAUNCH, numbers, rules};
pub(super) use crate::diagnosis::wish::{self, Calls, Limit, Wish, raise};
pub(super) use crate::diagnosis::{Cause, SandboxChange, SelinuxRule};
pub(super) use crate::host::{AppArmor, Mount, Platform, Sighting, mount_of};
pub(super) use crate::sandbox::{Operation, Sandbox, relative};
pub(super) use crate::visible::path as shown;
