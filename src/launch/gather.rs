//! What is gathered when a launch fails: the words that were captured, what the host says, and the program's files.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::explain::Explain;
use super::failure::{Failure, Gathered, Heard, Origin, Text, Wording};
use super::handshake::Outcome;
use super::order::Recipe;
use super::words::{Words, plausible};
use crate::bwrap::message::Errno;
use crate::bwrap::{Bwrap, Message, NamespaceIds, Stage, decisive};
use crate::diagnosis::ProgramProblem;
use crate::host::Host;
use crate::host::inside::{self, Attempt, BrokenLink, Sought};
use crate::sandbox::{Feature, Sandbox};

/// What is known of a launch that failed.
pub(super) struct Scene<'a> {
    pub(super) words: &'a Words,
    pub(super) recipe: &'a Arc<Recipe>,
    pub(super) repeatable: bool,
    pub(super) bwrap: &'a Bwrap,
    pub(super) command: String,
    pub(super) namespaces: Option<NamespaceIds>,
    pub(super) dropped: &'a [Feature],
    pub(super) explain: Explain,
}

pub(super) fn gather(outcome: Outcome, scene: Scene<'_>) -> Failure {
    let Scene { words, recipe, repeatable, bwrap, command, namespaces, dropped, explain } = scene;
    let written = words.heard().unwrap_or_default();
    let wording = wording(words, &written, outcome, recipe);
    let wanted = explain != Explain::Nothing && !matches!(outcome, Outcome::Undecided(_));
    let message = decisive(&wording.messages);
    let stage = message.map(Message::stage);
    let executing = matches!(outcome, Outcome::NotExecuted { .. })
        && has_words(outcome)
        && stage.is_none_or(|stage| stage == Stage::Exec);
    let doubtful = executing && message.is_none();
    let program = if executing && (wanted || doubtful) {
        program_problem(&recipe.sandbox, &recipe.program, message)
    } else {
        None
    };
    let broken_link = message.filter(|_| wanted).and_then(|message| broken_link(&recipe.sandbox, message));
    let doubtful = doubtful && program.is_none() && may_enter(recipe);
    Failure::gathered(
        outcome,
        Gathered {
            wording,
            program: program.filter(|_| wanted),
            broken_link,
            host: wanted.then(|| Host::snapshot_for(bwrap.path(), bwrap.version_text())),
            command,
            namespaces,
            dropped: dropped.to_vec(),
            origin: Origin {
                recipe: Arc::clone(recipe),
                repeatable,
                bwrap: bwrap.clone(),
                written,
                doubtful,
                piped: matches!(words, Words::Pipe(_)),
            },
        },
    )
}

/// A launch that somebody else made, of which no more is known than how far it got.
pub(super) fn gather_elsewhere(outcome: Outcome, recipe: &Arc<Recipe>, bwrap: &Bwrap) -> Failure {
    let scene = Scene {
        words: &Words::Elsewhere,
        recipe,
        repeatable: recipe.sandbox.is_repeatable(),
        bwrap,
        command: recipe.line_for(bwrap),
        namespaces: None,
        dropped: &[],
        explain: Explain::Facts,
    };
    gather(outcome, scene)
}

/// What was written where bwrap's words go, as far as it is bwrap's.
fn wording(words: &Words, written: &[u8], outcome: Outcome, recipe: &Recipe) -> Wording {
    let pipe = matches!(words, Words::Pipe(_));
    let words = match words {
        Words::File { .. } => plausible(written, outcome, recipe),
        Words::Pipe(_) | Words::Elsewhere => written.to_vec(),
    };
    let messages = Message::parse_all(&words);
    let heard = match decisive(&messages) {
        Some(_) if pipe => Heard::Captured,
        Some(_) => Heard::Overheard,
        None if pipe && !has_words(outcome) => Heard::Captured,
        None => Heard::Lost,
    };
    Wording { words: Text(words), messages, heard }
}

/// Whether bwrap had words for it: what a signal did to it, it did not see coming. But it is SIGPIPE that ends it when
/// nobody reads them.
fn has_words(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Refused { signal } | Outcome::SetupFailed { signal } | Outcome::NotExecuted { signal } => {
            signal.is_none_or(|signal| signal == libc::SIGPIPE)
        }
        Outcome::Ended(_) | Outcome::Undecided(_) => false,
    }
}

/// Whether nothing is seen that keeps the command from its working directory.
fn may_enter(recipe: &Recipe) -> bool {
    recipe
        .sandbox
        .current_dir
        .as_ref()
        .is_none_or(|directory| inside::enter(&recipe.sandbox, directory).is_ok())
}

/// Why a path is not there that bwrap looked for, if that is a link which leads nowhere.
pub(crate) fn broken_link(sandbox: &Sandbox, message: &Message) -> Option<BrokenLink> {
    let path = message.path().filter(|_| message.errno().and_then(Errno::code) == Some(libc::ENOENT))?;
    match message.stage() {
        Stage::Sources => BrokenLink::on_host(path),
        Stage::Environment if sandbox.current_dir.as_deref() == Some(path) => {
            BrokenLink::inside(sandbox, path)
        }
        Stage::Mounts => {
            let index = sandbox.operations.iter().position(|operation| operation.is_on(path))?;
            BrokenLink::inside(&sandbox.before(index), path)
        }
        _ => None,
    }
}

/// Why the program could not be executed, from its files alone and the error that bwrap had.
pub(crate) fn program_problem(
    sandbox: &Sandbox,
    program: &OsStr,
    message: Option<&Message>,
) -> Option<ProgramProblem> {
    let environment = &sandbox.environment;
    let inherited = environment.inherited(std::env::vars_os);
    let attempt = Attempt::Failed(message.and_then(|message| message.errno()?.code()));
    let sought = Sought {
        program,
        path: environment.value("PATH", &inherited),
        home: environment.value("HOME", &inherited).filter(|_| !environment.is_secret("HOME")),
        attempt,
    };
    let found = inside::find(sandbox, sought);
    // what was searched is what PATH says
    let secret = environment.is_secret("PATH") && !program.as_bytes().contains(&b'/');
    if secret { found.and_then(ProgramProblem::without_search) } else { found }
}
