//! `docs/diagnosis.schema.json`, and whether an output keeps to it.
//!
//! A validator of the keywords that the schema uses: the crates that know all of JSON Schema bring half a hundred others. It
//! is stricter in one point: what a program of today says must be in the schema, although readers must bear more.

use std::sync::LazyLock;

use serde_json::Value;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/diagnosis.schema.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
});

/// An output is what the schema says.
pub(crate) fn assert_valid(value: &Value) {
    if let Err(error) = valid(&SCHEMA, value, "") {
        // alternatives fail for many reasons; what got furthest was meant
        let error = error.lines().max_by_key(|line| line.split(':').next().map(str::len));
        panic!("{}\n{value:#}", error.unwrap_or_default());
    }
}

/// Whether it is.
pub(crate) fn is_valid(value: &Value) -> bool {
    valid(&SCHEMA, value, "").is_ok()
}

fn valid(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let wrong = |what: String| Err(format!("at {at}: {what}"));
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" => {}
            "$ref" => {
                let name = rule.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                valid(&SCHEMA["$defs"][name], value, at)?;
            }
            "const" if rule == value => {}
            "enum" if rule.as_array().unwrap().contains(value) => {}
            "const" | "enum" => return wrong(format!("{value} is not {rule}")),
            "type" => {
                let fits = |kind: &Value| match kind.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "null" => value.is_null(),
                    other => panic!("type {other}"),
                };
                let kinds = rule.as_array().map_or(std::slice::from_ref(rule), Vec::as_slice);
                if !kinds.iter().any(fits) {
                    return wrong(format!("{value} is no {rule}"));
                }
            }
            "required" => {
                let missing =
                    rule.as_array().unwrap().iter().find(|name| value.get(name.as_str().unwrap()).is_none());
                if let Some(name) = missing.filter(|_| value.is_object()) {
                    return wrong(format!("{name} is missing"));
                }
            }
            "properties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    match rule.get(name) {
                        Some(rule) => valid(rule, value, &format!("{at}/{name}"))?,
                        None => return wrong(format!("the schema does not tell of {name}")),
                    }
                }
            }
            "additionalProperties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    valid(rule, value, &format!("{at}/{name}"))?;
                }
            }
            "items" => {
                for (index, value) in value.as_array().into_iter().flatten().enumerate() {
                    valid(rule, value, &format!("{at}/{index}"))?;
                }
            }
            "oneOf" | "anyOf" => {
                let results: Vec<_> =
                    rule.as_array().unwrap().iter().map(|one| valid(one, value, at)).collect();
                let fitting = results.iter().filter(|result| result.is_ok()).count();
                if fitting == 0 || fitting > 1 && keyword == "oneOf" {
                    let errors: Vec<_> = results.into_iter().filter_map(Result::err).collect();
                    return wrong(format!("{fitting} of {keyword} fit:\n{}", errors.join("\n")));
                }
            }
            "minimum" => {
                if value.as_i64().is_some_and(|number| number < rule.as_i64().unwrap()) {
                    return wrong(format!("{value} is less than {rule}"));
                }
            }
            "minItems" | "maxItems" | "minProperties" | "maxProperties" => {
                let count = if keyword.ends_with("Items") {
                    value.as_array().map(Vec::len)
                } else {
                    value.as_object().map(serde_json::Map::len)
                };
                let limit = usize::try_from(rule.as_u64().unwrap()).unwrap();
                if count.is_some_and(
                    |count| if keyword.starts_with("min") { count < limit } else { count > limit },
                ) {
                    return wrong(format!("{keyword} {rule}, but {count:?}"));
                }
            }
            // the one that there is
            "pattern" => {
                assert_eq!(rule, "^[A-Z][A-Z0-9][0-9][0-9]$");
                let text = value.as_str().unwrap_or_default();
                let fits = |(index, byte): (usize, u8)| match index {
                    0 => byte.is_ascii_uppercase(),
                    1 => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
                    _ => byte.is_ascii_digit(),
                };
                if text.len() != 4 || !text.bytes().enumerate().all(fits) {
                    return wrong(format!("{text} is no code"));
                }
            }
            other => panic!("the validator does not know {other}"),
        }
    }
    Ok(())
}

#[test]
fn the_validator_rejects() {
    let good = serde_json::json!({
        "schema": 1, "kind": "explain", "prediction": { "outlook": "starts", "obstacles": [] }
    });
    assert_valid(&good);
    for (pointer, value) in [
        ("/schema", Value::from(2)),
        ("/kind", Value::from("other")),
        ("/prediction", Value::Null),
        ("/prediction/outlook", Value::from("maybe")),
        ("/prediction/obstacles", serde_json::json!([{}])),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(!is_valid(&bad), "{pointer}");
    }
}
