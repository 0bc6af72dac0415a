//! `bwrap-doctor host`: the snapshot.

use std::fmt::Write as _;
use std::process::ExitCode;

use bwrap_launch::host::{self, CapabilitySet, Fact, Mount};
use bwrap_launch::{Bwrap, Capability};
use serde_json::Value;

use crate::cli::{Format, Host};
use crate::output::{self, note};
use crate::{Result, visible};

pub(crate) fn run(task: &Host, format: Format) -> Result {
    let bwrap = output::bwrap(task.bwrap.as_deref());
    let host = match (&bwrap, &task.bwrap) {
        (Ok(bwrap), _) => host::Host::snapshot_for(bwrap.path(), bwrap.version_text()),
        // one that does not run can be looked at all the same
        (Err(_), Some(path)) => host::Host::snapshot_for(path, ""),
        (Err(_), None) => host::Host::snapshot(),
    };
    if let Err(error) = &bwrap {
        note(&error.to_string());
    }
    if format == Format::Json {
        output::print_json(&host)?;
    } else {
        output::print(&text(&host, bwrap.as_ref().ok())?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Every fact under its name in the JSON, so that none is forgotten here; lists that matter get a form of their own.
fn text(host: &host::Host, bwrap: Option<&Bwrap>) -> Result<String> {
    let value = serde_json::to_value(host).map_err(|error| error.to_string())?;
    let mut text = String::new();
    for (group, facts) in value.as_object().into_iter().flatten() {
        match group.as_str() {
            "platforms" | "mounts" => {}
            _ => write_group(&mut text, group, facts),
        }
        if group == "bwrap" {
            for advisory in bwrap.into_iter().flat_map(Bwrap::advisories) {
                let _ = writeln!(text, "  vulnerable, going by its version: {advisory}");
            }
        }
    }
    text.push_str("platforms\n");
    match &host.platforms {
        Fact::Present(seen) => seen.iter().for_each(|sighting| {
            let _ = writeln!(text, "  {}: {}", sighting.platform, visible::line(&sighting.evidence));
        }),
        _ => text.push_str("  none that is recognised\n"),
    }
    text.push_str("mounts\n");
    match &host.mounts {
        Fact::Present(mounts) => mounts.iter().for_each(|mount| write_mount(&mut text, mount)),
        _ => write_fact(&mut text, "all", value.get("mounts").unwrap_or(&Value::Null), 0),
    }
    Ok(text)
}

fn write_group(text: &mut String, group: &str, facts: &Value) {
    let _ = writeln!(text, "{}", group.replace('_', " "));
    // the group may be a fact itself
    let facts = facts.get("present").unwrap_or(facts);
    match facts {
        Value::Object(facts) => {
            let width = facts.keys().map(String::len).max().unwrap_or_default();
            for (name, fact) in facts {
                write_fact(text, name, fact, width);
            }
        }
        fact => {
            let _ = writeln!(text, "  {}", show(fact));
        }
    }
}

fn write_fact(text: &mut String, name: &str, fact: &Value, width: usize) {
    const SETS: &[&str] = &["ambient", "bounding", "effective", "inheritable", "permitted"];
    let set = || CapabilitySet::try_from(fact.get("present")?.as_str()?.to_owned()).ok();
    let shown = match SETS.contains(&name).then(set).flatten() {
        Some(set) => capabilities(set),
        None if name.ends_with("_limit") && fact == "absent" => "no limit".to_owned(),
        None => show(fact),
    };
    let name =
        if name.starts_with('/') || name.contains('.') { name.to_owned() } else { name.replace('_', " ") };
    let _ = writeln!(text, "  {name:<width$}  {shown}");
}

fn show(value: &Value) -> String {
    match value {
        Value::String(word) if word == "unknown" => "not looked at".to_owned(),
        Value::String(word) if word == "absent" => "not there".to_owned(),
        Value::String(word) => visible::line(word).into_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(values) => values.iter().map(show).collect::<Vec<_>>().join("; "),
        Value::Object(fields) => match (fields.get("present"), fields.get("unreadable")) {
            (Some(Value::String(word)), _) => visible::line(word).into_owned(),
            (Some(value), _) => show(value),
            (_, Some(why)) => format!("unreadable: {}", show(why)),
            _ => {
                let fields = fields.iter().map(|(name, value)| format!("{name} {}", show(value)));
                fields.collect::<Vec<_>>().join(", ")
            }
        },
        other => other.to_string(),
    }
}

/// By those that are missing, where that is shorter.
fn capabilities(set: CapabilitySet) -> String {
    let all = Capability::ALL;
    let missing: Vec<&str> = all.iter().filter(|one| !set.has(**one)).map(|one| one.name()).collect();
    match missing.len() {
        0 => "all".to_owned(),
        few if few < all.len() / 2 => format!("all but {}", missing.join(",")),
        _ => set.to_string(),
    }
}

fn write_mount(text: &mut String, mount: &Mount) {
    let options: Vec<&str> = mount.options.iter().map(String::as_str).collect();
    let (point, root) = (visible::path(&mount.point), visible::path(&mount.root));
    let of = if mount.root.as_os_str() == "/" { String::new() } else { format!(" ({root})") };
    let _ = writeln!(text, "  {point} {}{of} {}", mount.filesystem, options.join(","));
}
