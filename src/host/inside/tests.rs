use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};

use elf::abi::PT_INTERP;
use rustix::process::geteuid;

use super::*;
use crate::sandbox::{BindFd, Chmod, Content, Descriptor, Dir, Namespaces, Tmpfs};

fn seek(sandbox: &Sandbox, program: &str, attempt: Attempt) -> Option<ProgramProblem> {
    let path = Some(OsStr::new("/none:/bin"));
    find(sandbox, Sought { program: OsStr::new(program), path, home: None, attempt })
}

fn explain(sandbox: &Sandbox, program: &str) -> Option<ProgramProblem> {
    seek(sandbox, program, Attempt::Failed(None))
}

/// A directory for programs, and what puts them there.
struct Bin(tempfile::TempDir);

impl Bin {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>, mode: u32) {
        fs::write(self.path().join(name), bytes).unwrap();
        fs::set_permissions(self.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Shown as /bin.
    fn sandbox(&self) -> Sandbox {
        Sandbox::new().ro_bind(self.path(), "/bin")
    }
}

#[test]
fn each_problem_is_told_from_the_others() {
    let bin = Bin::new();
    let put = |name: &str, bytes: &[u8], mode| bin.put(name, bytes, mode);
    put("plain", b"#!/bin/sh\n", 0o644);
    put("script", b"#! /opt/perl -w\n", 0o755);
    put("shell", b"#!/bin/plain\n", 0o755);
    symlink("/bin/script", bin.path().join("link")).unwrap();
    let mut alien = fs::read("/proc/self/exe").unwrap();
    put("native", &alien, 0o755);
    alien[18] = 8; // e_machine: MIPS
    put("alien", &alien, 0o755);
    let sandbox = bin.sandbox().dir("/opt");
    let found = |program: &str| explain(&sandbox, program);
    assert_eq!(
        found("absent"),
        Some(ProgramProblem::NotFound {
            program: "absent".into(),
            searched: vec!["/none/absent".into(), "/bin/absent".into()]
        })
    );
    let not_executable = |path: &str| Some(ProgramProblem::NotExecutable { path: path.into(), mode: 0o644 });
    assert_eq!(found("plain"), not_executable("/bin/plain"));
    assert_eq!(found("/bin/shell"), not_executable("/bin/plain"));
    assert_eq!(found("/opt"), Some(ProgramProblem::IsDirectory("/opt".into())));
    let script = ProgramProblem::InterpreterMissing {
        path: "/bin/script".into(),
        interpreter: "/opt/perl".into(),
        bind: None,
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
        drop(file);
        explain(&sandbox, "program")
    };
    let loader = |name: &str| {
        Some(ProgramProblem::LoaderMissing {
            path: "/bin/program".into(),
            interpreter: name.into(),
            bind: None,
        })
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
    assert_eq!(
        receiver.recv_timeout(std::time::Duration::from_secs(20)),
        Ok([
            Some(ProgramProblem::NotAFile("/bin/fifo".into())),
            Some(ProgramProblem::BadInterpreter {
                path: "/bin/script".into(),
                interpreter: "/bin/fifo".into()
            })
        ])
    );
    assert!(open_regular(Path::new("/dev/null")).is_err());
}

/// What a #! line names by mistake is not made executable: the line is corrected. A program that lacks x is another thing.
#[test]
fn an_interpreter_that_is_no_program_is_the_scripts_fault() {
    let bin = Bin::new();
    bin.put("text", "root:x:0:0::/root:/bin/sh\n", 0o644);
    bin.put("program", "#!/bin/sh\n", 0o644);
    let judged = |interpreter: &str| {
        bin.put("script", format!("#!{interpreter}\n"), 0o755);
        explain(&bin.sandbox().dir("/opt"), "script")
    };
    for interpreter in ["/bin/text", "/opt", "/bin"] {
        let bad =
            ProgramProblem::BadInterpreter { path: "/bin/script".into(), interpreter: interpreter.into() };
        assert_eq!(judged(interpreter), Some(bad));
    }
    let closed = ProgramProblem::NotExecutable { path: "/bin/program".into(), mode: 0o644 };
    assert_eq!(judged("/bin/program"), Some(closed));
    assert!(matches!(judged("/none"), Some(ProgramProblem::InterpreterMissing { .. })));
    // the program itself
    assert!(matches!(explain(&bin.sandbox(), "text"), Some(ProgramProblem::NotExecutable { .. })));
    assert!(matches!(explain(&bin.sandbox(), "/bin"), Some(ProgramProblem::IsDirectory(_))));
}

/// With a merged /usr that is covered, several links lead to nothing, and the program is behind one of them.
#[test]
fn of_links_that_lead_nowhere_the_one_with_the_program_is_blamed() {
    let tree = tempfile::tempdir().unwrap();
    let tree = fs::canonicalize(tree.path()).unwrap();
    fs::create_dir_all(tree.join("usr/bin")).unwrap();
    fs::create_dir_all(tree.join("usr/sbin")).unwrap();
    fs::copy("/bin/sh", tree.join("usr/bin/x")).unwrap();
    for name in ["bin", "sbin"] {
        symlink(Path::new("usr").join(name), tree.join(name)).unwrap();
    }
    let sandbox = Sandbox::new().ro_bind(&tree, &tree).tmpfs(tree.join("usr"));
    let search = |names: &[&str]| {
        let path = std::env::join_paths(names.iter().map(|name| tree.join(name))).unwrap();
        let attempt = Attempt::Failed(None);
        find(&sandbox, Sought { program: OsStr::new("x"), path: Some(&path), home: None, attempt })
    };
    let blames = |found: Option<ProgramProblem>, name: &str| matches!(found, Some(ProgramProblem::DanglingLink { link, .. }) if link == tree.join(name));
    assert!(blames(search(&["sbin", "bin"]), "bin"));
    assert!(blames(search(&["bin", "sbin"]), "bin"));
    // it is behind neither
    assert!(blames(search(&["sbin"]), "sbin"));
    assert!(matches!(search(&["usr/sbin", "usr/bin"]), Some(ProgramProblem::NotFound { .. })));
}

#[test]
fn later_operations_hide_earlier_ones() {
    let sandbox = Sandbox::new().ro_bind("/", "/").tmpfs("/bin").tmpfs("/usr").symlink("/usr/bin", "/x");
    // where /bin is a link to what is hidden, that is
    let hidden = explain(&sandbox, "sh");
    assert!(matches!(hidden, Some(ProgramProblem::NotFound { .. } | ProgramProblem::DanglingLink { .. })));
    let astray = ProgramProblem::DanglingLink {
        path: "/x/sh".into(),
        link: "/x".into(),
        target: "/usr/bin".into(),
        broken: false,
    };
    assert_eq!(explain(&sandbox, "/x/sh"), Some(astray));
    // what is there says nothing
    assert_eq!(explain(&Sandbox::new().ro_bind("/", "/"), "sh"), None);
    assert_eq!(explain(&Sandbox::new().ro_bind("/", "/").proc("/proc"), "/proc/self/exe"), None);
}

#[test]
fn a_link_that_leads_nowhere_on_the_host_is_broken() {
    let tree = tempfile::tempdir().unwrap();
    let link = |name: &str, target: &str| {
        let link = tree.path().join(name);
        symlink(target, &link).unwrap();
        link
    };
    let broken = |found| match found {
        Some(ProgramProblem::DanglingLink { broken, .. }) => broken,
        other => panic!("{other:?}"),
    };
    let at_home = Sandbox::new().ro_bind(tree.path(), tree.path());
    let elsewhere = Sandbox::new().ro_bind(tree.path(), "/x");
    let (gone, out) = (link("gone", "/no/such"), link("out", "/usr/bin/env"));
    for link in [&gone, &out] {
        assert_eq!(broken(explain(&at_home, link.to_str().unwrap())), link == &gone);
    }
    // in another place it leads to another
    assert!(!broken(explain(&elsewhere, "/x/gone")));
    // what would have to be made, to the byte
    for (path, end) in
        [(gone.clone(), "/no/such"), (gone.join("x/y"), "/no/such/x/y"), (link("up", "/none"), "/none")]
    {
        assert_eq!(BrokenLink::on_host(&path).unwrap().end.as_os_str(), end);
    }
}

#[test]
fn links_that_lead_out_are_told_from_files_that_are_not_there() {
    let bin = Bin::new();
    for (link, target) in [
        ("up", "../../opt/x"),
        ("far", "/etc/alternatives/x"),
        ("chain", "far"),
        ("here", "."),
        ("loop", "loop"),
    ] {
        symlink(target, bin.path().join(link)).unwrap();
    }
    let sandbox = bin.sandbox();
    let astray = |path: &str, link: &str, target: &str| {
        Some(ProgramProblem::DanglingLink {
            path: path.into(),
            link: link.into(),
            target: target.into(),
            broken: false,
        })
    };
    assert_eq!(explain(&sandbox, "up"), astray("/bin/up", "/bin/up", "/opt/x"));
    assert_eq!(explain(&sandbox, "/bin/far"), astray("/bin/far", "/bin/far", "/etc/alternatives/x"));
    assert_eq!(explain(&sandbox, "chain"), astray("/bin/chain", "/bin/far", "/etc/alternatives/x"));
    assert_eq!(
        explain(&sandbox, "/bin/far/below"),
        astray("/bin/far/below", "/bin/far", "/etc/alternatives/x")
    );
    // the link is fine, what is asked for beyond it is not there
    assert!(matches!(explain(&sandbox, "/bin/here/x"), Some(ProgramProblem::NotFound { .. })));
    assert_eq!(explain(&sandbox, "loop"), Some(ProgramProblem::LinkLoop("/bin/loop".into())));
    let looped = bin.sandbox().symlink("/b", "/a").symlink("/a", "/b");
    assert_eq!(explain(&looped, "/a/x"), Some(ProgramProblem::LinkLoop("/a/x".into())));
    // bound as well, it is there
    let both = bin.sandbox().file("#!/bin/up\n", "/opt/x");
    let script = ProgramProblem::NotExecutable { path: "/opt/x".into(), mode: 0o666 };
    assert_eq!(explain(&both, "up"), Some(script));
}

#[test]
fn as_many_links_as_the_kernel_follows() {
    let bin = Bin::new();
    bin.put("0", "#!/none\n", 0o755);
    for number in 1..=41 {
        symlink((number - 1).to_string(), bin.path().join(number.to_string())).unwrap();
    }
    let missing = |path: &str| ProgramProblem::InterpreterMissing {
        path: path.into(),
        interpreter: "/none".into(),
        bind: None,
    };
    assert_eq!(explain(&bin.sandbox(), "40"), Some(missing("/bin/0")));
    assert_eq!(explain(&bin.sandbox(), "41"), Some(ProgramProblem::LinkLoop("/bin/41".into())));
}

#[test]
fn long_names_are_no_names() {
    let bin = Bin::new();
    let (longest, longer) = ("a".repeat(255), "a".repeat(256));
    let sandbox = bin.sandbox();
    assert!(matches!(explain(&sandbox, &longest), Some(ProgramProblem::NotFound { .. })));
    // /none is not there: nothing is looked up in it
    assert_eq!(
        explain(&sandbox, &longer),
        Some(ProgramProblem::NameTooLong(format!("/bin/{longer}").into()))
    );
    let deep = format!("/bin/{}", "a/".repeat(2045));
    assert_eq!(
        explain(&sandbox, &deep),
        Some(ProgramProblem::NotFound { program: deep.clone().into(), searched: vec![deep.clone().into()] })
    );
    let deeper = format!("{deep}a");
    assert_eq!(explain(&sandbox, &deeper), Some(ProgramProblem::NameTooLong(deeper.into())));
}

#[test]
fn directories_without_x_hide_what_is_in_them() {
    let bin = Bin::new();
    fs::create_dir(bin.path().join("closed")).unwrap();
    bin.put("closed/x", "#!/bin/sh\n", 0o755);
    fs::set_permissions(bin.path().join("closed"), fs::Permissions::from_mode(0o644)).unwrap();
    let sandbox = bin.sandbox().unshare(Namespaces::USER).cap_drop_all();
    let denied = |path: &str, directory: &str, mode| {
        Some(ProgramProblem::NotSearchable { path: path.into(), directory: directory.into(), mode })
    };
    assert_eq!(explain(&sandbox, "/bin/closed/x"), denied("/bin/closed/x", "/bin/closed", 0o644));
    // where nothing else could be searched, that is why; else it is likelier that the program is nowhere
    let path = |path: &'static str| {
        let path = Some(OsStr::new(path));
        let attempt = Attempt::Failed(Some(libc::EACCES));
        find(&sandbox, Sought { program: OsStr::new("x"), path, home: None, attempt })
    };
    assert_eq!(path("/bin/closed"), denied("/bin/closed/x", "/bin/closed", 0o644));
    assert_eq!(path("/bin/closed:/bin/closed/y"), denied("/bin/closed/x", "/bin/closed", 0o644));
    assert!(matches!(path("/bin/closed:/none"), Some(ProgramProblem::NotFound { .. })));
    for made in [
        Sandbox::new().add(Dir::new("/o").mode(0o600)),
        Sandbox::new().add(Tmpfs::new("/o").mode(0o600)),
        Sandbox::new().dir("/o").add(Chmod::new(0o600, "/o")),
    ] {
        let made = made.ro_bind(bin.path(), "/o/bin").unshare(Namespaces::USER).cap_drop_all();
        assert_eq!(explain(&made, "/o/bin/x"), denied("/o/bin/x", "/o", 0o600));
        // whoever may override permissions may
        let overrides = made.cap_add(crate::Capability::CAP_DAC_READ_SEARCH);
        assert!(matches!(explain(&overrides, "/o/bin/x"), Some(ProgramProblem::NotFound { .. })));
    }
    if geteuid().is_root() {
        assert_eq!(
            explain(&bin.sandbox().cap_drop_all(), "/bin/closed/x"),
            denied("/bin/closed/x", "/bin/closed", 0o644)
        );
        assert!(matches!(
            explain(&bin.sandbox(), "/bin/closed/x"),
            Some(ProgramProblem::NotFound { .. } | ProgramProblem::InterpreterMissing { .. })
        ));
    }
}

#[test]
fn scripts_lead_to_scripts_and_no_further_than_the_kernel_goes() {
    let bin = Bin::new();
    bin.put("itself", "#!/bin/itself\n", 0o755);
    bin.put("dos", "#!/bin/sh\r\n", 0o755);
    bin.put("relative", "#!none/sh\n", 0o755);
    bin.put("0", "#!/none\n", 0o755);
    for number in 1..=6 {
        bin.put(&number.to_string(), format!("#!/bin/{}\n", number - 1), 0o755);
    }
    let sandbox = bin.sandbox();
    assert_eq!(explain(&sandbox, "itself"), Some(ProgramProblem::InterpreterLoop("/bin/itself".into())));
    let dos = ProgramProblem::CarriageReturn { path: "/bin/dos".into(), interpreter: "/bin/sh\r".into() };
    assert_eq!(explain(&sandbox, "dos"), Some(dos));
    let missing = |path: &str, interpreter: &str| {
        Some(ProgramProblem::InterpreterMissing {
            path: path.into(),
            interpreter: interpreter.into(),
            bind: None,
        })
    };
    assert_eq!(
        explain(&sandbox.clone().current_dir("/bin"), "relative"),
        missing("/bin/relative", "none/sh")
    );
    assert_eq!(explain(&sandbox, "4"), missing("/bin/0", "/none"));
    assert_eq!(explain(&sandbox, "5"), Some(ProgramProblem::InterpreterLoop("/bin/5".into())));
    // made from content, it is read as well
    let made = Sandbox::new().add(crate::sandbox::File::new("#!/opt/sh\n", "/x").mode(0o755));
    assert_eq!(explain(&made, "/x"), missing("/x", "/opt/sh"));
    let secret =
        Sandbox::new().add(crate::sandbox::File::new(Content::secret("#!/opt/sh\n"), "/x").mode(0o755));
    assert_eq!(explain(&secret, "/x"), None);
}

/// As with a merged /usr, where `/lib64/ld-linux-x86-64.so.2` leads from `/usr/lib64` through `/lib`.
#[test]
fn what_would_show_an_interpreter_is_said() {
    let (bin, tree) = (Bin::new(), tempfile::tempdir().unwrap());
    let tree = fs::canonicalize(tree.path()).unwrap();
    let [usr, lib, lib64] = ["usr", "lib", "lib64"].map(|name| tree.join(name));
    for directory in ["lib", "lib64"] {
        fs::create_dir_all(usr.join(directory)).unwrap();
        symlink(Path::new("usr").join(directory), tree.join(directory)).unwrap();
    }
    fs::copy("/bin/sh", lib.join("sh")).unwrap();
    symlink(lib.join("sh"), lib64.join("sh")).unwrap();
    let bind = |sandbox: &Sandbox, interpreter: &Path| {
        bin.put("script", format!("#!{}\n", interpreter.display()), 0o755);
        match explain(sandbox, "script") {
            Some(ProgramProblem::InterpreterMissing { bind, .. }) => Some(bind),
            // it is there, and has a loader of its own
            _ => None,
        }
    };
    let bare = bin.sandbox();
    let bound = |sandbox: &Sandbox, path: &Path| sandbox.clone().ro_bind(path, path);
    assert_eq!(bind(&bare, &lib.join("sh")), Some(Some(lib.clone())));
    // its directory would not be enough
    let file = lib64.join("sh");
    assert_eq!(bind(&bound(&bare, &usr), &file), Some(Some(file.clone())));
    assert_eq!(bind(&bound(&bound(&bare, &usr), &file), &file), None);
    // the link in it leads on
    let linked = bound(&bound(&bare, &usr), &lib64);
    assert_eq!(bind(&linked, &file), Some(Some(lib.clone())));
    assert_eq!(bind(&bound(&linked, &lib), &file), None);
    // something empty is mounted over it
    let hidden = bound(&bare, &tree).tmpfs(usr.join("lib"));
    assert_eq!(bind(&hidden, &usr.join("lib/sh")), Some(Some(usr.join("lib"))));
    // the host has none, or another one at the same place
    assert_eq!(bind(&bare, &tree.join("none")), Some(None));
    let other = bare.clone().ro_bind(usr.join("lib64"), &lib).ro_bind(&usr, &usr);
    assert_eq!(bind(&other, &lib.join("none")), Some(None));
}

#[test]
fn relative_programs_are_looked_for_where_the_command_starts() {
    let bin = Bin::new();
    bin.put("x", "#!/none\n", 0o755);
    let missing = Some(ProgramProblem::InterpreterMissing {
        path: "/bin/x".into(),
        interpreter: "/none".into(),
        bind: None,
    });
    assert_eq!(explain(&bin.sandbox().current_dir("/bin"), "./x"), missing);
    assert_eq!(explain(&bin.sandbox().current_dir("bin"), "../bin/x"), missing);
    // the caller's directory is not there: the root is
    assert_eq!(explain(&bin.sandbox(), "bin/x"), missing);
    let sought =
        |home| Sought { program: OsStr::new("./x"), path: None, home, attempt: Attempt::Failed(None) };
    assert_eq!(find(&bin.sandbox(), sought(Some(OsStr::new("/bin")))), missing);
    let at_root = Some(ProgramProblem::NotFound { program: "./x".into(), searched: vec!["/./x".into()] });
    assert_eq!(find(&bin.sandbox(), sought(Some(OsStr::new("/none")))), at_root);
    let callers = bin.sandbox().ro_bind(std::env::current_dir().unwrap(), std::env::current_dir().unwrap());
    assert!(matches!(explain(&callers, "./Cargo.toml"), Some(ProgramProblem::NotExecutable { .. })));
}

#[test]
fn a_lock_file_is_opened_where_the_command_starts() {
    let bin = Bin::new();
    bin.put("lock", "", 0o644);
    let locks = |sandbox: &Sandbox, file: &str| read(sandbox, None, Path::new(file));
    let there = bin.sandbox().current_dir("/bin");
    assert_eq!(locks(&there, "lock"), Ok(()));
    assert_eq!(locks(&there, "../bin/lock"), Ok(()));
    assert_eq!(locks(&there, "bin/lock"), Err(libc::ENOENT));
    assert_eq!(locks(&bin.sandbox().current_dir("/"), "bin/lock"), Ok(()));
    assert_eq!(locks(&there, "/lock"), Err(libc::ENOENT));
    // the caller's directory
    let whole = Sandbox::new().ro_bind("/", "/");
    assert_eq!(locks(&whole, "Cargo.toml"), Ok(()));
    assert_eq!(locks(&whole, "etc/passwd"), Err(libc::ENOENT));
    // what the sandbox makes may be for nobody
    let made = |mode| bin.sandbox().tmpfs("/t").add(crate::sandbox::File::new(Vec::new(), "/t/l").mode(mode));
    assert_eq!(locks(&made(0), "/t/l"), Err(libc::EACCES));
    assert_eq!(locks(&made(0o400), "/t/l"), Ok(()));
    assert_eq!(locks(&bin.sandbox().tmpfs("/t").file(Vec::new(), "/t/l"), "/t/l"), Ok(()));
}

#[test]
fn what_is_open_for_writing_is_busy() {
    let bin = Bin::new();
    bin.put("x", fs::read("/proc/self/exe").unwrap(), 0o755);
    let whole = Sandbox::new().ro_bind("/", "/").ro_bind(bin.path(), "/mnt");
    let busy = Some(ProgramProblem::Busy("/mnt/x".into()));
    assert_eq!(seek(&whole, "/mnt/x", Attempt::Failed(Some(libc::ETXTBSY))), busy);
    assert_eq!(seek(&whole, "/mnt/x", Attempt::Failed(Some(libc::EPERM))), None);
    // nobody has heard bwrap's words: whoever writes is looked for
    let unheard = || seek(&whole, "/mnt/x", Attempt::Failed(None));
    let _reader = fs::File::open(bin.path().join("x")).unwrap();
    assert_eq!(unheard(), None);
    let writer = fs::OpenOptions::new().append(true).open(bin.path().join("x")).unwrap();
    assert_eq!(unheard(), busy);
    drop(writer);
    assert_eq!(unheard(), None);
}

#[test]
fn what_the_kernel_does_not_execute_is_for_the_shell_or_an_emulator() {
    let bin = Bin::new();
    let mut program = fs::read("/proc/self/exe").unwrap();
    program[18] = 8; // e_machine: MIPS
    bin.put("alien", &program, 0o755);
    bin.put("text", "echo hello\n", 0o755);
    let shell = bin.sandbox();
    assert_eq!(explain(&shell, "text"), Some(ProgramProblem::ShellMissing("/bin/text".into())));
    assert!(matches!(explain(&shell, "alien"), Some(ProgramProblem::WrongArchitecture { .. })));
    // nobody has tried yet
    assert_eq!(["text", "alien"].map(|name| seek(&shell, name, Attempt::None)), [None, None]);
    bin.put("sh", fs::read("/proc/self/exe").unwrap(), 0o755);
    assert_eq!(explain(&shell, "text"), None);
}

#[test]
#[cfg(target_pointer_width = "64")]
fn a_loader_is_a_file_for_this_machine() {
    let bin = Bin::new();
    bin.put("program", [binary(256, 10, 1), vec![0; 136], b"/bin/ld-x\0".to_vec()].concat(), 0o755);
    let judged = |loader: &[u8], mode| {
        bin.put("ld-x", loader, mode);
        explain(&bin.sandbox(), "program")
    };
    let bad = ProgramProblem::BadLoader { path: "/bin/program".into(), interpreter: "/bin/ld-x".into() };
    assert_eq!(judged(b"#!/bin/sh\n", 0o755), Some(bad));
    let closed = ProgramProblem::NotExecutable { path: "/bin/ld-x".into(), mode: 0o644 };
    assert_eq!(judged(b"", 0o644), Some(closed));
    // what a loader names as its own is not looked at
    assert_eq!(judged(&binary(256, 6, 1), 0o755), None);
}

#[test]
fn an_empty_name_is_no_program() {
    let none = ProgramProblem::NotFound { program: "".into(), searched: Vec::new() };
    assert_eq!(explain(&Sandbox::new().ro_bind("/", "/"), ""), Some(none));
}

/// bwrap before 0.12 mounts where the link leads.
#[test]
fn a_mount_on_a_link_hides_what_that_leads_to() {
    let tree = tempfile::tempdir().unwrap();
    fs::create_dir_all(tree.path().join("usr/bin")).unwrap();
    symlink("usr/bin", tree.path().join("bin")).unwrap();
    fs::copy("/bin/sh", tree.path().join("usr/bin/x")).unwrap();
    let sandbox = Sandbox::new().ro_bind(tree.path(), "/");
    let lost =
        |sandbox: Sandbox| matches!(explain(&sandbox, "/usr/bin/x"), Some(ProgramProblem::NotFound { .. }));
    assert!(lost(sandbox.clone().tmpfs("/bin")));
    assert!(lost(sandbox.clone().tmpfs("/usr/bin")));
    assert!(!lost(sandbox.clone().tmpfs("/etc")));
    assert!(!lost(sandbox.tmpfs("/bin").ro_bind(tree.path().join("usr/bin"), "/usr/bin")));
}

#[test]
fn a_device_is_no_program() {
    let sandbox = Sandbox::new().ro_bind("/", "/").dev("/dev");
    assert_eq!(explain(&sandbox, "/dev/null"), Some(ProgramProblem::NotAFile("/dev/null".into())));
    // the terminal is there if there is one
    assert_eq!(explain(&sandbox, "/dev/console"), None);
    for program in ["/dev/kvm", "/dev/shm/x"] {
        assert!(matches!(explain(&sandbox, program), Some(ProgramProblem::NotFound { .. })), "{program}");
    }
    let hidden = explain(&sandbox.tmpfs("/dev"), "/dev/null");
    assert!(matches!(hidden, Some(ProgramProblem::NotFound { .. })));
}

/// The loader of most is behind two links.
#[test]
fn what_hides_a_loader_is_seen_behind_links() {
    let tree = tempfile::tempdir().unwrap();
    let lib = tree.path().join("usr/lib/here");
    fs::create_dir_all(&lib).unwrap();
    fs::write(lib.join("target"), "").unwrap();
    symlink("usr/lib", tree.path().join("lib")).unwrap();
    symlink("/lib/here/target", tree.path().join("usr/link")).unwrap();
    let sandbox = Sandbox::new().ro_bind(tree.path(), "/").tmpfs("/usr/lib");
    // bound from the host, where there is no such tree: nothing shows it, but it is looked for at the right place
    assert_eq!(View(&sandbox).shown_by(Path::new("/usr/link")), None);
    let whole = Sandbox::new().ro_bind("/", "/").tmpfs(&lib);
    let link = lib.parent().unwrap().join("link");
    symlink(lib.join("target"), &link).unwrap();
    assert_eq!(View(&whole).shown_by(&link), Some(lib));
}

#[test]
fn what_a_descriptor_shows_is_looked_at() {
    let bin = Bin::new();
    bin.put("there", b"#!/bin/there\n", 0o755);
    let open = || std::os::fd::OwnedFd::from(File::open(bin.path()).unwrap());
    let shown = |descriptor: Descriptor| Sandbox::new().add(BindFd::read_only(descriptor, "/bin"));
    let missing = |sandbox: &Sandbox, name: &str| {
        matches!(explain(sandbox, name), Some(ProgramProblem::NotFound { .. }))
    };
    let sandbox = shown(open().into());
    assert!(missing(&sandbox, "absent") && !missing(&sandbox, "there"));
    // a number that nobody gave us is another process's
    let ours = open();
    assert!(!missing(&shown(Descriptor::number(ours.as_raw_fd())), "absent"));
    rustix::io::fcntl_setfd(&ours, rustix::io::FdFlags::empty()).unwrap();
    assert!(missing(&shown(Descriptor::number(ours.as_raw_fd())), "absent"));
    // what was put in its place is not it
    let moved = tempfile::tempdir().unwrap();
    fs::rename(bin.path(), moved.path().join("bin")).unwrap();
    fs::create_dir(bin.path()).unwrap();
    assert!(missing(&sandbox, "absent") && !missing(&sandbox, "there"));
}

/// The host has it, and the sandbox's own links and mounts lead past it.
#[test]
fn what_the_host_has_is_not_missing_there() {
    let bin = Bin::new();
    bin.put("x", "#!/bin/sh\n", 0o755);
    let usr = || Sandbox::new().ro_bind("/usr", "/usr").ro_bind(bin.path(), "/x");
    let astray = usr().symlink("/nope", "/bin");
    assert!(
        matches!(explain(&astray, "/x/x"), Some(ProgramProblem::DanglingLink { link, .. }) if link == Path::new("/bin"))
    );
    let real = fs::canonicalize("/bin").unwrap();
    let hidden = Sandbox::new().ro_bind("/", "/").ro_bind(bin.path(), "/mnt").tmpfs("/bin");
    let Some(ProgramProblem::InterpreterMissing { bind, .. }) = explain(&hidden, "/mnt/x") else { panic!() };
    assert_eq!(bind, Some(real));
    // the host has it nowhere, or the sandbox shows another tree
    bin.put("y", "#!/no/such\n", 0o755);
    let nowhere = usr().symlink("/nope", "/no");
    for (sandbox, program) in [(nowhere, "/x/y"), (Sandbox::new().ro_bind(bin.path(), "/"), "/x")] {
        let found = explain(&sandbox, program);
        assert!(matches!(found, Some(ProgramProblem::InterpreterMissing { bind: None, .. })), "{found:?}");
    }
}

#[test]
fn a_name_with_a_slash_behind_it_is_a_directorys() {
    let bin = Bin::new();
    bin.put("x", fs::read("/proc/self/exe").unwrap(), 0o755);
    bin.put("script", "#!/bin/sh/\n", 0o755);
    let whole = Sandbox::new().ro_bind("/", "/").ro_bind(bin.path(), "/mnt");
    let told = |program| seek(&whole, program, Attempt::None);
    assert_eq!(told("/mnt/x/"), Some(ProgramProblem::TrailingSlash("/mnt/x/".into())));
    assert!(matches!(told("/mnt/script"), Some(ProgramProblem::BadInterpreter { .. })));
    // a directory, nothing at all, and slashes elsewhere
    assert!(matches!(told("/mnt/"), Some(ProgramProblem::IsDirectory(_))));
    assert!(matches!(told("/mnt/none/"), Some(ProgramProblem::NotFound { .. })));
    assert_eq!(told("//mnt//x"), None);
    let searched = Sought {
        program: OsStr::new("x"),
        path: Some(OsStr::new("/mnt/")),
        home: None,
        attempt: Attempt::None,
    };
    assert_eq!(find(&whole, searched), None);
}
