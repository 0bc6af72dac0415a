//! Programs that nobody here wrote, with sandboxes of their own: as before with the stand-in, and a fault that we make is explained.
//! Where one is not there, its case is skipped by name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use serde_json::json;

use crate::cases;
use crate::common::{Case, Here, skip};
use crate::kit::{Ran, TOOLS, real, run, shell};

pub(crate) const CASES: &[Case] = cases![zuuls_driver, ansible_runner, sandbox_runtime, codex, flatpak, nix];

/// A tool that `scripts/test-tools` fetches.
fn tool(name: &str) -> PathBuf {
    let path = Path::new(TOOLS).join(name);
    if fs::read_dir(&path).is_err() {
        skip(&format!("{name} is not there, or not for this user; `make setup` fetches it"));
    }
    path
}

fn needs(program: &str) {
    if !Process::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap().status.success() {
        skip(&format!("there is no {program}"));
    }
}

/// A script that finds a bwrap first on its PATH, a real one or the stand-in.
fn client(here: &Here, bwrap: &Path, script: &str) -> Ran {
    let search = "mkdir bin home; ln -s \"$B\" bin/bwrap; export PATH=$PWD/bin:/usr/local/bin:/usr/bin:/bin HOME=$PWD/home; \
                  export BWRAP_DOCTOR_BWRAP=$REAL; ";
    let mut process = shell(here, bwrap, &format!("{search}{script}"));
    process.env("REAL", real(here));
    if bwrap == here.bwrap.path() {
        process.env("STOOD_IN", "1");
    }
    run(process)
}

/// That a client does the same on both.
fn runs(here: &Here, script: &str, status: i32, out: &str) {
    for bwrap in [real(here), here.bwrap.path().to_owned()] {
        let ran = client(here, &bwrap, script);
        assert!(ran.status.code() == Some(status) && ran.out.contains(out), "{script}\n{ran:?}");
        assert!(!format!("{}{}", ran.out, ran.err).contains("Cause: "), "{script}\n{ran:?}");
    }
}

/// That a client fails on both, alike but for the explanation.
fn is_explained(here: &Here, script: &str, code: &str) {
    let plain = client(here, &real(here), script);
    let explained = client(here, here.bwrap.path(), script);
    assert_eq!(plain.status, explained.status, "{plain:?}\n{explained:?}");
    let said = |ran: &Ran| format!("{}{}", ran.out, ran.err);
    let has_cause = said(&explained).lines().any(|line| line.contains("Cause: ") && line.contains(code));
    assert!(has_cause && !said(&plain).contains("Cause: "), "{plain:?}\n{explained:?}");
}

fn zuuls_driver(here: &Here) {
    let packages = tool("zuul-14.3.0");
    let driver = include_str!("../zuul/driver.py");
    let script = |words: &[&str], ro: &str| {
        let work = here.scratch.join("work");
        fs::create_dir_all(&work).unwrap();
        let environment = json!({"zuul": packages, "env": {"PATH": "PLACE/bin:/usr/bin:/bin", "HOME": work,
            "BWRAP_DOCTOR_BWRAP": real(here)}});
        let request = json!({"ro": [ro], "rw": [], "secrets": [["/run/secret", "x"]],
            "popen": {"work_dir": work, "home_dir": work}, "args": words, "cwd": work,
            "env": {"PATH": "PLACE/bin:/usr/bin:/bin", "BWRAP_DOCTOR_BWRAP": real(here)}});
        format!(
            "cat >driver.py <<'END'\n{driver}\nEND\ncat >asked <<'END'\n{environment}\n{request}\nEND\n\
             sed -i \"s|PLACE|$PWD|g\" asked; exec /usr/bin/python3 driver.py <asked"
        )
    };
    let echo = script(&["/usr/bin/sh", "-c", "echo ran; exit 3"], "/usr");
    runs(here, &echo, 0, "\"returncode\": 3, \"stdout\": \"ran\\n\"");
    is_explained(here, &script(&["/usr/bin/true"], "/nonexistent"), "BD01");
}

