//! Amounts as Kubernetes writes them: `512Mi`, `1.5G`, `100m`.

use serde_json::Value;

use super::{Cluster, Workload};

const UNITS: &[(&str, f64)] = &[
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
    ("", 1.0),
];

/// A limit of memory: as it is written, in bytes, and where it stands.
pub(super) struct Memory {
    pub(super) written: String,
    pub(super) bytes: f64,
    pub(super) place: String,
}

/// The memory that a container may have, and all of the pod. Nought is no limit.
pub(super) fn memory_limits(cluster: &Cluster, workload: &Workload, container: &Value) -> Vec<Memory> {
    let own = limit(container, "resources.limits.memory".to_owned());
    let pods = format!("{}.resources.limits.memory", workload.place());
    // before, the API server dropped it
    let counts = cluster.kubernetes.is_none_or(|version| version >= (1, 34));
    own.into_iter().chain(limit(workload.spec(), pods).filter(|_| counts)).collect()
}

fn limit(of: &Value, place: String) -> Option<Memory> {
    let written = text(of.pointer("/resources/limits/memory")?)?;
    let bytes = amount(&written)?;
    (bytes > 0.0).then_some(Memory { written, bytes, place })
}

fn amount(written: &str) -> Option<f64> {
    let written = written.trim();
    UNITS.iter().find_map(|(unit, size)| {
        let number: f64 = written.strip_suffix(unit)?.parse().ok()?;
        Some(number * size)
    })
}

/// A resource of which a container asks for more than it may have: its name, what it asks for, and the limit.
pub(super) fn more_than_limit(container: &Value) -> Option<(&str, String, String)> {
    let limits = container.pointer("/resources/limits")?.as_object()?;
    let requests = container.pointer("/resources/requests")?.as_object()?;
    requests.iter().find_map(|(name, wanted)| {
        let (wanted, limit) = (text(wanted)?, text(limits.get(name)?)?);
        let (asked, most) = (amount(&wanted)?, amount(&limit)?);
        // 0.1 is 100m
        (asked > most * (1.0 + 1e-9)).then_some((name.as_str(), wanted, limit))
    })
}

/// How much it is, of one that is an amount at all.
pub(super) fn value_of(value: &Value) -> Option<f64> {
    amount(&text(value)?)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Whether it is an amount at all: a number with a unit, or with an exponent. Blanks around it are taken off.
pub(super) fn is_one(written: &str) -> bool {
    let written = written.trim();
    let unsigned = written.trim_start_matches(['+', '-']);
    let digits = unsigned.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, unit) = unsigned.split_at_checked(digits).unwrap_or_default();
    let exponent = |unit: &str| {
        let rest = unit.strip_prefix(['e', 'E'])?;
        let rest = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        Some(!rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    written.len() - unsigned.len() <= 1
        && number.bytes().any(|byte| byte.is_ascii_digit())
        && number.matches('.').count() <= 1
        && (UNITS.iter().any(|(known, _)| *known == unit) || exponent(unit) == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_a_number_with_a_unit() {
        for amount in
            ["1", "0.5", "500m", "1Gi", "-1", "1e3", "1E3", "2E", ".5", "5.", "1e-3", "100k", " 1Gi "]
        {
            assert!(is_one(amount), "{amount}");
        }
        for other in ["1GB", "1 GiB", "1 Gi", "", "Gi", "1mi", "1K", "--1", "1.2.3", "e3", "1e", "true"] {
            assert!(!is_one(other), "{other}");
        }
    }
}
