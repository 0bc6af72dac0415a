#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::similar_names)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::table::{REASONS, TABLE};
use super::{Message, Severity, Stage};

/// One row per known message, and per wording worth a row of its own; `-` is "none".
const MESSAGES: &str = include_str!("../../../tests/data/bwrap-messages.tsv");

/// A row of [`MESSAGES`].
struct Case {
    text: String,
    stage: String,
    severity: String,
    /// Everything else, in one comparable line.
    rest: Vec<Option<String>>,
    stale: bool,
}

fn cases() -> Vec<Case> {
    MESSAGES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let fields: Vec<String> = line.split('\t').map(str::to_owned).collect();
            let [text, stage, operation, path, source, subject, errno, stale, severity, pattern, reason] =
                <[String; 11]>::try_from(fields).unwrap();
            let rest = [operation, path, source, subject, errno, pattern, reason];
            Case {
                text,
                stage,
                severity,
                rest: rest.into_iter().map(|field| Some(field).filter(|field| field != "-")).collect(),
                stale: stale == "yes",
            }
        })
        .collect()
}

fn rest(message: &Message) -> Vec<Option<String>> {
    let path = |path: Option<&Path>| path.map(|path| path.display().to_string());
    let errno = message.errno().or(message.stale_errno()).and_then(super::Errno::code);
    vec![
        message.operation().map(str::to_owned),
        path(message.path()),
        path(message.source()),
        message.subject().map(|subject| subject.display().to_string()),
        errno.map(|code| code.to_string()),
        message.pattern().map(str::to_owned),
        message.reason().map(str::to_owned),
    ]
}

fn check(case: &Case, message: &Message, printed: &str) {
    assert_eq!(format!("{:?}", message.stage()), case.stage, "{printed}");
    assert_eq!(rest(message), case.rest, "{printed}");
    assert_eq!(message.stale_errno().is_some(), case.stale, "{printed}");
    assert_eq!(format!("{:?}", message.severity()), case.severity, "{printed}");
}

#[test]
fn every_known_message() {
    let cases = cases();
    assert!(cases.len() >= 282);
    for case in &cases {
        let level = if case.severity == "Warning" { 4 } else { 3 };
        check(case, &Message::parse(case.text.as_bytes()), &case.text);
        if case.text.starts_with("bwrap: ") {
            continue; // already has the prefix
        }
        for prefix in ["bwrap: ".to_owned(), format!("<{level}>bwrap: ")] {
            let printed = format!("{prefix}{}\n", case.text);
            let messages = Message::parse_all(printed.as_bytes());
            let [message] = messages.as_slice() else { panic!("{printed}: {messages:?}") };
            check(case, message, &printed);
            assert_eq!(message.text(), OsStr::new(&case.text));
        }
    }
}

#[test]
fn every_known_message_without_the_prefixes_of_the_roots() {
    for case in cases() {
        // "chdir /newroot" and the like name the directory itself
        if case.stage != "Mounts" || case.rest[3].is_some() {
            continue;
        }
        let printed = case.text.replace("/newroot/", "/").replace("/newroot", "/").replace("/oldroot", "");
        check(&case, &Message::parse(printed.as_bytes()), &printed);
    }
}

