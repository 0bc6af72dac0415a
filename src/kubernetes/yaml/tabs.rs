//! Tabs between a name and its value, which the parser does not take.

/// So many lines with a tab behind a name are read as if a blank stood there; each takes another reading.
pub(super) const MOST: usize = 64;

/// The text with a blank for the tabs behind the name that this line begins with, if some are there.
pub(super) fn without(text: &str, line: usize) -> Option<String> {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let wrong = lines.get_mut(line.checked_sub(1)?)?;
    let (name, value) = wrong.split_once(":\t")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./ ".contains(c);
    let tabs = value.len() - value.trim_start_matches('\t').len() + 1;
    let new = format!("{name}:{}{}", " ".repeat(tabs), value.trim_start_matches('\t'));
    *wrong = name.chars().all(plain).then_some(new)?;
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_line_alone_is_meant() {
        assert_eq!(
            without("a: b\n- kind:\t\tPod # x:\ty\n", 2).as_deref(),
            Some("a: b\n- kind:  Pod # x:\ty\n")
        );
        for (text, line) in [("a: \"b:\tc\"\n", 1), ("a:\tb\n", 2), ("a:\tb\n", 0), ("{a:\tb}\n", 1)] {
            assert_eq!(without(text, line), None, "{text}");
        }
    }
}
