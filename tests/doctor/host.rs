//! `bwrap-doctor host`.

use bwrap_launch::Sandbox;
use bwrap_launch::host::{Fact, Host};

use crate::{INSTALLED, ask, doctor, needs, said};

#[test]
fn the_snapshot_is_json_that_the_library_reads() {
    needs!(INSTALLED);
    let said = ask(&["host", "--format", "json"]);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    let host: Host = serde_json::from_str(&said.out).unwrap();
    assert_eq!(host.kernel, Host::snapshot().kernel);
    assert!(matches!(&host.bwrap, Fact::Present(bwrap) if !bwrap.version.is_empty()));
    assert_eq!(serde_json::to_value(&host).unwrap(), said.json());
}

#[test]
fn every_fact_is_in_the_text() {
    needs!(INSTALLED);
    let text = ask(&["host"]);
    assert_eq!((text.status, text.err.as_str()), (0, ""));
    let json = ask(&["host", "--format", "json"]).json();
    for (group, facts) in json.as_object().unwrap() {
        let title = group.replace('_', " ");
        assert!(text.out.lines().any(|line| line == title), "{title}: {}", text.out);
        let Some(facts) = facts.as_object().filter(|facts| !facts.contains_key("present")) else { continue };
        for name in facts.keys() {
            assert!(text.out.contains(name) || text.out.contains(&name.replace('_', " ")), "{group}.{name}");
        }
    }
    assert!(!text.out.contains("{\"") && !text.out.contains("\"present\""), "{}", text.out);
}

#[test]
fn names_of_the_host_are_visible_and_no_lines() {
    needs!(INSTALLED);
    let sandbox = Sandbox::new().bind("/", "/").proc("/proc").tmpfs("/tmp/a\nb\u{202e}c");
    let said = sandbox.command(env!("CARGO_BIN_EXE_bwrap-doctor")).arg("host").output().unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(text.contains("  /tmp/a\\nb\\u{202e}c tmpfs"), "{text}");
    assert!(!text.contains('\u{202e}'), "{text}");
    // bwrap made the directory on the host
    std::fs::remove_dir("/tmp/a\nb\u{202e}c").unwrap();
}

#[test]
fn a_missing_bwrap_is_noted() {
    let named = ask(&["host", "--format", "json", "--bwrap", "/nonexistent/bwrap"]);
    assert_eq!((named.status, named.err.lines().count(), &named.json()["bwrap"]), (0, 1, &"absent".into()));
    let mut command = doctor(&["host", "--format", "json"]);
    let none = said(command.env_remove("BWRAP").env("PATH", "/nonexistent").output().unwrap());
    assert_eq!((none.status, none.err.lines().count(), &none.json()["bwrap"]), (0, 1, &"unknown".into()));
}
