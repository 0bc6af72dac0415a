//! Diagnoses as text, for a terminal and a log alike: no colours, no cursor, lines that wrap well.

use std::fmt::{self, Write};

use super::causes::headline;
use super::{AlsoSaid, Bearing, Diagnosis, Finding, Outlook, Prediction, Remedy, Verdict};
use crate::bwrap::Stage;
use crate::bwrap::message::Spoken;
use crate::visible::line;

/// Text without what does not show, but the ends of lines: labels, paths and messages come from elsewhere, and a terminal
/// obeys some of them. What comes from elsewhere is a [`line`] besides.
struct Plain<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Plain<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive('\n') {
            match part.strip_suffix('\n') {
                Some(rest) => writeln!(self.0, "{}", line(rest))?,
                None => self.0.write_str(&line(part))?,
            }
        }
        Ok(())
    }
}

/// What a diagnosis and a prediction have in common: how it begins, what was found, and what comes after that.
pub(super) struct Report<'a> {
    says: Option<&'static str>,
    pub(super) message: Option<&'a str>,
    pub(super) notes: &'a [String],
    pub(super) also: &'a [AlsoSaid],
    stage: Option<Stage>,
    pub(super) found: &'a [Finding],
    /// The title of all that was found but the first, and for how many of their remedies it is said how they are done.
    pub(super) others: (&'static str, usize),
    pub(super) foreseen: &'a [Finding],
    pub(super) at_once: &'a [Remedy],
}

/// The first of what comes after.
pub(super) const EXPECT: &str = "After that, expect";
/// What takes all of it out of the way.
pub(super) const AT_ONCE: &str = "One change for all of it";

impl<'a> From<&'a Diagnosis> for Report<'a> {
    fn from(it: &'a Diagnosis) -> Self {
        let Diagnosis { notes, also, causes, foreseen, stage, at_once, .. } = it;
        let message = it.message.as_deref();
        // where bwrap said nothing, it reported nothing: whoever knows what was attempted says that
        let says = match it.verdict {
            Verdict::Refused => Some("bwrap refused to make the sandbox; the command did not run."),
            Verdict::SetupFailed => Some("The sandbox could not be set up; the command did not run."),
            Verdict::NotExecuted => Some("The command could not be executed in the sandbox; it did not run."),
            Verdict::Unknown => {
                it.cause().and_then(|cause| headline(cause, message)).or(message.map(|_| {
                    match (stage, it.spoken) {
                        (None, _) => "This is no message of bwrap's that is known:",
                        // a note says which
                        (_, Spoken::Supposed | Spoken::Over) => "The text tells of a failure of bwrap's:",
                        (_, Spoken::Asked) => "bwrap printed how it is used:",
                        (_, Spoken::Plain | Spoken::Now) => "bwrap reported a failure.",
                    }
                }))
            }
        };
        Self {
            says,
            message,
            notes,
            also,
            stage: *stage,
            found: causes,
            others: ("Or", 1),
            foreseen,
            at_once,
        }
    }
}

impl<'a> From<&'a Prediction> for Report<'a> {
    fn from(it: &'a Prediction) -> Self {
        let says = match it.outlook {
            Outlook::Starts => "Nothing that can be seen stands in the way of this sandbox.",
            Outlook::Uncertain if it.obstacles.is_empty() => {
                "Nothing is known of this host: only trying tells."
            }
            Outlook::Uncertain => "This sandbox may not start; only trying tells.",
            Outlook::Fails => "This sandbox will not start.",
        };
        let (found, others) = (&it.obstacles, ("Then", usize::MAX));
        Self {
            says: Some(says),
            message: None,
            notes: &[],
            also: &[],
            stage: None,
            found,
            others,
            foreseen: &[],
            at_once: &it.at_once,
        }
    }
}

impl Report<'_> {
    /// What happened, before anything is explained: the message as `shown`.
    pub(super) fn begin(&self, f: &mut impl Write, shown: Option<String>) -> fmt::Result {
        let doing = self.stage.map(|stage| format!("    ({})", doing(stage)));
        let mut head = self.says.map(str::to_owned).into_iter().chain(shown).chain(doing);
        head.try_for_each(|line| writeln!(f, "{line}"))
    }

    /// What of the message or the sandbox is not what it seems, as it is `shown`.
    pub(super) fn write_notes(&self, f: &mut impl Write, shown: impl Fn(&str) -> String) -> fmt::Result {
        self.notes.iter().try_for_each(|note| writeln!(f, "{}", shown(&format!("Note: {}", line(note)))))
    }

    /// All of it.
    fn write(&self, f: &mut impl Write) -> fmt::Result {
        self.begin(f, self.message.map(|said| format!("    {}", line(said.trim_end()))))?;
        self.write_notes(f, str::to_owned)?;
        // how to do all that could be done is told for the likeliest cause only
        let mut files = Vec::new();
        write_all(f, self.found, &mut files, [("Cause", usize::MAX), self.others])?;
        write_all(f, self.foreseen, &mut files, [(EXPECT, 1), ("And then", 1)])?;
        if !self.at_once.is_empty() {
            writeln!(f, "\n{AT_ONCE}:")?;
            write_remedies(f, self.at_once, usize::MAX, &mut files)?;
        }
        self.write_also(f, usize::MAX, str::to_owned)
    }

    /// What else was said, a line each as it is `shown`, and how many more there are.
    pub(super) fn write_also(
        &self,
        f: &mut impl Write,
        most: usize,
        shown: impl Fn(&str) -> String,
    ) -> fmt::Result {
        for (index, AlsoSaid { message, cause }) in self.also.iter().take(most).enumerate() {
            let code = cause.map_or_else(String::new, |cause| format!(" [{}]", cause.code()));
            let gap = if index == 0 { "\n" } else { "" };
            writeln!(f, "{gap}Also said: {}{code}", shown(&line(message.trim_end())))?;
        }
        match self.also.len().saturating_sub(most) {
            0 => Ok(()),
            more => writeln!(f, "and {more} more: --long has them"),
        }
    }
}