#[test]
fn every_row_of_the_table_is_reached() {
    let texts: Vec<_> = cases().into_iter().flat_map(|case| case.rest).flatten().collect();
    let rows = TABLE.iter().flat_map(|(_, rows)| *rows).chain(REASONS);
    let missing: Vec<_> =
        rows.map(|row| row.wording.0).filter(|text| !texts.iter().any(|t| t == text)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_table_is_well_formed() {
    for row in TABLE.iter().flat_map(|(_, rows)| *rows).chain(REASONS) {
        for (text, holes) in row.wordings() {
            assert_eq!(text.matches('%').count(), holes.len(), "{text}");
            assert!(holes.chars().all(|kind| "pqbfonse-".contains(kind)), "{text}");
        }
    }
}

#[test]
fn stages_are_in_the_order_of_start_up() {
    assert!(Stage::Arguments < Stage::Namespaces);
    assert!(Stage::Loopback < Stage::IdMap);
    assert!(Stage::Mounts < Stage::Exec);
    assert_eq!(Stage::Mounts.to_string(), "mounting");
}

/// The path, source and error number of one message.
fn paths(text: &[u8]) -> (Option<Vec<u8>>, Option<Vec<u8>>, Option<i32>) {
    let message = Message::parse(text);
    assert_eq!(message.text().as_bytes(), text);
    let bytes = |path: Option<&Path>| path.map(|path| path.as_os_str().as_bytes().to_vec());
    (bytes(message.path()), bytes(message.source()), message.errno().and_then(super::Errno::code))
}

#[test]
fn paths_with_anything_in_them() {
    assert_eq!(
        paths(b"Can't mkdir /a: b: No such file or directory/c: Permission denied"),
        (Some(b"/a: b: No such file or directory/c".to_vec()), None, Some(13))
    );
    assert_eq!(
        paths(b"Can't mount proc on /newroot/\xff\"\n\xfe: Operation not permitted"),
        (Some(b"/\xff\"\n\xfe".to_vec()), None, Some(1))
    );
    assert_eq!(
        paths(b"Can't bind mount /oldroot/a on /b on /newroot/c on /d: e: Unable to mount source on destination: Invalid argument"),
        (Some(b"/c on /d: e".to_vec()), Some(b"/a on /b".to_vec()), Some(22))
    );
    assert_eq!(
        paths(b"Can't bind mount /a on b on /c: Unable to find \"/c\" in mount table"),
        (Some(b"/c".to_vec()), Some(b"/a on b".to_vec()), None)
    );
    // a file and not a node of --dev
    assert_eq!(Message::parse(b"Can't create file /srv/nullify: Is a directory").operation(), Some("--file"));
    assert_eq!(
        Message::parse(b"Can't create file /newroot/a/b/tty: Is a directory").path(),
        Some(Path::new("/a/b"))
    );
    // /newroot is only a prefix of this name
    assert_eq!(Message::parse(b"Can't mkdir /newroots: Is a directory").path(), Some(Path::new("/newroots")));
}

#[test]
fn where_a_bind_mount_failed() {
    let message = Message::parse(
        b"Can't bind mount /oldroot/mnt on /newroot/mnt: Unable to apply mount flags: remount \"/newroot/mnt/nfs\": Host is down",
    );
    assert_eq!(message.path(), Some(Path::new("/mnt")));
    assert_eq!(message.failing_path(), Some(Path::new("/mnt/nfs")));
    assert_eq!(message.errno().and_then(super::Errno::code), Some(112));
}

#[test]
fn error_texts() {
    let errno =
        |text: &str| Message::parse(format!("pivot_root: {text}").as_bytes()).errno().cloned().unwrap();
    assert_eq!(errno("Invalid argument").code(), Some(22));
    assert_eq!(errno("Unknown error 524").code(), Some(524));
    let foreign = errno("Kein Zugriff");
    assert_eq!((foreign.code(), foreign.text()), (None, "Kein Zugriff"));
    let implied =
        Message::parse(b"No permissions to creating new namespace, likely because").errno().cloned().unwrap();
    assert_eq!((implied.code(), implied.text()), (Some(1), "Operation not permitted"));
    let stale = Message::parse(b"bwrap: loopback: Failed RTM_NEWADDR: No child processes");
    assert_eq!(stale.errno(), None);
    assert_eq!(stale.stale_errno().and_then(super::Errno::code), Some(10));
    // without an error text, as if cut short
    assert_eq!(Message::parse(b"loopback: Failed to look up lo").stage(), Stage::Loopback);
}

#[test]
fn unknown_messages_stay_whole() {
    let message = Message::parse(b"<3>bwrap: Can't frobnicate /x: y: Permission denied\n");
    assert_eq!(message.stage(), Stage::Unknown);
    assert_eq!(message.severity(), Severity::Fatal);
    assert_eq!((message.pattern(), message.operation(), message.path()), (None, None, None));
    assert_eq!(message.text(), "Can't frobnicate /x: y: Permission denied");
    assert_eq!(message.errno().and_then(super::Errno::code), Some(13));
    assert_eq!(Message::parse(b"<4>bwrap: whatever").severity(), Severity::Warning);
}

#[test]
fn options_newer_than_this_table() {
    let message = Message::parse(b"bwrap: --frob takes an argument");
    assert_eq!((message.operation(), message.subject()), (None, Some(OsStr::new("--frob"))));
}

#[test]
fn several_messages() {
    let messages = Message::parse_all(
        b"bwrap: Only the last --chdir option will take effect\n<3>bwrap: Can't chdir to /a\nb\n: No such file or directory\n\nusage: bwrap [OPTIONS...] [--] COMMAND [ARGS...]\n\n    --help    Print this help\nOut of memory\n",
    );
    let [warning, fatal, usage, memory] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!((warning.severity(), warning.operation()), (Severity::Warning, Some("--chdir")));
    assert_eq!(fatal.severity(), Severity::Fatal);
    assert_eq!(usage.stage(), Stage::Arguments);
    assert!(usage.text().as_bytes().ends_with(b"Print this help"));
    assert_eq!(memory.stage(), Stage::Internal);
    assert_eq!(
        Message::parse_all(b"bwrap: execvp /a\nb: No such file or directory\n")[0].subject(),
        Some(OsStr::new("/a\nb"))
    );
}

/// A program in bwrap's place may have the last word.
#[test]
fn somebody_else_speaks_after_it() {
    for (words, path) in [
        ("bwrap: Can't find source path /a: No such file or directory\nwrapper: it ended with 1\n", "/a"),
        ("<3>bwrap: Can't find source path /a: No such file or directory\n\nwrapper: it\nended\n", "/a"),
        // an error like those that bwrap ends its messages with
        ("bwrap: Can't find source path /a: No such file or directory\nsh: x: Permission denied\n", "/a"),
        ("bwrap: Can't find source path /a\nb: No such file or directory\nwrapper: it ended", "/a\nb"),
    ] {
        let messages = Message::parse_all(words.as_bytes());
        let [own, other] = messages.as_slice() else { panic!("{messages:?}") };
        assert_eq!((own.path(), own.errno().unwrap().code()), (Some(Path::new(path)), Some(2)), "{words}");
        assert!(own.is_own() && !other.is_own(), "{words}");
    }
    let unknown = Message::parse_all(b"bwrap: something new: Permission denied\nwrapper: it ended with 1");
    assert_eq!((unknown.len(), unknown[0].errno().unwrap().code()), (2, Some(13)));
}

#[test]
fn loader() {
    let messages = Message::parse_all(
        b"/x/bwrap: error while loading shared libraries: libcap.so.2: cannot open shared object file: No such file or directory\n",
    );
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].stage(), Stage::Loader);
}

#[test]
fn nothing() {
    assert!(Message::parse_all(b"").is_empty());
    assert!(Message::parse_all(b"\n").is_empty());
    assert_eq!(Message::parse(b"").stage(), Stage::Unknown);
}

