//! YAML as Kubernetes reads it, made into values, and never more of them than were written: aliases count for what they stand
//! for.

mod tabs;

use std::collections::HashMap;
use std::fmt::Write as _;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

use super::ManifestError;

/// More values than that are in no manifest that anybody means.
const VALUES: usize = 1 << 20;
/// So deep is none.
const DEPTH: usize = 64;

/// The documents of a text, YAML or JSON.
pub(super) fn documents(text: &str) -> Result<Vec<Value>, ManifestError> {
    // tabs indent JSON, and are forbidden to YAML; several of it may follow one another, as jq prints them
    if text.trim_start().starts_with(['{', '['])
        && let Some(values) = json(text)?
    {
        return Ok(values);
    }
    read(text)
}

/// The values of a text that is JSON, whose names are there once each: of two, readers take either.
fn json(text: &str) -> Result<Option<Vec<Value>>, ManifestError> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let (mut values, mut start) = (Vec::new(), 0);
    while let Some(value) = stream.next() {
        let Ok(value) = value else { return Ok(None) };
        // within the texts of JSON there are none
        let read = read(&text.get(start..stream.byte_offset()).unwrap_or_default().replace('\t', " "));
        if let Some(error) = read.err().filter(|error| error.0.ends_with(TWICE)) {
            return Err(error);
        }
        start = stream.byte_offset();
        values.push(value);
    }
    Ok(Some(values))
}

/// The texts of the values of a text that is JSON, with what is before each: where there are several, no reader of YAML takes them
/// for one.
pub(super) fn pieces(text: &str) -> Option<Vec<&str>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let (mut pieces, mut start) = (Vec::new(), 0);
    while let Some(value) = stream.next() {
        value.ok()?;
        pieces.push(text.get(start..stream.byte_offset())?);
        start = stream.byte_offset();
    }
    (pieces.len() > 1).then_some(pieces)
}

/// Tags of words that are no texts.
const RESOLVED: &[&str] = &["bool", "float", "int", "null"];

/// What is said of a name that a mapping has already.
const TWICE: &str = "is there twice";

fn read(text: &str) -> Result<Vec<Value>, ManifestError> {
    events(text).map(|reader| reader.documents)
}

/// The lines in which the documents of a text begin, as far as it can be read.
pub(super) fn lines(text: &str) -> Vec<usize> {
    events(text).map(|reader| reader.lines).unwrap_or_default()
}

/// The parser does not take a tab between a name and its value, which YAML and kubectl do.
fn events(text: &str) -> Result<Reader, ManifestError> {
    let mut mended: Option<String> = None;
    for _ in 0..tabs::MOST {
        let now = mended.as_deref().unwrap_or(text);
        match events_of(now) {
            Ok(reader) => return Ok(reader),
            Err((line, error)) => match tabs::without(now, line) {
                Some(next) => mended = Some(next),
                None => return Err(error),
            },
        }
    }
    events_of(mended.as_deref().unwrap_or(text)).map_err(|(_, error)| error)
}

/// With the line of what the parser does not take, else 0.
fn events_of(text: &str) -> Result<Reader, (usize, ManifestError)> {
    let mut reader = Reader::default();
    for event in Parser::new_from_str(text) {
        let (event, place) = event.map_err(|error| {
            let line = error.marker().line();
            (line, ManifestError(format!("no YAML: line {line}: {}", error.info())))
        })?;
        let line = place.start.line();
        if reader.open.is_empty()
            && matches!(event, Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..))
        {
            reader.line = line;
        }
        reader.take(event).map_err(|what| (0, ManifestError(format!("line {line}: {what}"))))?;
    }
    Ok(reader)
}

/// A value, how many values it is made of, and how deep.
#[derive(Clone)]
struct Node {
    value: Value,
    count: usize,
    depth: usize,
}

impl Node {
    fn plain(value: Value) -> Self {
        Self { value, count: 1, depth: 1 }
    }
}

/// What is not finished yet.
enum Open {
    List(Vec<Value>),
    /// With the key that waits for its value.
    Map(Map<String, Value>, Option<String>),
}

