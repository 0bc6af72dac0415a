//! The JSON of diagnoses. Its schema is part of the interface and documented in `docs/diagnosis.schema.json`: fields are added,
//! never changed.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{Diagnosis, Finding, Prediction, Remedy, SelinuxModule};

/// Objects of these fields, in this order.
macro_rules! objects {
    ($($type:ident($it:ident) { $($field:literal: $value:expr,)+ })+) => { $(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $it = self;
                let mut object = serializer.serialize_struct(stringify!($type), [$($field),+].len())?;
                $(object.serialize_field($field, &$value)?;)+
                object.end()
            }
        }
    )+ };
}

objects! {
    Diagnosis(it) {
        "verdict": it.verdict,
        "stage": it.stage.map(|stage| stage.to_string()),
        "message": it.message,
        "causes": it.causes,
        "foreseen": it.foreseen,
    }
    Prediction(it) {
        "outlook": it.outlook,
        "obstacles": it.obstacles,
    }
    Finding(it) {
        "code": it.cause.code(),
        "name": it.cause.name(),
        "confidence": it.confidence,
        "summary": it.summary,
        "evidence": it.evidence,
        "refuted_by": it.refuted_by,
        "remedies": it.remedies,
        "operation": it.operation,
    }
    Remedy(it) {
        "summary": it.summary,
        "instructions": it.instructions(),
        "opens": it.opens,
        "requires": it.requires,
        "action": it.action,
        "files": it.files,
    }
    SelinuxModule(it) {
        "name": it.name,
        "domain": it.domain,
        "rules": it.rules,
        "te": it.te(),
        "cil": it.cil(),
    }
}
