//! Changes of the sandbox, in words: bwrap's options and this crate's methods.

use std::fmt;
use std::path::PathBuf;

use super::words::told;
use super::{Action, Remedy, SandboxChange};
use crate::bwrap::line::operation_options;
use crate::sandbox::{Access, Bind, Operation, Sandbox};
use crate::shell::path_word;
use crate::visible::path as shown;

impl SandboxChange {
    /// What to do, what it costs, and how it is written. What the caller wrote names an operation, if the sandbox is known;
    /// operations are counted from 1.
    fn words(&self, sandbox: Option<&Sandbox>) -> Remedy {
        let wrote = |sandbox: Option<&Sandbox>, operation| operation_options(sandbox?, operation);
        let nth = |operation: usize| format!("operation {}", operation + 1);
        let called =
            |operation| wrote(sandbox, operation).map_or_else(|| nth(operation), |own| format!("`{own}`"));
        // what an operation becomes, and what the caller wrote
        let instead = |operation, otherwise: &str| {
            let changed = sandbox.map(|sandbox| self.apply(sandbox));
            let both = wrote(changed.as_ref(), operation).zip(wrote(sandbox, operation));
            both.map_or_else(|| otherwise.to_owned(), |(new, own)| format!("{new} instead of {own}"))
        };
        match self {
            Self::BindProc { operation: at } => {
                let instead = instead(*at, "--ro-bind /proc DEST instead of --proc DEST");
                told!("change-bind-proc", instead, nth = nth(*at))
            }
            Self::BindDev { operation: at } => {
                let instead = instead(*at, "--dev-bind /dev DEST instead of --dev DEST");
                told!("change-bind-dev", instead, nth = nth(*at))
            }
            Self::UnshareUser => told!("change-unshare-user"),
            Self::KeepUserNamespace => told!("change-keep-user-namespace"),
            Self::UnsharePid => told!("change-unshare-pid"),
            Self::ShareNet => told!("change-share-net"),
            Self::AllowUserNamespaces => told!("change-allow-userns"),
            Self::DisableUserNamespaces => told!("change-disable-userns"),
            Self::KeepHostname => told!("change-keep-hostname"),
            Self::DropLabels => told!("change-drop-labels"),
            Self::DropCapabilities => told!("change-drop-capabilities"),
            Self::OptionalSource { operation: at } => {
                let instead =
                    instead(*at, "--ro-bind-try instead of --ro-bind, --bind-try instead of --bind");
                let access = match sandbox.and_then(|sandbox| sandbox.operations.get(*at)) {
                    Some(Operation::Bind(Bind { access: Access::ReadWrite, .. })) => "read_write",
                    Some(Operation::Bind(Bind { access: Access::Device, .. })) => "device",
                    _ => "read_only",
                };
                told!("change-optional-source", instead, access, nth = nth(*at))
            }
            Self::Remove { operation: at } => told!("change-remove", called = called(*at), nth = nth(*at)),
            Self::MoveBefore { operation: at, before } => {
                let (other, other_nth) = (called(*before), nth(*before));
                told!("change-move-before", called = called(*at), nth = nth(*at), other, other_nth)
            }
            Self::Destination { operation: at, path } => {
                let instead =
                    instead(*at, &format!("{} as the destination of {}", path_word(path), nth(*at)));
                let (called, quoted) = (called(*at), format!("{:?}", path.to_string_lossy()));
                told!("change-destination", path = shown(path), called, instead, quoted, nth = nth(*at))
            }
            Self::CurrentDir { path } => {
                let quoted = format!("{:?}", path.to_string_lossy());
                told!("change-current-dir", path = shown(path), word = path_word(path), quoted)
            }
            Self::RoBind { path } => {
                let quoted = format!("{:?}", path.to_string_lossy());
                told!("change-ro-bind", path = shown(path), word = path_word(path), quoted)
            }
        }
    }
}

impl fmt::Display for SandboxChange {
    /// In bwrap's options, and in this crate's methods. Operations are counted from 1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words(None).instructions().trim_end())
    }
}

impl Remedy {
    /// A change of the sandbox, with what it costs.
    pub(in super::super) fn change(change: SandboxChange) -> Self {
        let words = change.words(None);
        Self { action: Action::Sandbox(change), ..words }
    }

    /// A path that is bound, too.
    pub(in super::super) fn ro_bind(path: impl Into<PathBuf>) -> Self {
        Self::change(SandboxChange::RoBind { path: path.into() })
    }

    /// An operation left out.
    pub(in super::super) fn leave_out(operation: usize) -> Self {
        Self::change(SandboxChange::Remove { operation })
    }

    /// The same with the operations of this sandbox called what the caller wrote.
    pub(in super::super) fn worded(mut self, sandbox: &Sandbox) -> Self {
        if let Action::Sandbox(change) = &self.action {
            let words = change.words(Some(sandbox));
            self.wording = Some(words.instructions().trim_end().to_owned());
            // whoever has a better summary keeps it
            let named = matches!(change, SandboxChange::Remove { .. } | SandboxChange::Destination { .. });
            if named && self.summary == change.words(None).summary {
                self.summary = words.summary;
            }
        }
        self
    }
}
