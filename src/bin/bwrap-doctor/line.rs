//! bwrap lines, from the command line and from files.

mod operators;
mod quoted;
mod unknown;

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::RawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use bwrap_launch::diagnosis::Prediction;
use bwrap_launch::host::Host;
use bwrap_launch::op::Operation;
use bwrap_launch::{Bwrap, Command, Descriptor, ParseError, Sandbox, doctor};

use crate::Result;
use crate::output::note;

/// Takes bwrap's own name off a line, as a pasted one has it, and with it the path if it is one.
pub(crate) fn without_name(mut words: Vec<OsString>) -> (Option<PathBuf>, Vec<OsString>) {
    if !words.first().is_some_and(|word| is_bwrap(word)) {
        return (None, words);
    }
    let name = PathBuf::from(words.remove(0));
    (name.is_absolute().then_some(name), words)
}

fn is_bwrap(word: &OsStr) -> bool {
    Path::new(word).file_name() == Some(OsStr::new("bwrap"))
}

/// Whether this word is bwrap's name, and not what printf writes.
fn begins_line(words: &[OsString], index: usize) -> bool {
    let before = index.checked_sub(1).and_then(|before| words.get(before));
    words.get(index).is_some_and(|word| is_bwrap(word)) && before.is_none_or(|word| word != "printf")
}

/// How often a line may name a list of arguments. Lists may name further ones, and one itself.
const MOST_LISTS: usize = 100;

/// Puts the words that a line has bwrap read from descriptors (`--args FD`) into their place.
pub(crate) fn with_args_of_descriptors(mut words: Vec<OsString>) -> Result<Vec<OsString>> {
    for _ in 0..MOST_LISTS {
        let Some(position) = position(&words, "--args") else { return Ok(words) };
        let number = words.get(position + 1).and_then(|word| word.to_str()?.parse::<RawFd>().ok());
        let number = number.ok_or("--args wants the number of an open descriptor")?;
        let whole = || fs::read(format!("/proc/self/fd/{number}"));
        let bytes = from_offset(number).map_or_else(whole, Ok).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("--args {number} names a descriptor that is not open"),
            _ => format!("cannot read --args {number}: {error}"),
        })?;
        let mut list = nul_separated(&bytes);
        list.pop_if(|word| word == "--");
        if matches!(Sandbox::from_args(list.clone()), Err(ParseError::UnexpectedCommand(_))) {
            return Err(format!(
                "--args {number} holds a command, which bwrap would ignore; put it into the line"
            ));
        }
        words.splice(position..position + 2, list);
    }
    Err("--args names lists without end".to_owned())
}

/// What bwrap would read from a descriptor that is a file: from where its caller left off. The offset stays where it is.
pub(crate) fn from_offset(number: RawFd) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    reopened(number, offset(number)?)?.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// How far a descriptor that is a file was read.
pub(crate) fn offset(number: RawFd) -> Option<u64> {
    fs::metadata(format!("/proc/self/fd/{number}")).ok().filter(fs::Metadata::is_file)?;
    let told = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()?;
    told.lines().find_map(|line| line.strip_prefix("pos:")?.trim().parse().ok())
}

/// The same file, opened anew, from there on.
pub(crate) fn reopened(number: RawFd, offset: u64) -> Option<fs::File> {
    let mut file = fs::File::open(format!("/proc/self/fd/{number}")).ok()?;
    file.seek(SeekFrom::Start(offset)).ok()?;
    Some(file)
}

/// Where a word is an option, and neither another's argument nor the command's.
pub(crate) fn position(words: &[OsString], option: &str) -> Option<usize> {
    let candidates = words.iter().enumerate().filter(|(_, word)| *word == option);
    candidates.map(|(position, _)| position).find(|position| {
        let before = words.iter().take(*position).cloned();
        !matches!(
            Sandbox::from_args(before),
            Err(ParseError::MissingArgument { .. } | ParseError::UnexpectedCommand(_))
        )
    })
}

