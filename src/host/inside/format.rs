//! What a file needs to be executed: its ELF interpreter, or that of its `#!` line.
//!
//! Whoever wrote the program may mean us harm: what it says of its own sizes is not taken at its word.

use std::ffi::OsString;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use elf::abi::{
    EI_NIDENT, ELFMAGIC, EM_386, EM_AARCH64, EM_ARM, EM_RISCV, EM_X86_64, ET_DYN, ET_EXEC, PT_INTERP,
};
use elf::endian::AnyEndian;
use elf::file::{FileHeader, parse_ident};
use elf::parse::ParseAt;
use elf::segment::{ProgramHeader, SegmentTable};

/// What a file needs to be executed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wants {
    Nothing,
    /// An ELF file's dynamic loader.
    Loader(PathBuf),
    /// The interpreter of a `#!` line.
    Interpreter(PathBuf),
    /// Another machine.
    Machine(u16),
    /// The kernel knows it not, and `execvp(3)` has `/bin/sh` try.
    Shell,
    /// It cannot be told.
    Unknown,
}

/// What the kernel looks at first (`BINPRM_BUF_SIZE`).
const HEAD: usize = 256;

/// The kernel takes no larger table of program headers either.
const HEADERS: usize = 64 << 10;

/// And no longer name of a loader (`PATH_MAX`).
const NAME: u64 = 4096;

pub(super) fn wants(mut file: impl Read + Seek) -> Wants {
    let Ok(head) = read(&mut file, 0, HEAD) else { return Wants::Unknown };
    match head.strip_prefix(b"#!") {
        Some(line) => interpreter(line).map_or(Wants::Shell, Wants::Interpreter),
        None if head.starts_with(&ELFMAGIC) => binary(file, &head).unwrap_or(Wants::Unknown),
        None => Wants::Shell,
    }
}

/// Whether the kernel would take a file for a program's dynamic loader.
pub(super) fn is_loader(mut file: impl Read + Seek) -> bool {
    let head = read(&mut file, 0, HEAD).unwrap_or_default();
    header(&head).is_some_and(|header| runs_here(header.e_machine))
}

/// The interpreter in the first line of a script, if the kernel takes it. A carriage return is part of the name, for the
/// kernel too.
fn interpreter(line: &[u8]) -> Option<PathBuf> {
    let end = line.iter().position(|byte| *byte == b'\n');
    let mut words = line.get(..end.unwrap_or(line.len()))?.split(|byte| matches!(byte, b' ' | b'\t' | b'\0'));
    let word = words.find(|word| !word.is_empty())?;
    // the kernel refuses a name that goes on beyond what it looks at
    let whole = end.is_some() || words.next().is_some() || line.len() + 2 < HEAD;
    whole.then(|| OsString::from_vec(word.to_vec()).into())
}

fn header(head: &[u8]) -> Option<FileHeader<AnyEndian>> {
    let ident = parse_ident::<AnyEndian>(head.get(..EI_NIDENT)?).ok()?;
    FileHeader::parse_tail(ident, head.get(EI_NIDENT..)?).ok()
}

fn runs_here(machine: u16) -> bool {
    match std::env::consts::ARCH {
        "x86_64" => [EM_X86_64, EM_386].contains(&machine),
        "x86" => machine == EM_386,
        "aarch64" => [EM_AARCH64, EM_ARM].contains(&machine),
        "riscv64" => machine == EM_RISCV,
        _ => true,
    }
}

/// What an ELF file needs; `None` if it is an odd one.
fn binary(mut file: impl Read + Seek, head: &[u8]) -> Option<Wants> {
    let header = header(head)?;
    if !runs_here(header.e_machine) {
        return Some(Wants::Machine(header.e_machine));
    }
    // an object file, or a core
    if ![ET_EXEC, ET_DYN].contains(&header.e_type) {
        return Some(Wants::Shell);
    }
    let size = ProgramHeader::validate_entsize(header.class, header.e_phentsize.into()).ok()?;
    let size = size.checked_mul(header.e_phnum.into()).filter(|size| *size <= HEADERS)?;
    let table = read(&mut file, header.e_phoff, size).ok()?;
    let mut segments = SegmentTable::new(header.endianness, header.class, &table).iter();
    let Some(name) = segments.find(|segment| segment.p_type == PT_INTERP) else {
        return Some(Wants::Nothing);
    };
    let size = usize::try_from(name.p_filesz).ok().filter(|_| name.p_filesz <= NAME)?;
    let bytes = read(&mut file, name.p_offset, size).ok()?;
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let name = bytes.get(..end).filter(|name| !name.is_empty())?;
    Some(Wants::Loader(OsString::from_vec(name.to_vec()).into()))
}

/// What is in a file from an offset on, `limit` bytes at most.
fn read(file: &mut (impl Read + Seek), offset: u64, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    file.take(limit as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn the_kernel_reads_so_much_of_a_script() {
        let name = |line: &[u8]| interpreter(line).map(|path| path.to_string_lossy().into_owned());
        assert_eq!(name(b" \t/bin/sh -e\n").as_deref(), Some("/bin/sh"));
        assert_eq!(name(b"/bin/sh\r\n").as_deref(), Some("/bin/sh\r"));
        assert_eq!(name(b"/bin/sh").as_deref(), Some("/bin/sh"));
        assert_eq!(name(b"/bin/sh\0 -e\n").as_deref(), Some("/bin/sh"));
        assert_eq!(name(b" \nx"), None);
        assert_eq!(name(&[b'x'; HEAD - 2]), None);
    }

    #[test]
    fn what_the_kernel_does_not_know_is_for_the_shell() {
        for text in ["", "echo hello\n", "#!\n", "#! \t", "\x7fEL", "MZ\0"] {
            assert_eq!(wants(Cursor::new(text)), Wants::Shell, "{text:?}");
        }
        assert_eq!(wants(Cursor::new("#!/bin/x y")), Wants::Interpreter("/bin/x".into()));
        let mut own = std::fs::read("/proc/self/exe").unwrap();
        assert!(is_loader(Cursor::new(&own)) && !is_loader(Cursor::new("#!/bin/sh\n")));
        own[16] = 1; // e_type: an object file
        assert_eq!(wants(Cursor::new(&own)), Wants::Shell);
        own[18] = 8; // e_machine: MIPS
        assert_eq!(wants(Cursor::new(&own)), Wants::Machine(8));
        assert!(!is_loader(Cursor::new(&own)));
    }
}
