//! Why a program could not be executed: what bwrap's "No such file or directory" really means.
//!
//! By then the sandbox is gone. So the program is looked for where it would have been: through the sandbox's
//! operations on the host's files.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use elf::abi::{EM_386, EM_AARCH64, EM_ARM, EM_RISCV, EM_X86_64, PT_INTERP};
use elf::endian::AnyEndian;

use crate::diagnosis::ProgramProblem;
use crate::sandbox::{Operation, OverlayKind, Sandbox, below, relative};

/// What there is at a path inside the sandbox.
#[derive(Debug, PartialEq, Eq)]
enum Node {
    Missing,
    /// A directory that bwrap makes.
    Directory,
    /// Something of the host's.
    Host(PathBuf),
    Link(PathBuf),
    /// A file made from content, with these permissions.
    Data(u32),
    /// Made by the kernel or the command: nobody knows from here.
    Unknown,
}

/// Finds out why `program` could not be executed, if that can be seen.
pub(crate) fn diagnose(sandbox: &Sandbox, program: &OsStr, path: Option<&OsStr>) -> Option<ProgramProblem> {
    let view = View(sandbox);
    let working = sandbox.current_dir.as_deref();
    let direct = program.as_bytes().contains(&b'/');
    let candidates: Vec<PathBuf> = if direct {
        // without --chdir a relative path depends on where bwrap ended up
        if Path::new(program).is_relative() && working.is_none() {
            return None;
        }
        vec![Path::new("/").join(working.unwrap_or(Path::new("/"))).join(program)]
    } else {
        // what execvp takes where there is no PATH
        let path = path.unwrap_or(OsStr::new("/bin:/usr/bin"));
        // relative directories are taken from where the command starts, if that is known
        let absolute = |directory: PathBuf| match (directory.is_absolute(), working) {
            (true, _) => Some(directory),
            (false, Some(working)) => Some(Path::new("/").join(working).join(directory)),
            (false, None) => None,
        };
        let directories = std::env::split_paths(path).filter_map(absolute);
        directories.map(|directory| directory.join(program)).collect()
    };
    let mut first = None;
    for candidate in &candidates {
        match view.resolve(candidate) {
            Some((_, Node::Missing)) => {}
            Some((at, node)) => match judge(view, &at, &node, 0) {
                // execvp goes on after what it may not execute
                Verdict::Problem(problem) if !direct => first = first.or(Some(problem)),
                Verdict::Problem(problem) => return Some(problem),
                Verdict::Fine | Verdict::Unknown => return None,
            },
            // somewhere that cannot be looked into, as bwrap could not
            None if direct => return None,
            None => {}
        }
    }
    first.or(Some(ProgramProblem::NotFound { program: program.into(), searched: candidates }))
}

enum Verdict {
    Fine,
    Problem(ProgramProblem),
    Unknown,
}

fn judge(view: View<'_>, path: &Path, node: &Node, depth: usize) -> Verdict {
    let host = match node {
        Node::Directory => return Verdict::Problem(ProgramProblem::IsDirectory(path.into())),
        Node::Data(mode) if mode & 0o111 == 0 => {
            return Verdict::Problem(ProgramProblem::NotExecutable { path: path.into(), mode: *mode });
        }
        Node::Host(host) => host,
        _ => return Verdict::Unknown,
    };
    let Ok(meta) = fs::metadata(host) else { return Verdict::Unknown };
    if meta.is_dir() {
        return Verdict::Problem(ProgramProblem::IsDirectory(path.into()));
    }
    let mode = meta.mode() & 0o7777;
    if mode & 0o111 == 0 {
        return Verdict::Problem(ProgramProblem::NotExecutable { path: path.into(), mode });
    }
    let noexec = rustix::fs::StatVfsMountFlags::NOEXEC;
    if rustix::fs::statvfs(host).is_ok_and(|statistics| statistics.f_flag.contains(noexec)) {
        return Verdict::Problem(ProgramProblem::Noexec(path.into()));
    }
    let Ok(file) = File::open(host) else { return Verdict::Unknown };
    let wants = wants(file);
    let (interpreter, script) = match wants {
        Wants::Machine(machine) => {
            return Verdict::Problem(ProgramProblem::WrongArchitecture { path: path.into(), machine });
        }
        Wants::Loader(interpreter) => (interpreter, false),
        Wants::Interpreter(interpreter) => (interpreter, true),
        Wants::Nothing => return Verdict::Fine,
    };
    match view.resolve(&interpreter) {
        Some((_, Node::Missing)) if script => {
            Verdict::Problem(ProgramProblem::InterpreterMissing { path: path.into(), interpreter })
        }
        Some((_, Node::Missing)) => {
            Verdict::Problem(ProgramProblem::LoaderMissing { path: path.into(), interpreter })
        }
        // the kernel follows a chain of interpreters no further than this
        Some((at, node)) if depth < 4 => judge(view, &at, &node, depth + 1),
        _ => Verdict::Unknown,
    }
}

