//! What is done with random input, of whatever source: here numbers from a seed, in `fuzz/` the bytes of a fuzzer. One case each.
#![allow(dead_code, reason = "each program uses a part of it")]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::OnceLock;

use bwrap_launch::diagnosis::{Symptom, diagnose, predict};
use bwrap_launch::host::{Host, Mount};
use bwrap_launch::kubernetes::{Cluster, Cure, Runtime, read};
use bwrap_launch::{Circumstances, Message, Sandbox};
use serde_json::Value;

use crate::seeded::Numbers;

const BITS: &[&[u8]] = &[
    b"/",
    b"..",
    b"/proc",
    b"/dev",
    b"",
    b"-",
    b"--",
    b"0",
    b"1",
    b"-1",
    b"4294967296",
    b"18446744073709551616",
    b"\n",
    b"\0",
    b"\x1b[2J",
    b"\xff\xfe",
    b"'",
    b"\"",
    b"\\",
    b"$(x)",
    b"`",
    b" ",
    b": ",
    b"on",
    b"No such file or directory",
    b"bwrap: ",
    b"<3>",
    "\u{202e}".as_bytes(),
    b"a/b",
    b"/a/",
    b"0755",
    b"+x",
    b"CAP_SYS_ADMIN",
    b"ALL",
    b"x=y",
    b"/oldroot/",
    b"/newroot/",
    b"=",
    b"%s",
];

pub(crate) fn noise(numbers: &mut Numbers, longest: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..numbers.below(longest) {
        match numbers.below(3) {
            0 => bytes.push(numbers.byte()),
            _ => bytes.extend(numbers.pick(BITS)),
        }
    }
    bytes
}

/// Spoils a text here and there.
fn spoil(text: &mut Vec<u8>, numbers: &mut Numbers, most: u64) {
    for _ in 0..numbers.below(most) {
        let at = numbers.index(text.len());
        match numbers.below(3) {
            0 => text[at] = numbers.byte(),
            1 => drop(text.splice(at..at, numbers.pick(BITS).iter().copied())),
            _ => text.truncate(at.max(1)),
        }
    }
}

/// bwrap's options, as it lists them.
fn options() -> &'static [String] {
    static OPTIONS: OnceLock<Vec<String>> = OnceLock::new();
    OPTIONS.get_or_init(|| {
        let help = std::process::Command::new("bwrap").arg("--help").output().expect("bwrap is installed");
        let text = String::from_utf8(help.stdout).unwrap();
        text.split_whitespace().filter(|word| word.starts_with("--")).map(str::to_owned).collect()
    })
}

pub(crate) fn line_of_arguments(numbers: &mut Numbers) {
    let options = options();
    let mut line: Vec<OsString> = Vec::new();
    for _ in 0..numbers.below(24) {
        let word = if numbers.below(2) == 0 {
            options[numbers.index(options.len())].clone().into()
        } else {
            OsString::from_vec(noise(numbers, 4))
        };
        line.push(word);
    }
    let Ok(sandbox) = Sandbox::from_args(line) else { return };
    let _ = (sandbox.check(), sandbox.to_string());
    let mut root = Circumstances::default();
    (root.root, root.terminal) = (true, true);
    let _ = sandbox.lint(&root);
}

pub(crate) fn message(numbers: &mut Numbers) {
    static TABLE: &str = include_str!("../data/bwrap-messages.tsv");
    static ROWS: OnceLock<Vec<&str>> = OnceLock::new();
    let rows = ROWS.get_or_init(|| TABLE.lines().map(|row| row.split('\t').next().unwrap()).collect());
    let mut text = Vec::new();
    for _ in 0..numbers.below(4) {
        let mut line = format!("bwrap: {}\n", rows[numbers.index(rows.len())]).into_bytes();
        spoil(&mut line, numbers, 5);
        text.extend(line);
    }
    let heard = Message::parse_all(&text);
    assert!(heard.len() <= text.len());
    let _ = diagnose(&Symptom::from_text(&text), &Host::default(), None).to_string();
}

/// Every leaf of a snapshot, by its pointer.
fn leaves(value: &Value, at: String, all: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| {
            leaves(value, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), all);
        }),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, value)| leaves(value, format!("{at}/{index}"), all));
        }
        _ => all.push(at),
    }
}

