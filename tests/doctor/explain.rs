//! `bwrap-doctor explain`.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use bwrap_launch::diagnosis::Cause;

use crate::check::put_script;
use crate::schema::assert_valid;
use crate::{DOCTOR, ROOT, Said, ask, ask_with_input, needs, said};

const MASKED: &str = "bwrap: Can't mount proc on /newroot/proc: Operation not permitted";

pub(crate) fn file(content: &[u8]) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    std::fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

/// The causes of a diagnosis.
fn codes(report: &serde_json::Value) -> Vec<String> {
    let causes = report["diagnosis"]["causes"].as_array().unwrap();
    causes.iter().map(|cause| cause["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_code_is_listed_and_explained() {
    let list = ask(&["explain"]);
    assert_eq!((list.status, list.err.as_str()), (0, ""));
    let json = ask(&["explain", "--format", "json"]).json();
    assert_valid(&json);
    assert_eq!(json["causes"].as_array().unwrap().len(), Cause::ALL.len());
    let readme = include_str!("../../README.md");
    assert!(
        readme.contains(&format!("{} causes with stable codes", Cause::ALL.len())),
        "README.md counts otherwise"
    );
    for cause in Cause::ALL {
        assert!(list.out.contains(&format!("  {}  {}\n", cause.code(), cause.title())), "{cause}");
        for name in [cause.code().to_owned(), cause.code().to_lowercase(), cause.name().to_owned()] {
            let said = ask(&["explain", &name]);
            assert_eq!((said.status, said.err.as_str()), (0, ""));
            assert!(said.out.starts_with(&format!("{} {}: ", cause.code(), cause.name())), "{}", said.out);
        }
        let json = ask(&["explain", "--format", "json", cause.code()]).json();
        assert_valid(&json);
        assert_eq!(json["cause"]["code"], cause.code());
    }
}

#[test]
fn an_unknown_code_is_one_line() {
    let said = ask(&["explain", "XX99"]);
    assert_eq!((said.status, said.out.as_str(), said.err.lines().count()), (2, "", 1));
    assert!(said.err.contains("XX99") && said.err.contains("bwrap-doctor explain"), "{}", said.err);
}

#[test]
fn a_message_is_diagnosed_wherever_it_comes_from() {
    let argument = ask(&["explain", "--message", MASKED]);
    assert_eq!((argument.status, argument.err.as_str()), (0, ""));
    assert!(argument.out.contains(MASKED) && argument.out.contains("Cause: "), "{}", argument.out);
    let log = format!("+ sandbox true\n2025-11-03T03:12:55Z stderr F {MASKED}\n");
    for (args, input) in [
        (&["explain", "--message", "-"][..], format!("{MASKED}\n")),
        (&["explain", "-"], MASKED.to_owned()),
        (&["explain", "--message", "-"], log),
    ] {
        let said = ask_with_input(args, input.as_bytes());
        assert_eq!((said.status, &said.out), (0, &argument.out), "{}", said.err);
    }
    // the lines after it are the log's, whatever their ends
    for end in ["\n", "\r\n"] {
        let log = ["+ sandbox make", MASKED, "make: *** [all] Error 1", "make: Leaving directory", ""];
        let said = ask_with_input(&["explain", "--message", "-"], log.join(end).as_bytes());
        assert_eq!((said.status, &said.out), (0, &argument.out), "{}", said.err);
    }
    // unless a path has newlines in it
    let message = "bwrap: Can't bind mount /oldroot/a\nb on /newroot/mnt: Permission denied";
    let log = format!("{message}\nmake: *** [all] Error 1\n");
    let report = ask_with_input(&["explain", "--format", "json", "--message", "-"], log.as_bytes()).json();
    assert_eq!(report["diagnosis"]["message"], message);
    // but no more than a handful: each more would be read once more
    let far = message.replace('\n', &"\n".repeat(9));
    let report = ask(&["explain", "--format", "json", "--message", &far]).json();
    assert_eq!(report["diagnosis"]["message"], "bwrap: Can't bind mount /oldroot/a");
    assert!(
        codes(&ask(&["explain", "--format", "json", "--message", MASKED]).json()).contains(&"PR01".into())
    );
    let said = ask_with_input(&["explain", "--message", "-"], b"");
    assert_eq!((said.status, said.err.lines().count()), (2, 1));
    // not text at all
    assert_eq!(ask_with_input(&["explain", "-"], b"bwrap: \xff\xfe\0\n\n<3>bwrap: ").status, 0);
}

#[test]
fn the_line_beside_a_message_is_taken_for_what_failed() {
    const MISSING: &str = "bwrap: execvp /bin/sh: No such file or directory";
    let line = "bwrap --unshare-all --ro-bind /usr /usr --symlink usr/lib64 /lib64 -- /bin/sh -c true";
    for (before, after) in [
        (format!("$ {line}\n"), String::new()),
        (format!("user@host:~$ {line}\n"), String::new()),
        (format!("+ set -e\n+ exec {line}\n"), String::new()),
        (format!("$ {}\n", line.replace(" --symlink", " \\\n    --symlink")), String::new()),
        (format!("Bwrap options:\n{}\n", line.trim_start_matches("bwrap ")), String::new()),
        (String::new(), format!("Test case:\n{line}\n")),
    ] {
        let said = ask_with_input(&["explain", "-"], format!("{before}{MISSING}\n{after}").as_bytes());
        assert!(said.out.contains("[EX02; confidence: high]"), "{before}{after}{}", said.out);
        assert!(said.out.contains("the bwrap line that stands in the text"), "{}", said.out);
    }
    // of what is left out or expanded nobody knows what it was; and what cannot have failed so is another
    for other in [
        line.replace(" --symlink", " ... --symlink"),
        line.replace("/usr /usr", "$DIR /usr"),
        "it starts bwrap --unshare-all and fails".to_owned(),
        "which bwrap".to_owned(),
    ] {
        let said = ask_with_input(&["explain", "-"], format!("$ {other}\n{MISSING}\n").as_bytes());
        assert!(!said.out.contains("the bwrap line that stands"), "{other}: {}", said.out);
    }
    let said = ask_with_input(&["explain", "-"], format!("$ {line}\n{MASKED}\n").as_bytes());
    assert!(!said.out.contains("the bwrap line") && !said.out.contains("left aside"), "{}", said.out);
}

/// A container whose filter is answered by a long file.
const DOCKER: &str = r#"{ "platforms": { "present": [{ "platform": "docker", "evidence": "/.dockerenv" }] },
    "process": { "uid": { "present": 0 }, "effective": { "present": "00000000a80425fb" }, "seccomp": { "present": 2 } } }"#;
const FILTERED: &str = "bwrap: No permissions to create a new namespace";

#[test]
fn one_screen_comes_first() {
    let (_keep, host) = file(DOCKER.as_bytes());
    for message in
        [MASKED, FILTERED, "bwrap: setting up uid map: Permission denied", "bwrap: a message of 2030"]
    {
        for host in [&["--host", &host][..], &[]] {
            let args = [&["explain", "--message", message], host].concat();
            let (short, long) = (ask(&args), ask(&[&args[..], &["--long"]].concat()));
            assert_eq!((short.status, long.status), (0, 0));
            let json = ask(&[&args[..], &["--format", "json"]].concat()).json();
            let cause = &json["diagnosis"]["causes"][0];
            let code = cause["code"].as_str().unwrap();
            assert!(
                short.out.contains(message) && short.out.contains(&format!("bwrap-doctor explain {code}\n")),
                "{}",
                short.out
            );
            assert!(short.out.lines().count() <= 30 && !short.out.contains("defaultAction"), "{}", short.out);
            // neither form of the long report loses anything
            for remedy in cause["remedies"].as_array().unwrap() {
                let summary = remedy["summary"].as_str().unwrap();
                assert!(long.out.contains(summary), "{summary}: {}", long.out);
            }
        }
    }
}

#[test]
fn files_are_written_where_one_says() {
    let (keep, host) = file(DOCKER.as_bytes());
    let directory = keep.path().join("files");
    let directory = directory.to_str().unwrap();
    let args = ["explain", "--message", FILTERED, "--host", &host, "--write", directory];
    let said = ask(&args);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    assert!(said.out.contains(&format!("written: {directory}/bwrap.json ")), "{}", said.out);
    let json = ask(&["explain", "--message", FILTERED, "--host", &host, "--format", "json"]).json();
    let content = json["diagnosis"]["causes"][0]["remedies"][0]["files"][0]["content"].as_str().unwrap();
    assert_eq!(std::fs::read_to_string(format!("{directory}/bwrap.json")).unwrap(), content);
    let said = ask(&["explain", "--message", FILTERED, "--host", &host, "--write", "/proc/nonexistent"]);
    assert_eq!((said.status, said.err.lines().count()), (2, 1), "{}", said.err);
}

#[test]
fn no_file_is_printed_twice() {
    let (_keep, host) = file(DOCKER.as_bytes());
    for message in [MASKED, FILTERED, "bwrap: pivot_root: Operation not permitted"] {
        let said = ask(&["explain", "--long", "--message", message, "--host", &host]);
        let files: Vec<&str> = said
            .out
            .split("cat > ")
            .skip(1)
            .filter_map(|text| text.split_once("\nEOF\n"))
            .map(|(text, _)| text)
            .collect();
        let different: std::collections::HashSet<&&str> = files.iter().collect();
        assert_eq!(files.len(), different.len(), "{}", said.out);
    }
}

#[test]
fn what_others_say_is_not_shown_as_bwraps() {
    for text in [
        "E2BIG: argument list too long, posix_spawn '/bin/bash'",
        "npm ERR! code ELIFECYCLE",
        "bash: bwrap: command not found",
    ] {
        let said = ask(&["explain", "--message", text]);
        assert_eq!((said.status, said.err.as_str()), (0, ""));
        assert!(said.out.contains(text) && !said.out.contains(&format!("bwrap: {text}")), "{}", said.out);
        assert!(said.out.starts_with("This is no message of bwrap's that is known:\n"), "{}", said.out);
        let json = ask(&["explain", "--format", "json", "--message", text]).json();
        assert_valid(&json);
        assert_eq!(json["diagnosis"]["message"], text);
    }
    // in a log of many lines, too
    let said = ask_with_input(&["explain", "-"], b"+ make\nmake: *** [all] Error 1\n");
    assert!(!said.out.contains("bwrap: "), "{}", said.out);
}

#[test]
fn many_messages_keep_to_the_schema() {
    let docker = r#"{
        "platforms": { "present": [{ "platform": "docker", "evidence": "/.dockerenv" }] },
        "process": { "uid": { "present": 0 }, "effective": { "present": "00000000a80425fb" },
                     "seccomp": { "present": 2 } },
        "security": { "label": { "present": "docker-default (enforce)" } },
        "sysctls": { "kernel.unprivileged_userns_clone": { "present": "0" } }
    }"#;
    let pod = docker.replace("\"docker\"", "\"kubernetes\"").replace("80425fb", "80425ff");
    let user = r#"{ "process": { "uid": { "present": 1000 } }, "sysctls": {
        "kernel.apparmor_restrict_unprivileged_userns": { "present": "1" },
        "user.max_user_namespaces": { "present": "0" } } }"#;
    let messages = [
        "setting up uid map: Operation not permitted",
        "setting up uid map: Permission denied",
        "No permissions to create a new namespace, likely because the kernel does not allow non-privileged user \
         namespaces. See <https://deb.li/bubblewrap> or <file:///usr/share/doc/bubblewrap/README.Debian.gz>.",
        "Creating new namespace failed: No space left on device",
        "Creating new namespace failed, likely because the kernel does not support user namespaces.",
        "loopback: Failed RTM_NEWADDR: Operation not permitted",
        "Can't mount proc on /newroot/proc: Operation not permitted",
        "Failed to make / slave: Permission denied",
        "pivot_root: Operation not permitted",
        "Can't find source path /opt/tools: No such file or directory",
        "execvp sh: No such file or directory",
        "Unexpected capabilities but not setuid, old file caps config?",
        "Unknown option --nonsense",
        "Can't mkdir /mnt/x: Read-only file system",
        "prctl(PR_SET_SECCOMP): Invalid argument",
        "a message of the year 2030",
    ];
    let (_line, line) =
        file(b"bwrap --unshare-all --ro-bind /opt/tools /opt/tools --proc /proc --dev /dev -- sh\n");
    for host in ["{}", docker, &pod, user] {
        let (_host, host) = file(host.as_bytes());
        for message in messages {
            let message = format!("bwrap: {message}");
            for rest in [&[][..], &["--args", &line]] {
                let args =
                    [&["explain", "--format", "json", "--host", &host, "--message", &message], rest].concat();
                let said = ask(&args);
                assert_eq!((said.status, said.err.as_str()), (0, ""), "{message}");
                assert_valid(&said.json());
            }
        }
        let said = ask(&["explain", "--format", "json", "--host", &host, "--args", &line]);
        assert_valid(&said.json());
        assert!(said.json()["prediction"].is_object());
    }
}

