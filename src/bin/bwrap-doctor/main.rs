//! Can this machine run Bubblewrap sandboxes, and if not, what to change? See `docs/bwrap-doctor.md`.

mod check;
mod cli;
mod explain;
mod given;
mod host;
mod install;
mod line;
mod output;
mod pod;
mod run;
mod standin;
mod surroundings;
// the library's own, which shows it to nobody
#[path = "../../visible.rs"]
mod visible;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use cli::{Cli, Task};

/// What a subcommand comes to: its exit status, or a line about why it could do nothing.
type Result<T = ExitCode, E = String> = std::result::Result<T, E>;

/// Wrong usage, an unreadable file: as clap's own.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    if let Some(code) = standin::played() {
        return code;
    }
    surroundings::heed_children();
    let cli = match Cli::try_parse_from(words()) {
        Ok(cli) => cli,
        Err(error) => {
            // help and version are errors to clap, too; a closed pipe is none to us
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(usage_status()) } else { ExitCode::SUCCESS };
        }
    };
    let format = cli.format;
    let done = match cli.task {
        Task::Check(task) => check::run(task, format),
        Task::Run(task) => Ok(run::run(task, format)),
        Task::Explain(task) => explain::run(&task, format),
        Task::Host(task) => host::run(&task, format),
        Task::Pod(task) => pod::run(&task, format),
        Task::Install(place) => install::install(&place),
        Task::Uninstall(place) => install::uninstall(&place),
        Task::Completions { shell } => completions(shell),
        Task::Man { subcommand } => man(subcommand.as_deref()),
    };
    done.unwrap_or_else(|trouble| {
        output::complain(&trouble);
        ExitCode::from(USAGE)
    })
}

/// The command line; under the name of a plugin of kubectl's, that of `pod`.
fn words() -> Vec<OsString> {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let name = words.first().and_then(|name| Path::new(name).file_name());
    if name.is_some_and(|name| name == "kubectl-bwrap") {
        words.insert(1, "pod".into());
    }
    words
}

/// `run` may not be mistaken for its command, so its own usage errors have the status of its failures.
fn usage_status() -> u8 {
    let command = Cli::command();
    let words = std::env::args_os().skip(1);
    let mut subcommands = words.filter(|word| command.find_subcommand(word).is_some());
    if subcommands.next().is_some_and(|word| word == "run") { run::NOT_LAUNCHED } else { USAGE }
}

fn completions(shell: clap_complete::Shell) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "bwrap-doctor", &mut script);
    output::print_bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}

fn man(subcommand: Option<&str>) -> Result {
    let mut command = Cli::command();
    // gives the subcommands their full names
    command.build();
    if let Some(name) = subcommand {
        let found = command.find_subcommand(name).cloned();
        command = found.ok_or_else(|| format!("there is no subcommand {name}"))?;
    }
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command).source(concat!("bwrap-doctor ", env!("CARGO_PKG_VERSION")));
    man.render(&mut page).map_err(|error| error.to_string())?;
    output::print_bytes(&page)?;
    Ok(ExitCode::SUCCESS)
}