/// Neither panics nor loses text, whatever comes.
#[test]
fn noise() {
    let pieces: Vec<&[u8]> = vec![
        b"bwrap: ",
        b"<3>",
        b"\n",
        b": ",
        b" on ",
        b"/newroot",
        b"/oldroot",
        b"\"",
        b"\xff",
        b"%s",
        b"Can't bind mount ",
        b"Unable to remount destination ",
        b" with correct flags",
        b"Can't chmod ",
        b"0755",
        b"Permission denied",
        b"Limit exceeded (ENOSPC)",
        b"usage: ",
        b"[OPTIONS...]",
        b"--",
        b" takes an argument",
        b"execvp ",
        b"/",
        b"",
    ];
    let mut state = 1_u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize
    };
    for round in 0..4_000 {
        let mut text = Vec::new();
        for _ in 0..random() % 12 {
            if round % 2 == 0 {
                text.extend_from_slice(pieces[random() % pieces.len()]);
            } else {
                text.push(random().to_le_bytes()[0]);
            }
        }
        let message = Message::parse(&text);
        assert!(text.strip_suffix(b"\n").unwrap_or(&text).ends_with(message.text().as_bytes()));
        let kept: usize = Message::parse_all(&text).iter().map(|message| message.text().len()).sum();
        assert!(kept <= text.len());
    }
}

/// What every version is known to print: a text with holes, what follows it, the versions.
const WORDINGS: &str = include_str!("../../../tests/data/bwrap-wordings.tsv");

/// A wording with something in each hole.
fn filled(text: &str) -> String {
    let options = text.starts_with("%s takes")
        || text.starts_with("%s given")
        || text.starts_with("%s used")
        || text.starts_with("%s does");
    let text = if options { text.replacen("%s", "--ro-bind", 1) } else { text.to_owned() };
    let text =
        text.replace("The %s option", "The --overlay option").replace("last %s option", "last --dir option");
    let text = text.replace("(mode %#o)", "(mode 0644)").replace("%#o", "0644");
    let text = ["%zu", "%zd", "%ld", "%d", "%u"].iter().fold(text, |text, hole| text.replace(hole, "12"));
    text.replace("/proc/%s", "/proc/12").replace("%s/%s", "/dev/null").replace("%s", "/a/b")
}

#[test]
fn every_wording_of_every_version() {
    let (mut unknown, mut count) = (Vec::new(), 0);
    for line in WORDINGS.lines().filter(|line| !line.starts_with('#')) {
        let [text, tail, _versions] = <[&str; 3]>::try_from(line.split('\t').collect::<Vec<_>>()).unwrap();
        let mut printed = filled(text);
        if tail.starts_with("reason") {
            printed = format!("Can't bind mount /a on /b: {printed}");
        }
        match tail {
            "nothing" | "reason" => {}
            "why" => printed += ": Unable to mount source on destination: Permission denied",
            "error" | "reason, error" | "stale error" => printed += ": Permission denied",
            other => panic!("{other}"),
        }
        count += 1;
        let message = Message::parse(printed.as_bytes());
        let code = message.errno().or(message.stale_errno()).and_then(super::Errno::code);
        let told = message.pattern().is_some() && (!tail.starts_with("reason") || message.reason().is_some());
        if !told || tail.ends_with("error") && code != Some(13) {
            unknown.push(format!("{printed} ({:?})", message.pattern()));
        }
    }
    assert!(count > 290 && unknown.is_empty(), "{count} wordings; unknown: {unknown:#?}");
}