/// Reads a bwrap line from a file: a JSON array, words that end in NUL, or shell words.
pub(crate) fn of_file(path: &Path) -> Result<Line> {
    let said = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let bytes = fs::read(path).map_err(|error| said(&error))?;
    // editors of Windows begin texts with a mark of their own
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let (words, expands): (Vec<OsString>, bool) = if bytes.contains(&0) {
        (nul_separated(bytes), false)
    } else if bytes.trim_ascii_start().starts_with(b"[") {
        let words: Vec<String> = serde_json::from_slice(bytes).map_err(|error| said(&error))?;
        (words.into_iter().map(OsString::from).collect(), false)
    } else {
        (shell_words(bytes).ok_or_else(|| said(&"a quotation mark is missing"))?, true)
    };
    let begin = match words.first() {
        None => return Err(said(&"there is no bwrap line in it")),
        Some(first) if first.as_bytes().starts_with(b"-") => 0,
        // what stands before bwrap (a prompt, sudo, exec, the content of files as Display writes it) is none of its words
        Some(_) => match (0..words.len()).find(|index| begins_line(&words, *index)) {
            Some(name) => name + 1,
            None => return Err(said(&"neither bwrap nor one of its options begins the line")),
        },
    };
    let mut words: Vec<OsString> = words.into_iter().skip(begin).collect();
    let open = if expands { unknown::take(&mut words) } else { Vec::new() };
    // what the command is given is no matter of the sandbox
    let before = |line: &Line| words.len() - line.command.as_ref().map_or(0, |it| it.get_args().len());
    let line = read(words.clone());
    let end = line.as_ref().map_or(words.len(), before);
    let open: Vec<OsString> =
        open.into_iter().filter(|(index, _)| *index < end).map(|(_, word)| word).collect();
    note_expansions(&open);
    let mut line = line.map_err(|error| said(&error))?;
    line.unknown.extend(open);
    Ok(line)
}

/// So many lines of a text are looked at for one of bwrap's.
const MOST_LINES: usize = 4_000;

/// The line of bwrap's that a text shows to have been typed or traced: the last one before bwrap's message, or the first one after it. One
/// with something in it that a shell would expand, or that is left out (`...`), is none. With it the program that it starts, where it is
/// plainly named.
pub(crate) fn in_text(text: &[u8]) -> Option<(Sandbox, Option<OsString>)> {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.lines().take(MOST_LINES).collect();
    let said = lines.iter().position(|line| line.contains("bwrap: ")).unwrap_or(lines.len());
    let shown = |index: &usize| {
        let well = is_well(lines.get(..*index)?);
        let line = typed(lines.get(*index..)?, index.checked_sub(1).and_then(|at| lines.get(at)));
        line.filter(|_| !well)
    };
    (0..said)
        .rev()
        .find_map(|index| shown(&index))
        .or_else(|| (said..lines.len()).find_map(|index| shown(&index)))
}

/// Whether the lines before one say that it works: `These checks succeed:`.
fn is_well(before: &[&str]) -> bool {
    const NEAR: usize = 6;
    let said =
        before.iter().rev().take(NEAR).find(|line| line.trim_end_matches([' ', '*', '`']).ends_with(':'));
    said.is_some_and(|line| {
        let line = line.rsplit(". ").next().unwrap_or(line).to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
        has(&["succeed", "works", "work:", "working", "passes"])
            && !has(&["not ", "n't", "fail", "no longer", "never", "only", "reproduc"])
    })
}

