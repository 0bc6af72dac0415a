//! Diagnoses on one screen: what happened, the cause, and a line or two for each way out.

use std::fmt::{self, Write};

use super::report::{AT_ONCE, EXPECT, Report, bearing};
use super::{Diagnosis, Finding, Prediction, Remedy};
use crate::visible::line;

/// Messages beside the one that is explained.
const ALSO: usize = 4;
/// Columns that a line has at most, but for what is to be typed.
const WIDTH: usize = 96;
/// Ways out that are told of the first cause; of more, how many.
const WAYS: usize = 4;
/// Instructions that are shown beside their way out.
const SHORT: usize = 2;
/// The same of what is told.
const TOLD: usize = 3;
/// Lines of what takes all out of the way at once.
const AT_MOST: usize = 12;
/// Other causes, and what comes after, one line each.
const MORE: usize = 2;

impl Diagnosis {
    /// All that fits on one screen, some 24 lines of 96 columns: what happened, the likeliest cause with the first thing that was
    /// seen of it, its ways out with their prices in a few words, and what else it could be. `Display` says all of it.
    ///
    /// ```
    /// use bwrap_launch::diagnosis::{Symptom, diagnose};
    /// use bwrap_launch::host::Host;
    /// let symptom = Symptom::from_text(b"bwrap: Can't mount proc on /newroot/proc: Operation not permitted");
    /// let diagnosis = diagnose(&symptom, &Host::default(), None);
    /// assert!(diagnosis.brief().lines().count() <= 24);
    /// assert!(diagnosis.to_string().lines().count() > 24);
    /// ```
    #[must_use]
    pub fn brief(&self) -> String {
        Report::from(self).brief()
    }
}

impl Prediction {
    /// The same on one screen, as [`Diagnosis::brief`].
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// use bwrap_launch::diagnosis::predict;
    /// use bwrap_launch::host::{Fact, Host};
    /// let mut host = Host::default();
    /// host.sysctls.insert("user.max_user_namespaces".into(), Fact::Present("0".into()));
    /// host.process.uid = Fact::Present(1000);
    /// let brief = predict(&host, &Sandbox::new().ro_bind("/", "/")).brief();
    /// assert!(brief.starts_with("This sandbox will not start.\n") && brief.lines().count() <= 24);
    /// ```
    #[must_use]
    pub fn brief(&self) -> String {
        Report::from(self).brief()
    }
}

impl Report<'_> {
    fn brief(&self) -> String {
        let mut text = String::new();
        // writing into a string does not fail
        let _ = self.write_brief(&mut text);
        text
    }

    fn write_brief(&self, f: &mut String) -> fmt::Result {
        // a text of several lines
        let said = self.message.map(|said| {
            said.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
        });
        let said = said.map(|said| shortened(&line(&said), 3 * WIDTH));
        self.begin(f, said.map(|said| wrapped("    ", "    ", &said)))?;
        self.write_notes(f, |note| wrapped("", "      ", note))?;
        let (first, others) = self.found.split_at_checked(1).unwrap_or_default();
        first.iter().try_for_each(|first| first.write_brief(f))?;
        write_others(f, self.others.0, others)?;
        write_others(f, EXPECT, self.foreseen)?;
        // without the files that it names: these are long
        for (index, remedy) in self.at_once.iter().enumerate() {
            let bare = Remedy { files: Vec::new(), ..remedy.clone() };
            let (typed, told) = bare.parts();
            if index == 0 {
                writeln!(
                    f,
                    "\n{AT_ONCE}{}:",
                    if remedy.files.is_empty() { "" } else { " (its file: --long)" }
                )?;
            }
            if !remedy.opens.is_empty() {
                let price = shortened(&format!("Price: {}", line(&remedy.opens)), 2 * WIDTH - 20);
                writeln!(f, "{}", wrapped("  ", "         ", &price))?;
            }
            if typed.lines().count() > AT_MOST {
                writeln!(f, "{}", wrapped("  ", "  ", &line(&remedy.summary)))?;
            } else {
                f.push_str(&typed);
            }
            told.lines().try_for_each(|told| writeln!(f, "{}", wrapped("     ", "     ", told)))?;
        }
        self.write_also(f, ALSO, |message| shortened(message, WIDTH - 18))
    }
}

impl Finding {
    fn write_brief(&self, f: &mut String) -> fmt::Result {
        let Self { summary, cause, confidence, .. } = self;
        let text = shortened(&format!("Cause: {}", line(summary)), 3 * WIDTH - 40);
        // a code is searched for with what stands beside it: no line ends within
        let text = format!("{text} [{};\u{a0}confidence:\u{a0}{confidence}]", cause.code());
        writeln!(f, "\n{}", wrapped("", "    ", &text).replace('\u{a0}', " "))?;
        if let Some(first) = self.evidence.first() {
            let text = format!("{}{}", bearing(first.bearing), line(&first.text));
            let text = shortened(&text, 2 * WIDTH - 20);
            writeln!(f, "{}", wrapped("    ", "               ", &text))?;
        }
        if self.remedies.is_empty() {
            return Ok(());
        }
        self.offer(f)?;
        for (index, remedy) in self.remedies.iter().take(WAYS).enumerate() {
            remedy.write_brief(f, index)?;
        }
        match self.remedies.len().saturating_sub(WAYS) {
            0 => Ok(()),
            1 => writeln!(f, "  and another"),
            more => writeln!(f, "  and {more} others"),
        }
    }
}