/// What a file needs to be executed.
enum Wants {
    Nothing,
    Loader(PathBuf),
    Interpreter(PathBuf),
    Machine(u16),
}

fn wants(file: File) -> Wants {
    let mut reader = BufReader::new(file);
    let Ok(start) = reader.fill_buf() else { return Wants::Nothing };
    if start.starts_with(b"#!") {
        let mut line = Vec::new();
        // the kernel reads no more than 256 bytes
        let _ = reader.take(256).read_until(b'\n', &mut line);
        let words = line.get(2..).unwrap_or_default();
        let words = words.strip_suffix(b"\n").unwrap_or(words);
        // a carriage return is part of the name, for the kernel too
        let word = words.split(|byte| matches!(byte, b' ' | b'\t')).find(|word| !word.is_empty());
        return word
            .map_or(Wants::Nothing, |word| Wants::Interpreter(OsString::from_vec(word.to_vec()).into()));
    }
    if !start.starts_with(b"\x7fELF") {
        return Wants::Nothing;
    }
    let Ok(mut program) = elf::ElfStream::<AnyEndian, _>::open_stream(reader.into_inner()) else {
        return Wants::Nothing;
    };
    let machine = program.ehdr.e_machine;
    let own: &[u16] = match std::env::consts::ARCH {
        "x86_64" => &[EM_X86_64, EM_386],
        "x86" => &[EM_386],
        "aarch64" => &[EM_AARCH64, EM_ARM],
        "riscv64" => &[EM_RISCV],
        _ => &[],
    };
    if !own.is_empty() && !own.contains(&machine) {
        return Wants::Machine(machine);
    }
    let interpreter = program.segments().iter().find(|segment| segment.p_type == PT_INTERP).copied();
    let Some(interpreter) = interpreter else { return Wants::Nothing };
    match program.segment_data(&interpreter) {
        Ok(bytes) => {
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            let name = bytes.get(..end).unwrap_or_default().to_vec();
            Wants::Loader(OsString::from_vec(name).into())
        }
        Err(_) => Wants::Nothing,
    }
}

/// A sandbox's files, seen from the host.
#[derive(Clone, Copy)]
struct View<'a>(&'a Sandbox);

impl View<'_> {
    /// Follows a path inside, symbolic links included. `None` if that leads where nobody can look.
    fn resolve(self, path: &Path) -> Option<(PathBuf, Node)> {
        let mut todo: Vec<OsString> = parts(path);
        let mut at = PathBuf::from("/");
        let mut node = self.look(&at);
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == ".." {
                at.pop();
                node = self.look(&at);
                continue;
            }
            let next = at.join(&part);
            node = self.look(&next);
            let target = match &node {
                Node::Link(target) => Some(target.clone()),
                Node::Host(host) => fs::read_link(host).ok(),
                Node::Missing => return Some((next, Node::Missing)),
                Node::Unknown => return None,
                Node::Directory | Node::Data(_) => None,
            };
            let Some(target) = target else {
                at = next;
                continue;
            };
            links += 1;
            if links > 40 {
                return None;
            }
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            node = self.look(&at);
            todo.extend(parts(&target));
        }
        Some((at, node))
    }

    /// What is at a path whose parents are no links.
    fn look(self, path: &Path) -> Node {
        let mut parent = relative(path).as_os_str().is_empty();
        let mut chmod = None;
        for operation in self.0.operations.iter().rev() {
            let destination = operation.destination();
            if !below(path, destination) {
                // bwrap makes the parents of what it mounts
                parent |= below(destination, path);
                continue;
            }
            let exact = relative(path) == relative(destination);
            match operation {
                Operation::Bind(bind) => {
                    let Ok(source) = fs::canonicalize(&bind.source) else { continue };
                    return Self::host(source, path, destination, parent);
                }
                Operation::Overlay(overlay) => {
                    let upper = match &overlay.kind {
                        OverlayKind::Writable { upper, .. } => Some(upper),
                        _ => None,
                    };
                    for layer in upper.into_iter().chain(overlay.layers.iter().rev()) {
                        match Self::host(layer.clone(), path, destination, false) {
                            Node::Missing => {}
                            node => return node,
                        }
                    }
                    return if parent { Node::Directory } else { Node::Missing };
                }
                Operation::Tmpfs(_) if exact || parent => return Node::Directory,
                Operation::Tmpfs(_) => return Node::Missing,
                Operation::Dir(_) if exact => return Node::Directory,
                Operation::Symlink(link) if exact => return Node::Link(link.target.clone()),
                Operation::Chmod(change) if exact => chmod = chmod.or(Some(change.mode)),
                Operation::File(file) if exact => {
                    return Node::Data(chmod.or(file.mode).unwrap_or(0o666));
                }
                Operation::BindData(data) if exact => {
                    return Node::Data(chmod.or(data.mode).unwrap_or(0o600));
                }
                Operation::Proc(_) | Operation::Dev(_) | Operation::BindFd(_) | Operation::Mqueue(_) => {
                    return if exact { Node::Directory } else { Node::Unknown };
                }
                _ => {}
            }
        }
        if parent { Node::Directory } else { Node::Missing }
    }

    fn host(source: PathBuf, path: &Path, destination: &Path, parent: bool) -> Node {
        let path = relative(path);
        let rest = path.strip_prefix(relative(destination)).unwrap_or(Path::new(""));
        let host = if rest.as_os_str().is_empty() { source } else { source.join(rest) };
        match fs::symlink_metadata(&host) {
            Ok(_) => Node::Host(host),
            Err(_) if parent => Node::Directory,
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Node::Unknown,
            Err(_) => Node::Missing,
        }
    }
}

