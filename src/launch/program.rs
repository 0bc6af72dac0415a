//! Why a program could not be executed: what bwrap's "No such file or directory" really means.
//!
//! By then the sandbox is gone. So the program is looked for where it would have been: through the sandbox's
//! operations on the host's files.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use elf::abi::{EI_NIDENT, EM_386, EM_AARCH64, EM_ARM, EM_RISCV, EM_X86_64, PT_INTERP};
use elf::endian::AnyEndian;
use elf::file::{FileHeader, parse_ident};
use elf::parse::ParseAt;
use elf::segment::{ProgramHeader, SegmentTable};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;

use super::descriptors::read_from;
use crate::diagnosis::ProgramProblem;
use crate::host::open_regular;
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
    // some may, but not we: more than permissions can deny what everybody may
    let ours = accessat(CWD, host, Access::EXEC_OK, AtFlags::EACCESS);
    if ours == Err(Errno::ACCESS) && mode & 0o111 != 0o111 {
        return Verdict::Problem(ProgramProblem::NotExecutable { path: path.into(), mode });
    }
    // merely to open a device may do something
    if !meta.is_file() {
        return Verdict::Unknown;
    }
    let Ok(file) = open_regular(host) else { return Verdict::Unknown };
    let (interpreter, script) = match wants(&file) {
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

/// What the kernel looks at first (`BINPRM_BUF_SIZE`).
const HEAD: usize = 256;

/// The kernel takes no larger table of program headers either.
const HEADERS: usize = 64 << 10;

/// And no longer name of a loader (`PATH_MAX`).
const NAME: u64 = 4096;

/// Whoever wrote the program may mean us harm: what it says of its own sizes is not taken at its word.
fn wants(file: &File) -> Wants {
    let head = read_from(file, 0, HEAD).unwrap_or_default();
    let wants = match head.strip_prefix(b"#!") {
        Some(line) => interpreter(line).map(Wants::Interpreter),
        None => binary(file, &head),
    };
    wants.unwrap_or(Wants::Nothing)
}

/// The interpreter in the first line of a script. A carriage return is part of the name, for the kernel too.
fn interpreter(line: &[u8]) -> Option<PathBuf> {
    let end = line.iter().position(|byte| *byte == b'\n');
    let mut words = line.get(..end.unwrap_or(line.len()))?.split(|byte| matches!(byte, b' ' | b'\t'));
    let word = words.find(|word| !word.is_empty())?;
    // the kernel refuses a name that goes on beyond what it looks at
    let whole = end.is_some() || words.next().is_some() || line.len() + 2 < HEAD;
    whole.then(|| OsString::from_vec(word.to_vec()).into())
}

/// What an ELF file needs; `None` if it is none, or an odd one.
fn binary(file: &File, head: &[u8]) -> Option<Wants> {
    let ident = parse_ident::<AnyEndian>(head.get(..EI_NIDENT)?).ok()?;
    let header = FileHeader::parse_tail(ident, head.get(EI_NIDENT..)?).ok()?;
    let own: &[u16] = match std::env::consts::ARCH {
        "x86_64" => &[EM_X86_64, EM_386],
        "x86" => &[EM_386],
        "aarch64" => &[EM_AARCH64, EM_ARM],
        "riscv64" => &[EM_RISCV],
        _ => &[],
    };
    if !own.is_empty() && !own.contains(&header.e_machine) {
        return Some(Wants::Machine(header.e_machine));
    }
    let size = ProgramHeader::validate_entsize(header.class, header.e_phentsize.into()).ok()?;
    let size = size.checked_mul(header.e_phnum.into()).filter(|size| *size <= HEADERS)?;
    let table = read_from(file, header.e_phoff, size).ok()?;
    let mut segments = SegmentTable::new(header.endianness, header.class, &table).iter();
    let name = segments.find(|segment| segment.p_type == PT_INTERP)?;
    let size = usize::try_from(name.p_filesz).ok().filter(|_| name.p_filesz <= NAME)?;
    let bytes = read_from(file, name.p_offset, size).ok()?;
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let name = bytes.get(..end).filter(|name| !name.is_empty())?;
    Some(Wants::Loader(OsString::from_vec(name.to_vec()).into()))
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

    /// An ELF file of this machine whose loader's name is said to be at this offset and of this length.
    fn binary(offset: u64, length: u64, headers: u16) -> Vec<u8> {
        let mut bytes = fs::read("/proc/self/exe").unwrap();
        bytes.truncate(64);
        bytes[32..40].copy_from_slice(&64_u64.to_ne_bytes()); // e_phoff
        bytes[40..48].copy_from_slice(&(1_u64 << 40).to_ne_bytes()); // e_shoff
        bytes[54..56].copy_from_slice(&56_u16.to_ne_bytes()); // e_phentsize
        bytes[56..58].copy_from_slice(&headers.to_ne_bytes()); // e_phnum
        bytes[60..62].copy_from_slice(&u16::MAX.to_ne_bytes()); // e_shnum
        bytes.extend(PT_INTERP.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend([offset, 0, 0, length, length, 1].map(u64::to_ne_bytes).concat());
        bytes
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn sizes_that_a_program_claims_are_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::new().ro_bind(directory.path(), "/bin");
        let judged = |bytes: &[u8], at: u64, name: &[u8]| {
            use std::os::unix::fs::FileExt;
            let path = directory.path().join("program");
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            // sparse, as large as the file system allows
            if !name.is_empty() {
                let _ = (30..44).try_for_each(|bits| file.set_len(1 << bits));
                file.write_all_at(name, at).unwrap();
            }
            explain(&sandbox, "program")
        };
        let loader = |name: &str| {
            Some(ProgramProblem::LoaderMissing { path: "/bin/program".into(), interpreter: name.into() })
        };
        assert_eq!(judged(&binary(256, 5, 1), 256, b"/ld-x"), None); // its end is missing
        assert_eq!(judged(&binary(256, 6, 1), 256, b"/ld-x"), loader("/ld-x"));
        // tools that change a name put it at the end of the file
        assert_eq!(judged(&binary(1 << 20, 4096, 1), 1 << 20, b"/ld-y"), loader("/ld-y"));
        assert_eq!(judged(&binary(256, 4097, 1), 256, b"/ld-x"), None);
        for huge in [1 << 42, u64::MAX] {
            assert_eq!(judged(&binary(256, huge, 1), 256, b"/ld-x"), None);
            assert_eq!(judged(&binary(huge, 10, 1), 256, b"/ld-x"), None);
        }
        assert_eq!(judged(&binary(256, 6, u16::MAX), 256, b"/ld-x"), None);
        for cut in [4, 16, 63, 64, 100] {
            assert_eq!(judged(&binary(256, 6, 1)[..cut], 0, b""), None, "{cut}");
        }
    }

    #[test]
    fn nobody_waits_for_a_fifo() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let script = directory.path().join("script");
        fs::write(&script, "#!/bin/fifo\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let sandbox = Sandbox::new().ro_bind(directory.path(), "/bin");
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let _keep = directory;
            let _ = sender.send(["fifo", "script"].map(|program| explain(&sandbox, program)));
        });
        assert_eq!(receiver.recv_timeout(std::time::Duration::from_secs(20)), Ok([None, None]));
        assert!(open_regular(Path::new("/dev/null")).is_err());
    }

    #[test]
    fn the_kernel_reads_so_much_of_a_script() {
        let name = |line: &[u8]| interpreter(line).map(|path| path.to_string_lossy().into_owned());
        assert_eq!(name(b" \t/bin/sh -e\n").as_deref(), Some("/bin/sh"));
        assert_eq!(name(b"/bin/sh\r\n").as_deref(), Some("/bin/sh\r"));
        assert_eq!(name(b"/bin/sh").as_deref(), Some("/bin/sh"));
        assert_eq!(name(b" \nx"), None);
        assert_eq!(name(&[b'x'; HEAD - 2]), None);
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
