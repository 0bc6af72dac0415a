//! The JSON of diagnoses. Its schema is part of the interface and documented in `docs/diagnosis.schema.json`: fields are added,
//! never changed.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{Diagnosis, Finding, Prediction, Remedy, SelinuxModule};

impl Serialize for Diagnosis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Diagnosis", 5)?;
        object.serialize_field("verdict", &self.verdict)?;
        object.serialize_field("stage", &self.stage.map(|stage| stage.to_string()))?;
        object.serialize_field("message", &self.message)?;
        object.serialize_field("causes", &self.causes)?;
        object.serialize_field("foreseen", &self.foreseen)?;
        object.end()
    }
}

impl Serialize for Prediction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Prediction", 2)?;
        object.serialize_field("outlook", &self.outlook)?;
        object.serialize_field("obstacles", &self.obstacles)?;
        object.end()
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Finding", 8)?;
        object.serialize_field("code", self.cause.code())?;
        object.serialize_field("name", self.cause.name())?;
        object.serialize_field("confidence", &self.confidence)?;
        object.serialize_field("summary", &self.summary)?;
        object.serialize_field("evidence", &self.evidence)?;
        object.serialize_field("refuted_by", &self.refuted_by)?;
        object.serialize_field("remedies", &self.remedies)?;
        object.serialize_field("operation", &self.operation)?;
        object.end()
    }
}

impl Serialize for Remedy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Remedy", 6)?;
        object.serialize_field("summary", &self.summary)?;
        object.serialize_field("instructions", &self.instructions())?;
        object.serialize_field("opens", &self.opens)?;
        object.serialize_field("requires", &self.requires)?;
        object.serialize_field("action", &self.action)?;
        object.serialize_field("files", &self.files)?;
        object.end()
    }
}

impl Serialize for SelinuxModule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("SelinuxModule", 5)?;
        object.serialize_field("name", &self.name)?;
        object.serialize_field("domain", &self.domain)?;
        object.serialize_field("rules", &self.rules)?;
        object.serialize_field("te", &self.te())?;
        object.serialize_field("cil", &self.cil())?;
        object.end()
    }
}
