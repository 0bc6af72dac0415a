//! Others' word that bwrap could not be started: a shell's, a launcher's, or the system's through them. The name alone says nothing: what
//! is missing, or denied, has to be bwrap.

use super::errno::{self, find};
use super::marks::{named, plain, trimmed};
use super::packages::is_of_packages;
use super::{Errno, MOST_BYTES};

/// What launchers refuse by themselves, without starting anything.
const REFUSED: &[&str] = &[
    "building bubblewrap command",
    "build bubblewrap command",
    "building bwrap command",
    "build bwrap command",
];

/// Whose words about a package or a module of bwrap's name, or about a test, are no launcher's.
const OF_OTHERS: &[&str] = &[
    "pkg-config",
    "registry",
    "unresolved import",
    "so not removed",
    " 404 ",
    "npm err",
    "expected pattern",
    "cannot access",
    "cannot stat",
    "can't open",
    "cannot open",
    "avc:",
];

/// Who names a file that it does not execute.
const TOOLS: &[&[u8]] = &[
    b"cat",
    b"chmod",
    b"chown",
    b"cp",
    b"dpkg",
    b"file",
    b"find",
    b"getcap",
    b"grep",
    b"head",
    b"ldd",
    b"ln",
    b"ls",
    b"mv",
    b"readlink",
    b"rm",
    b"sed",
    b"setcap",
    b"stat",
    b"tail",
    b"tar",
];

/// What is done to a program that is started.
const VERBS: &[&[u8]] = &[
    b"spawn",
    b"spawning",
    b"posix_spawn",
    b"exec",
    b"execve",
    b"execvp",
    b"execute",
    b"executing",
    b"fork/exec",
    b"start",
    b"starting",
    b"run",
    b"running",
    b"launch",
    b"launching",
    b"invoke",
    b"process",
    b"command",
    b"program",
];

/// What is said of a command inside, whatever else the text says of bwrap.
const INSIDE: &[&[u8]] = &[b"apply-seccomp: ", b"/dev/null: ", b"'/dev/null'"];

/// What shells say, in some languages, and those that search PATH as they do.
const BY_SHELL: &[&str] = &[
    "command not found",
    "executable file not found",
    "unknown command",
    "befehl nicht gefunden",
    "kommando nicht gefunden",
    "commande introuvable",
    "orden no encontrada",
    "comando non trovato",
    "comando n\u{e3}o encontrado",
    "\u{43a}\u{43e}\u{43c}\u{430}\u{43d}\u{434}\u{430} \u{43d}\u{435} \u{43d}\u{430}\u{439}\u{434}\u{435}\u{43d}\u{430}",
    "nie znaleziono polecenia",
    "\u{672a}\u{627e}\u{5230}\u{547d}\u{4ee4}",
];

/// What a launcher says of bwrap before its name, where it finds none.
const NONE_BEFORE: &[&[u8]] = &[
    b"could not find",
    b"couldn't find",
    b"cannot find",
    b"can't find",
    b"can not find",
    b"unable to find",
    b"failed to find",
    b"failed to locate",
    b"could not locate",
    b"did not find",
    b"not find",
    b"no",
    b"missing",
];

/// The same behind it.
const NONE_BEHIND: &[&[u8]] = &[
    b"not found",
    b"not be found",
    b"not present",
    b"not installed",
    b"not available",
    b"unavailable",
    b"not on path",
    b"not on your path",
    b"not on the path",
    b"not in path",
    b"not in your path",
    b"not in the path",
    b"missing",
    b"does not exist",
    b"doesn't exist",
    b"couldn't be found",
];

/// Words that may stand between the name and these.
const BETWEEN: &[&[u8]] = &[
    b"the",
    b"a",
    b"an",
    b"any",
    b"usable",
    b"system",
    b"is",
    b"was",
    b"are",
    b"but",
    b"required",
    b"needed",
    b"and",
    b"could",
    b"can",
    b"command",
    b"binary",
    b"executable",
    b"program",
    b"package",
    b"tool",
    b"sandbox",
    b"helper",
    b"which",
];

/// Whether a line is about the inside of a sandbox: then bwrap has started.
pub(super) fn is_inside(line: &[u8]) -> bool {
    INSIDE.iter().any(|words| find(line, words).is_some())
        && (errno::named_in(line).is_some() || errno::translated_in(line).is_some())
}

/// Whether a text is an error and nothing else.
pub(super) fn is_error(text: &[u8]) -> bool {
    let text = trimmed(text, None);
    if errno::translated_in(text).is_some_and(|error| error.text().len() == text.len()) {
        return true;
    }
    let text = [b": ", text].concat();
    errno::cut_folded(&text).is_some_and(|(head, _)| head.is_empty())
}

