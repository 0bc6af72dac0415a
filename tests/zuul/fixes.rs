//! What is done better than by Zuul's driver, and that it can be switched back to be done as there.

use std::fs;
use std::path::Path;

use bwrap_launch::profile::zuul::{Driver, Error, Fixes};
use bwrap_launch::{Bwrap, Error as LaunchError, Sandbox};

use crate::common::{Here, host};
use crate::kit::{Both, Configuration, packages, path, zuuls_check};

/// What the three see: Zuul, the profile without this fix, the profile.
fn three(both: &mut Both, configuration: &Configuration, fix: Fixes) -> [(Result<i32, String>, String); 3] {
    let seen = [
        both.zuul(configuration),
        both.ours(configuration, Fixes::all() - fix),
        both.ours(configuration, Fixes::all()),
    ];
    seen.map(|seen| (seen.returned, seen.stdout))
}

fn words(words: &[&str]) -> Configuration {
    let words = words.iter().map(|&word| word.to_owned()).collect();
    Configuration { words: Some(words), ..Configuration::default() }
}

pub(crate) fn a_command_is_no_option(here: &Here) {
    let mut both = Both::new(here);
    let [zuul, without, with] =
        three(&mut both, &words(&["--hostname", "elsewhere", "uname", "-n"]), Fixes::SEPARATOR);
    assert_eq!(zuul, (Ok(0), "elsewhere\n".to_owned()));
    assert_eq!(without, zuul);
    // there is no program of that name
    assert_eq!(with, (Ok(1), String::new()));
    // one that asks for the network to be taken away gets that
    let [zuul, without, _] =
        three(&mut both, &words(&["--unshare-net", "--", "ls", "/sys"]), Fixes::SEPARATOR);
    assert_eq!(without, zuul);
    // no options at all
    let [zuul, without, _] = three(&mut both, &words(&["--no-such-option", "true"]), Fixes::SEPARATOR);
    assert_eq!((zuul.0, without.0.is_err()), (Ok(1), true));
}

/// Not run: as root, Zuul's bwrap overwrites the host's.
pub(crate) fn the_hosts_user_database_is_not_written(here: &Here) {
    let launcher = |fixes, work: &str, home: &Path| {
        Driver::new(&here.bwrap).unwrap().fixes(fixes).context().launcher(work, home)
    };
    for work in ["/", "/etc", "/usr/.."] {
        let error = launcher(Fixes::all(), work, &here.scratch).sandbox().unwrap_err();
        assert!(matches!(&error, Error::HoldsEtc { .. }), "{error}");
        assert!(error.to_string().contains("name a directory of its own"), "{error}");
        assert!(launcher(Fixes::all() - Fixes::OWN_ETC, work, &here.scratch).sandbox().is_ok());
    }
    let home = launcher(Fixes::all(), here.scratch.to_str().unwrap(), Path::new("/"));
    assert!(matches!(home.sandbox(), Err(Error::HoldsEtc { .. })));
}

pub(crate) fn braces_are_part_of_a_path(here: &Here) {
    let mut both = Both::new(here);
    both.job.extra = ["{b}", "{{b}}", "{uid}", "a}b", "0"].map(str::to_owned).to_vec();
    let read = |both: &Both, name: &str| {
        let path = both.job.path(name);
        Configuration { ro: vec![path.clone()], ..words(&["cat", path.to_str().unwrap()]) }
    };
    for (name, zuul_says) in
        [("{b}", "KeyError: 'b'"), ("a}b", "ValueError: Single '}' encountered in format string")]
    {
        let configuration = read(&both, name);
        let [zuul, without, with] = three(&mut both, &configuration, Fixes::BRACES);
        assert_eq!(zuul.0, Err(zuul_says.to_owned()));
        assert!(without.0.unwrap_err().contains("braces"));
        assert_eq!(with, (Ok(0), name.to_owned()));
    }
    // what is bound is another file than the one that was named
    let configuration = Configuration {
        ro: vec![both.job.path("{{b}}")],
        ..words(&["cat", both.job.path("{b}").to_str().unwrap()])
    };
    let [zuul, without, with] = three(&mut both, &configuration, Fixes::BRACES);
    assert_eq!(zuul, (Ok(0), "{b}".to_owned()));
    assert_eq!(without, zuul);
    assert_eq!(with.0, Ok(1));
}

pub(crate) fn release_files_are_inside(here: &Here) {
    let mut both = Both::new(here);
    let releases =
        fs::read_dir("/etc").unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
    let releases: Vec<String> = releases.filter(|name| name.ends_with("-release")).collect();
    assert!(!releases.is_empty(), "there is no release file here");
    for name in releases {
        let path = format!("/etc/{name}");
        let [zuul, without, with] = three(&mut both, &words(&["cat", &path]), Fixes::RELEASE_FILES);
        assert_eq!(zuul, (Ok(1), String::new()));
        assert_eq!(without, zuul);
        assert_eq!(with, (Ok(0), fs::read_to_string(&path).unwrap()));
    }
}

