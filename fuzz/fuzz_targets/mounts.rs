#![no_main]

#[path = "../../tests/seeded/mod.rs"]
mod seeded;
#[path = "../../tests/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::line_of_mountinfo(&mut seeded::Numbers::of(bytes)));
