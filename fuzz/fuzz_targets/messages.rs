//! What stands on bwrap's standard error: messages are recognised, and no more of them than there are lines.
#![no_main]

use bwrap_launch::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let heard = Message::parse_all(text);
    assert!(heard.len() <= text.split(|byte| *byte == b'\n').count());
    for message in heard {
        let _ = (message.stage(), message.path().is_some(), message.source().is_some(), message.failing_path().is_some());
        let _ = (message.errno().is_some(), message.stale_errno().is_some(), message.subject().is_some());
    }
});