/// What bwrap was doing, for whoever never read its source.
fn doing(stage: Stage) -> &'static str {
    let stage = stage.to_string();
    let mut rows = include_str!("doing.tsv").lines().filter_map(|row| row.split_once('\t'));
    rows.find(|(of, _)| *of == stage).map_or("", |(_, doing)| doing)
}

pub(super) fn bearing(bearing: Bearing) -> &'static str {
    match bearing {
        Bearing::For => "seen:      ",
        Bearing::Against => "against:   ",
        Bearing::Unknown => "not known: ",
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Report::from(self).write(&mut Plain(f))
    }
}

impl fmt::Display for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Report::from(self).write(&mut Plain(f))
    }
}

/// Each under its title, the first one's and the others', with what is done for so many remedies.
fn write_all(
    f: &mut impl Write,
    findings: &[Finding],
    files: &mut Vec<String>,
    [first, others]: [(&str, usize); 2],
) -> fmt::Result {
    let titles = std::iter::once(first).chain(std::iter::repeat(others));
    titles.zip(findings).try_for_each(|((title, told), finding)| {
        write!(f, "\n{title}: ")?;
        finding.write(f, told, files)
    })
}

/// Numbered; it is said of so many how they are done.
fn write_remedies(
    f: &mut impl Write,
    remedies: &[Remedy],
    told: usize,
    files: &mut Vec<String>,
) -> fmt::Result {
    for (index, remedy) in remedies.iter().enumerate() {
        writeln!(f, "\n  {}. {}", index + 1, line(&remedy.summary))?;
        remedy.write_price(f)?;
        if index < told {
            remedy.write_instructions(f, files)?;
        }
    }
    Ok(())
}

impl Finding {
    /// `told` is for how many remedies it is said how they are done: some go with a long file. `files` are those that have been
    /// written above.
    fn write(&self, f: &mut impl Write, told: usize, files: &mut Vec<String>) -> fmt::Result {
        let Self { summary, cause, confidence, .. } = self;
        writeln!(f, "{} [{}, {}; confidence: {confidence}]", line(summary), cause.code(), cause.name())?;
        for evidence in &self.evidence {
            let bearing = bearing(evidence.bearing);
            writeln!(f, "    {bearing}{}", line(&evidence.text))?;
        }
        for refutation in &self.refuted_by {
            writeln!(f, "    wrong if:  {}", line(refutation))?;
        }
        if self.remedies.is_empty() {
            return writeln!(f, "    See: bwrap-doctor explain {}", cause.code());
        }
        self.offer(f)?;
        write_remedies(f, &self.remedies, told, files)?;
        if told < self.remedies.len() {
            writeln!(f, "\n  How to do the others is in the JSON: bwrap-doctor has it with --format json")?;
        }
        Ok(())
    }

    pub(super) fn offer(&self, f: &mut impl Write) -> fmt::Result {
        let many = self.remedies.len() > 1;
        writeln!(f, "\nWhat to do{}:", if many { " (one of these, the least privilege first)" } else { "" })
    }
}

impl Remedy {
    fn write_price(&self, f: &mut impl Write) -> fmt::Result {
        if !self.opens.is_empty() {
            writeln!(f, "     Price: {}", line(&self.opens))?;
        }
        for requirement in &self.requires {
            writeln!(f, "     Needs: {}", line(requirement))?;
        }
        Ok(())
    }

    /// What is typed begins at the margin, so that whole blocks can be pasted: a here-document ends nowhere else. What is not
    /// for a shell or a file does not.
    fn write_instructions(&self, f: &mut impl Write, files: &mut Vec<String>) -> fmt::Result {
        let (mut typed, told) = self.parts();
        for (path, written) in self.written() {
            if files.contains(&written) {
                typed = typed.replacen(&written, &format!("# write {}, as above\n", line(&path)), 1);
            } else {
                files.push(written);
            }
        }
        if !typed.is_empty() {
            writeln!(f, "\n{}", typed.trim_end())?;
        }
        if !typed.is_empty() && !told.is_empty() {
            writeln!(f)?;
        }
        told.lines().try_for_each(|line| writeln!(f, "     {line}"))
    }
}

