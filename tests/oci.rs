//! Sandboxes in containers, shaped as the usual runtimes shape them: what fails there, and how. It takes root and runc.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "oci/bundle.rs"]
mod bundle;
#[path = "oci/faults.rs"]
mod faults;
#[path = "oci/kit.rs"]
mod kit;
#[path = "oci/landlock.rs"]
mod landlock;
#[path = "oci/lines.rs"]
mod lines;
#[path = "common/listed.rs"]
mod listed;
#[path = "oci/pairs.rs"]
mod pairs;
#[path = "oci/presets.rs"]
mod presets;
#[path = "oci/proof.rs"]
mod proof;
#[path = "oci/stage.rs"]
mod stage;
#[path = "common/table.rs"]
mod table;
#[path = "common/trying.rs"]
mod trying;
#[path = "oci/wrapper.rs"]
mod wrapper;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use bundle::{Bundle, Status, Wrapper};
use faults::{Fault, Says};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// Where bwraps that the machine has elsewhere are in containers.
const BWRAP: &str = "/opt/bwrap";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if let [_, flag, name, rest @ ..] = words.as_slice()
        && flag == "--helper"
    {
        match name.as_str() {
            "landlock" => landlock::landlock(rest),
            "hang" => kit::hang(),
            "hello" => println!("hello"),
            "try" => trying::try_line(rest),
            name => panic!("{name}"),
        }
        return ExitCode::SUCCESS;
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads = listed::at_a_time(arguments.test_threads);
    let missing = missing();
    let mut trials = Vec::new();
    for (name, case) in kit::CASES {
        trials.push(trial(format!("kit::{name}"), missing.clone(), move || {
            case();
            Ok(())
        }));
    }
    trials.push(trial("every_fault_is_listed".to_owned(), None, || {
        proof::every_fault_is_listed();
        Ok(())
    }));
    for (index, (label, bwrap)) in bwraps().into_iter().enumerate() {
        let mut stacks = Vec::new();
        for fault in faults::all() {
            let title = format!("{label}::{}", fault.name);
            let missing = missing.clone().or_else(|| lacks(&fault, bwrap.as_deref()));
            let bwrap = bwrap.clone();
            let proven = format!("{title}::proof");
            let (other, lacking) = ((fault.clone(), bwrap.clone()), missing.clone());
            trials.push(trial(title, missing, move || check(fault, bwrap.as_deref().unwrap())));
            // remedies are the host's, and hardly change with bwrap's version
            if index > 0 && !listed::each() {
                continue;
            }
            if proof::is_stack(&other.0) {
                stacks.push(other.0.clone());
            }
            trials.push(trial(proven, lacking, move || {
                let (fault, bwrap) = other;
                let (bundle, bwrap) = install(fault.bundle.clone(), bwrap.as_deref().unwrap());
                proof::prove(&fault, bundle, bwrap, index == 0)
            }));
        }
        // what is merged is the host's, too
        let pairs = if index == 0 { pairs::all() } else { Vec::new() };
        for fault in stacks.into_iter().chain(pairs) {
            let missing = missing.clone().or_else(|| lacks(&fault, bwrap.as_deref()));
            let bwrap = bwrap.clone();
            trials.push(trial(format!("{label}::{}::at_once", fault.name), missing, move || {
                let (bundle, bwrap) = install(fault.bundle.clone(), bwrap.as_deref().unwrap());
                pairs::prove(&fault, bundle, bwrap)
            }));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if arguments.list {
        return ExitCode::SUCCESS;
    }
    pairs::count();
    if let Err(error) = proof::compare(!conclusion.has_failed()) {
        println!("{error}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// A test, which does not run if something is missing.
fn trial(
    title: String,
    missing: Option<String>,
    case: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    Trial::ignorable_test(title, move || match missing {
        Some(reason) => Ok(Completion::ignored_with(reason)),
        None => case().map(|()| Completion::Completed),
    })
}

/// What containers cannot be made without.
fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("containers are made by root".to_owned());
    }
    let runc = Command::new("runc").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    (!runc.is_ok_and(|status| status.success()))
        .then(|| "runc is not there; `make setup` installs it".to_owned())
}

/// What this fault cannot be made without.
fn lacks(fault: &Fault, bwrap: Option<&Path>) -> Option<String> {
    let Some(bwrap) = bwrap else {
        return Some("this bwrap is not there; `make setup` fetches it".to_owned());
    };
    if !fault.bundle.proc && !bwrap.starts_with("/usr") {
        return Some("this bwrap finds its libraries through /proc".to_owned());
    }
    let changes = !fault.bundle.preparations.is_empty() || matches!(fault.says, Says::Unexecuted(_));
    if changes && !bwrap.starts_with("/usr") {
        return Some("it changes the system's bwrap".to_owned());
    }
    if !fault.bundle.behind.is_empty() && !bwrap.starts_with("/usr") {
        return Some("where ids differ a program finds no libraries beside itself".to_owned());
    }
    let landlocked = |wrapper| matches!(wrapper, &Wrapper::Landlock { .. });
    if fault.bundle.wrappers.iter().any(landlocked) && !landlock::available() {
        return Some("this kernel has no Landlock".to_owned());
    }
    let absent = fault.bundle.overmounts.iter().find(|(path, _)| !Path::new(path).exists());
    absent.map(|(path, _)| format!("this kernel has no {path}"))
}

/// The bwraps to test with: those that `make test` names, or the system's.
fn bwraps() -> Vec<(String, Option<PathBuf>)> {
    let paths = listed::listed().unwrap_or_else(|| vec!["/usr/bin/bwrap".into()]);
    let version = |path: &Path| {
        let output = Command::new(path).arg("--version").output().ok()?;
        Some(String::from_utf8(output.stdout).ok()?.split_whitespace().last()?.to_owned())
    };
    let labelled = |path: PathBuf| match version(&path) {
        Some(version) => (version, Some(path)),
        None => (path.display().to_string(), None),
    };
    paths.into_iter().take(listed::USUAL).map(labelled).collect()
}

/// Puts a bwrap into a container, with the libraries that lie beside it, and says where it is.
fn install(bundle: Bundle, bwrap: &Path) -> (Bundle, String) {
    if bwrap.starts_with("/usr") {
        return (bundle, bwrap.display().to_string());
    }
    let package = bwrap.ancestors().nth(3).unwrap();
    let inside = bwrap.strip_prefix(package).unwrap();
    (bundle.copy(package, BWRAP), format!("{BWRAP}/{}", inside.display()))
}

/// Whether bwrap says what it should.
fn check(fault: Fault, bwrap: &Path) -> Result<(), Failed> {
    let (bundle, bwrap) = install(fault.bundle, bwrap);
    let ended = bundle.run(&bwrap, fault.arguments, b"");
    let right = match fault.says {
        Says::Nothing => ended.success() && ended.stderr.is_empty(),
        Says::Message(begin, end) => {
            let said = ended.bwrap().unwrap_or_default();
            ended.status == Status::Code(1) && said.starts_with(begin) && said.ends_with(end)
        }
        Says::Unexecuted(words) => match &ended.status {
            Status::NotStarted(reason) => reason.contains(words),
            status => *status != Status::Code(0) && ended.stderr.contains(words),
        },
    };
    if right {
        return Ok(());
    }
    Err(format!("{:?} was expected, not {:?}\n{}\n{bundle:?}", fault.says, ended.status, ended.stderr).into())
}