fn ansible_runner(here: &Here) {
    let packages = tool("ansible-runner-2.4.3");
    needs("/usr/bin/python3");
    let script = |command: &str, more: &str| {
        format!(
            "mkdir -p job/project; echo '{command}' >job/args; PYTHONPATH={} exec /usr/bin/python3 -c '
import ansible_runner
done = ansible_runner.run(private_data_dir=\"job\", process_isolation=True, process_isolation_executable=\"bwrap\", quiet=True,
                          process_isolation_path=\"/tmp\"{more})
print(done.status, done.rc, done.stdout.read())'",
            packages.display()
        )
    };
    runs(here, &script("echo hello", ""), 0, "successful 0 hello");
    runs(here, &script("sh -c \"exit 3\"", ""), 0, "failed 3");
    // it gives bwrap a terminal of its own, which ends with bwrap
    let logged = script("no-such-command", "").replacen("exec ", "", 1);
    let wait = "if [ -n \"$STOOD_IN\" ]; then until grep -q '^The command line' log; do sleep 0.01; done 2>/dev/null; cat log; fi";
    is_explained(here, &format!("export BWRAP_DOCTOR_LOG=$PWD/log; {logged}\n{wait}"), "EX02");
}

fn sandbox_runtime(here: &Here) {
    let packages = tool("sandbox-runtime-0.0.83");
    for program in ["node", "socat", "rg"] {
        needs(program);
    }
    let line = |rest: &str| {
        format!(
            "exec node {}/node_modules/@anthropic-ai/sandbox-runtime/dist/cli.js {rest}",
            packages.display()
        )
    };
    runs(here, &line("echo hello"), 0, "hello");
    runs(here, &line("-c 'exit 3'"), 3, "");
    // bwrap can make no namespace for it
    let limited = |line: &str| {
        format!("mkdir proc; {} --dev-bind / / --unshare-user --tmpfs /proc/sys {line}", real(here).display())
    };
    is_explained(here, &limited(&line("echo hello").replace("exec ", "")), "PR");
}

/// Its command for a sandbox alone, which needs no account. With no bwrap of its own beside it, it takes the first one on its PATH that
/// is not below the directory it works in; it follows links to that, so that the stand-in must be a file of this name.
fn codex(here: &Here) {
    let program = tool("codex-0.171.0").join("codex");
    let line = |prefix: &str, rest: &str| {
        // it keeps links to itself, and not where others put temporary files
        let own = "mkdir -p home/.codex tmp work; export CODEX_HOME=$PWD/home/.codex TMPDIR=$PWD/tmp";
        let copy =
            "if [ -n \"$STOOD_IN\" ]; then cp --remove-destination -L \"$B\" bin/bwrap; fi; PATH=${PATH%%:*}";
        format!("{own}; {copy}; cd work; exec {prefix} {} sandbox -- {rest}", program.display())
    };
    runs(here, &line("", "/bin/sh -c 'echo hello; exit 3'"), 3, "hello");
    runs(here, &line("", "/bin/sh -c '(echo x >here) 2>/dev/null || echo read-only'"), 0, "read-only");
    // bwrap gets no namespace for it
    let limited = format!("{} --dev-bind / / --unshare-user --disable-userns --", real(here).display());
    is_explained(here, &line(&limited, "/bin/echo hello"), "NS");
}

/// Makes a runtime of busybox alone and an app, and installs them for the user who runs this.
const FLATPAK: &str = "
set -e
if [ -d $TOOL ]; then export PATH=$PATH:$TOOL/usr/bin LD_LIBRARY_PATH=$(echo $TOOL/usr/lib/*-linux-gnu); fi
export XDG_DATA_HOME=$PWD/home/data XDG_CACHE_HOME=$PWD/home/cache XDG_RUNTIME_DIR=$PWD/home/run FLATPAK_BWRAP=$PWD/bin/bwrap
mkdir -p -m 700 $XDG_RUNTIME_DIR
mkdir -p runtime/usr/bin runtime/files app/files/bin app/export
cp $(command -v busybox) runtime/usr/bin/sh
ref=org.example.Platform/$(uname -m)/1
printf '[Runtime]\nname=org.example.Platform\nruntime=%s\nsdk=%s\n' $ref $ref >runtime/metadata
printf '[Application]\nname=org.example.App\nruntime=%s\nsdk=%s\ncommand=hello\n' $ref $ref >app/metadata
printf '#!/bin/sh\necho hello from $FLATPAK_ID\nexit 3\n' >app/files/bin/hello
chmod +x app/files/bin/hello
{
    flatpak build-export --runtime repo runtime 1
    flatpak build-export --disable-sandbox repo app
    flatpak --user remote-add --no-gpg-verify here repo
    flatpak --user install -y --noninteractive here org.example.Platform//1 org.example.App
} >log 2>&1 || { cat log >&2; exit 99; }
set +e
";

fn flatpak(here: &Here) {
    let tool = Path::new(TOOLS).join("flatpak");
    if fs::read_dir(&tool).is_err() {
        needs("flatpak");
    }
    if !here.root && !Path::new("/run/dbus/system_bus_socket").exists() {
        skip("flatpak asks the system's D-Bus whether a user may install an app, and there is none");
    }
    // it is all that the runtime has
    let busybox = Process::new("sh").args(["-c", "ldd $(command -v busybox)"]).output().unwrap();
    if busybox.status.success() {
        skip("busybox is not linked statically");
    }
    let run = |prefix: &str, options: &str| {
        format!("TOOL={}; {FLATPAK} exec {prefix} flatpak run {options} org.example.App", tool.display())
    };
    let line = |prefix: &str| run(prefix, "");
    runs(here, &line(""), 3, "hello from org.example.App");
    // the runtime and the app come by descriptors
    is_explained(here, &run("", "--command=gone"), "EX02");
    // bwrap gets no namespace for it; what it is given cannot be read twice, so that the verdict alone is told
    let limited = "--dev-bind / / --unshare-user --disable-userns --cap-drop ALL --";
    let script = line(&format!("{} {limited}", real(here).display()));
    let [plain, told] = [real(here), here.bwrap.path().to_owned()].map(|bwrap| client(here, &bwrap, &script));
    assert!(plain.status == told.status && plain.err.contains("bwrap: "), "{plain:?}\n{told:?}");
    let verdict = |ran: &Ran| ran.err.contains("bwrap refused to make the sandbox; the command did not run");
    assert!(verdict(&told) && !verdict(&plain), "{plain:?}\n{told:?}");
}

/// What `nix-build` confines builds with is not bwrap. What calls bwrap is made by nixpkgs' buildFHSEnv.
fn nix(_: &Here) {
    skip(
        "buildFHSEnv, which calls bwrap, comes with nixpkgs, and Debian's nix-bin without: nothing to build it from offline",
    );
}