#[test]
fn a_partial_host_is_enough() {
    let (_keep, path) = file(br#"{ "sysctls": { "kernel.unprivileged_userns_clone": { "present": "0" } } }"#);
    let message = "bwrap: No permissions to create a new namespace";
    let said = ask(&["explain", "--format", "json", "--message", message, "--host", &path]);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    assert_eq!(codes(&said.json()).first().map(String::as_str), Some("NS02"), "{}", said.out);
    // what is misspelt is not overlooked
    let (_keep, path) =
        file(br#"{ "process": { "uuid": { "present": 0 } }, "mounds": "absent", "security": [] }"#);
    let said = ask(&["explain", "--message", message, "--host", &path]);
    assert_eq!((said.status, said.err.lines().count()), (0, 3), "{}", said.err);
    for name in ["process.uuid", "mounds", "security"] {
        assert!(said.err.contains(&format!(": {name} is not read")), "{}", said.err);
    }
}

#[test]
fn it_is_offline_unless_told_otherwise() {
    needs!(&[ROOT, &["--tmpfs", "/proc"]].concat());
    let args = ["explain", "--format", "json", "--message", MASKED];
    // where there is nothing to be seen of the machine, it says the same
    let blind = ["run", "--", "--ro-bind", "/", "/", "--tmpfs", "/proc", "--clearenv", DOCTOR];
    let blind = ask(&[&blind[..], &args].concat());
    assert_eq!(blind.status, 0, "{}", blind.err);
    assert_eq!(blind.out, ask(&args).out);
    assert_eq!(ask(&[&args[..], &["--here"]].concat()).status, 0);
}

/// What the message is about is looked at, if it is said to be on this machine.
#[test]
fn files_are_looked_at_where_it_failed() {
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("resolv.conf");
    std::os::unix::fs::symlink(directory.path().join("nowhere"), &link).unwrap();
    let (link, nowhere) =
        (link.display().to_string(), directory.path().join("nowhere").display().to_string());
    let source = format!("bwrap: Can't find source path {link}: No such file or directory");
    let with_line = format!("$ bwrap --ro-bind {link} /etc/resolv.conf true\n{source}\n");
    for text in [&source, &with_line] {
        let [away, here] = [&["explain", "-"][..], &["explain", "--here", "-"]]
            .map(|args| ask_with_input(args, text.as_bytes()).out);
        assert!(!away.contains(&nowhere) && here.contains(&nowhere), "{away}\n{here}");
    }
    let (_keep, path) = file(b"bwrap --ro-bind / / no-such-program");
    let message = "bwrap: execvp no-such-program: No such file or directory";
    let args = ["explain", "--args", &path, "--message", message];
    let [away, here] = [&args[..], &[&args[..], &["--here"]].concat()].map(|args| ask(args).out);
    assert!(!away.contains("looked for \"") && here.contains("looked for \""), "{away}\n{here}");
}

#[test]
fn a_snapshot_goes_there_and_back() {
    let host = ask(&["host", "--format", "json"]);
    let (_keep, path) = file(host.out.as_bytes());
    let message = "bwrap: setting up uid map: Permission denied";
    let args = ["explain", "--format", "json", "--message", message];
    let there = ask(&[&args[..], &["--host", &path]].concat());
    let here = ask(&[&args[..], &["--here"]].concat());
    assert_eq!((there.status, there.err.as_str()), (0, ""));
    assert_eq!(codes(&there.json()), codes(&here.json()));
}

#[test]
fn a_line_has_three_forms() {
    let predicted = |content: &[u8]| {
        let (_keep, path) = file(content);
        let said = ask(&["explain", "--format", "json", "--args", &path]);
        assert_eq!((said.status, said.err.as_str()), (0, ""), "{}", content.escape_ascii());
        said.json()
    };
    let shell = predicted(
        b"$ sudo /usr/bin/bwrap --ro-bind '/with space' \\\n  /x --unshare-user \\\n  sh -c 'echo 1'\n",
    );
    assert_valid(&shell);
    assert_eq!(shell, predicted(b"--ro-bind \"/with space\" /x --unshare-user"));
    assert_eq!(shell, predicted(b"bwrap\0--ro-bind\0/with space\0/x\0--unshare-user\0--\0sh\0"));
    assert_eq!(shell, predicted(br#" ["bwrap", "--ro-bind", "/with space", "/x", "--unshare-user", "sh"]"#));
}

#[test]
fn what_a_line_cannot_say_is_noted() {
    let (_keep, path) = file(b"bwrap --args 7 --setenv X --args --json-status-fd 5 --bind $HOME /home sh");
    let said = ask(&["explain", "--args", &path]);
    assert_eq!((said.status, said.err.lines().count()), (0, 3), "{}", said.err);
    for words in ["--args is left out", "--json-status-fd is left out", "$HOME"] {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
}

#[test]
fn unreadable_files_are_one_line() {
    let (_keep, quote) = file(b"bwrap --ro-bind 'oops / true");
    let (_keep, array) = file(b"[\"bwrap\", 1]");
    let (_keep, list) = file(b"[]");
    let (_keep, empty) = file(b"");
    let (_keep, other) = file(b"make test");
    let (_keep, option) = file(b"bwrap --nonsense");
    for args in [&quote, &array, &empty, &other, &option, "/nonexistent/line", "/"] {
        let said = ask(&["explain", "--args", args]);
        assert_eq!((said.status, said.out.as_str(), said.err.lines().count()), (2, "", 1), "{}", said.err);
        assert!(said.err.contains(args), "{}", said.err);
    }
    for host in [&quote, &array, &list, "/nonexistent/host", "/"] {
        let said = ask(&["explain", "--message", MASKED, "--host", host]);
        assert_eq!((said.status, said.out.as_str(), said.err.lines().count()), (2, "", 1), "{}", said.err);
        assert!(said.err.contains(host), "{}", said.err);
    }
    let said = ask(&["explain", "--here"]);
    assert_eq!((said.status, said.err.lines().count()), (2, 1), "{}", said.err);
}

#[test]
fn a_dash_goes_with_all_that_a_message_goes_with() {
    let (_host, host) = file(br#"{ "process": { "uid": { "present": 0 } } }"#);
    let (_line, line) = file(b"bwrap --ro-bind / / --unshare-all --proc /proc -- true\n");
    for rest in [&["--host", &host][..], &["--args", &line], &["--host", &host, "--args", &line]] {
        let with = |message: &[&str]| {
            let said = ask_with_input(&[&["explain"], message, rest].concat(), MASKED.as_bytes());
            assert_eq!((said.status, said.err.as_str()), (0, ""));
            said.out
        };
        assert_eq!(with(&["-"]), with(&["--message", "-"]));
        let code = ask(&[&["explain", "PR01"], rest].concat());
        assert_eq!((code.status, code.out.as_str(), code.err.lines().count()), (2, "", 1));
    }
    assert_eq!(ask_with_input(&["explain", "-", "--here"], MASKED.as_bytes()).status, 0);
}

/// The lines of the first remedy that begin at the margin, as one selects them in a terminal.
fn block(report: &str) -> String {
    let (_, after) = report.split_once("\n  1. ").unwrap_or_else(|| panic!("{report}"));
    let ends = |line: &&str| ["  2. ", "Or: ", "After that"].iter().any(|start| line.starts_with(start));
    let lines = after.lines().skip(1).skip_while(|line| line.is_empty() || line.starts_with(' '));
    lines.take_while(|line| !ends(line)).fold(String::new(), |text, line| text + line + "\n")
}

/// Runs a block in a shell, where the programs of the system are stand-ins that say how they were called.
fn paste(directory: &Path, block: &str) -> Said {
    let bin = directory.join("bin");
    std::fs::create_dir(&bin).unwrap();
    for name in ["apparmor_parser", "docker", "semodule", "systemctl"] {
        put_script(&bin.join(name), "#!/bin/sh\necho ${0##*/} \"$@\"\n");
    }
    let script = block.replace("/etc/", &format!("{}/etc/", directory.display()));
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", &script]).current_dir(directory).stdin(Stdio::null());
    shell.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    said(shell.output().unwrap())
}

#[test]
fn what_a_report_says_to_type_works_when_pasted() {
    let machine = r#""platforms": "absent", "kernel": { "release": { "present": "6.8.0" } }"#;
    // host, message, where the text is in the JSON, the file that comes of it, what is called
    let cases = [
        (
            format!(
                r#"{{ {machine}, "process": {{ "uid": {{ "present": 1000 }} }},
                "security": {{ "label": {{ "present": "unconfined" }} }},
                "sysctls": {{ "kernel.apparmor_restrict_unprivileged_userns": {{ "present": "1" }} }} }}"#
            ),
            "setting up uid map: Permission denied",
            "/action/app-armor/text",
            "etc/apparmor.d/bwrap",
            "apparmor_parser -r ",
        ),
        (
            r#"{ "platforms": { "present": [{ "platform": "docker", "evidence": "/.dockerenv" }] },
                 "process": { "seccomp": { "present": 2 } } }"#
                .to_owned(),
            "pivot_root: Operation not permitted",
            "/files/0/content",
            "bwrap.json",
            "docker run --security-opt=seccomp=bwrap.json IMAGE",
        ),
        (
            format!(
                r#"{{ {machine}, "security": {{ "label": {{ "present": "u:r:my_build_t:s0" }},
                "selinux_filesystem": {{ "present": true }},
                "selinux_enforcing": {{ "present": true }} }} }}"#
            ),
            "Can't mount proc on /newroot/proc: Permission denied",
            "/action/selinux/cil",
            "bwrap_my_build_t_proc_devpts.cil",
            "semodule -i bwrap_my_build_t_proc_devpts.cil",
        ),
        (
            r#"{ "platforms": { "present": [{ "platform": "systemd-unit", "evidence": "build.service" }] },
                 "process": { "seccomp": { "present": 2 } } }"#
                .to_owned(),
            "pivot_root: Operation not permitted",
            "",
            "etc/systemd/system/UNIT.d/bwrap-RestrictNamespaces.conf",
            "systemctl daemon-reload\nsystemctl restart UNIT",
        ),
    ];
    for (host, message, text, file, called) in cases {
        let (keep, host) = self::file(host.as_bytes());
        let message = format!("bwrap: {message}");
        let args = ["explain", "--message", &message, "--host", &host];
        let report = ask(&[&args[..], &["--long"]].concat()).out;
        let json = ask(&[&args[..], &["--format", "json"]].concat()).json();
        let remedy = &json["diagnosis"]["causes"][0]["remedies"][0];
        let block = block(&report);
        assert_eq!(block.trim_end(), remedy["instructions"].as_str().unwrap().trim_end());
        let pasted = paste(keep.path(), &block);
        assert_eq!((pasted.status, pasted.err.as_str()), (0, ""), "{report}");
        assert!(pasted.out.starts_with(called), "{}", pasted.out);
        let written = std::fs::read_to_string(keep.path().join(file)).unwrap();
        match remedy.pointer(text).and_then(serde_json::Value::as_str) {
            Some(text) => assert_eq!(written, text),
            None => assert!(written.starts_with("[Service]\n") && !written.contains("EOF"), "{written}"),
        }
    }
}

