//! Diagnoses as text, for a terminal and a log alike: no colours, no cursor, lines that wrap well.

use std::fmt::{self, Write};

use super::{Bearing, Diagnosis, Finding, Outlook, Prediction, Remedy, Verdict};

/// Text without control characters but the end of a line: labels, paths and messages come from elsewhere, and a terminal
/// obeys some of them.
struct Plain<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Plain<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(|c: char| c.is_control() && c != '\n') {
            let odd = part.chars().next_back().filter(|c| c.is_control() && *c != '\n');
            self.0.write_str(odd.map_or(part, |odd| part.trim_end_matches(odd)))?;
            if let Some(odd) = odd {
                write!(self.0, "{}", odd.escape_default())?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let f = &mut Plain(f);
        // where bwrap said nothing, it reported nothing: whoever knows what was attempted says that
        let happened = match self.verdict {
            Verdict::Unknown if self.message.is_none() => None,
            Verdict::Refused => Some("bwrap refused to make the sandbox; the command did not run."),
            Verdict::SetupFailed => Some("The sandbox could not be set up; the command did not run."),
            Verdict::NotExecuted => Some("The command could not be executed in the sandbox; it did not run."),
            Verdict::Unknown => Some("bwrap reported a failure."),
        };
        if let Some(happened) = happened {
            writeln!(f, "{happened}")?;
        }
        if let Some(message) = &self.message {
            for line in message.lines() {
                writeln!(f, "    {line}")?;
            }
        }
        if let Some(stage) = self.stage {
            writeln!(f, "    (at the stage: {stage})")?;
        }
        for (index, finding) in self.causes.iter().enumerate() {
            let title = if index == 0 { "Cause" } else { "Or" };
            write!(f, "\n{title}: ")?;
            // the likeliest cause is told whole, the others briefly
            if index == 0 { finding.write_whole(f)? } else { finding.write_briefly(f)? }
        }
        for (index, finding) in self.foreseen.iter().enumerate() {
            let title = if index == 0 { "After that, expect" } else { "And then" };
            write!(f, "\n{title}: ")?;
            finding.write_briefly(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let f = &mut Plain(f);
        let outlook = match self.outlook {
            Outlook::Starts => "Nothing that can be seen stands in the way of this sandbox.",
            Outlook::Uncertain if self.obstacles.is_empty() => {
                "Nothing is known of this host: only trying tells."
            }
            Outlook::Uncertain => "This sandbox may not start; only trying tells.",
            Outlook::Fails => "This sandbox will not start.",
        };
        writeln!(f, "{outlook}")?;
        for (index, finding) in self.obstacles.iter().enumerate() {
            let title = if index == 0 { "Cause" } else { "Then" };
            write!(f, "\n{title}: ")?;
            finding.write_whole(f)?;
        }
        Ok(())
    }
}

impl Finding {
    fn write_headline(&self, f: &mut impl Write) -> fmt::Result {
        let Self { summary, cause, confidence, .. } = self;
        writeln!(f, "{summary} [{}, {}; confidence: {confidence}]", cause.code(), cause.name())
    }

    fn write_whole(&self, f: &mut impl Write) -> fmt::Result {
        self.write_headline(f)?;
        for evidence in &self.evidence {
            let bearing = match evidence.bearing {
                Bearing::For => "seen:      ",
                Bearing::Against => "against:   ",
                Bearing::Unknown => "not known: ",
            };
            writeln!(f, "    {bearing}{}", evidence.text)?;
        }
        for refutation in &self.refuted_by {
            writeln!(f, "    wrong if:  {refutation}")?;
        }
        if self.remedies.is_empty() {
            return writeln!(f, "    See: bwrap-doctor explain {}", self.cause.code());
        }
        let many = self.remedies.len() > 1;
        writeln!(f, "\nWhat to do{}:", if many { " (one of these, the least privilege first)" } else { "" })?;
        for (index, remedy) in self.remedies.iter().enumerate() {
            writeln!(f, "\n  {}. {}", index + 1, remedy.summary)?;
            remedy.write_details(f)?;
        }
        Ok(())
    }

    fn write_briefly(&self, f: &mut impl Write) -> fmt::Result {
        self.write_headline(f)?;
        if let Some(remedy) = self.remedies.first() {
            writeln!(f, "    {}", remedy.summary)?;
            write_indented(f, &remedy.instructions(), 8)?;
        }
        Ok(())
    }
}

impl Remedy {
    fn write_details(&self, f: &mut impl Write) -> fmt::Result {
        write_indented(f, &self.instructions(), 8)?;
        if !self.opens.is_empty() {
            writeln!(f, "     Price: {}", self.opens)?;
        }
        for requirement in &self.requires {
            writeln!(f, "     Needs: {requirement}")?;
        }
        Ok(())
    }
}

/// What to do, how, and what it costs.
impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let f = &mut Plain(f);
        writeln!(f, "{}", self.summary)?;
        self.write_details(f)
    }
}

fn write_indented(f: &mut impl Write, text: &str, by: usize) -> fmt::Result {
    for line in text.lines() {
        if line.is_empty() {
            writeln!(f)?;
        } else {
            writeln!(f, "{:by$}{line}", "")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{machine, whole};
    use super::super::{Symptom, diagnose, predict};
    use super::*;
    use crate::host::{Fact, Host};

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
}
