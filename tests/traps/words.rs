//! Words: what may stand where in the arguments file, and how many of them.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use bwrap_launch::op::{Bind, BindData, Chmod, Overlay, RemountRo, Symlink};
use bwrap_launch::{Error, Feature, Invalid, Namespaces, Place, Problem, Sandbox};

use crate::cases;
use crate::common::{Case, Here, host};
use crate::support::{at, own_namespace, own_session, prints, refused, refused_at_launch};

pub(crate) const CASES: &[Case] = cases![
    an_empty_value_loses_nothing,
    an_empty_host_name_loses_nothing,
    an_empty_name_loses_nothing,
    empty_words_are_refused,
    empty_destinations_are_refused,
    nul_bytes_are_refused,
    values_that_begin_with_a_dash_are_values,
    destinations_may_look_like_options,
    commands_are_not_options,
    any_byte_may_be_in_a_path,
    the_word_limit_counts_arguments,
    the_word_limit_counts_operations,
    the_word_limit_counts_variables,
    unknown_options_are_named,
];

/// The largest number of words.
const LIMIT: usize = 9000;

/// What must still hold at the end of the arguments file: namespaces, identity and mounts after the first word.
fn ending(sandbox: Sandbox) -> Sandbox {
    sandbox.unshare(Namespaces::NET).new_session().tmpfs("/mnt").file("there", "/mnt/file").env("LAST", "set")
}

/// The words after a dubious one are in force.
#[track_caller]
fn the_rest_holds(here: &Here, sandbox: Sandbox) {
    let sandbox = ending(sandbox).proc("/proc").current_dir("/mnt");
    let script = "readlink /proc/self/ns/net; cat file; echo; echo $LAST; pwd; cut -d' ' -f6 /proc/$$/stat";
    let text = here.prints(&sandbox, script);
    let lines: Vec<_> = text.lines().collect();
    assert_ne!(lines[0], own_namespace("net"), "{sandbox}");
    assert_eq!(lines[1..4], ["there", "set", "/mnt"], "{sandbox}");
    let own = own_session();
    assert_ne!(lines[4], own, "no session of its own: {sandbox}");
}

/// Trap 7, section 8: an empty string in the arguments file may end it silently. As a value it does not.
fn an_empty_value_loses_nothing(here: &Here) {
    let empty = host().env("A", "").env_secret("B", "");
    the_rest_holds(here, empty.clone());
    prints(here, &empty, "echo \"<${A-unset}><${B-unset}>\"", &["<><>"]);
}

/// Trap 7: an empty host name is one, and what follows it holds.
fn an_empty_host_name_loses_nothing(here: &Here) {
    let sandbox = host().unshare(Namespaces::UTS).hostname("");
    if sandbox.check().is_err() {
        refused(here, &sandbox, Place::Identity, Problem::Empty("host name"));
        return;
    }
    the_rest_holds(here, sandbox.clone());
    prints(here, &sandbox, "uname -n", &[""]);
}

/// Trap 7: everywhere else an empty word is refused by name.
fn empty_words_are_refused(here: &Here) {
    let new = Sandbox::new;
    let layered = |layer: &str| Overlay::temporary("/o").layer(layer);
    for (sandbox, place, what) in [
        (new().bind("", "/d"), at(0, "bind", "/d"), "source"),
        (new().add(Bind::read_only("", "/d").optional()), at(0, "read-only bind", "/d"), "source"),
        (new().dev_bind("", "/d"), at(0, "device bind", "/d"), "source"),
        (new().symlink("", "/d"), at(0, "symlink", "/d"), "target"),
        (new().add(layered("")), at(0, "overlay", "/o"), "layer"),
        (new().add(layered("/l").option("")), at(0, "overlay", "/o"), "mount option"),
        (new().add(Overlay::writable("", "/w", "/o").layer("/l")), at(0, "overlay", "/o"), "upper directory"),
        (new().add(Overlay::writable("/u", "", "/o").layer("/l")), at(0, "overlay", "/o"), "work directory"),
        (new().exec_label(""), Place::Privileges, "label"),
        (new().file_label(""), Place::Privileges, "label"),
        (new().debug_option(""), Place::Privileges, "debug option"),
        (new().unshare(Namespaces::PID).lock_file(""), Place::Lifetime, "lock file"),
        (new().current_dir(""), Place::CurrentDir, "path"),
    ] {
        refused(here, &sandbox, place, Problem::Empty(what));
    }
    refused_at_launch(&mut here.command(&host(), ""), Place::Program, Problem::Empty("name"));
}

