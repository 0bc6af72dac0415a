//! Can a system call filter keep bwrap from reporting what became of the command?
//!
//! The filter binds bwrap's own last steps too: the `write(2)` that says "executing now", the `execve(2)` after it,
//! and what its process 1 does to see the command end. If the filter surely lets those pass, a launch with it is as
//! clear as without.

use super::handshake::Caveats;

/// What says that the command is about to be executed.
const START: [libc::c_long; 1] = [libc::SYS_write];

/// What executes it.
const EXEC: [libc::c_long; 1] = [libc::SYS_execve];

/// What bwrap's own process 1 does.
const INIT: [libc::c_long; 5] =
    [libc::SYS_wait4, libc::SYS_write, libc::SYS_close, libc::SYS_exit_group, libc::SYS_exit];

/// How the kernel names this machine's system call table (`AUDIT_ARCH_*`, `linux/audit.h`).
const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else if cfg!(target_arch = "riscv64") {
    Some(0xc000_00f3)
} else {
    None
};

/// Paths through a program are followed no further than this many instructions in all.
const MAX_STEPS: usize = 1 << 16;

/// What the programs of a sandbox's filters may do to bwrap's reports; `init` says that bwrap stays inside as a
/// process of its own.
pub(crate) fn caveats(programs: &[Vec<u8>], init: bool) -> Caveats {
    let stops = |calls: &[libc::c_long]| !programs.iter().all(|program| surely_allows(program, calls));
    Caveats {
        hides_start: stops(&START),
        stops_exec: stops(&EXEC),
        fells_init: init && stops(&INIT),
        lock_file: false,
        in_reach: false,
    }
}

/// Whether a program lets these calls pass, whatever their arguments.
fn surely_allows(program: &[u8], calls: &[libc::c_long]) -> bool {
    let instructions: Option<Vec<Instruction>> = program.chunks(8).map(Instruction::read).collect();
    let (Some(instructions), Some(architecture)) = (instructions, ARCHITECTURE) else { return false };
    let allows = |call| always_allows(&instructions, call, architecture);
    calls.iter().all(|call| u32::try_from(*call).is_ok_and(allows))
}

/// `struct sock_filter`.
#[derive(Clone, Copy)]
struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    k: u32,
}

impl Instruction {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, if_true, if_false, k @ ..] = *<&[u8; 8]>::try_from(bytes).ok()?;
        Some(Self { code: u16::from_ne_bytes([a, b]), if_true, if_false, k: u32::from_ne_bytes(k) })
    }
}

/// The machine, as far as its values are known.
#[derive(Clone)]
struct State {
    at: usize,
    a: Option<u32>,
    x: Option<u32>,
    memory: [Option<u32>; 16],
}

/// Follows every path that the call can take.
fn always_allows(program: &[Instruction], call: u32, architecture: u32) -> bool {
    let start = State { at: 0, a: Some(0), x: Some(0), memory: [Some(0); 16] };
    let mut paths = vec![start];
    let mut steps = 0;
    while let Some(mut state) = paths.pop() {
        loop {
            steps += 1;
            let Some(instruction) = program.get(state.at).copied().filter(|_| steps < MAX_STEPS) else {
                return false;
            };
            state.at += 1;
            match step(&mut state, instruction, call, architecture) {
                Step::Next => {}
                Step::Fork(other) => {
                    paths.push(State { at: other, ..state.clone() });
                }
                Step::Return(true) => break,
                Step::Return(false) => return false,
            }
        }
    }
    true
}

enum Step {
    Next,
    /// Nobody knows which way: the other one is there.
    Fork(usize),
    /// Whether the call passes.
    Return(bool),
}

/// One instruction, as `bpf(4)` of the classic kind and `seccomp(2)` define it.
fn step(state: &mut State, instruction: Instruction, call: u32, architecture: u32) -> Step {
    let Instruction { code, if_true, if_false, k } = instruction;
    let operand = if code & 0x08 == 0 { Some(k) } else { state.x };
    let slot = usize::try_from(k).ok().and_then(|k| state.memory.get_mut(k));
    match code {
        // ld: the call's number, its architecture, or something that depends on the caller
        0x20 => {
            state.a = match k {
                0 => Some(call),
                4 => Some(architecture),
                _ => None,
            };
        }
        0x00 => state.a = Some(k),
        0x01 => state.x = Some(k),
        0x60 => state.a = slot.and_then(|slot| *slot),
        0x61 => state.x = slot.and_then(|slot| *slot),
        0x02 => slot.into_iter().for_each(|slot| *slot = state.a),
        0x03 => slot.into_iter().for_each(|slot| *slot = state.x),
        // the length of struct seccomp_data
        0x80 => state.a = Some(64),
        0x81 => state.x = Some(64),
        0x07 => state.x = state.a,
        0x87 => state.a = state.x,
        0x84 => state.a = state.a.map(u32::wrapping_neg),
        0x06 => return Step::Return(passes(Some(k))),
        0x16 => return Step::Return(passes(state.a)),
        0x05 => state.at = state.at.saturating_add(usize::try_from(k).unwrap_or(usize::MAX)),
        _ if code & 0x07 == 0x04 => {
            state.a = state.a.zip(operand).and_then(|(a, b)| compute(code & 0xf0, a, b));
        }
        _ if code & 0x07 == 0x05 => {
            let (yes, no) = (state.at + usize::from(if_true), state.at + usize::from(if_false));
            let holds = state.a.zip(operand).and_then(|(a, b)| compare(code & 0xf0, a, b));
            state.at = if holds == Some(false) { no } else { yes };
            if holds.is_none() {
                return Step::Fork(no);
            }
        }
        _ => return Step::Return(false),
    }
    Step::Next
}

