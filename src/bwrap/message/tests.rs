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
            "nothing" | "reason" | "perhaps error" => {}
            "why" => printed += ": Unable to mount source on destination: Permission denied",
            "error" | "reason, error" | "stale error" => printed += ": Permission denied",
            other => panic!("{other}"),
        }
        count += 1;
        let message = Message::parse(printed.as_bytes());
        let code = message.errno().or(message.stale_errno()).and_then(super::Errno::code);
        let told = message.pattern().is_some() && (!tail.starts_with("reason") || message.reason().is_some());
        if !told || tail.ends_with("error") && tail != "perhaps error" && code != Some(13) {
            unknown.push(format!("{printed} ({:?})", message.pattern()));
        }
    }
    assert!(count > 290 && unknown.is_empty(), "{count} wordings; unknown: {unknown:#?}");
}