/// The parts of a path, the last first.
fn parts(path: &Path) -> Vec<OsString> {
    let parts = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut parts: Vec<_> = parts.collect();
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn explain(sandbox: &Sandbox, program: &str) -> Option<ProgramProblem> {
        diagnose(sandbox, OsStr::new(program), Some(OsStr::new("/none:/bin")))
    }

    #[test]
    fn each_problem_is_told_from_the_others() {
        let directory = tempfile::tempdir().unwrap();
        let bin = directory.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let put = |name: &str, bytes: &[u8], mode: u32| {
            fs::write(bin.join(name), bytes).unwrap();
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        put("plain", b"#!/bin/sh\n", 0o644);
        put("script", b"#! /opt/perl -w\n", 0o755);
        put("shell", b"#!/bin/plain\n", 0o755);
        symlink("/bin/script", bin.join("link")).unwrap();
        let mut alien = fs::read("/proc/self/exe").unwrap();
        put("native", &alien, 0o755);
        alien[18] = 8; // e_machine: MIPS
        put("alien", &alien, 0o755);
        let sandbox = Sandbox::new().ro_bind(&bin, "/bin").dir("/opt");
        let found = |program: &str| explain(&sandbox, program);
        assert_eq!(
            found("absent"),
            Some(ProgramProblem::NotFound {
                program: "absent".into(),
                searched: vec!["/none/absent".into(), "/bin/absent".into()]
            })
        );
        let not_executable =
            |path: &str| Some(ProgramProblem::NotExecutable { path: path.into(), mode: 0o644 });
        assert_eq!(found("plain"), not_executable("/bin/plain"));
        assert_eq!(found("/bin/shell"), not_executable("/bin/plain"));
        assert_eq!(found("/opt"), Some(ProgramProblem::IsDirectory("/opt".into())));
        let script = ProgramProblem::InterpreterMissing {
            path: "/bin/script".into(),
            interpreter: "/opt/perl".into(),
        };
        assert_eq!(found("link"), Some(script));
        assert!(matches!(found("native"), Some(ProgramProblem::LoaderMissing { .. })));
        let machine = ProgramProblem::WrongArchitecture { path: "/bin/alien".into(), machine: 8 };
        assert_eq!(found("alien"), Some(machine));
    }

    #[test]
    fn later_operations_hide_earlier_ones() {
        let sandbox = Sandbox::new().ro_bind("/", "/").tmpfs("/bin").tmpfs("/usr").symlink("/usr/bin", "/x");
        assert!(matches!(explain(&sandbox, "sh"), Some(ProgramProblem::NotFound { .. })));
        assert!(matches!(explain(&sandbox, "/x/sh"), Some(ProgramProblem::NotFound { .. })));
        // what is there says nothing
        assert_eq!(explain(&Sandbox::new().ro_bind("/", "/"), "sh"), None);
        assert_eq!(explain(&Sandbox::new().ro_bind("/", "/").proc("/proc"), "/proc/self/exe"), None);
    }
}