/// `SECCOMP_RET_ALLOW` and `SECCOMP_RET_LOG`.
fn passes(action: Option<u32>) -> bool {
    action.is_some_and(|action| matches!(action & 0xffff_0000, 0x7fff_0000 | 0x7ffc_0000))
}

fn compute(operation: u16, a: u32, b: u32) -> Option<u32> {
    Some(match operation {
        0x00 => a.wrapping_add(b),
        0x10 => a.wrapping_sub(b),
        0x20 => a.wrapping_mul(b),
        0x30 => a.checked_div(b)?,
        0x40 => a | b,
        0x50 => a & b,
        0x60 => a.checked_shl(b)?,
        0x70 => a.checked_shr(b)?,
        0xa0 => a ^ b,
        _ => return None,
    })
}

fn compare(operation: u16, a: u32, b: u32) -> Option<bool> {
    Some(match operation {
        0x10 => a == b,
        0x20 => a > b,
        0x30 => a >= b,
        0x40 => a & b != 0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule,
    };

    use super::*;
    use crate::sandbox::{ContentKind, Filter};

    const ALLOW: u32 = 0x7fff_0000;

    fn bytes(instructions: &[(u16, u8, u8, u32)]) -> Vec<u8> {
        let one = |&(code, t, f, k): &(u16, u8, u8, u32)| {
            [&code.to_ne_bytes()[..], &[t, f], &k.to_ne_bytes()].concat()
        };
        instructions.iter().flat_map(one).collect()
    }

    fn reports(program: &[u8]) -> bool {
        caveats(&[program.to_vec()], true) == Caveats::default()
    }

    fn compiled(rules: Vec<(i64, Vec<SeccompRule>)>, other: SeccompAction, matching: SeccompAction) -> bool {
        let architecture = std::env::consts::ARCH.try_into().unwrap();
        let rules: BTreeMap<_, _> = rules.into_iter().collect();
        let program: BpfProgram =
            SeccompFilter::new(rules, other, matching, architecture).unwrap().try_into().unwrap();
        let instructions: Vec<_> = program.iter().map(|i| (i.code, i.jt, i.jf, i.k)).collect();
        reports(&bytes(&instructions))
    }

    #[test]
    fn filters_are_told_apart() {
        use SeccompAction::{Allow, Errno, KillProcess};
        assert!(reports(&bytes(&[(0x06, 0, 0, ALLOW)])));
        assert!(!reports(&bytes(&[(0x06, 0, 0, 0)])));
        assert!(!reports(b"short"));
        let ContentKind::Bytes { bytes: terminal, .. } = Filter::terminal().unwrap().program.0 else {
            panic!("bytes")
        };
        assert!(reports(&terminal));
        // a list of what is denied
        assert!(compiled(vec![(libc::SYS_mount, vec![]), (libc::SYS_bpf, vec![])], Allow, Errno(1)));
        assert!(!compiled(vec![(libc::SYS_write, vec![])], Allow, Errno(1)));
        assert!(!compiled(vec![(libc::SYS_wait4, vec![])], Allow, KillProcess));
        assert!(!compiled(vec![(libc::SYS_execve, vec![])], Allow, KillProcess));
        // a list of what is allowed
        let all: Vec<_> = INIT.iter().chain(&EXEC).map(|call| (*call, vec![])).collect();
        assert!(compiled(all.clone(), Errno(38), Allow));
        assert!(!compiled(all[1..].to_vec(), Errno(38), Allow));
        // it depends on an argument
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, 5).unwrap();
        let rule = SeccompRule::new(vec![condition]).unwrap();
        assert!(!compiled(vec![(libc::SYS_write, vec![rule])], Allow, Errno(1)));
    }

    #[test]
    fn arithmetic_and_memory_are_followed() {
        // A = nr; M[3] = A; A ^= 7; X = A; A = M[3]; whichever way X == A goes, it is allowed
        let program = [
            (0x20, 0, 0, 0),
            (0x02, 0, 0, 3),
            (0xa4, 0, 0, 7),
            (0x07, 0, 0, 0),
            (0x60, 0, 0, 3),
            (0x1d, 0, 0, 0),
            (0x06, 0, 0, ALLOW),
        ];
        assert!(reports(&bytes(&program)));
        // loops cannot be written, and a jump out of the program is no permission
        assert!(!reports(&bytes(&[(0x05, 0, 0, 7), (0x06, 0, 0, ALLOW)])));
        assert!(!reports(&bytes(&[(0x20, 0, 0, 16), (0x16, 0, 0, 0)])));
    }
}
