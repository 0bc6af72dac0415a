//! The JSON of diagnoses. Its schema is part of the interface and documented in `docs/diagnosis.schema.json`: fields are added,
//! never changed.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{AlsoSaid, Cause, Diagnosis, Finding, Prediction, Remedy, SelinuxModule};

/// Objects of these fields, in this order: those of the same name, or what is made of it.
macro_rules! objects {
    ($($type:ident($it:ident) { $($field:ident $(: $value:expr)?),+ $(,)? })+) => { $(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $it = self;
                let mut object = serializer.serialize_struct(stringify!($type), [$(stringify!($field)),+].len())?;
                $(object.serialize_field(stringify!($field), field!($it $field $($value)?))?;)+
                object.end()
            }
        }
    )+ };
}

macro_rules! field {
    ($it:ident $field:ident) => {
        &$it.$field
    };
    ($it:ident $field:ident $value:expr) => {
        &$value
    };
}

objects! {
    Diagnosis(it) { verdict, stage: it.stage.map(|stage| stage.to_string()), message, notes, also, causes, foreseen, at_once }
    AlsoSaid(it) { message, code: it.cause.map(Cause::code) }
    Prediction(it) { outlook, obstacles, at_once }
    Finding(it) {
        code: it.cause.code(), name: it.cause.name(), confidence, summary, evidence, refuted_by, remedies, operation,
    }
    Remedy(it) { summary, instructions: it.instructions(), opens, requires, action, files }
    SelinuxModule(it) { name, domain, rules, te: it.te(), cil: it.cil() }
}
