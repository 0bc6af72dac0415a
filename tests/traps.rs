//! Every rule and trap of bwrap's that is known: it cannot be written, is refused before launch, is linted, or is
//! handled so that what happens is what was wanted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "traps/advice.rs"]
mod advice;
mod common;
#[path = "traps/descriptors.rs"]
mod descriptors;
#[path = "traps/environment.rs"]
mod environment;
#[path = "traps/lifetime.rs"]
mod lifetime;
#[path = "traps/mounts.rs"]
mod mounts;
#[path = "traps/privileges.rs"]
mod privileges;
#[path = "traps/support.rs"]
mod support;
#[path = "traps/values.rs"]
mod values;
#[path = "traps/words.rs"]
mod words;

fn main() -> std::process::ExitCode {
    let cases = [
        descriptors::CASES,
        words::CASES,
        values::CASES,
        environment::CASES,
        privileges::CASES,
        mounts::CASES,
        lifetime::CASES,
        advice::CASES,
    ];
    common::main(
        cases.concat().leak(),
        &[
            ("hold", descriptors::hold),
            ("descriptors", common::descriptors),
            ("surrounded", environment::surrounded),
            ("childless", environment::childless),
            ("ignoring", environment::ignoring),
            ("skipping", privileges::skipping),
            ("ambient", privileges::ambient),
            ("leaving", lifetime::leaving),
        ],
    )
}
