//! Programs that nobody here wrote.

use crate::common::Case;

pub(crate) const CASES: &[Case] = &[];
