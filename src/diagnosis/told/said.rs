//! What several lines say of one thing.

/// What lines say of one thing. Where they say several, nobody knows which of these was so when bwrap failed.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) enum Said<T> {
    #[default]
    Nothing,
    Once(T),
    Several,
}

impl<T: PartialEq> Said<T> {
    pub(super) fn note(&mut self, said: T) {
        *self = match self {
            Self::Nothing => Self::Once(said),
            Self::Once(before) if *before == said => return,
            Self::Once(_) | Self::Several => Self::Several,
        };
    }

    pub(super) fn once(&self) -> Option<&T> {
        match self {
            Self::Once(said) => Some(said),
            Self::Nothing | Self::Several => None,
        }
    }
}
