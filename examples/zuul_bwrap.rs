//! `zuul-bwrap`, which runs a command as the executor of Zuul runs a playbook: the same arguments, but what it exits with is the
//! command's own status, or 125 to 127, with the reason, if it did not run.
//!
//! ```text
//! cargo run --example zuul_bwrap -- --ro-paths /opt --secret /tmp/vars/all.yaml=text -- /tmp/work /tmp/home cat /tmp/vars/all.yaml
//! ```
//!
//! `ZUUL_BWRAP_WITHOUT=STATUS,ENVIRONMENT` takes back what is done better than there, under the names that
//! `bwrap_launch::profile::zuul::Fixes` has for it.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::ExitCode;

use bwrap_launch::profile::zuul::{Driver, Error, Fixes};
use bwrap_launch::{Bwrap, BwrapError};

const USAGE: &str =
    "usage: zuul-bwrap [-h] [--ro-paths RO_PATHS [RO_PATHS ...]] [--rw-paths RW_PATHS [RW_PATHS ...]]
                  [--secret SECRET [SECRET ...]]
                  work_dir home_dir run_args [run_args ...]
";

/// What `zuul-bwrap` itself exits with if it is called wrongly, and if there was no sandbox.
const WRONG: u8 = 2;
const NOT_LAUNCHED: u8 = 125;

fn main() -> ExitCode {
    ExitCode::from(run_with(std::env::args_os().skip(1)))
}

/// The whole program.
pub(crate) fn run_with(words: impl Iterator<Item = OsString>) -> u8 {
    let arguments = match Arguments::read(words) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{USAGE}");
            return 0;
        }
        Err(wrong) => {
            eprintln!("{USAGE}zuul-bwrap: error: {wrong}");
            return WRONG;
        }
    };
    match run(&arguments) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("zuul-bwrap: {error}");
            NOT_LAUNCHED
        }
    }
}

fn run(arguments: &Arguments) -> Result<u8, Failed> {
    let driver = Driver::new(&Bwrap::find()?)?.fixes(fixes()?);
    driver.check()?;
    let mut context = driver.context();
    for path in &arguments.ro_paths {
        context = context.ro_path(path);
    }
    for path in &arguments.rw_paths {
        context = context.rw_path(path);
    }
    for secret in &arguments.secrets {
        let bytes = secret.as_bytes();
        let sign = bytes.iter().position(|byte| *byte == b'=').ok_or(Failed::Secret)?;
        let (path, text) = bytes.split_at(sign);
        context = context.secret(OsString::from_vec(path.to_vec()), text.get(1..).unwrap_or_default());
    }
    let mut launcher = context.launcher(&arguments.work_dir, &arguments.home_dir);
    if let Some(socket) = std::env::var_os("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty()) {
        launcher = launcher.ssh_auth_sock(socket);
    }
    let leftovers = launcher.leftovers();
    let outcome = launcher.command(&arguments.run_args)?.status();
    drop(leftovers);
    if let Err(error) = &outcome {
        eprintln!("zuul-bwrap: {}", error.report());
    }
    Ok(driver.exit_status(&outcome))
}

/// All that is done better than in Zuul, but for what the environment names.
fn fixes() -> Result<Fixes, Failed> {
    let without = std::env::var("ZUUL_BWRAP_WITHOUT").unwrap_or_default();
    let names = without.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.into_iter().try_fold(Fixes::all(), |fixes, name| {
        Ok(fixes - Fixes::from_name(name).ok_or_else(|| Failed::Fix(name.to_owned()))?)
    })
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Bwrap(#[from] BwrapError),
    #[error(transparent)]
    Zuul(#[from] Error),
    #[error("a secret is PATH=TEXT")]
    Secret,
    #[error("ZUUL_BWRAP_WITHOUT: nothing is called '{0}'")]
    Fix(String),
}

#[derive(Debug, Default)]
struct Arguments {
    ro_paths: Vec<OsString>,
    rw_paths: Vec<OsString>,
    secrets: Vec<OsString>,
    work_dir: OsString,
    home_dir: OsString,
    run_args: Vec<OsString>,
}

impl Arguments {
    /// Reads them as Python's `argparse` does: an option takes all words up to the next one, and `--` ends them. `None` if help
    /// is asked for.
    fn read(words: impl Iterator<Item = OsString>) -> Result<Option<Self>, String> {
        let mut arguments = Self::default();
        let mut positional = Vec::new();
        let mut words = words.peekable();
        let (mut only_words, mut complete) = (false, false);
        while let Some(word) = words.next() {
            let text = word.to_string_lossy().into_owned();
            if only_words || !is_option(&text) {
                if complete {
                    return Err(format!("unrecognized arguments: {text}"));
                }
                positional.push(word);
                continue;
            }
            if text == "--" {
                only_words = true;
                continue;
            }
            // what comes after the command is no more of it
            complete = positional.len() > 2;
            let (name, given) =
                text.split_once('=').map_or((text.as_str(), None), |(name, _)| (name, Some(())));
            let list = match name {
                "-h" => return Ok(None),
                name => match full_name(name)? {
                    "--help" => return Ok(None),
                    "--ro-paths" => &mut arguments.ro_paths,
                    "--rw-paths" => &mut arguments.rw_paths,
                    _ => &mut arguments.secrets,
                },
            };
            list.clear();
            if given.is_some() {
                list.push(OsString::from_vec(
                    word.as_bytes().get(name.len() + 1..).unwrap_or_default().to_vec(),
                ));
                continue;
            }
            while let Some(value) = words.next_if(|word| !is_option(&word.to_string_lossy())) {
                list.push(value);
            }
            if list.is_empty() {
                return Err(format!("argument {name}: expected at least one argument"));
            }
        }
        let mut positional = positional.into_iter();
        let mut next =
            |name| positional.next().ok_or(format!("the following arguments are required: {name}"));
        arguments.work_dir = next("work_dir, home_dir, run_args")?;
        arguments.home_dir = next("home_dir, run_args")?;
        arguments.run_args = vec![next("run_args")?];
        arguments.run_args.extend(positional);
        // one may stand before the command even if one stands before the directories
        if arguments.run_args.len() > 1 && arguments.run_args.first().is_some_and(|word| word == "--") {
            arguments.run_args.remove(0);
        }
        Ok(Some(arguments))
    }
}

/// Whether it is no argument of something, as argparse of Python's sees it: an option by its name, whatever its value; numbers below
/// zero and other words with blanks are arguments.
fn is_option(word: &str) -> bool {
    let name = word.split_once('=').map_or(word, |(name, _)| name);
    if name == "-h" || full_name(name).is_ok() {
        return true;
    }
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let number = word.strip_prefix('-').is_some_and(|rest| match rest.split_once('.') {
        Some((whole, part)) => digits(whole) && digits(part) && !part.is_empty(),
        None => digits(rest) && !rest.is_empty(),
    });
    word.starts_with('-') && word != "-" && !number && !word.contains(' ')
}

/// The option that this is short for.
fn full_name(short: &str) -> Result<&'static str, String> {
    let all = ["--help", "--ro-paths", "--rw-paths", "--secret"];
    let mut meant = all.into_iter().filter(|name| short.len() > 2 && name.starts_with(short));
    match (meant.next(), meant.next()) {
        (Some(name), None) => Ok(name),
        (Some(_), Some(_)) => Err(format!("ambiguous option: {short}")),
        _ => Err(format!("unrecognized arguments: {short}")),
    }
}
