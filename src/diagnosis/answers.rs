//! What the kernel's answer means to a cause: the rows below `== answers` in its text.
//!
//! A row: the message or the reason in it (any, if empty), the names of the answers (any, if empty), how sure the cause is then (if
//! that says it), and what it means. Of two rows the first one counts.

use super::Cause;
use super::cause::section;
use super::prelude::*;

/// What the message and the answer with which it ends mean to a cause, and how sure it is then.
pub(super) fn meaning(case: &Case<'_>, of: Cause) -> Option<(Confidence, &'static str)> {
    let message = case.message()?;
    let said = [message.pattern(), message.reason()];
    let answer = message.errno().and_then(Errno::name);
    section(of.text(), "answers").lines().find_map(|row| {
        let mut fields = row.split('\t');
        let (about, answers, sure, means) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        rule_out(!about.is_empty() && !said.contains(&Some(about)))?;
        rule_out(!answers.is_empty() && !answers.split(' ').any(|name| answer == Some(name)))?;
        let sure = [Low, Medium, High].into_iter().find(|one| one.to_string() == sure);
        Some((sure.unwrap_or(Medium), means))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn rows_are_read() {
        let texts: HashSet<&str> = crate::bwrap::message::texts().collect();
        let code =
            |name: &str| crate::bwrap::message::named_in(name.as_bytes()).and_then(|errno| errno.code());
        let rows = |cause: &Cause| section(cause.text(), "answers").trim_ascii_end().lines();
        let rows: Vec<&str> = Cause::ALL.iter().flat_map(rows).collect();
        assert!(rows.len() > 60, "{}", rows.len());
        for row in rows {
            let fields: Vec<&str> = row.split('\t').collect();
            let [about, answers, sure, means] = fields[..] else { panic!("{row}") };
            assert!(!means.is_empty(), "{row}");
            assert!(about.is_empty() || texts.contains(about), "{row}");
            assert!(answers.split_terminator(' ').all(|name| code(name).is_some()), "{row}");
            assert!(["", "low", "medium", "high"].contains(&sure), "{row}");
        }
    }
}
