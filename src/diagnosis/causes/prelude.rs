//! What judges and rules speak in: `use ...::prelude::*` stands at the head of every file of causes.

pub(super) use std::path::{Path, PathBuf};

pub(super) use crate::bwrap::Version;

pub(super) use crate::diagnosis::calls::{self, ANSWERS};
pub(super) use crate::diagnosis::case::{DEFAULT, OURS};
pub(super) use crate::diagnosis::confinement::*;
pub(super) use crate::diagnosis::facts::*;
pub(super) use crate::diagnosis::finding::Finding;
pub(super) use crate::diagnosis::need::Need;
pub(super) use crate::diagnosis::prelude::*;
pub(super) use crate::diagnosis::remedy::{fill, told};

pub(super) use crate::diagnosis::hint::Hint;
pub(super) use crate::diagnosis::weigh::{ANY, KILLED, LAUNCH, rules};
pub(super) use crate::diagnosis::wish::*;
pub(super) use crate::diagnosis::{Cause, SandboxChange, wish};
pub(super) use crate::host::{AppArmor, Mount, Platform, Sighting, mount_of};
pub(super) use crate::sandbox::{Operation, Sandbox, relative};
pub(super) use crate::visible::path as shown;
