//! Reads numbers as the Romans wrote them.

/// The value of `MCMXCIV`; `None` if a sign is none of theirs.
pub fn value(text: &str) -> Option<u32> {
    let value = |sign| Some(match sign { 'I' => 1, 'V' => 5, 'X' => 10, 'L' => 50, 'C' => 100, 'D' => 500, 'M' => 1000, _ => return None });
    let values = text.chars().map(value).collect::<Option<Vec<u32>>>()?;
    let mut sum = 0;
    for (place, value) in values.iter().enumerate() {
        if values.get(place + 1) > Some(value) { sum -= *value as i32 } else { sum += *value as i32 }
    }
    u32::try_from(sum).ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_numbers() {
        assert_eq!(super::value("MCMXCIV"), Some(1994));
        assert_eq!(super::value("IV"), Some(4));
        assert_eq!(super::value("ABC"), None);
    }
}