/// What logs, terminals, shells and people put around a message.
fn decorated(message: &str) -> Vec<(&'static str, String)> {
    let json = message.replace('\\', "\\\\").replace('"', "\\\"");
    let signed = format!("bwrap: {message}");
    vec![
        ("as it is", signed.clone()),
        ("level", format!("<3>{signed}")),
        ("full stop", format!("{signed}.")),
        ("quotes", format!("\"{signed}\"")),
        ("one quote", format!("{signed}\"")),
        ("backticks", format!("`{signed}`")),
        ("backtick", format!("{signed}`")),
        ("a sentence", format!("We get `{signed}`, and then nothing.")),
        ("apostrophes", format!("'{signed}'")),
        ("curly quotes", format!("\u{201c}{}\u{201d}", signed.replace('\'', "\u{2019}"))),
        ("JSON", format!("{{\"level\":\"error\",\"msg\":\"bwrap: {json}\\n\"}}")),
        ("JSON's end", format!("bwrap: {json}\\n\"}}")),
        (
            "docker JSON",
            format!(
                "{{\"log\":\"bwrap: {json}\\n\",\"stream\":\"stderr\",\"time\":\"2026-01-02T03:04:05.67Z\"}}"
            ),
        ),
        ("JSON with status", format!("{{\"stderr\": \"bwrap: {json}\", \"exitCode\": 1}}")),
        ("os error", format!("{signed} (os error 13)")),
        ("errno", format!("{signed} (errno 13)")),
        ("colour", format!("\x1b[1;31m{signed}\x1b[0m")),
        ("colour within", format!("\x1b[31mbwrap: \x1b[0m{message}\x1b[m\x1b[K")),
        ("spelt colour", format!("\\u001b[31m{signed}\\u001b[0m")),
        ("CRLF", format!("{signed}\r\n")),
        ("RFC 3339", format!("2026-01-02T03:04:05.678901234Z {signed}")),
        ("CRI", format!("2026-01-02T03:04:05.678901234Z stderr F {signed}")),
        ("journald", format!("Jan 02 03:04:05 host flatpak[1234]: {signed}")),
        ("syslog's name", format!("Jan 02 03:04:05 host bwrap[1234]: {message}")),
        ("GitHub", format!("2026-01-02T03:04:05.6789012Z ##[error]{signed}")),
        ("GitHub's command", format!("::error::{signed}")),
        ("compose", format!("service-1  | {signed}")),
        ("compose, CRLF", format!("bwrap-1  | {signed}\r")),
        ("kubectl", format!("[pod/build-0/bwrap] {signed}")),
        ("logfmt", format!("time=\"2026-01-02T03:04:05Z\" level=error msg=\"bwrap: {json}\" pid=12")),
        ("falling back", format!("{signed}, falling back to no sandbox")),
        ("falling back;", format!("sandbox unavailable ({signed}); falling back")),
        ("chain", format!("Error: sandbox failed: {signed}")),
        ("longer chain", format!("E: Child process exited with code 1: {signed}.")),
        ("path", format!("/usr/libexec/flatpak-bwrap: {signed}")),
        ("exit status", format!("{signed} (exit status: 1)")),
        ("twice", format!("bwrap: {signed}")),
        ("lower case name", format!("Bwrap: {message}")),
        ("no colon after the name", format!("bwrap {message}")),
        ("brackets", format!("[bwrap] {message}")),
        ("Rust", format!("Output {{ status: ExitStatus(256), stdout: \"\", stderr: \"bwrap: {json}\\n\" }}")),
        ("Python", format!("b\"bwrap: {json}\\n\"")),
        ("Markdown", format!("> **{signed}**")),
        ("a list", format!("  - {signed}")),
        ("a title", format!("# {signed}")),
        ("a table", format!("| {signed} |")),
        ("a box", format!("\u{2502} {signed}   \u{2502}")),
        ("numbered", format!("1. {signed}")),
        ("an error", format!("bwrap error: {message}")),
        ("another name", format!("bubblewrap: {message}")),
        ("another name's error", format!("Bubblewrap failed: {message}")),
        ("a number", format!("bwrap(1234): {message}")),
        ("an arrow", format!("bwrap => {message}")),
        ("Go's JSON", format!("{{\"msg\":\"bwrap: {}\\n\"}}", json.replace('\'', "\\u0027"))),
        (
            "TeamCity",
            format!(
                "##teamcity[message text='bwrap: {}|n' status='ERROR']",
                message.replace('|', "||").replace('\'', "|'").replace('[', "|[").replace(']', "|]")
            ),
        ),
        ("HTML", format!("<code>{}</code>", signed.replace('"', "&quot;").replace('\'', "&#39;"))),
        ("a log around it", format!("+ bwrap --proc /proc make\n{signed}\nmake: *** [all] Error 1\n")),
        ("indented", format!("\t    {signed}   ")),
    ]
}

/// What [`rest`] says, but for what a wording in another case or without an error cannot tell.
fn told(message: &Message) -> Vec<Option<String>> {
    let mut told = rest(message);
    told.push(message.failing_path().map(|path| path.display().to_string()));
    told
}

/// The message that is found in a text.
fn found(text: &str) -> Option<Message> {
    match super::search(text.as_bytes()) {
        super::Said::Bwrap(messages) => super::decisive(&messages).or(messages.first()).cloned(),
        _ => None,
    }
}

#[test]
fn every_known_message_with_everything_around_it() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for case in cases() {
        let text = case.text.strip_prefix("bwrap: ").unwrap_or(&case.text);
        // the help is many lines, each with a name of its own
        if text.starts_with("usage: ") {
            continue;
        }
        let expected = told(&Message::parse(text.as_bytes()));
        for (name, printed) in decorated(text) {
            count += 1;
            let is = found(&printed).map(|message| told(&message));
            if is.as_ref() != Some(&expected) {
                wrong.push(format!("{name}: {printed:?}: {is:?} and not {expected:?}"));
            }
        }
    }
    assert!(count > 10_000, "{count}");
    assert!(
        wrong.is_empty(),
        "{} of {count}: {:#?}",
        wrong.len(),
        wrong.iter().step_by(1 + wrong.len() / 20).collect::<Vec<_>>()
    );
}

#[test]
fn every_known_message_as_people_retype_it() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for case in cases() {
        let text = case.text.strip_prefix("bwrap: ").unwrap_or(&case.text);
        let parsed = Message::parse(text.as_bytes());
        let bare =
            ["usage: ", "error while", "symbol lookup", "Error loading", "Error relocating", "Out of memory"];
        if bare.iter().any(|start| text.contains(start)) || text.contains("version `") {
            continue;
        }
        let without_error = match parsed.errno().or(parsed.stale_errno()) {
            // that wording and its error are one
            Some(_) if text.starts_with("Creating new namespace failed: No") => None,
            Some(error) => text.strip_suffix(error.text()).and_then(|text| text.strip_suffix(": ")),
            None => None,
        };
        let mut variants = vec![
            ("lower case", text.to_lowercase()),
            ("upper case", text.to_uppercase()),
            ("no colons", text.replace(": ", " ")),
            ("no marks", text.replace(['"', '\''], "")),
        ];
        variants.extend(without_error.map(|text| ("no error", text.to_owned())));
        variants.extend(without_error.map(|text| ("no error, quoted", format!("{text}\"."))));
        for (name, printed) in variants {
            count += 1;
            let is = found(&format!("bwrap: {printed}"));
            let is = is.as_ref();
            let code = |message: &Message| {
                let error = message.errno().or(message.stale_errno()).and_then(super::Errno::code);
                error.filter(|_| !name.starts_with("no error"))
            };
            let lower =
                |message: &Message| message.path().map(|path| path.display().to_string().to_lowercase());
            let same = is.is_some_and(|is| {
                (is.pattern(), is.reason(), code(is), lower(is))
                    == (parsed.pattern(), parsed.reason(), code(&parsed), lower(&parsed))
            });
            if !same {
                wrong.push(format!("{name}: {printed:?}: {is:?}"));
            }
        }
    }
    assert!(count > 1_000, "{count}");
    assert!(
        wrong.is_empty(),
        "{} of {count}: {:#?}",
        wrong.len(),
        wrong.iter().step_by(1 + wrong.len() / 20).collect::<Vec<_>>()
    );
}