/// Whether a line says that bwrap could not be started, and why.
pub(super) fn not_started(line: &[u8]) -> Option<Errno> {
    let line = line.get(..MOST_BYTES).unwrap_or(line);
    let lower = line.to_ascii_lowercase();
    let has = |text: &&str| find(&lower, text.as_bytes()).is_some();
    if named(line).next().is_none() && !has(&"/bwrap") {
        // too many words for whatever it is: those that are meant for bwrap are among them
        let error = errno::named_in(&lower).filter(|error| error.code() == Some(libc::E2BIG));
        return error.filter(|_| ["spawn", "exec", "fork", "could not start"].iter().any(has));
    }
    if REFUSED.iter().chain(OF_OTHERS).any(has) || is_of_packages(line) {
        return None;
    }
    if is_unknown_to_shell(&lower) || says_none(&lower) || asks_for_it(&lower) {
        return Some(Errno::implied(libc::ENOENT));
    }
    let error = errno::named_in(&lower).or_else(|| errno::translated_in(line))?;
    (is_alone(line) || is_object(&lower)).then_some(error)
}

/// What a word of a program, a path or an option may consist of.
fn of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-".contains(&byte)
}

/// What may stand between a name and what is said of it; quotation marks within others have a backslash.
fn quotes(byte: u8) -> bool {
    b" \t'\"`:()\\".contains(&byte) || !byte.is_ascii()
}

fn last_word(text: &[u8]) -> &[u8] {
    let begin = text.iter().rposition(|byte| !of_word(*byte)).map_or(0, |at| at + 1);
    text.get(begin..).unwrap_or_default()
}

/// Whether a word is a path to bwrap, or its name.
pub(crate) fn is_program(word: &[u8]) -> bool {
    let name = word.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    [&b"bwrap"[..], b"bubblewrap", b"flatpak-bwrap"].contains(&name)
}

/// Whether a shell, or who searches PATH as it does, names bwrap as what it did not find: `X: not found`, `command not found: X`.
fn is_unknown_to_shell(line: &[u8]) -> bool {
    let words = BY_SHELL.iter().map(|words| words.as_bytes()).chain([&b"not found"[..]]);
    words.into_iter().any(|words| {
        let Some(at) = find(line, words) else { return false };
        let (before, after) =
            (line.get(..at).unwrap_or_default(), line.get(at + words.len()..).unwrap_or_default());
        let end = before.iter().rposition(|byte| !quotes(*byte)).map_or(0, |last| last + 1);
        let (head, gap) = before.split_at_checked(end).unwrap_or((before, &[]));
        let begin = after.iter().position(|byte| !quotes(*byte)).unwrap_or(after.len());
        let (colon, rest) = after.split_at_checked(begin).unwrap_or((after, &[]));
        let length = rest.iter().take_while(|byte| of_word(**byte)).count();
        // fullwidth, too
        let apart = |gap: &[u8]| gap.contains(&b':') || gap.iter().any(|byte| !byte.is_ascii());
        apart(gap) && is_program(last_word(head))
            || apart(colon) && rest.get(..length).is_some_and(is_program)
    })
}

/// `bash: /usr/bin/bwrap: Permission denied`: the name, and the error alone.
fn is_alone(line: &[u8]) -> bool {
    let tool = |before: &[u8]| {
        let mut words = before.split(u8::is_ascii_whitespace);
        words.any(|word| word.strip_suffix(b":").is_some_and(|name| TOOLS.contains(&name)))
    };
    named(line).any(|start| {
        let rest = line.get(start.words..).unwrap_or_default();
        let refused = is_error(rest) || rest.starts_with(b"cannot execute");
        start.colon && refused && !tool(line.get(..start.name).unwrap_or_default())
    })
}