/// What to do, what it costs, and how.
impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let f = &mut Plain(f);
        writeln!(f, "{}", line(&self.summary))?;
        self.write_price(f)?;
        self.write_instructions(f, &mut Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{machine, whole};
    use super::super::{Outlook, Symptom, diagnose, predict};
    use super::*;
    use crate::Sandbox;
    use crate::diagnosis::ProgramProblem;
    use crate::host::{Fact, Host, Program};

    #[test]
    fn each_stage_is_told() {
        let others = [Stage::Reaper, Stage::Unknown];
        for stage in super::super::Cause::ALL.iter().map(|cause| cause.stage()).chain(others) {
            assert!(!doing(stage).is_empty(), "{stage}");
        }
        assert_eq!(include_str!("doing.tsv").lines().filter(|row| row.contains('\t')).count(), 19);
    }

    #[test]
    fn an_empty_host_promises_nothing() {
        let nothing = predict(&Host::default(), &whole());
        assert_eq!((nothing.outlook, nothing.obstacles.len()), (Outlook::Uncertain, 0));
        assert_eq!(nothing.to_string(), "Nothing is known of this host: only trying tells.\n");
        assert_eq!(predict(&machine(), &whole()).outlook, Outlook::Starts);
        // one of the facts is something to go by
        let mut host = Host::default();
        host.process.uid = Fact::Present(1000);
        assert_eq!(predict(&host, &whole()).outlook, Outlook::Starts);
    }

    #[test]
    fn a_terminal_is_told_nothing_but_text() {
        let symptom =
            Symptom::from_text(b"bwrap: Can't find source path /a\x1b[2J\x07b: No such file or directory\n");
        let report = diagnose(&symptom, &Host::default(), None).to_string();
        assert!(!report.contains('\x1b') && !report.contains('\x07'));
        assert!(report.contains("/a\\u{1b}[2J\\u{7}b") && report.lines().count() > 5, "{report}");
    }

    #[test]
    fn a_change_of_the_sandbox_is_told_once_and_not_to_type() {
        let sandbox = Sandbox::new().ro_bind("/", "/").ro_bind("/none", "/mnt");
        let symptom = Symptom::from_text(b"bwrap: Can't find source path /none: No such file or directory\n");
        let report = diagnose(&symptom, &Host::default(), Some(&sandbox)).to_string();
        let told: Vec<&str> = report.lines().filter(|line| line.contains("instead of --ro-bind")).collect();
        assert_eq!(
            told,
            ["     bwrap: --ro-bind-try /none /mnt instead of --ro-bind /none /mnt"],
            "{report}"
        );
    }

    #[test]
    fn a_path_with_a_newline_is_no_line_to_type() {
        let symptom =
            Symptom::from_text(b"bwrap: Can't find source path /a\nreboot\nb: No such file or directory\n");
        let report = diagnose(&symptom, &Host::default(), None).to_string();
        assert!(report.contains("/a\\nreboot\\nb") && !report.contains("\nreboot"), "{report}");
    }

    /// Whatever has a name given by others: in reports, in the JSON's texts, in instructions.
    #[test]
    fn no_name_begins_a_line_or_hides_in_one() {
        const ODD: &str = "/a\nreboot\n\u{202e}b\u{200b}";
        let said = |text: &str| Symptom::from_text(text.replace('@', ODD).as_bytes());
        let mut found = vec![
            said("bwrap: Can't find source path @: Permission denied\n"),
            said("bwrap: Can't find source path @: Too many levels of symbolic links\n"),
            said("bwrap: Can't mkdir @/x: Read-only file system\n"),
            said("bwrap: Can't chdir to @: No such file or directory\n"),
            said("bwrap: execvp @: No such file or directory\n"),
        ];
        for problem in [
            ProgramProblem::InterpreterMissing {
                path: ODD.into(),
                interpreter: ODD.into(),
                bind: Some(ODD.into()),
            },
            ProgramProblem::NotExecutable { path: ODD.into(), mode: 0o644 },
            ProgramProblem::Noexec(ODD.into()),
        ] {
            found.push(Symptom { program: Some(problem), ..Symptom::default() });
        }
        let mut host = machine();
        host.bwrap = Fact::Present(Program::new(format!("{ODD}/bwrap"), "0.11.0"));
        for sandbox in [Sandbox::new().ro_bind("/", "/"), Sandbox::new().ro_bind(ODD, ODD)] {
            for symptom in &found {
                let diagnosis = diagnose(symptom, &host, Some(&sandbox));
                assert!(diagnosis.to_string().contains("/a\\nreboot\\n\\u{202e}b\\u{200b}"), "{diagnosis}");
                let instructions =
                    diagnosis.causes.iter().flat_map(|cause| &cause.remedies).map(Remedy::instructions);
                for text in instructions.chain([diagnosis.to_string()]) {
                    assert!(!text.lines().any(|line| line.trim_start().starts_with("reboot")), "{text}");
                    assert!(!text.contains('\u{202e}') && !text.contains('\u{200b}'), "{text}");
                }
            }
        }
    }
}