/// None of it did bwrap say.
const OTHERS: &[(&str, Option<i32>)] = &[
    ("E2BIG: argument list too long, posix_spawn '/bin/bash'", Some(libc::E2BIG)),
    ("bash: line 1: bwrap: command not found", Some(libc::ENOENT)),
    ("sh: 1: bwrap: not found", Some(libc::ENOENT)),
    ("zsh: command not found: bwrap", Some(libc::ENOENT)),
    ("env: \u{2018}bwrap\u{2019}: No such file or directory", Some(libc::ENOENT)),
    ("bash: /usr/bin/bwrap: Operation not permitted", Some(libc::EPERM)),
    ("bash: /usr/bin/bwrap: cannot execute binary file: Exec format error", Some(libc::ENOEXEC)),
    ("Error: spawn bwrap ENOENT", Some(libc::ENOENT)),
    ("fork/exec /usr/bin/bwrap: operation not permitted", Some(libc::EPERM)),
    ("exec: \"bwrap\": executable file not found in $PATH", Some(libc::ENOENT)),
    ("FileNotFoundError: [Errno 2] No such file or directory: 'bwrap'", Some(libc::ENOENT)),
    ("failed to start bwrap: Permission denied (os error 13)", Some(libc::EACCES)),
    ("The 'bwrap' command was not found. Install 'bubblewrap' on your system, or", Some(libc::ENOENT)),
    ("=> cbuild: bwrap not found (bwrap", Some(libc::ENOENT)),
    ("ERROR: Bubblewrap not found. Please install bubblewrap.", Some(libc::ENOENT)),
    ("bubblewrap is required but was not found in your PATH", Some(libc::ENOENT)),
    ("no bwrap on PATH, falling back", Some(libc::ENOENT)),
    ("sandbox: couldn't find the `bwrap` binary", Some(libc::ENOENT)),
    ("no OS sandbox on this host: install bubblewrap", Some(libc::ENOENT)),
    ("bash: bwrap: orden no encontrada", Some(libc::ENOENT)),
    (
        "error: Failed to execute child process \"/usr/local/libexec/flatpak-bwrap\" (No existe el fichero o el directorio)",
        Some(libc::ENOENT),
    ),
    ("bash: /usr/bin/bwrap: Aucun fichier ou dossier de ce type", Some(libc::ENOENT)),
    ("failed to run bwrap: Datei oder Verzeichnis nicht gefunden (os error 2)", Some(libc::ENOENT)),
    ("sandbox: bwrap is unavailable", Some(libc::ENOENT)),
    ("Fehler: Failed to execute child process \"/usr/bin/bwrap\" (Keine Berechtigung)", Some(libc::EACCES)),
    ("error: Running %post for wget: Executing bwrap: Child process exited with code 1", None),
    ("{\"message\":\"start bwrap: wait for isolated workload identity: read unixpacket @->@: EOF\"}", None),
    ("apply-seccomp: write /proc/self/uid_map: Operation not permitted", None),
    ("bash: /dev/null: Permission denied", None),
    ("the sandbox works with bwrap, which was found, and no other", None),
    ("/home/u/bin/bwrap-wrapper.sh: line 3: jq: command not found", None),
    ("bwrap wrapper: zsh: command not found: srt", None),
    ("bwrap sh -c 'foo'; sh: 1: foo: not found", None),
    ("[12:00:01] bwrap sandbox: step 3: /bin/sh: 1: cmake: not found", None),
    ("Sandbox dependencies: bubblewrap: installed, socat: not found", None),
    ("exec: \"srt\": executable file not found in $PATH (args: srt bwrap)", None),
    ("go: github.com/x/bwrap@v1: not found", None),
    ("socat not installed (bubblewrap found)", None),
    ("INFO exec /usr/bin/bwrap --ro-bind / / -- cat /root/x; stderr: cat: /root/x: Permission denied", None),
    ("spawn failed: cwd /srv/x: No such file or directory (cmd: bwrap)", None),
    ("ls: cannot access '/usr/local/bin/bwrap': No such file or directory", None),
    ("grep: /usr/share/bash-completion/completions/bwrap: No such file or directory", None),
    ("There is no bwrap equivalent on macOS.", None),
    ("Install bubblewrap with `apt install bubblewrap`. No configuration is needed.", None),
    ("* If bwrap is not installed, flatpak now prints a better message", None),
    ("src/x.rs:12: // bwrap not found on PATH -> fall back", None),
    ("Package 'bubblewrap' is not installed, so not removed", None),
    ("# Bash tool sandbox broken: bwrap missing --dev /dev", None),
    ("Can't open /etc/ssl/openssl.cnf for reading, No such file or directory", None),
    ("npm ERR! code ELIFECYCLE", None),
    ("make: *** [Makefile:12: all] Error 1", None),
    ("mkdir: cannot create directory '/x': Permission denied", None),
    ("mount: /proc: permission denied.", None),
    ("unshare: unshare failed: Operation not permitted", None),
    ("Can't open perl script \"x.pl\": No such file or directory", None),
    (
        "/usr/bin/node: error while loading shared libraries: libnode.so.115: cannot open shared object file",
        None,
    ),
    ("Segmentation fault (core dumped)", None),
    ("Out of memory: Killed process 4242 (node) total-vm:1048576kB", None),
    ("usage: git [-v | --version] [-h | --help] [-C <path>]", None),
    ("thread 'main' panicked at src/main.rs:7:5: Permission denied (os error 13)", None),
    ("error: failed to run bwrap: exit status: 1", None),
    ("sandbox: the bwrap process ended with status 1", None),
    (
        "runc run failed: unable to start container process: error mounting \"proc\" to rootfs at \"/proc\"",
        None,
    ),
    ("docker: Error response from daemon: exec format error", None),
    ("bwrap error: cargo build failed", None),
    ("dpkg: error: unable to lock file /var/lib/dpkg/lock: Resource temporarily unavailable", None),
    ("E: Unable to open lock file /var/lib/apt/lists/lock: Permission denied", None),
    ("error: Unable to open lock file /var/lib/rpm/.rpm.lock: Permission denied", None),
    ("apk: Unable to lock file /lib/apk/db/lock: Permission denied", None),
    ("dpkg-deb: error: bubblewrap: cannot execute: Permission denied", None),
    ("dpkg: error: unable to execute bwrap: Permission denied", None),
    (
        "unable to create '/usr/bin/bwrap.dpkg-new' (while processing './usr/bin/bwrap'): Permission denied",
        None,
    ),
    ("error: Failed to install bubblewrap: Permission denied", None),
    ("bwrap - a sandboxing tool, version 0.8.0", None),
    ("   Compiling bwrap-launch v0.1.0: Permission den...", None),
    ("error[E0425]: cannot find value `bwrap` in this scope", None),
    ("kubectl logs bwrap-1: No such...", None),
    ("", None),
];