impl Remedy {
    fn write_brief(&self, f: &mut String, index: usize) -> fmt::Result {
        let number = format!("  {}. ", index + 1);
        let summary = shortened(&line(&self.summary), 2 * WIDTH - 12);
        writeln!(f, "{}", wrapped(&number, "     ", &summary))?;
        if !self.opens.is_empty() {
            writeln!(f, "     Price: {}", shortened(&clause(&line(&self.opens)), WIDTH - 12))?;
        }
        // of the first, what to do, if that is short
        let (typed, told) = self.parts();
        if index > 0 || typed.lines().count() > SHORT {
            return Ok(());
        }
        if !typed.is_empty() {
            writeln!(f, "{}", typed.trim_end())?;
        }
        let told: Vec<String> = told.lines().map(|told| wrapped("     ", "     ", told)).collect();
        let told = told.join("\n");
        // prose that is longer is for the long report
        if !told.is_empty() && told.lines().count() <= TOLD {
            writeln!(f, "{told}")?;
        }
        Ok(())
    }
}

fn write_others(f: &mut String, title: &str, others: &[Finding]) -> fmt::Result {
    for (index, finding) in others.iter().take(MORE).enumerate() {
        if index == 0 {
            writeln!(f)?;
        }
        let text = format!("{title}: {}", line(&finding.summary));
        writeln!(f, "{} [{}]", shortened(&text, WIDTH - 7), finding.cause.code())?;
    }
    Ok(())
}

/// The first clause of a price.
fn clause(text: &str) -> String {
    const LEAST: usize = 12;
    let ends = [", ", "; ", ": ", ". ", " ("];
    let end =
        ends.iter().filter_map(|end| text.match_indices(end).map(|(at, _)| at).find(|at| *at >= LEAST)).min();
    end.and_then(|end| text.get(..end)).unwrap_or(text).to_owned()
}

/// No more than so many characters.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let head: String = text.chars().take(most.saturating_sub(4)).collect();
    let head = head.rsplit_once(' ').map_or(head.as_str(), |(head, _)| head);
    format!("{head} ...")
}

/// Words in lines of [`WIDTH`] columns; a word that is longer has a line of its own.
fn wrapped(first: &str, next: &str, text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(row) if row.chars().count() + 1 + word.chars().count() <= WIDTH => {
                row.extend([" ", word]);
            }
            last => {
                let begin = if last.is_some() { next } else { first };
                lines.push(format!("{begin}{word}"));
            }
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{docker, machine, whole};
    use super::super::{Symptom, diagnose, predict};
    use super::*;
    use crate::host::Host;

    /// Messages, the commonest first.
    const COMMON: &[&str] = &[
        "Can't mount proc on /newroot/proc: Operation not permitted",
        "No permissions to create a new namespace, likely because the kernel does not allow non-privileged user namespaces. \
         On e.g. debian this can be enabled with 'sysctl kernel.unprivileged_userns_clone=1'.",
        "setting up uid map: Permission denied",
        "Creating new namespace failed: Operation not permitted",
        "loopback: Failed RTM_NEWADDR: Operation not permitted",
        "Failed to make / slave: Permission denied",
        "pivot_root: Invalid argument",
        "Can't find source path /opt/tools: No such file or directory",
        "execvp make: No such file or directory",
        "Can't mkdir /home/me/.git: Read-only file system",
        "setting up uid map: Operation not permitted",
        "Creating new namespace failed: No space left on device",
        "prctl(PR_SET_SECCOMP): Invalid argument",
        "a message of 2030",
    ];

    #[test]
    fn one_screen() {
        let mut count = 0;
        for message in COMMON {
            for host in [machine(), docker(), Host::default()] {
                for sandbox in [None, Some(whole())] {
                    let symptom = Symptom::from_text(format!("bwrap: {message}").as_bytes());
                    let diagnosis = diagnose(&symptom, &host, sandbox.as_ref());
                    let brief = diagnosis.brief();
                    assert!(brief.lines().count() <= 30, "{} lines:\n{brief}", brief.lines().count());
                    let typed = diagnosis.remedy().map_or_else(String::new, |remedy| remedy.parts().0);
                    let wide = brief.lines().filter(|row| row.chars().count() > 100 && !typed.contains(row));
                    assert_eq!(wide.count(), 0, "{brief}");
                    assert!(brief.contains(diagnosis.causes[0].cause.code()), "{brief}");
                    count += 1;
                }
            }
        }
        assert_eq!(count, COMMON.len() * 6);
        assert!(predict(&docker(), &whole()).brief().lines().count() <= 30);
    }

    #[test]
    fn a_code_and_its_confidence_share_a_line() {
        for length in 1..200 {
            let symptom = Symptom::from_text(
                format!("bwrap: execvp {}: No such file or directory", "m".repeat(length)).as_bytes(),
            );
            let brief = diagnose(&symptom, &machine(), None).brief();
            assert!(brief.lines().any(|row| row.contains("[EX02; confidence: ")), "{brief}");
        }
    }

    #[test]
    fn a_long_file_is_for_the_long_report() {
        let symptom = Symptom::from_text(b"bwrap: No permissions to create a new namespace");
        let diagnosis = diagnose(&symptom, &docker(), Some(&whole()));
        assert!(diagnosis.to_string().contains("defaultAction"));
        let brief = diagnosis.brief();
        assert!(!brief.contains("defaultAction") && brief.contains("Price: "), "{brief}");
    }

    #[test]
    fn prices_are_a_few_words() {
        assert_eq!(
            clause("more of the kernel can be reached, by mounting; and more"),
            "more of the kernel can be reached"
        );
        assert_eq!(
            clause("nothing: root in the pod is nobody on the node"),
            "nothing: root in the pod is nobody on the node"
        );
        assert_eq!(shortened("one two three", 9), "one ...");
    }
}
