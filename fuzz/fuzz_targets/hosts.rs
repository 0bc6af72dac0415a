#![no_main]

#[path = "../../tests/seeded/mod.rs"]
mod seeded;
#[path = "../../tests/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::snapshot_of_a_host(&mut seeded::Numbers::of(bytes)));