#[test]
fn what_others_say_is_not_bwraps() {
    for (text, errno) in OTHERS {
        for text in [
            (*text).to_owned(),
            format!("2026-01-02T03:04:05Z stderr F {text}\n"),
            format!("{text}\r\nbye\n"),
        ] {
            match super::search(text.as_bytes()) {
                super::Said::Bwrap(messages) => panic!("{text:?}: {messages:?}"),
                super::Said::NotStarted(error) => assert_eq!(error.code(), *errno, "{text:?}"),
                super::Said::Nothing => assert_eq!(*errno, None, "{text:?}"),
            }
        }
    }
}

/// A title has a message without its error or its path, and a prompt is no part of it.
#[test]
fn titles_and_prompts_are_no_part_of_a_message() {
    for (title, whole) in [
        ("bwrap: Can't find source path", "Can't find source path /srv/x: No such file or directory"),
        ("# flatpak: bwrap: execvp\n$ flatpak run a.b.c", "execvp ldconfig: Permission denied"),
        ("# flatpak: bwrap: execvp\n[me@host ~]$ flatpak run a.b.c", "execvp ldconfig: Permission denied"),
        ("# fails with `bwrap: Can't mkdir parents`", "Can't mkdir parents for /w/a/.git: Permission denied"),
        ("# codex in docker: bwrap: setting up uid map", "setting up uid map: Permission denied"),
        ("bwrap: Creating new namespace failed", "Creating new namespace failed: No space left on device"),
        (
            "bwrap: Creating new namespace failed",
            "Creating new namespace failed: Resource temporarily unavailable",
        ),
        (
            "[BUG] bwrap: Can't create file at .zshrc",
            "Can't create file at /home/u/.zshrc: Read-only file system",
        ),
        ("bwrap: loopback: Failed RTM_NEWADDR", "loopback: Failed RTM_NEWADDR: Operation not permitted"),
    ] {
        for between in ["", "\n", "it says:\n$ flatpak run a.b.c\n"] {
            let text = format!("{title}\n{between}bwrap: {whole}");
            assert_eq!(found(&text).unwrap().text(), OsStr::new(whole), "{text:?}");
        }
    }
    // words that a terminal broke are no path
    let broken = "bwrap: Can't bind mount /oldroot/x on /newroot/x: Unable to mount\nsource on destination: Permission denied";
    for text in [broken.to_owned(), format!("{broken}\nme@host:~$ ls")] {
        assert_eq!(found(&text).unwrap().path(), Some(Path::new("/x")), "{text:?}");
    }
    let colon = "> bwrap: setting up uid map:\n> Permission denied";
    assert_eq!(found(colon).unwrap().errno().and_then(super::Errno::code), Some(libc::EACCES));
    let quoted = "> bwrap: Can't mkdir parents for\n> /home/a/b: Permission denied";
    assert_eq!(found(quoted).unwrap().path(), Some(Path::new("/home/a/b")));
    let newline = "bwrap: Can't find source path /a\nb: No such file or directory";
    assert_eq!(found(newline).unwrap().path(), Some(Path::new("/a\nb")));
    // the only one there is stays, and so does the first of two that differ
    assert_eq!(found("bwrap: setting up uid map\n$ id").unwrap().text(), "setting up uid map");
    let two = "bwrap: setting up uid map\nbwrap: execvp x: No such file or directory";
    assert_eq!(found(two).unwrap().text(), "setting up uid map");
}