pub(crate) fn members_are_names(here: &Here) {
    let mut both = Both::new(here);
    let [zuul, without, with] = three(&mut both, &words(&["cat", "/etc/group"]), Fixes::GROUP_LINE);
    assert!(zuul.1.trim_end().ends_with(']'), "{zuul:?}");
    assert_eq!(without, zuul);
    let group = nix::unistd::Group::from_gid(nix::unistd::getgid()).unwrap().unwrap();
    let line = format!("{}:x:{}:{}\n", group.name, group.gid, group.mem.join(","));
    assert_eq!(with, (Ok(0), line));
}

pub(crate) fn variables_are_not_inherited(here: &Here) {
    let mut both = Both::new(here);
    // it is in the caller's environment, as a credential might be
    let secret = std::env::var("SCRATCH").unwrap();
    let configuration = Configuration { inherits: true, ..words(&["sh", "-c", "echo ${SCRATCH-nothing}"]) };
    let [zuul, without, with] = three(&mut both, &configuration, Fixes::ENVIRONMENT);
    assert_eq!(zuul, (Ok(0), format!("{secret}\n")));
    assert_eq!(without, zuul);
    assert_eq!(with, (Ok(0), "nothing\n".to_owned()));
}

/// A machine that is ours to change: its root as it is, `/etc` but for some files, a `/tmp` of its own.
fn machine(here: &Here, without: &[&str]) -> Sandbox {
    let needed = [
        "alternatives",
        "group",
        "hosts",
        "ld.so.cache",
        "localtime",
        "nsswitch.conf",
        "passwd",
        "resolv.conf",
    ];
    let mut machine =
        host().bind("/proc", "/proc").tmpfs("/etc").tmpfs("/tmp").env("PATH", path(&here.bwrap));
    for name in needed.iter().filter(|name| !without.contains(name)) {
        let path = format!("/etc/{name}");
        if fs::exists(&path).unwrap() {
            machine = machine.ro_bind(&path, &path);
        }
    }
    // where this program, its bwrap and Zuul are
    let program = std::env::current_exe().unwrap();
    for directory in [program.parent().unwrap(), &packages()] {
        machine = machine.ro_bind(directory, directory);
    }
    machine.env("BWRAP_LAUNCH_TEST_ZUUL", packages())
}

/// Has a helper compare on such a machine.
pub(crate) fn on_a_machine_without(here: &Here, files: &[&str], helper: &str) {
    let machine = machine(here, files);
    let mut command = here.helper(&machine, helper);
    command.arg(here.bwrap.path()).args(files.iter().copied());
    let output = command.output().unwrap_or_else(|error| panic!("{error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{files:?}: {}{}", text(&output.stdout), text(&output.stderr));
}

pub(crate) fn what_is_absent_is_left_out(here: &Here) {
    on_a_machine_without(here, &["localtime"], "leave-out");
    on_a_machine_without(here, &["resolv.conf", "hosts"], "leave-out");
    on_a_machine_without(here, &["passwd"], "leave-out");
}

/// A helper: the check of Zuul's driver fails here, ours says why, and with the fix there is no reason to.
pub(crate) fn leave_out(words: &[String]) {
    let bwrap = Bwrap::at(&words[0]).unwrap();
    let driver = Driver::new(&bwrap).unwrap();
    driver.check().unwrap();
    let zuul = zuuls_check(&bwrap)["raised"].as_str().map(str::to_owned);
    let without = driver.clone().fixes(Fixes::all() - Fixes::ABSENT);
    let Some(zuul) = zuul else {
        // systemd's part of the C library knows root without a file
        assert!(nix::unistd::getuid().is_root() && words[1..] == ["passwd"]);
        return without.check().unwrap();
    };
    match without.check().unwrap_err() {
        Error::Unknown { what: "user", .. } => assert!(zuul.starts_with("KeyError"), "{zuul}"),
        Error::Launch(error @ LaunchError::SetupFailed(_)) => {
            let failure = error.failure().unwrap();
            let path = failure.message().unwrap().path().unwrap().to_owned();
            assert!(words[1..].iter().any(|name| path == Path::new("/etc").join(name)), "{error}");
            // Zuul keeps that to itself
            let silent = without.clone().fixes(Fixes::all() - Fixes::ABSENT - Fixes::MESSAGE);
            assert_eq!(zuul, format!("Exception: {}", silent.check().unwrap_err()));
        }
        other => panic!("{other}"),
    }
}

pub(crate) fn nothing_is_left(here: &Here) {
    on_a_machine_without(here, &[], "leave-nothing");
}

/// A helper: the check leaves a directory, or it does not.
pub(crate) fn leave_nothing(words: &[String]) {
    let bwrap = Bwrap::at(&words[0]).unwrap();
    let left = || fs::remove_dir("/tmp/tmp").is_ok();
    assert!(zuuls_check(&bwrap)["raised"].is_null());
    assert!(left());
    let driver = Driver::new(&bwrap).unwrap();
    driver.clone().fixes(Fixes::all() - Fixes::LEFTOVERS).check().unwrap();
    assert!(left());
    driver.check().unwrap();
    assert!(!left());
}
