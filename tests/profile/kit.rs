//! What both presets are tried with.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use bwrap_launch::profile::{agent, ci};
use bwrap_launch::{Bwrap, Command, Sandbox};

use crate::common::{Here, host, released, watch, within};

/// A directory of the case's.
pub(crate) fn directory(here: &Here, name: &str) -> PathBuf {
    let path = here.scratch.join(name);
    fs::create_dir_all(&path).unwrap();
    path
}

/// A script of which every line must do what it says.
pub(crate) fn holds(here: &Here, sandbox: &Sandbox, lines: &[&str]) {
    for line in lines {
        let output = here.shell(sandbox, line).output().unwrap_or_else(|error| panic!("{error}\n{sandbox}"));
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A script of which no line may succeed.
pub(crate) fn fails(here: &Here, sandbox: &Sandbox, lines: &[&str]) {
    for line in lines {
        let output = here.shell(sandbox, line).output().unwrap_or_else(|error| panic!("{error}\n{sandbox}"));
        assert!(!output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

/// This program inside, to play a helper.
pub(crate) fn helper(here: &Here, sandbox: &Sandbox, name: &str) -> Command {
    let program = std::env::current_exe().unwrap();
    here.helper(&sandbox.clone().ro_bind(&program, &program), name)
}

/// Files that only their owner may write to, which we are: root of its own, and anybody of the rest of `/tmp`.
pub(crate) fn unwritten(here: &Here, sandbox: &Sandbox) {
    let mut lines: Vec<String> =
        ["/", "/etc", "/usr", "/usr/bin", "/var", "/opt", "/boot", "/srv", "/proc/sys/kernel"]
            .into_iter()
            .filter(|path| Path::new(path).is_dir())
            .map(|path| format!("touch {path}/.written"))
            .collect();
    // opened to write, and nothing written: what should be wrong here must do no harm
    for file in
        ["/proc/sys/kernel/printk", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/etc/passwd"]
    {
        lines.push(format!(": >> {file}"));
    }
    lines.push("chmod u+r /etc/passwd".to_owned());
    lines.push("mount -o remount,rw / / || mount -t tmpfs none /mnt".to_owned());
    fails(here, sandbox, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    // what it writes elsewhere is its own
    let name = here.scratch.file_name().unwrap().to_str().unwrap();
    for directory in ["/tmp", "/var/tmp", "/run", "/home"] {
        if Path::new(directory).is_dir() {
            holds(here, sandbox, &[&format!("echo x > {directory}/{name}")]);
            assert!(!Path::new(directory).join(name).exists());
        }
    }
    // nothing of it is there the next time
    fails(here, sandbox, &[&format!("cat /tmp/{name}")]);
}

/// No variable, no descriptor.
pub(crate) fn inherits_nothing(here: &Here, sandbox: &Sandbox) {
    let variables =
        here.prints(sandbox, "env | cut -d= -f1 | grep -v -e PWD -e SHLVL -e '^_$' | sort | tr '\\n' ' '");
    assert_eq!(variables, "HOME LANG PATH TMPDIR ");
    let open = fs::File::open("/etc/passwd").unwrap();
    let kept = rustix::io::fcntl_dupfd_cloexec(&open, 20).unwrap();
    rustix::io::fcntl_setfd(&kept, rustix::io::FdFlags::empty()).unwrap();
    let output = helper(here, sandbox, "descriptors").output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "[0, 1, 2]\n");
}

/// Nothing in homes and `/run` but what names are resolved with.
pub(crate) fn homes_are_empty(here: &Here, sandbox: &Sandbox) {
    assert!(fs::read_dir("/run").unwrap().next().is_some(), "there is nothing to be hidden here");
    let script =
        "for dir in /root /home /run \"$1\"; do test ! -d \"$dir\" || find \"$dir\" -type f -o -type s; done";
    let home = std::env::home_dir().filter(|home| home != Path::new("/")).unwrap_or("/root".into());
    let output = here.shell(sandbox, script).arg("sh").arg(home).output().unwrap();
    let seen = String::from_utf8(output.stdout).unwrap();
    assert!(seen.lines().all(|path| path.starts_with("/run/systemd/resolve/")), "{seen}");
}

/// Neither the network nor sockets without a file.
pub(crate) fn is_alone(here: &Here, sandbox: &Sandbox) {
    let devices = "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' \\n'";
    assert_eq!(here.prints(sandbox, devices), "lo");
    let name = here.scratch.to_str().unwrap().to_owned();
    let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let connect =
        |sandbox: &Sandbox| helper(here, sandbox, "abstract").arg(&name).status().unwrap().success();
    assert!(!connect(sandbox));
    assert!(connect(&sandbox.clone().share_net()));
}

/// A helper: connects to an abstract socket.
pub(crate) fn abstract_socket(words: &[String]) {
    let address = SocketAddr::from_abstract_name(&words[0]).unwrap();
    std::process::exit(UnixStream::connect_addr(&address).is_err().into());
}

/// Of processes it has its own, and of sessions.
pub(crate) fn sees_only_itself(here: &Here, sandbox: &Sandbox) {
    let own = std::process::id();
    let script = "for comm in /proc/[0-9]*/comm; do read -r name < $comm && echo $name; done";
    assert_eq!(here.prints(sandbox, script), "bwrap\nsh\n");
    fails(here, sandbox, &[&format!("kill -0 {own}"), "echo x > /dev/tty"]);
    // its own session
    assert_eq!(here.prints(sandbox, "cut -d' ' -f6 /proc/self/stat | grep -c -v '^0$'"), "1\n");
    let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];
    for kind in kinds {
        let link = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert_ne!(
            here.prints(sandbox, &format!("readlink /proc/self/ns/{kind}")).trim(),
            link.to_str().unwrap()
        );
    }
}

/// No capability, nor a way to one.
pub(crate) fn has_no_privileges(here: &Here, sandbox: &Sandbox) {
    let status = here.prints(sandbox, "grep -e ^Cap -e ^NoNewPrivs /proc/self/status | tr -d '\\t'");
    let zero = "0".repeat(16);
    let sets =
        ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|set| format!("{set}:{zero}\n")).concat();
    assert_eq!(status, format!("{sets}NoNewPrivs:1\n"));
}

/// A background process ends with the command, and both with the caller.
pub(crate) fn ends_with_the_caller(here: &Here, preset: &str, directory: &Path) {
    let sandbox = &made(preset, directory);
    let mut command = here.shell(sandbox, "sleep 600 & exit 0");
    let pipe = watch(&mut command);
    assert!(command.status().unwrap().success());
    drop(command);
    assert!(released(&pipe, crate::common::SETTLE));

    let work = directory.join("alive");
    let mut caller = Process::new(std::env::current_exe().unwrap());
    caller
        .args(["--helper", "caller"])
        .arg(here.bwrap.path())
        .arg(preset)
        .arg(directory)
        .stdin(Stdio::null());
    let mut caller = caller.spawn().unwrap();
    assert!(within(Duration::from_secs(10), || work.exists()));
    caller.kill().unwrap();
    caller.wait().unwrap();
    let size = || fs::metadata(&work).unwrap().len();
    assert!(within(crate::common::SETTLE, || {
        let before = size();
        std::thread::sleep(Duration::from_millis(60));
        size() == before
    }));
}

/// A helper: runs what goes on writing.
pub(crate) fn caller(words: &[String]) {
    let bwrap = Bwrap::at(&words[0]).unwrap();
    let sandbox = made(&words[1], Path::new(&words[2]));
    // bwrap's process 1 arms its signal beside the command, and then sleeps; before that the end of the caller may miss it
    // (what `die_with_caller` is for)
    let armed = "until grep -q '^State:.S' /proc/1/status; do sleep 0.01; done";
    let script = format!("{armed}; while :; do echo x >> alive; sleep 0.01; done");
    let _ = sandbox.command("sh").args(["-c", &script]).bwrap(&bwrap).status();
}

/// A preset, by its name.
fn made(preset: &str, directory: &Path) -> Sandbox {
    match preset {
        "ci" => ci::on_host(directory).unwrap(),
        "agent" => agent::in_project(directory).unwrap(),
        _ => panic!("no preset is called {preset}"),
    }
}

/// The least root file system there is: the host's programs.
pub(crate) fn root_file_system(here: &Here) -> PathBuf {
    let root = directory(here, "rootfs");
    for name in ["dev", "home", "proc", "run", "tmp", "usr", "etc"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    root
}

/// The host, as a base to compare with.
pub(crate) fn reachable(here: &Here, line: &str) {
    assert!(here.shell(&host(), line).status().unwrap().success(), "{line}");
}
