//! Memory.

use super::prelude::*;

rules! {
    OutOfMemory, Failed, ["Out of memory"; FORK, LAUNCH, ANY => (ENOMEM)]
        => out_of_memory;
}

const FORK: &str = "Can't fork for --pidns";

fn out_of_memory(case: &Case<'_>) -> Option<Judgement> {
    if case.says(&[FORK]) {
        // the kernel answers so as well if the namespace's first process has ended
        let found = weigh(Medium).refuted_by("process 1 of the PID namespace that is joined is alive");
        return Some(found.unknown("whether the PID namespace that is joined still has a process 1"));
    }
    let found = weigh(High).refuted_by("the same fails alike with memory to spare (`free -m`, memory.max)");
    Some(found.heard(case, "the kernel or the C library refused memory (ENOMEM)"))
}