/// Whether a line in small letters says of bwrap that it was to be started: `spawn bwrap ENOENT`; or names it behind the error:
/// `No such file or directory: 'bwrap'`.
fn is_object(line: &[u8]) -> bool {
    named(line).any(|start| {
        let before = line.get(..start.name).unwrap_or_default();
        let path = before.iter().rposition(|byte| !of_word(*byte)).map_or(0, |at| at + 1);
        let head = before.get(..path).unwrap_or_default();
        let length =
            line.get(start.name..).map_or(0, |rest| rest.iter().take_while(|byte| of_word(**byte)).count());
        let after = line.get(start.name + length..).unwrap_or_default();
        let quote = |byte: &u8| b"'\"`)".contains(byte) || !byte.is_ascii();
        let closed = after.iter().position(|byte| !quote(byte)).unwrap_or(after.len());
        let rest = after.get(closed..).unwrap_or_default();
        let open = head.iter().rposition(|byte| !quote(byte)).map_or(0, |last| last + 1);
        let head = head.get(..open).unwrap_or_default();
        let verb = VERBS.contains(&last_word(head.trim_ascii_end()));
        // not its options, nor what it runs
        let over = rest.is_empty()
            || b":,;}".contains(rest.first().unwrap_or(&b' '))
            || [&b" ("[..], b" failed", b" error"].iter().any(|mark| rest.starts_with(mark))
            || rest
                .strip_prefix(b" ")
                .is_some_and(|rest| rest.starts_with(b"e") && is_error(rest) || starts_with_name(rest));
        let head = head.strip_suffix(b"b").unwrap_or(head).trim_ascii_end();
        let alone = after.first().is_none_or(|byte| b"'\"`".contains(byte));
        let named_last = head.ends_with(b":") && alone;
        verb && over || named_last && errno::named_in(head).is_some()
    })
}

/// Whether the name of an error comes next: `enoent`.
fn starts_with_name(text: &[u8]) -> bool {
    let word = text.split(|byte| !byte.is_ascii_alphanumeric()).next().unwrap_or_default();
    word.first() == Some(&b'e') && errno::named_in(word).is_some()
}

/// Whether a line in small letters says of bwrap that it is not there.
fn says_none(line: &[u8]) -> bool {
    let mark = |byte: &u8| byte.is_ascii_whitespace() || b"'\"`()[]:,;.*".contains(byte);
    let behind = |mut rest: &[u8]| {
        for step in 0..6 {
            let begin = rest.iter().position(|byte| !mark(byte)).unwrap_or(rest.len());
            // `bwrap::missing` is a name
            if step == 0 && !rest.get(..begin).is_some_and(|gap| gap.iter().any(u8::is_ascii_whitespace)) {
                return false;
            }
            rest = rest.get(begin..).unwrap_or_default();
            let none = NONE_BEHIND.iter().find_map(|words| rest.strip_prefix(*words));
            if let Some(more) = none {
                // and not `missing --dev`
                return !more.first().is_some_and(u8::is_ascii_alphanumeric) && !more.starts_with(b" -");
            }
            let end = rest.iter().position(mark).unwrap_or(rest.len());
            if !rest.get(..end).is_some_and(|word| BETWEEN.contains(&word)) {
                return false;
            }
            rest = rest.get(end..).unwrap_or_default();
        }
        false
    };
    let before = |mut rest: &[u8], after: &[u8]| {
        for _ in 0..4 {
            let end = rest.iter().rposition(|byte| !mark(byte)).map_or(0, |last| last + 1);
            rest = rest.get(..end).unwrap_or_default();
            let ends = |words: &&&[u8]| {
                let head = rest.strip_suffix(**words);
                head.is_some_and(|head| head.last().is_none_or(mark))
            };
            if let Some(words) = NONE_BEFORE.iter().find(ends) {
                // `no bwrap equivalent` is about something else
                let ended = after.first().is_none_or(|byte| b",.;:'\"`)".contains(byte))
                    || [&b" on "[..], b" in ", b" found", b" available", b" binary", b" executable", b" ("]
                        .iter()
                        .any(|mark| after.starts_with(mark));
                return *words != b"no" || ended;
            }
            let begin = rest.iter().rposition(mark).map_or(0, |at| at + 1);
            if !rest.get(begin..).is_some_and(|word| BETWEEN.contains(&word)) {
                return false;
            }
            rest = rest.get(..begin).unwrap_or_default();
        }
        false
    };
    let told = |start: super::marks::Start| {
        let length = line
            .get(start.name..)
            .map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count());
        let (head, after) = (line.get(..start.name), line.get(start.name + length..));
        let (head, after) = (head.unwrap_or_default(), after.unwrap_or_default());
        !is_supposed(head) && (behind(after) || before(head, after))
    };
    named(line).take(8).any(told)
}

/// Whether what comes before a name, in the same sentence, makes it a case that is only thought of, or a comment in code.
fn is_supposed(before: &[u8]) -> bool {
    let begin =
        before.windows(2).rposition(|pair| matches!(pair, [b'.' | b'!' | b'?', b' '])).map_or(0, |at| at + 2);
    let sentence = before.get(begin..).unwrap_or_default();
    let mut words = sentence.split(|byte| !byte.is_ascii_alphanumeric());
    let comment = before.windows(3).any(|text| text == b" //") || before.starts_with(b"//");
    comment || words.any(|word| [&b"if"[..], b"when", b"unless", b"whether", b"handle"].contains(&word))
}