/// What JSON and source code write for a new line ends a word; an edge of a terminal does not.
#[test]
fn edges_of_strings_and_terminals() {
    let json = r#""stderr": "warning: x\nbwrap: Can't mkdir /srv/a: Permission denied\n", "rc": 1"#;
    assert_eq!(found(json).unwrap().path(), Some(Path::new("/srv/a")));
    assert_eq!(
        found(r"b'WARNING\nbwrap: pivot_root: Invalid argument\n'").unwrap().text(),
        "pivot_root: Invalid argument"
    );
    let broken = "bwrap: Can't create file at /home/user/projects/some/very/long/\n     path/settings.json: Read-only file system";
    assert_eq!(
        found(broken).unwrap().path(),
        Some(Path::new("/home/user/projects/some/very/long/path/settings.json"))
    );
}

/// That bwrap is installed makes other lines none of its messages.
#[test]
fn a_line_beside_an_installation_is_not_bwraps() {
    for line in [
        "mounting proc: Operation not permitted",
        "pivot_root: Invalid argument",
        "execvp foo: No such file or directory",
    ] {
        assert_eq!(found(&format!("Setting up bubblewrap (0.9.0-1) ...\n{line}")), None, "{line}");
    }
}

/// bwrap 0.1 puts no name in front.
#[test]
fn a_line_that_is_a_message_among_lines_about_bwrap() {
    let message = found("$ flatpak run org.test.Hello\nexecvp hello.sh: Permission denied").unwrap();
    assert_eq!(message.subject(), Some(OsStr::new("hello.sh")));
    assert_eq!(found("$ make\nexecvp hello.sh: Permission denied"), None);
    assert_eq!(found("$ flatpak run x\nfork: Permission denied"), None);
}

#[test]
fn what_a_launcher_says_of_a_bwrap_that_it_did_not_start() {
    let heard = |text: &str| super::not_started_in(text.as_bytes()).map(|it| (it.line, it.heard));
    assert_eq!(heard("x\n bwrap not found \n"), Some(("bwrap not found".to_owned(), super::Heard::Launcher)));
    assert_eq!(heard("Error: spawn bwrap ENOENT").unwrap().1, super::Heard::System);
    assert_eq!(heard("sh: 1: bwrap: not found").unwrap().1, super::Heard::Shell);
    assert_eq!(heard("error building bubblewrap command: x is not found"), None);
    let path = |text: &str| super::path_shown(text.as_bytes());
    for text in [
        "$ command -v bwrap\n/usr/bin/bwrap",
        "bwrap is /usr/bin/bwrap",
        "bwrap: /usr/bin/bwrap /usr/share/man/x",
    ] {
        assert_eq!(path(text).as_deref(), Some("/usr/bin/bwrap"), "{text}");
    }
    assert_eq!(path("bash: /usr/bin/bwrap: Permission denied"), None);
    assert_eq!(path("spawn /usr/bin/bwrap ENOENT"), None);
}

#[test]
fn what_bwrap_will_say_one_day() {
    for text in [
        "bwrap: a message of 2030",
        "2026-01-02T03:04:05Z stderr F bwrap: a message of 2030\n",
        "x | bwrap: a message of 2030",
    ] {
        let message = found(text).unwrap();
        assert_eq!((message.pattern(), message.text()), (None, OsStr::new("a message of 2030")), "{text}");
    }
}

/// Errors that were cut within, or translated: the message is known, and the error where only one is worded so.
#[test]
fn errors_in_other_words() {
    let code = |text: &str| {
        let message = found(text).unwrap();
        assert!(message.pattern().is_some(), "{text}: {message:?}");
        message.errno().and_then(super::Errno::code)
    };
    for (error, number) in [
        ("Operation not perm...", Some(libc::EPERM)),
        ("Operation not permit", Some(libc::EPERM)),
        ("Perm\u{2026}", Some(libc::EACCES)),
        ("Permission den", Some(libc::EACCES)),
        ("No such file or dir...", Some(libc::ENOENT)),
        // two begin so
        ("Operation not ...", None),
        ("No such\u{2026}", None),
        ("...", None),
        ("Die Operation ist nicht erlaubt", Some(libc::EPERM)),
        ("Vorgang nicht zul\u{e4}ssig", Some(libc::EPERM)),
        ("Op\u{e9}ration non permise", Some(libc::EPERM)),
        ("Operaci\u{f3}n no permitida.", Some(libc::EPERM)),
        ("Permiss\u{e3}o negada", Some(libc::EACCES)),
        ("\u{8bb8}\u{53ef}", None),
        ("\u{6743}\u{9650}\u{4e0d}\u{591f}", Some(libc::EACCES)),
        ("Das Argument ist ung\u{fc}ltig", Some(libc::EINVAL)),
        ("Fonction non implant\u{e9}e", Some(libc::ENOSYS)),
        ("Nie ma takiego pliku ani katalogu", Some(libc::ENOENT)),
    ] {
        assert_eq!(code(&format!("bwrap: Can't mount proc on /newroot/proc: {error}")), number, "{error}");
        assert_eq!(code(&format!("\u{2502} bwrap: setting up uid map: {error} \u{2502}")), number, "{error}");
        let path = found(&format!("bwrap: Can't find source path /a b: {error}")).unwrap();
        let known = number.is_some() || error.ends_with(['.', '\u{2026}']);
        assert_eq!(path.path() == Some(Path::new("/a b")), known || !error.is_ascii(), "{error}: {path:?}");
    }
    let no_space =
        "bwrap: Creating new namespace failed: Auf dem Ger\u{e4}t ist kein Speicherplatz mehr verf\u{fc}gbar";
    assert_eq!(code(no_space), Some(libc::ENOSPC));
    assert_eq!(found(no_space).unwrap().text(), &no_space["bwrap: ".len()..]);
    let wide = "bwrap\u{ff1a}Can't mount proc on /newroot/proc\u{ff1a}Operation not permitted";
    assert_eq!(code(wide), Some(libc::EPERM));
    // a path keeps what looks alike
    let path = found("bwrap: Can't find source path /a\u{ff1a}b...: No such file or directory").unwrap();
    assert_eq!(path.path(), Some(Path::new("/a\u{ff1a}b...")));
}

