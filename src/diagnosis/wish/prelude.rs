//! What the cells of the matrix speak in: `use super::prelude::*` stands at the head of every file of wishes.

pub(super) use std::path::{Path, PathBuf};

pub(super) use super::{NESTED_CONTAINER, NESTED_CONTAINER_SINCE, PRIVILEGED_STANDARD, ROOT_OUTSIDE, Wish};
pub(super) use super::{elsewhere, everywhere, option, pod, unit};
pub(super) use crate::diagnosis::case::Case;
pub(super) use crate::diagnosis::hint::Hint;
pub(super) use crate::diagnosis::remedy::{Action, Engine, Profile, Remedies, Remedy, told};
pub(super) use crate::diagnosis::setting::Setting;
pub(super) use crate::diagnosis::setting::Setting::{Container, Kubernetes, Lxc, Machine, Managed};
pub(super) use crate::diagnosis::setting::Setting::{Nspawn, OtherContainer, Unit, Unknown};
pub(super) use crate::host::{Fact, Platform};
pub(super) use crate::shell::{operand, path_word, quoted, word};