/// The sandbox of a line, with those that go on with it, if it is bwrap's.
fn typed(lines: &[&str], before: Option<&&str>) -> Option<(Sandbox, Option<OsString>)> {
    let first = lines.first()?.trim();
    let options = first.starts_with("--")
        && before.is_some_and(|line| line.to_lowercase().contains("bwrap") && line.trim_end().ends_with(':'));
    // some launchers put marks around each word
    let named = ["bwrap ", "bwrap' ", "bwrap\" "].iter().any(|name| first.contains(name));
    if !options && !named || first.contains("bwrap: ") {
        return None;
    }
    let mut whole = String::new();
    for line in lines {
        let line = line.trim().trim_start_matches("> ");
        let goes_on = line.strip_suffix('\\');
        whole.extend([goes_on.unwrap_or(line), " "]);
        if goes_on.is_none() {
            break;
        }
    }
    let mut words = shell_words(whole.trim().trim_matches('`').as_bytes())?;
    unknown::take(&mut words);
    let open = |word: &OsString| {
        let text = word.to_string_lossy();
        text.contains(['$', '`', '*', '\u{2026}'])
            || text.contains("...")
            || text.starts_with('<') && text.ends_with('>')
    };
    let begin = if options { 0 } else { (0..words.len()).find(|at| is_started(&words, *at))? + 1 };
    let words: Vec<OsString> = words.into_iter().skip(begin).collect();
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    if words.iter().take(end).any(open)
        || LAUNCHERS.iter().any(|option| words.iter().take(end).any(|word| word == option))
    {
        return None;
    }
    let (sandbox, program) = match Command::from_args(words.clone()) {
        Ok(command) => (command.get_sandbox().clone(), Some(command.get_program().to_owned())),
        Err(ParseError::NoCommand) => (Sandbox::from_args(words).ok()?, None),
        Err(_) => return None,
    };
    (!sandbox.operations().is_empty()).then(|| (sandbox, program.filter(|program| !open(program))))
}

/// Whether a word is bwrap where a program's name stands: first, behind a prompt or a shell's trace, or behind what starts programs.
fn is_started(words: &[OsString], at: usize) -> bool {
    let starts = |word: &OsString| {
        let text = word.to_string_lossy();
        text.ends_with(['$', '#', '%', '>', '+', '\u{276f}'])
            || ["exec", "sudo", "env", "time", "command"].contains(&&*text)
    };
    let before = at.checked_sub(1).and_then(|before| words.get(before));
    let option = words.get(at + 1).is_some_and(|word| word.as_bytes().starts_with(b"--"));
    words.get(at).is_some_and(|word| is_bwrap(word)) && option && before.is_none_or(starts)
}

pub(crate) fn nul_separated(bytes: &[u8]) -> Vec<OsString> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect()
}

fn shell_words(bytes: &[u8]) -> Option<Vec<OsString>> {
    let alone = operators::line_alone(&quoted::plain(bytes)?);
    let mut words = shlex::bytes::Shlex::new(&alone);
    let list: Vec<OsString> = words.by_ref().map(OsString::from_vec).collect();
    (!words.had_error).then_some(list)
}

fn note_expansions(open: &[OsString]) {
    if let Some(word) = open.first() {
        note(&format!(
            "nothing is expanded: {} is taken as it stands. A shell can write the words: printf '%s\\0' LINE >FILE",
            word.display()
        ));
    }
}

/// A bwrap line's command has every descriptor that its caller left open; a launched one only what it is given.
pub(crate) fn inherited() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let numbers: Vec<i32> = numbers.filter(|number| *number >= 3).collect();
    // the one that listed them is gone by now
    numbers.into_iter().filter(|number| fs::read_link(format!("/proc/self/fd/{number}")).is_ok()).collect()
}

/// Fails if the line names a descriptor that is neither a standard stream, which every program of Rust has, nor among those. By the
/// time that bwrap starts it may be open, and then it is one of ours.
pub(crate) fn all_open(sandbox: &Sandbox, descriptors: &[i32]) -> Result<(), String> {
    let is_closed = |number: &&i32| **number > 2 && !descriptors.contains(number);
    match sandbox.descriptor_numbers().iter().find(is_closed) {
        Some(number) => Err(format!(
            "the line names descriptor {number}, which is not open; open it for bwrap-doctor, as in `{number}<FILE`"
        )),
        None => match bound_twice(sandbox) {
            Some(number) => Err(format!(
                "the line binds descriptor {number} twice, and bwrap closes it after the first time; open it under another number, too"
            )),
            None => Ok(()),
        },
    }
}

/// The descriptor of two binds. A launch gives each operation a copy of its own, but bwrap itself has one.
fn bound_twice(sandbox: &Sandbox) -> Option<i32> {
    let mut seen = HashSet::new();
    let mut bound = sandbox.operations().iter().filter_map(|operation| match operation {
        Operation::BindFd(bind) => bind.descriptor().given_number(),
        _ => None,
    });
    bound.find(|number| !seen.insert(*number))
}

/// The highest number of a descriptor that a launch can place.
const HIGHEST: i32 = 1023;