/// Lists, checks and configuration.
#[test]
fn a_state_is_no_message() {
    for state in [
        "true",
        "installed",
        "OK",
        "yes",
        "/usr/bin/bwrap",
        "/usr/bin/bwrap /usr/share/man/man1/bwrap.1.gz",
        "0.8.0",
        "v0.11.0",
        "version 0.9.0-1ubuntu0.1",
        "\u{2714} installed (0.8.0)",
        "[ok]",
        "available: true",
        "\"auto\"",
        "null",
        "found at /usr/bin/bwrap",
        "false",
        "{ enabled: true, path: /usr/bin/bwrap }",
        "bubblewrap 0.8.0",
        "",
    ] {
        for text in [format!("bwrap: {state}"), format!("tools:\n  - bwrap: {state}\n  - socat: true\n")] {
            assert_eq!(super::search(text.as_bytes()), super::Said::Nothing, "{text:?}");
        }
        let text = format!("bwrap: {state}\nsh: 1: bwrap: not found");
        assert!(matches!(super::search(text.as_bytes()), super::Said::NotStarted(_)), "{text:?}");
    }
    for message in ["no sandbox", "setsid", "a message of 2030", "version 3 of the policy is too old"] {
        assert_eq!(found(&format!("bwrap: {message}")).unwrap().text(), message);
    }
}

/// Whoever quotes a message closes the quotation, and goes on: its advice has apostrophes only.
#[test]
fn a_quotation_ends_where_it_is_closed() {
    for (text, said) in [
        (
            "it is broken (\"No permissions to create new namespace\") in production",
            "No permissions to create new namespace",
        ),
        (
            "`bwrap` errors *\"No permissions to create a new namespace\"*, so grok can't set up its bind and fails.",
            "No permissions to create a new namespace",
        ),
        (
            "bwrap: No permissions to create new namespace, likely because the kernel does not allow it. Use 'sysctl x'.",
            "No permissions to create new namespace, likely because the kernel does not allow it. Use 'sysctl x'.",
        ),
    ] {
        let shown = found(text).map(|message| message.text().to_string_lossy().into_owned());
        assert_eq!(shown.as_deref(), Some(said), "{text}");
    }
}

/// What agents and terminals print at their edge, in the middle of somebody's sentence.
#[test]
fn a_sentence_is_broken_within_bwraps_words() {
    for (text, said) in [
        (
            "  - it is failing on real file reads/writes with bwrap: loopback:\n  Failed RTM_NEWADDR: Operation not permitted",
            "loopback: Failed RTM_NEWADDR: Operation not permitted",
        ),
        (
            "it fails with bwrap: setting up uid\nmap: Permission denied",
            "setting up uid map: Permission denied",
        ),
        ("All commands report \"bwrap: Unknown\n  option --argv0\"", "Unknown option --argv0"),
        (
            "- sandbox: bwrap: Can't mkdir parents for\n  /home/u/.cache: Permission denied",
            "Can't mkdir parents for /home/u/.cache: Permission denied",
        ),
        (
            "bwrap: Can't create file at\n     /home/u/x: Read-only file system",
            "Can't create file at /home/u/x: Read-only file system",
        ),
        (
            "bwrap: Can't bind mount /oldroot/home/u/My\n    Games on /newroot/home/u/My Games: Unable to mount source on destination: No such device",
            "Can't bind mount /oldroot/home/u/My Games on /newroot/home/u/My Games: Unable to mount source on destination: No such device",
        ),
        (
            "bwrap: Can't bind mount /oldroot/home/u/steamapps/common/Steamworks\nShared on /newroot/home/u/steamapps/common/Steamworks Shared: Unable to mount source on destination: No such device",
            "Can't bind mount /oldroot/home/u/steamapps/common/Steamworks Shared on /newroot/home/u/steamapps/common/Steamworks Shared: Unable to mount source on destination: No such device",
        ),
    ] {
        assert_eq!(found(text).unwrap().text(), OsStr::new(said), "{text}");
    }
    // the next line is another program's
    for text in [
        "I see bwrap: Can't find source path\nls: /foo: No such file or directory",
        "bwrap: Unknown option\nKilled",
    ] {
        let known = found(text).is_some_and(|message| message.pattern().is_some());
        assert!(!known, "{text}");
    }
    let path = |text: &str| found(text).unwrap().path().unwrap().to_path_buf();
    // no blank belongs within a path
    let narrow = "bwrap: Can't mkdir /home/u/very-long-\n     name/x: Permission denied";
    assert_eq!(path(narrow), Path::new("/home/u/very-long-name/x"));
    let whole = "bwrap: Can't mkdir /a/b: Permission denied\n     for /c: Permission denied";
    assert_eq!(path(whole), Path::new("/a/b"));
    // one that has a newline
    let newline = "bwrap: Can't bind mount /oldroot/home/u/a\nb on /newroot/x: Unable to mount source on destination: No such device";
    assert_eq!(found(newline).unwrap().source(), Some(Path::new("/home/u/a\nb")));
    for text in [
        "we install bwrap: Failed builds\nare retried",
        "see bwrap: Unknown\n$ bwrap --version",
        "see bwrap: Unknown\noption or not, who knows",
    ] {
        assert!(found(text).is_none_or(|message| message.pattern().is_none()), "{text}");
    }
}