/// A program's own name may be empty, and nothing after it is lost.
fn an_empty_name_loses_nothing(here: &Here) {
    here.needs("--argv0");
    let sandbox = host().proc("/proc").tmpfs("/mnt");
    let mut command = here.command(&sandbox, "sh");
    command
        .arg0("")
        .args(["-c", "head -c 3 /proc/$$/cmdline | od -An -c; grep -c ' /mnt ' /proc/self/mountinfo"]);
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "  \\0   -   c\n1\n");
}

/// Trap 19, section 7: an empty destination replaces the whole root.
fn empty_destinations_are_refused(here: &Here) {
    use bwrap_launch::Descriptor;
    use bwrap_launch::op::{BindFd, Dev, Dir, File, Mqueue, Operation, Proc, Tmpfs};
    let fd = || Descriptor::number(0);
    let operations: [(Operation, &str); 15] = [
        (Bind::read_write("/", "").into(), "bind"),
        (Bind::read_only("/", "").into(), "read-only bind"),
        (Bind::device("/", "").optional().into(), "device bind"),
        (BindFd::read_only(fd(), "").into(), "bind of a descriptor"),
        (RemountRo::new("").into(), "read-only remount"),
        (Overlay::temporary("").layer("/l").into(), "overlay"),
        (Proc::new("").into(), "proc"),
        (Dev::new("").into(), "dev"),
        (Tmpfs::new("").into(), "tmpfs"),
        (Mqueue::new("").into(), "mqueue"),
        (Dir::new("").into(), "dir"),
        (File::new("x", "").into(), "file"),
        (BindData::read_only("x", "").into(), "bind of data"),
        (Symlink::new("x", "").into(), "symlink"),
        (Chmod::new(0o755, "").into(), "chmod"),
    ];
    for (operation, name) in operations {
        let sandbox = host().add(operation);
        refused(here, &sandbox, at(2, name, ""), Problem::Empty("destination"));
    }
}

/// No argument can hold a NUL byte; in the arguments file it would make two words of one.
fn nul_bytes_are_refused(here: &Here) {
    let new = Sandbox::new;
    let nul = "a\0--bind";
    let writable = |upper: &str, work: &str| Overlay::writable(upper, work, "/o").layer("/l");
    for (sandbox, place, what) in [
        (new().bind(nul, "/d"), at(0, "bind", "/d"), "source"),
        (new().bind("/", nul), at(0, "bind", nul), "destination"),
        (new().tmpfs(nul), at(0, "tmpfs", nul), "destination"),
        (new().file("x", nul), at(0, "file", nul), "destination"),
        (new().symlink(nul, "/d"), at(0, "symlink", "/d"), "target"),
        (new().add(Overlay::temporary("/o").layer(nul)), at(0, "overlay", "/o"), "layer"),
        (new().add(writable("/u", "/w").option(nul)), at(0, "overlay", "/o"), "mount option"),
        (new().add(writable(nul, "/w")), at(0, "overlay", "/o"), "upper directory"),
        (new().add(writable("/u", nul)), at(0, "overlay", "/o"), "work directory"),
        (new().unshare(Namespaces::UTS).hostname(nul), Place::Identity, "host name"),
        (new().exec_label(nul), Place::Privileges, "label"),
        (new().file_label(nul), Place::Privileges, "label"),
        (new().debug_option(nul), Place::Privileges, "debug option"),
        (new().unshare(Namespaces::PID).lock_file(nul), Place::Lifetime, "lock file"),
        (new().current_dir(nul), Place::CurrentDir, "path"),
        (new().env("A", nul), Place::Variable("A".to_owned()), "value"),
        (new().env_secret("A", nul), Place::Variable("A".to_owned()), "value"),
    ] {
        refused(here, &sandbox, place, Problem::Nul(what));
    }
    let host = host();
    for (mut command, place, what) in [
        (here.command(&host, nul), Place::Program, "name"),
        (here.shell(&host, nul), Place::Argument(2), "text"),
    ] {
        refused_at_launch(&mut command, place, Problem::Nul(what));
    }
    refused_at_launch(here.command(&host, "true").arg0(nul), Place::Argument(0), Problem::Nul("text"));
}

