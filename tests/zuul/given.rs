//! The configurations that Zuul itself uses.

use std::fs;

use crate::common::{Here, SETTLE, within};
use crate::kit::{Both, Configuration};

/// As the start-up check, with a job.
pub(crate) fn minimal(here: &Here) {
    Both::new(here).compare(&Configuration::default());
}

/// Two in two directories, one larger than a pipe.
pub(crate) fn secrets(here: &Here) {
    let mut both = Both::new(here);
    let path = |name: &str| both.job.path(&format!("ansible/playbook_{name}/group_vars/all.yaml"));
    let configuration = Configuration {
        ro: vec![both.job.path("ansible")],
        secrets: vec![
            (path("0"), "password: !unsafe hunter2\n".to_owned()),
            (path("1"), format!("k: {}\n", "x".repeat(300_000))),
        ],
        ..Configuration::default()
    };
    both.compare(&configuration);
}

/// What `AnsibleJob.runAnsible` hands in, one path twice.
fn ansible(both: &Both) -> Configuration {
    let path = |name: &str| both.job.path(name);
    let ro = [
        "extra-ro",
        "site-vars.yaml",
        "ansible",
        "kube",
        "trusted",
        "untrusted",
        "ansible/playbook_0",
        "site-vars.yaml",
    ];
    Configuration {
        ro: ro.map(path).to_vec(),
        rw: ["extra-rw", ".ansible"].map(path).to_vec(),
        ..Configuration::default()
    }
}

pub(crate) fn everything_at_once(here: &Here) {
    let mut both = Both::new(here);
    let secret = both.job.path("ansible/playbook_0/group_vars/all.yaml");
    let configuration = Configuration {
        secrets: vec![(secret, "password: !unsafe hunter2\n".to_owned())],
        agent: true,
        ..ansible(&both)
    };
    both.compare(&configuration);
}

pub(crate) fn paths(here: &Here) {
    let mut both = Both::new(here);
    let configuration = ansible(&both);
    both.compare(&configuration);
}

/// `getWrappedUtilityContext`, for `git diff`.
pub(crate) fn no_network(here: &Here) {
    let mut both = Both::new(here);
    let configuration =
        Configuration { share_net: Some(false), home: Some("utility-home"), ..Configuration::default() };
    assert_eq!(both.compare(&configuration).probed()["network"], serde_json::json!(["lo"]));
}

pub(crate) fn ssh_agent(here: &Here) {
    let mut both = Both::new(here);
    let configuration = Configuration { agent: true, ..Configuration::default() };
    // the agent answers
    assert_eq!(both.compare(&configuration).probed()["agent"], serde_json::json!([5, 12]));
}

/// How commands and launches end, and that nothing runs on.
pub(crate) fn endings(here: &Here) {
    let mut both = Both::new(here);
    let sleep = format!("3141{}", std::process::id());
    let background = format!("sleep {sleep} & exit 3");
    let scripts = [
        ("exit 0", 0),
        ("exit 7", 7),
        ("exit 255", 255),
        ("kill -9 $$", 137),
        ("kill -15 $$", 143),
        ("kill -11 $$", 139),
        ("echo bwrap: no >&2; exit 1", 1),
        (&background, 3),
    ];
    for (script, returned) in scripts {
        let words = ["sh", "-c", script].map(str::to_owned).to_vec();
        let configuration = Configuration { words: Some(words), ..Configuration::default() };
        assert_eq!(both.compare(&configuration).returned, Ok(returned), "{script}");
    }
    let runs = || {
        let lines = fs::read_dir("/proc").unwrap().flatten();
        lines.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok()).any(|line| {
            line.starts_with(b"sleep\0") && line.windows(sleep.len()).any(|part| part == sleep.as_bytes())
        })
    };
    assert!(within(SETTLE, || !runs()));
    // neither runs anything: no program, no file, a secret where no directory can be made
    let missing = both.job.path("no/such/file");
    let secret = (both.job.path("trusted/none/all.yaml"), "text".to_owned());
    let words = |program: &str| Some(vec![program.to_owned()]);
    let failures = [
        Configuration { words: words("no-such-program"), ..Configuration::default() },
        Configuration { words: words("/usr"), ..Configuration::default() },
        Configuration { ro: vec![missing.clone()], words: words("true"), ..Configuration::default() },
        Configuration { rw: vec![missing], words: words("true"), ..Configuration::default() },
        Configuration {
            ro: vec![both.job.path("trusted")],
            secrets: vec![secret],
            words: words("true"),
            ..Configuration::default()
        },
    ];
    for configuration in failures {
        assert_eq!(both.compare(&configuration).returned, Ok(1), "{configuration:?}");
    }
}
