//! What is to be started, and its line for people.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Instant;

use rustix::process::{getgid, getuid};

use super::descriptors::MAX_NUMBER;
use super::spawn::Family;
use super::stdio::StdioKind;
use crate::bwrap::Bwrap;
use crate::bwrap::arguments::Arguments;
use crate::bwrap::line::{write_id_maps, write_line};
use crate::host::{self, CapabilitySet};
use crate::sandbox::{Descriptor, Invalid, Place, Problem, Sandbox, check_text};

/// What is to run, without its streams.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    pub(crate) sandbox: Sandbox,
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) arg0: Option<OsString>,
}

impl Recipe {
    /// What a launch keeps of it: nothing that others wait to be closed, and nothing that can be read only once.
    /// `None` if that is all of it.
    pub(crate) fn without_descriptors(&self) -> Option<Self> {
        let sandbox = self.sandbox.without_descriptors()?;
        Some(Self { sandbox, ..self.clone() })
    }

    /// The line as this bwrap was told it: without what it does not know and was left out.
    pub(crate) fn line_for(&self, bwrap: &Bwrap) -> String {
        Line { recipe: self, descriptors: &[], bwrap: Some(bwrap) }.to_string()
    }

    /// Checks what can be known before the launch.
    pub(super) fn check(&self, descriptors: &[(RawFd, Descriptor)]) -> Result<(), Invalid> {
        let sandbox = &self.sandbox;
        sandbox.check()?;
        let has = |capability| {
            // what is not in the bounding set is lost when bwrap is executed
            [caps::CapSet::Permitted, caps::CapSet::Bounding]
                .into_iter()
                .all(|set| CapabilitySet::read(set).present().is_some_and(|set| set.has(capability)))
        };
        sandbox.check_for(getuid().as_raw(), getgid().as_raw(), has, host::user_namespaces_seem_possible)?;
        let invalid = |place| move |problem| Invalid { place, problem };
        // of 32 pages, the byte that ends it included
        let limit = 32 * rustix::param::page_size();
        let too_long = |word: &OsStr| {
            let bytes = word.len();
            (bytes >= limit).then_some(Problem::WordTooLong { bytes, limit })
        };
        check_text("name", &self.program).map_err(invalid(Place::Program))?;
        if let Some(problem) = too_long(&self.program) {
            return Err(invalid(Place::Program)(problem));
        }
        let words = self.arg0.iter().map(|word| (0, word));
        for (index, word) in words.chain(self.arguments.iter().enumerate().map(|(i, w)| (i + 1, w))) {
            if word.as_bytes().contains(&0) {
                return Err(invalid(Place::Argument(index))(Problem::Nul("text")));
            }
            if let Some(problem) = too_long(word) {
                return Err(invalid(Place::Argument(index))(problem));
            }
        }
        for (number, _) in descriptors {
            if !(3..=MAX_NUMBER).contains(number) {
                let problem = Problem::DescriptorRange { max: MAX_NUMBER };
                return Err(invalid(Place::Descriptor(*number))(problem));
            }
        }
        Ok(())
    }

    /// Checks that the sandbox can be held, for what is asked for: the gate takes the place of the one filter that there may be.
    pub(super) fn check_gate(&self, what: &'static str) -> Result<(), Invalid> {
        if self.sandbox.privileges.filters.len() > 1 {
            let problem = Problem::Conflict(what, "several seccomp filters");
            return Err(Invalid { place: Place::Privileges, problem });
        }
        Ok(())
    }
}

/// Everything that a launch is told.
pub(super) struct Order<'a> {
    pub(super) recipe: &'a Arc<Recipe>,
    pub(super) bwrap: &'a Bwrap,
    pub(super) stdin: &'a StdioKind,
    pub(super) stdout: &'a StdioKind,
    pub(super) stderr: &'a StdioKind,
    /// Descriptors for the command, by their numbers in it.
    pub(super) descriptors: &'a [(RawFd, Descriptor)],
    /// The sandbox is to wait at the gate, complete.
    pub(super) hold: bool,
    /// When what is read or written for it beforehand, filters and id maps, has taken too long.
    pub(super) deadline: Option<Instant>,
    /// The watchdog ends it with us, and not bwrap.
    pub(super) dies_with_caller: bool,
    pub(super) keeps_ignored_signals: bool,
    /// A terminal that is to control a session of bwrap's own.
    pub(super) terminal: Option<RawFd>,
    pub(super) family: Family,
}

/// A recipe as a line for people: with the command's own descriptors, and for the bwrap that is told so, if any.
pub(super) struct Line<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) descriptors: &'a [(RawFd, Descriptor)],
    pub(super) bwrap: Option<&'a Bwrap>,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Recipe { sandbox, program, arguments, arg0 } = self.recipe;
        let mut words = vec![program.as_os_str()];
        words.extend(arguments.iter().map(OsString::as_os_str));
        let taken: Vec<RawFd> = self.descriptors.iter().map(|(number, _)| *number).collect();
        let shown = Arguments::shown_beside(&taken, sandbox, arg0.as_deref(), self.bwrap);
        write_line(f, &shown, &words, self.descriptors)?;
        write_id_maps(f, sandbox)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::{Place, Sandbox};

    #[test]
    fn what_no_kernel_takes_is_said_before_the_launch() {
        let sandbox = Sandbox::new().ro_bind("/", "/");
        let limit = 32 * rustix::param::page_size();
        let mut long = sandbox.command("true");
        assert_eq!(long.arg("x".repeat(limit - 1)).check(), Ok(()));
        assert_eq!(long.arg("x".repeat(limit)).check().unwrap_err().place, Place::Argument(2));
        assert_eq!(sandbox.command("x".repeat(limit)).check().unwrap_err().place, Place::Program);
        let mut grouped = sandbox.command("true");
        assert_eq!(grouped.process_group(0).check(), Ok(()));
        let said = grouped.process_group(i32::MIN).check().unwrap_err().to_string();
        assert!(said.contains("process group: -2147483648 is no process group"), "{said}");
    }
}