/// Section 8: values that look like options are values.
fn values_that_begin_with_a_dash_are_values(here: &Here) {
    let sandbox = host()
        .env("A", "--")
        .env("B", "--bind")
        .env("-C", "-")
        .unshare(Namespaces::UTS)
        .hostname("--share-net")
        .tmpfs("/mnt")
        .symlink("--bind", "/mnt/link")
        .symlink("--", "/mnt/end")
        .dir("/mnt/--")
        .file("x", "/mnt/--tmpfs");
    the_rest_holds(here, sandbox.clone());
    let script = "echo $A $B; uname -n; readlink /mnt/link /mnt/end; cat /mnt/--tmpfs; ls -d /mnt/--";
    let expected = ["-- --bind", "--share-net", "--bind", "--", "x/mnt/--"];
    prints(here, &sandbox, script, &expected);
    // a shell drops such a name
    let output = here.command(&sandbox, "env").output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("\n-C=-\n"), "{sandbox}");
    // destinations are relative to the new root, whatever their form
    let sandbox = host().tmpfs("/mnt").dir("mnt/--unshare-net").current_dir("mnt/--unshare-net");
    let error = here.command(&sandbox.clone().current_dir("--"), "true").output().unwrap_err();
    assert!(error.to_string().contains("Can't chdir to --"), "{error}");
    prints(here, &sandbox, "pwd -P", &["/mnt/--unshare-net"]);
}

/// Section 8: a destination that itself looks like an option, or like the end of the options.
fn destinations_may_look_like_options(here: &Here) {
    let sandbox =
        Sandbox::new().ro_bind("/", "/").tmpfs("/mnt").current_dir("/mnt").env("PATH", "/usr/bin:/bin");
    let sandbox = ["--", "--args", "-", "--bind"]
        .into_iter()
        .fold(sandbox, |sandbox, name| sandbox.dir(format!("mnt/{name}")));
    the_rest_holds(here, sandbox);
    let root = Sandbox::new().ro_bind("/usr", "--usr").ro_bind("/usr", "/usr").dir("--").dir("--help");
    let root = ["bin", "lib", "lib64"]
        .into_iter()
        .fold(root, |root, name| root.symlink(format!("usr/{name}"), name));
    let mut command = here.command(&root, "/usr/bin/ls");
    let output = command.arg("/").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for name in ["--", "--help", "--usr"] {
        assert!(text.lines().any(|line| line == name), "{name} is not in {text}");
    }
}

/// Section 8: a command, its name and its arguments are never read as options.
fn commands_are_not_options(here: &Here) {
    let directory = here.scratch.join("bin");
    std::fs::create_dir(&directory).unwrap();
    let echo = "#!/bin/sh\necho \"$#\" \"$@\"\n";
    for name in ["--version", "--help", "--", "-", "--bind"] {
        let path = directory.join(name);
        std::fs::write(&path, echo).unwrap();
        std::os::unix::fs::chown(&path, None, None).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", directory.display());
        let sandbox = Sandbox::new().ro_bind("/", "/").dev("/dev").env("PATH", path);
        let mut command = here.command(&sandbox, name);
        let output = command.args(["--", "--unshare-net", "", "--"]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "4 -- --unshare-net  --\n", "{name}");
    }
    let mut command = here.command(&host(), "echo");
    assert_eq!(command.arg("--").arg("").arg("x").output().unwrap().stdout, b"--  x\n");
}

/// Paths are bytes: braces, newlines, quotes and what is no UTF-8 arrive as they are.
fn any_byte_may_be_in_a_path(here: &Here) {
    for name in [&b"{a}{{0}}"[..], b"a\nb", b"a 'b' \"c\" $(d) \\", b"\xff\xfe\x80", b"%s%n", b"a:b,c=d"] {
        let name = OsString::from_vec(name.to_vec());
        let source = here.scratch.join(&name);
        std::fs::write(&source, "content").unwrap();
        let inside = std::path::Path::new("/mnt").join(&name);
        let sandbox = host().tmpfs("/mnt").ro_bind(&source, &inside).env("N", name.clone());
        let mut command = here.command(&sandbox, "sh");
        let output = command.args([
            "-c",
            "cat \"$1\"; printf %s \"$N\"; cd /mnt; ls -A --quoting-style=literal",
            "sh",
        ]);
        let output = output.arg(&inside).output().unwrap();
        let mut expected = b"content".to_vec();
        expected.extend(name.as_bytes());
        expected.extend(name.as_bytes());
        expected.push(b'\n');
        assert_eq!(output.stdout.escape_ascii().to_string(), expected.escape_ascii().to_string());
        // a failure names the path as it is
        let missing = here.scratch.join("no").join(&name);
        let error = here.command(&host().ro_bind(&missing, "/mnt"), "true").output().unwrap_err();
        let Error::SetupFailed(failure) = &error else { panic!("{error}") };
        assert_eq!(failure.message().unwrap().path(), Some(missing.as_path()), "{failure:?}");
    }
}