#[derive(Default)]
struct Reader {
    documents: Vec<Value>,
    /// Where each begins, and where this one does.
    lines: Vec<usize>,
    line: usize,
    /// With the anchor, and what is in it so far.
    open: Vec<(Open, usize, usize, usize)>,
    anchors: HashMap<usize, Node>,
    values: usize,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                // a tag counts more than quotes
                let plain = match tag {
                    None => style == ScalarStyle::Plain,
                    Some(tag) => tag.is_yaml_core_schema() && RESOLVED.contains(&tag.suffix.as_str()),
                };
                let value = if plain { scalar(&text) } else { Value::String(text.into_owned()) };
                self.close(Node::plain(value), anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(Open::List(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.begin(Open::Map(Map::new(), None), anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some((open, anchor, count, depth)) = self.open.pop() else { return Ok(()) };
                let value = match open {
                    Open::List(list) => Value::Array(list),
                    Open::Map(map, _) => Value::Object(merged(map)?),
                };
                // counted already, one by one
                self.values = self.values.saturating_sub(count);
                self.close(Node { value, count: count + 1, depth: depth + 1 }, anchor)
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                self.close(node.ok_or("an alias stands for itself")?, 0)
            }
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin(&mut self, open: Open, anchor: usize) -> Result<(), String> {
        if self.open.len() >= DEPTH {
            return Err(format!("nested deeper than {DEPTH}"));
        }
        self.open.push((open, anchor, 0, 0));
        Ok(())
    }

    /// Puts a finished value where it belongs.
    fn close(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        self.values = self.values.saturating_add(node.count);
        if self.values > VALUES {
            return Err(format!("more than {VALUES} values, aliases counted for what they stand for"));
        }
        if self.open.len() + node.depth > DEPTH {
            return Err(format!("nested deeper than {DEPTH}"));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some((open, _, count, depth)) = self.open.last_mut() else {
            if !node.value.is_null() {
                self.documents.push(node.value);
                self.lines.push(self.line);
            }
            return Ok(());
        };
        *count += node.count;
        *depth = (*depth).max(node.depth);
        match open {
            Open::List(list) => list.push(node.value),
            Open::Map(map, key) => match key.take() {
                None => *key = Some(name(node.value)?),
                Some(name) => {
                    if map.contains_key(&name) {
                        return Err(format!("{} {TWICE}", crate::visible::line(&name)));
                    }
                    map.insert(name, node.value);
                }
            },
        }
        Ok(())
    }
}

fn name(key: Value) -> Result<String, String> {
    match key {
        Value::String(text) => Ok(text),
        Value::Bool(_) | Value::Number(_) | Value::Null => Ok(key.to_string()),
        Value::Array(_) | Value::Object(_) => Err("a name that is no text".to_owned()),
    }
}

/// With what `<<` brings from elsewhere; what stands there itself counts more.
fn merged(mut map: Map<String, Value>) -> Result<Map<String, Value>, String> {
    let more = match map.remove("<<") {
        None => return Ok(map),
        Some(Value::Array(list)) => list,
        Some(value) => vec![value],
    };
    for value in more {
        let Value::Object(others) = value else { return Err("<< takes what is no mapping".to_owned()) };
        for (name, value) in others {
            map.entry(name).or_insert(value);
        }
    }
    Ok(map)
}

/// An integer as Go's base 0 reads it: `0x3e8`, `0o1750`, `01750`, `0b11`, `1_000`.
fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let plain = digits.replace('_', "");
    let lower = plain.to_ascii_lowercase();
    let radices = [("0x", 16), ("0o", 8), ("0b", 2), ("0", 8)];
    let of = radices.iter().find_map(|(prefix, radix)| Some((lower.strip_prefix(prefix)?, *radix)));
    let (digits, radix) = of.filter(|(digits, _)| !digits.is_empty()).unwrap_or((&lower, 10));
    // which would be a second sign
    if digits.starts_with(['-', '+']) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

/// Below this a floating point number has each integer.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What a plain word is to Kubernetes, which goes by YAML 1.1 for truth.
fn scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.starts_with(|c: char| c.is_ascii_digit()) {
        if let Some(number) = integer(text) {
            return Value::from(number);
        }
        if let Some(float) = text.parse::<f64>().ok().filter(|float| float.is_finite()) {
            // Helm writes large numbers so, and Kubernetes takes them for integers
            let whole = Some(float).filter(|float| float.fract() == 0.0 && float.abs() < EXACT);
            let whole = whole.and_then(|float| format!("{float:.0}").parse::<i64>().ok());
            return whole.map_or_else(|| Value::from(float), Value::from);
        }
    }
    Value::String(text.to_owned())
}

/// A value as YAML, as deep as it stands.
pub(super) fn written(value: &Value, indent: usize, into: &mut String) {
    let space = " ".repeat(indent);
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                into.push_str(&space);
                entry(name, value, indent, into);
            }
        }
        Value::Array(list) => {
            for value in list {
                let mut item = String::new();
                written(value, indent + 2, &mut item);
                // the first line stands behind the dash
                let item = if matches!(value, Value::Object(_)) { item.trim_start() } else { &item };
                let _ = write!(into, "{space}- {item}");
                if !item.ends_with('\n') {
                    into.push('\n');
                }
            }
        }
        scalar => into.push_str(&word(scalar)),
    }
}