#[test]
fn every_cause_and_remedy_of_a_report_says_what_it_opens_up() {
    let said = ask(&["explain", "--long", "--message", MASKED]);
    let json = ask(&["explain", "--format", "json", "--message", MASKED]).json();
    let found = json["diagnosis"]["causes"].as_array().unwrap();
    assert!(found.len() > 2);
    let mut rest = said.out.as_str();
    let mut next = |words: &str| {
        let (_, after) = rest.split_once(words).unwrap_or_else(|| panic!("{words}: {}", said.out));
        rest = after;
    };
    for cause in found {
        for evidence in cause["evidence"].as_array().unwrap() {
            next(evidence["text"].as_str().unwrap());
        }
        for remedy in cause["remedies"].as_array().unwrap() {
            next(remedy["summary"].as_str().unwrap());
            next(&format!("Price: {}\n", remedy["opens"].as_str().unwrap()));
            for needs in remedy["requires"].as_array().unwrap() {
                next(&format!("Needs: {}\n", needs.as_str().unwrap()));
            }
        }
    }
}

/// What the files say that a line names: bwrap says the same when it is started.
#[test]
fn predictions_look_at_the_files_that_a_line_names() {
    needs!(ROOT);
    let layer = tempfile::tempdir().unwrap();
    let script = layer.path().join("script");
    std::fs::write(&script, "#!/nonexistent/interpreter\n").unwrap();
    std::fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    let script = format!("--ro-bind / / {}", script.display());
    let overlay = format!(
        "--ro-bind / / --overlay-src {}/none --overlay-src / --ro-overlay /mnt true",
        layer.path().display()
    );
    let cases = [
        ("--ro-bind / / --ro-bind /nonexistent /mnt true", "fails", "BD01"),
        ("--ro-bind / / --ro-bind /etc/passwd/x /mnt true", "fails", "BD01"),
        ("--ro-bind / / --ro-bind-try /nonexistent /mnt true", "starts", ""),
        ("--ro-bind / / --hostname ci true", "fails", "AR02"),
        ("--ro-bind / / --chdir /nonexistent true", "fails", "EX08"),
        ("--ro-bind / / --chdir /etc/passwd true", "fails", "EX08"),
        ("--ro-bind / / --chdir /etc true", "starts", ""),
        ("--ro-bind / / no-such-program", "fails", "EX02"),
        ("--ro-bind / / /etc", "fails", "EX03"),
        ("--ro-bind / / --setenv A=B c true", "fails", "AR01"),
        ("--ro-bind /usr /usr /usr/bin/true", "fails", "EX01"),
        (&script, "fails", "EX01"),
        (&overlay, "fails", "BD01"),
        ("--ro-bind / / true", "starts", ""),
        // no command: nothing is said of one
        ("--ro-bind / /", "starts", ""),
    ];
    for (line, outlook, code) in cases {
        let (_keep, path) = file(line.as_bytes());
        let said = ask(&["explain", "--format", "json", "--args", &path, "--here"]);
        assert_eq!((said.status, said.err.as_str()), (0, ""), "{line}");
        let report = said.json();
        assert_valid(&report);
        let prediction = &report["prediction"];
        let codes: Vec<&str> = prediction["obstacles"]
            .as_array()
            .unwrap()
            .iter()
            .map(|cause| cause["code"].as_str().unwrap())
            .collect();
        assert!(codes.contains(&code) || code.is_empty(), "{line}: {codes:?}");
        if outlook == "fails" {
            assert_eq!(prediction["outlook"], outlook, "{line}");
            let words = line.split(' ');
            let status = Command::new("bwrap")
                .args(words)
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap();
            assert!(!status.success(), "{line}: bwrap starts it");
        } else {
            assert_ne!(prediction["outlook"], "fails", "{line}: {codes:?}");
        }
    }
}

