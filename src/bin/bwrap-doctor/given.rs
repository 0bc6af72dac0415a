//! What is handed over in a file or on standard input: so much of it at most, and in whatever way the text is encoded.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::Result;

/// No log that somebody reads is longer, and no manifest.
const LONGEST: u64 = 16 << 20;

/// All of a file, or of standard input where it is called `-`.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        io::stdin().take(LONGEST + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes))
    };
    let length = read.map_err(|error| error.to_string())?;
    if length as u64 > LONGEST {
        return Err(format!("longer than {} MiB", LONGEST >> 20));
    }
    // PowerShell's > writes UTF-16
    let pairs = |of: fn([u8; 2]) -> u16| {
        let units = bytes.get(2..).unwrap_or_default().chunks_exact(2);
        let units: Vec<u16> = units.filter_map(|pair| Some(of([*pair.first()?, *pair.last()?]))).collect();
        let text = String::from_utf16(&units).map_err(|_| "no text: neither UTF-8 nor UTF-16".to_owned());
        text.map(String::into_bytes)
    };
    match bytes.get(..2) {
        Some([0xff, 0xfe]) => pairs(u16::from_le_bytes),
        Some([0xfe, 0xff]) => pairs(u16::from_be_bytes),
        _ => Ok(bytes),
    }
}

/// The same, of what has to be text.
pub(crate) fn text(path: &Path) -> Result<String> {
    String::from_utf8(bytes(path)?).map_err(|_| "no text: not UTF-8".to_owned())
}
