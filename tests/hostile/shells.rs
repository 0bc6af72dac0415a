//! What a shell makes of text that is pasted into it.

use std::fmt::Write as _;

use bwrap_launch::Sandbox;

/// Those that people have as `sh`.
pub(crate) const SHELLS: [&str; 3] = ["/usr/bin/dash", "/usr/bin/bash", "/usr/bin/busybox sh"];

/// Pastes blocks into a shell, one after the other, in a sandbox in which everything is a tmpfs and every command a stub. Answers
/// with the numbers of those that ran something else, or took a name for an option.
pub(crate) fn paste(shell: &str, blocks: &[&str]) -> Vec<(usize, String)> {
    let directory = tempfile::tempdir().unwrap();
    for (number, block) in blocks.iter().enumerate() {
        std::fs::write(directory.path().join(number.to_string()), block).unwrap();
    }
    let stub = "#!/bin/sh\nfor word; do case $word in --) break;; -*EVIL*) : > /canary/option;; esac; done\ncat > /dev/null 2>&1 < /dev/null\n";
    let mut commands = String::new();
    for name in [
        "aa-exec",
        "apparmor_parser",
        "apt-get",
        "chmod",
        "chown",
        "df",
        "dmesg",
        "docker",
        "dnf",
        "findmnt",
        "fuser",
        "install",
        "kubectl",
        "ls",
        "mkdir",
        "mount",
        "mv",
        "namei",
        "podman",
        "rm",
        "sed",
        "semodule",
        "setcap",
        "sudo",
        "sysctl",
        "systemctl",
        "touch",
        "umount",
        "wsl",
        "lxc",
        "stat",
        "cp",
        "ln",
        "getcap",
        "restorecon",
        "oc",
        "loginctl",
        "ausearch",
        "grep",
    ] {
        let _ = write!(commands, "ln -s stub /stubs/{name}; ");
    }
    let driver = format!(
        "{commands}cd /job; number=0
         while [ -e /in/$number ]; do
             rm -rf /canary/* /job/*
             PATH=/stubs /usr/bin/timeout 5 {shell} /in/$number < /dev/null > /dev/null 2>&1
             for found in /canary/*; do [ -e $found ] && echo $number $found; done
             number=$((number + 1))
         done; echo done"
    );
    let stub = bwrap_launch::op::File::new(stub, "/stubs/stub").mode(0o755);
    let sandbox = Sandbox::new().tmpfs("/").ro_bind("/usr", "/usr");
    let sandbox = ["bin", "lib", "lib64", "sbin"]
        .iter()
        .fold(sandbox, |sandbox, name| sandbox.symlink(format!("usr/{name}"), format!("/{name}")));
    let sandbox = ["/stubs", "/canary", "/job", "/etc", "/run", "/tmp", "/var"]
        .iter()
        .fold(sandbox, |sandbox, path| sandbox.dir(*path))
        .add(stub)
        // of bwrap every word is one for an option before it
        .symlink("/usr/bin/true", "/stubs/bwrap")
        .symlink("/usr/bin/cat", "/stubs/cat")
        .symlink("/usr/bin/printf", "/stubs/printf")
        .ro_bind(directory.path(), "/in")
        .proc("/proc")
        .dev("/dev")
        .unshare_all()
        .die_with_parent()
        .env("PATH", "/usr/bin:/bin");
    let output = sandbox.command("sh").args(["-c", &driver]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with("done\n"), "{shell}: {text}{}", String::from_utf8_lossy(&output.stderr));
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(number, found)| (number.parse().unwrap(), found.to_owned())).collect()
}