fn entry(name: &str, value: &Value, indent: usize, into: &mut String) {
    into.push_str(&word(&Value::from(name)));
    match value {
        Value::Object(map) if !map.is_empty() => {
            into.push_str(":\n");
            written(value, indent + 2, into);
        }
        Value::Array(list) if !list.is_empty() => {
            into.push_str(":\n");
            written(value, indent, into);
        }
        Value::Object(_) => into.push_str(": {}\n"),
        Value::Array(_) => into.push_str(": []\n"),
        scalar => {
            let _ = writeln!(into, ": {}", word(scalar));
        }
    }
}

/// JSON's spelling, but for plain words that nobody takes for something else.
pub(super) fn word(value: &Value) -> String {
    match value {
        Value::String(text)
            if text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c))
                && scalar(text).is_string() =>
        {
            text.clone()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use serde_json::json;

    use super::*;

    fn one(text: &str) -> Value {
        let mut found = documents(text).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    fn trouble(text: &str) -> String {
        documents(text).unwrap_err().to_string()
    }

    #[test]
    fn words_are_what_kubernetes_takes_them_for() {
        let text =
            "a: false\nb: 'false'\nc: 10001\nd: no\ne: ~\nf: 1.5\ng: [x, \"1\"]\nh: !!str 1\ni: [~]\nj: n\n";
        let wanted = json!({
            "a": false, "b": "false", "c": 10001, "d": false, "e": null, "f": 1.5, "g": ["x", "1"], "h": "1", "i": [null], "j": false,
        });
        assert_eq!(one(text), wanted);
        let numbers = "[0x3e8, 0X3E8, 0o1750, 01750, 0b11, 1_000, -0x10, 0, +7, 0x-1, 0xg]";
        let wanted = json!([1000, 1000, 1000, 1000, 3, 1000, -16, 0, 7, "0x-1", "0xg"]);
        assert_eq!(one(numbers), wanted);
        let floats = "[1.00068e+09, 1000.0, 1e3, 08, 1.5, -2.0, 1e300, '1e3', 1.0.0, 1e400]";
        let wanted = json!([1_000_680_000, 1000, 1000, 8, 1.5, -2, 1e300, "1e3", "1.0.0", "1e400"]);
        assert_eq!(one(floats), wanted);
        let tagged = "[!!bool false, !!int 1000, !!int '7', !!null '', !!str 1, !mine 1, !!float 1.5]";
        assert_eq!(one(tagged), json!([false, 1000, 7, null, "1", "1", 1.5]));
        assert_eq!(one("{\n\t\"a\": [1, \"\\/\"]\n}"), json!({ "a": [1, "/"] }));
        assert_eq!(
            documents("---\na: 1\n---\n---\n{\"b\": 2}\n...\n").unwrap(),
            [json!({"a": 1}), json!({"b": 2})]
        );
    }

    #[test]
    fn anchors_are_followed() {
        assert_eq!(
            one("x: &a {b: 1}\ny: *a\nz:\n  <<: *a\n  b: 2\n  c: 3\n")["z"],
            json!({ "b": 2, "c": 3 })
        );
        assert!(trouble("a: &a [*a]\n").contains("stands for itself"));
    }

    #[test]
    fn bombs_and_towers_are_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let last = format!("*a{}", level - 1);
            let _ = writeln!(bomb, "a{level}: &a{level} [{}]", vec![last; 9].join(", "));
        }
        assert!(trouble(&bomb).contains("more than"));
        for tower in ["[".repeat(100), "[".repeat(100_000), "- ".repeat(100)] {
            let trouble = trouble(&tower);
            assert!(trouble.contains("deeper") || trouble.contains("recursion limit"), "{trouble}");
        }
        let tower: Vec<String> =
            (0..200).map(|n: i32| format!("a{n}: &a{n} [*a{}]\n", n.max(1) - 1)).collect();
        let tower = tower.concat();
        assert!(trouble(&tower.replacen("[*a0]", "[x]", 1)).contains("deeper"));
        assert!(trouble("a: 1\na: 2\n").contains("line 2: a is there twice"));
        assert!(trouble("a: b: c\n").starts_with("no YAML: line 1"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let value = json!({
            "spec": { "hostUsers": false, "none": {}, "empty": [], "containers": [
                { "name": "a b", "securityContext": { "runAsUser": 1000, "capabilities": { "add": ["SETFCAP", "no"] } } },
                { "name": "1" }, { "name": "y" },
            ] },
        });
        let mut text = String::new();
        written(&value, 0, &mut text);
        assert_eq!(one(&text), value, "{text}");
        assert!(text.contains("\n  containers:\n  - name: \"a b\"\n    securityContext:\n"), "{text}");
    }
}
