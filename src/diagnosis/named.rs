//! Enumerations whose variants have a name.

/// `Display` of an enumeration: `named! { Confidence { Low "low", Medium "medium", High "high" } }`.
macro_rules! named {
    ($type:ident { $($variant:ident $name:literal),+ $(,)? }) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$variant => $name),+ })
            }
        }
    };
}
pub(super) use named;