/// Gives a command those that were left open, as bwrap would. Those that its options name, bwrap itself reads and closes.
pub(crate) fn hand_on(command: &mut Command, descriptors: &[i32]) {
    let named = command.get_sandbox().descriptor_numbers();
    // whoever lowered the limit may have left some open above it
    let limit =
        Host::snapshot().process.descriptor_limit.present().and_then(|limit| i32::try_from(*limit).ok());
    let highest = limit.map_or(HIGHEST, |limit| HIGHEST.min(limit - 1));
    for number in descriptors.iter().filter(|number| !named.contains(number)) {
        if *number <= highest {
            command.fd(*number, Descriptor::number(*number));
        } else {
            note(&format!(
                "descriptor {number} is not passed on: the command can have those up to {highest}"
            ));
        }
    }
}

/// Options that concern whoever starts bwrap, not the sandbox. Each has one argument.
const LAUNCHERS: &[&str] = &["--args", "--block-fd", "--userns-block-fd", "--json-status-fd"];

/// What is said of a line that ends before its command.
pub(crate) const NO_COMMAND: &str = "the line names no command, without which bwrap prints its usage";

/// A line: a sandbox, and a command if one follows.
pub(crate) struct Line {
    pub(crate) sandbox: Sandbox,
    pub(crate) command: Option<Command>,
    /// Words that stand for others, which are not known: what a shell makes of them, or a descriptor has.
    pub(crate) unknown: Vec<OsString>,
}

impl Line {
    /// Whether it will start here, as far as its words are known.
    pub(crate) fn predict(&self, bwrap: &Bwrap) -> Prediction {
        let prediction = match &self.command {
            Some(command) => doctor::predict_command(bwrap, command),
            None => doctor::predict(bwrap, &self.sandbox),
        };
        self.as_far_as_known(prediction)
    }
}

/// Reads a line, with or without a command in it.
pub(crate) fn read(mut words: Vec<OsString>) -> Result<Line, ParseError> {
    let mut unknown = Vec::new();
    loop {
        let error = match Command::from_args(words.clone()) {
            Ok(command) => {
                return Ok(Line { sandbox: command.get_sandbox().clone(), command: Some(command), unknown });
            }
            Err(ParseError::NoCommand) => {
                return Ok(Line { sandbox: Sandbox::from_args(words)?, command: None, unknown });
            }
            Err(error) => error,
        };
        let ParseError::LaunchersOwn { option, .. } = error else { return Err(error) };
        let Some(place) =
            LAUNCHERS.iter().find(|name| **name == option).and_then(|name| position(&words, name))
        else {
            return Err(error);
        };
        note(&format!("{option} is left out: it cannot be read here"));
        let left_out: Vec<OsString> = words.drain(place..words.len().min(place + 2)).collect();
        // the others change nothing of the sandbox
        if option == "--args" {
            unknown.push(left_out.join(OsStr::new(" ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_said_to_work_is_not_the_one_that_failed() {
        let line = "bwrap --unshare-net --ro-bind / / true";
        let said = "bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted";
        for before in
            ["", "I run:", "This does not work:", "It only works as root:", "It works as root. As me:"]
        {
            assert!(in_text(format!("{before}\n$ {line}\n{said}").as_bytes()).is_some(), "{before}");
        }
        for before in ["These checks succeed on the same host:\n\nunshare -Urn true", "This works:\n```"] {
            assert!(in_text(format!("{said}\n{before}\n{line}").as_bytes()).is_none(), "{before}");
        }
    }

    #[test]
    fn the_program_of_a_line_is_known_where_it_is_named() {
        let program = |command: &str| {
            let text = format!(
                "$ bwrap --ro-bind /usr /usr {command}\nbwrap: execvp /bin/bash: No such file or directory"
            );
            in_text(text.as_bytes()).unwrap().1
        };
        assert_eq!(program("/usr/bin/bash -c 'echo OK'"), Some("/usr/bin/bash".into()));
        assert_eq!(program("bash -c true"), Some("bash".into()));
        for open in ["-- \"$@\"", "-- $SHELL", "-- $CMD"] {
            assert_eq!(program(open), None, "{open}");
        }
    }
}