/// This host, and its leaves.
fn base() -> &'static (Value, String, Vec<String>, Sandbox) {
    static BASE: OnceLock<(Value, String, Vec<String>, Sandbox)> = OnceLock::new();
    BASE.get_or_init(|| {
        let base = serde_json::to_value(Host::snapshot()).unwrap();
        let mut all = Vec::new();
        leaves(&base, String::new(), &mut all);
        let sandbox = Sandbox::new().ro_bind("/", "/").proc("/proc").dev("/dev").tmpfs("/tmp").unshare_all();
        (base.clone(), base.to_string(), all, sandbox)
    })
}

pub(crate) fn snapshot_of_a_host(numbers: &mut Numbers) {
    let (base, text, all, sandbox) = base();
    let read = if numbers.below(3) == 0 {
        let mut bytes = text.clone().into_bytes();
        for _ in 0..=numbers.below(8) {
            let at = numbers.index(bytes.len());
            bytes[at] = numbers.byte();
        }
        serde_json::from_slice::<Host>(&bytes)
    } else {
        let mut value = base.clone();
        for _ in 0..=numbers.below(12) {
            let new = match numbers.below(7) {
                0 => 0.into(),
                1 => u64::MAX.into(),
                2 => (-1).into(),
                3 => u32::MAX.into(),
                4 => Value::Null,
                5 => true.into(),
                _ => String::from_utf8_lossy(numbers.pick(BITS)).into_owned().into(),
            };
            // a change before may have taken it away
            if let Some(leaf) = value.pointer_mut(&all[numbers.index(all.len())]) {
                *leaf = new;
            }
        }
        serde_json::from_value::<Host>(value)
    };
    let Ok(host) = read else { return };
    let symptom = Symptom::from_text(b"bwrap: Can't mount proc on /newroot/proc: Operation not permitted\n");
    let diagnosis = diagnose(&symptom, &host, Some(sandbox));
    let _ = (diagnosis.to_string(), serde_json::to_string(&diagnosis).unwrap());
    let _ = predict(&host, sandbox).to_string();
    let again: Host = serde_json::from_str(&serde_json::to_string(&host).unwrap()).unwrap();
    assert_eq!(again, host);
}

pub(crate) fn line_of_mountinfo(numbers: &mut Numbers) {
    let mut bytes =
        b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue".to_vec();
    spoil(&mut bytes, numbers, 6);
    let _ = Mount::parse(&String::from_utf8_lossy(&bytes));
}

/// A pod is judged, and mended, whatever is written in it.
pub(crate) fn manifest(numbers: &mut Numbers) {
    static PODS: &str = include_str!("../data/kubernetes/pods.yaml");
    const MARKS: &[&[u8]] = &[
        b"&a ", b"*a", b"<<: ", b"- ", b"? ", b": ", b"{", b"[", b"\n---\n", b"!!str ", b"|\n", b"'", b"\t",
        b"~", b"#",
    ];
    let pods: Vec<&str> = PODS.split("\n---\n").collect();
    let mut text = pods[numbers.index(pods.len())].as_bytes().to_vec();
    spoil(&mut text, numbers, 4);
    for _ in 0..numbers.below(4) {
        let at = numbers.index(text.len());
        text.splice(at..at, numbers.pick(MARKS).iter().copied());
    }
    let workloads = match read(&String::from_utf8_lossy(&text)) {
        Ok(workloads) => workloads,
        Err(error) => {
            let line = error.to_string();
            assert!(!line.chars().any(char::is_control), "{line:?}");
            return;
        }
    };
    let cluster = Cluster::new([Runtime::Containerd, Runtime::CriO][numbers.index(2)]);
    let sandbox = &base().3;
    for workload in &workloads {
        for container in workload.containers() {
            if let Err(error) = cluster.foretell(workload, container, sandbox) {
                assert!(!error.to_string().chars().any(char::is_control), "{error}");
            }
        }
        if let Ok(cure) = Cure::of(std::slice::from_ref(&cluster), workload, "fuzz", sandbox) {
            let _ = (cure.patch(), cure.manifest());
        }
    }
}