#[test]
fn nothing_starts_without_a_bwrap() {
    let (_keep, path) = file(b"--ro-bind / / true");
    let ask = |format: &str| {
        let args = ["explain", "--format", format, "--args", &path, "--here"];
        said(crate::doctor(&args).env("BWRAP", "/nonexistent/bwrap").output().unwrap())
    };
    let human = ask("human");
    assert!(
        human.out.contains("/nonexistent/bwrap") && human.out.contains("This sandbox will not start."),
        "{}",
        human.out
    );
    let json = ask("json").json();
    assert_valid(&json);
    assert_eq!(json["prediction"]["outlook"], "fails");
}

#[test]
fn a_line_is_read_as_a_shell_reads_it() {
    let outlook = |line: &str| {
        let (_directory, path) = file(line.as_bytes());
        let said = ask(&["explain", "--args", &path, "--format", "json"]);
        said.json()["prediction"].to_string()
    };
    let plain = outlook("bwrap --ro-bind / / --unshare-all true");
    for line in [
        "bwrap --ro-bind / / \\\n    --unshare-all \\\n    true\n",
        "bwrap --ro-bind / / \\\r\n    --unshare-all true\r\n",
        "\u{feff}bwrap --ro-bind / / --unshare-all true",
        "bwrap --ro-bind $'/' $'\\x2f' --unshare-all true",
    ] {
        assert_eq!(outlook(line), plain, "{line}");
    }
    let directory = tempfile::tempdir().unwrap();
    let odd = directory.path().join("a\nb");
    std::fs::create_dir(&odd).unwrap();
    let line = format!("bwrap --ro-bind / / --ro-bind {}/$'a\\nb' /mnt true", directory.path().display());
    let (_directory, path) = file(line.as_bytes());
    let said = ask(&["explain", "--here", "--args", &path]);
    assert!(
        !said.out.contains("BD01") && !said.err.contains("nothing is expanded"),
        "{}{}",
        said.err,
        said.out
    );
}