/// How many words a launch has, told by its refusal.
fn words_of(here: &Here, sandbox: &Sandbox, arguments: usize) -> usize {
    let mut command = here.shell(sandbox, "echo $#");
    match command.args(vec!["x"; arguments]).spawn() {
        Err(Error::Invalid(Invalid {
            place: Place::CommandLine,
            problem: Problem::TooManyWords { count, limit, .. },
            ..
        })) => {
            assert_eq!(limit, LIMIT);
            count
        }
        other => panic!("{other:?}"),
    }
}

/// Section 8: 9000 words in all are read, the command's own included, and the arguments file does not help.
fn the_word_limit_counts_arguments(here: &Here) {
    let own = words_of(here, &host(), 20_000) - 20_000;
    let mut command = here.shell(&host(), "echo $#");
    // the first of them is the shell's name
    let output = command.args(vec!["x"; LIMIT - own]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{}\n", LIMIT - own - 1));
    assert_eq!(words_of(here, &host(), LIMIT - own + 1), LIMIT + 1);
}

/// Section 8: operations count alike.
fn the_word_limit_counts_operations(here: &Here) {
    let own = words_of(here, &host(), 20_000) - 20_000;
    // `--tmpfs DEST` and then two words for each directory
    let (fits, rest) = ((LIMIT - own - 2) / 2, (LIMIT - own - 2) % 2);
    let full = (0..fits).fold(host().tmpfs("/mnt"), |sandbox, index| sandbox.dir(format!("/mnt/{index}")));
    let mut command = here.shell(&full, "ls /mnt | wc -l");
    command.args(vec!["x"; rest]);
    assert_eq!(String::from_utf8(command.output().unwrap().stdout).unwrap(), format!("{fits}\n"));
    let problem = format!(
        "has {} words, {LIMIT} at most are possible, the command's own included; bind directories instead of files, or \
         hand long argument lists over in a file",
        LIMIT + 1
    );
    refused_at_launch(command.arg("x"), Place::CommandLine, problem);
}

/// Section 8: so do inherited variables, three words each.
fn the_word_limit_counts_variables(here: &Here) {
    let sandbox = (0..LIMIT / 3).fold(host(), |sandbox, index| sandbox.env(format!("V{index}"), "x"));
    let error = here.command(&sandbox, "true").spawn().unwrap_err();
    let Error::Invalid(Invalid { problem: Problem::TooManyWords { count, .. }, .. }) = &error else {
        panic!("{error:?}")
    };
    assert!(*count > LIMIT, "{count}");
    // without its variables it is small
    assert!(here.command(&sandbox.env_clear(), "/usr/bin/true").status().unwrap().success());
}

/// Trap 5: an option that this bwrap lacks is an error that says who has it, or is left out and named.
fn unknown_options_are_named(here: &Here) {
    let cases = [
        (
            host().not_a_security_boundary(),
            Feature::NotASecurityBoundary,
            "--not-a-security-boundary",
            "0.12.0",
        ),
        (host().level_prefix(), Feature::LevelPrefix, "--level-prefix", "0.11.0"),
        (host().add(Overlay::temporary("/mnt").layer("/usr")), Feature::Overlay, "--tmp-overlay", "0.11.0"),
        (host().debug_option("x"), Feature::DebugOption, "--debug-opt", "0.12.0"),
    ];
    for (sandbox, feature, option, since) in cases {
        if here.bwrap.accepts(option) {
            continue;
        }
        let error = here.command(&sandbox, "true").spawn().unwrap_err();
        let Error::MissingOption(missing) = &error else { panic!("{error:?}") };
        assert_eq!((missing.option, missing.since), (option, Some(since)));
        assert!(error.to_string().contains(&format!("bubblewrap {since} and newer")), "{error}");
        assert!(error.to_string().contains(here.bwrap.version_text()), "{error}");
        let output = here.command(&sandbox.optional(feature), "true").output().unwrap();
        assert_eq!((output.status.success(), output.dropped), (true, vec![feature]));
    }
}