/// Whether a line in small letters tells people to install bwrap, for want of it or of one that works: in this sentence or the one
/// before.
fn asks_for_it(line: &[u8]) -> bool {
    let has = |text: &[u8], words: &[&[u8]]| words.iter().any(|word| find(text, word).is_some());
    let sentences: Vec<&[u8]> = line.split(|byte| b".!?".contains(byte)).collect();
    let asks: &[&[u8]] = &[
        b"install bubblewrap",
        b"install bwrap",
        b"install 'bubblewrap'",
        b"install `bubblewrap`",
        b"install the bubblewrap",
    ];
    let wants: &[&[u8]] = &[
        b"not found",
        b"not available",
        b"unavailable",
        b"not installed",
        b"missing",
        b"require",
        b"needs ",
        b"cannot ",
        b"could not ",
        b"no sandbox",
        b"no os sandbox",
        b"not be found",
        b"no usable",
    ];
    sentences.iter().enumerate().any(|(index, sentence)| {
        let earlier = index.checked_sub(1).and_then(|index| sentences.get(index));
        has(sentence, asks)
            && !is_supposed(sentence)
            && (has(sentence, wants) || earlier.is_some_and(|earlier| has(earlier, wants)))
    })
}

/// Whose word it is that bwrap could not be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The system's answer is in it.
    System,
    /// A shell's, which looked for it in its PATH.
    Shell,
    /// A container's runtime's, which looked for it in the image's PATH.
    Runtime,
    /// A launcher's, which may have tried it in its own way.
    Launcher,
    /// That of whoever wrote the text, as far as can be told: its title, or a line that argues.
    Text,
}

/// A line that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotStarted {
    pub(crate) line: String,
    pub(crate) heard: Heard,
}

/// What people say against what a program says.
const ARGUES: &[&[u8]] = &[
    b" but ",
    b"nonetheless",
    b"nevertheless",
    b"even though",
    b"although",
    b"despite",
    b"whereas",
    b"why ",
    b"wrongly",
    b"?",
];

/// The line of a text in which a shell or a launcher says that bwrap could not be started: rather one of theirs than a title.
pub(crate) fn not_started_in(text: &[u8]) -> Option<NotStarted> {
    let lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(plain).collect();
    let argues = |line: &[u8]| {
        let lower = line.to_ascii_lowercase();
        ARGUES.iter().any(|words| find(&lower, words).is_some())
    };
    // a blank line follows it
    let title = lines.get(1).is_some_and(|line| line.trim_ascii().is_empty()) && lines.len() > 2;
    let of_people = |index: usize, line: &[u8]| index == 0 && title || argues(line);
    let mut said = lines.iter().enumerate().filter(|(_, line)| not_started(line).is_some());
    let first = said.clone().next()?;
    let (index, line) = said.find(|(index, line)| !of_people(*index, line)).unwrap_or(first);
    let lower = line.to_ascii_lowercase();
    let shells = BY_SHELL.iter().any(|words| find(&lower, words.as_bytes()).is_some());
    let heard = if errno::named_in(line).or_else(|| errno::translated_in(line)).is_some() {
        Heard::System
    } else if find(&lower, b"unable to start container process").is_some() {
        Heard::Runtime
    } else if shells || lower.trim_ascii_end().ends_with(b": not found") {
        Heard::Shell
    } else if of_people(index, line) {
        Heard::Text
    } else {
        Heard::Launcher
    };
    Some(NotStarted { line: String::from_utf8_lossy(line.trim_ascii()).into_owned(), heard })
}

/// The path of a bwrap that stands on a line of its own, as `command -v bwrap` prints it, or in one that tells what bwrap is; or
/// what was typed to ask for its version, where that was answered.
pub(crate) fn path_shown(text: &[u8]) -> Option<String> {
    let lines = text.split(|byte| *byte == b'\n').map(plain);
    let mut asked = None;
    lines.filter_map(|line| String::from_utf8(line).ok()).find_map(|line| {
        let answered = line
            .trim()
            .strip_prefix("bubblewrap ")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let typed =
            line.trim().strip_suffix(" --version").and_then(|line| line.split_whitespace().next_back());
        let typed = typed.filter(|word| *word == "bwrap" || word.ends_with("/bwrap")).map(str::to_owned);
        let before = std::mem::replace(&mut asked, typed);
        if let Some(bwrap) = before.filter(|_| answered) {
            return Some(bwrap);
        }
        let line = line.trim();
        let path = line.strip_prefix("bwrap is ").or(line.strip_prefix("bwrap: ")).unwrap_or(line);
        let path = path.split(' ').next().filter(|first| *first == path || line.starts_with("bwrap: "))?;
        (path.starts_with('/') && path.ends_with("/bwrap")).then(|| path.to_owned())
    })
}
