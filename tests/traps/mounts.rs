//! Mounts: what they allow, where they land, what they leave on the host.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use bwrap_launch::op::{
    Bind, BindData, BindFd, Chmod, Dev, Dir, File, Mqueue, Operation, Overlay, Proc, RemountRo, Symlink,
    Tmpfs,
};
use bwrap_launch::{Descriptor, Errno, Error, Invalid, Lint, Namespaces, Place, Problem, Sandbox, Stage};

use crate::common::{Here, host, skip};
use crate::support::{at, lints, lints_for, own_namespace, prints, refused, status_mask};

/// The failure of a sandbox that cannot be set up, at this stage, with this error number.
#[track_caller]
fn fails(here: &Here, sandbox: &Sandbox, stage: Stage, errno: i32) {
    let error = here.command(sandbox, "true").output().unwrap_err();
    let Error::SetupFailed(failure) = &error else { panic!("{error:?}\n{sandbox}") };
    assert_eq!(failure.stage(), Some(stage), "{failure:?}");
    let message = failure.message().unwrap();
    assert_eq!(message.errno().and_then(Errno::code), Some(errno), "{failure:?}");
}

fn linted_below_writable(lints: &[Lint]) -> bool {
    lints.iter().any(|lint| matches!(lint, Lint::DestinationBelowWritable { .. }))
}

/// Trap 8: `--share-net` before `--unshare-all` has no effect; here the order of the calls does not matter.
pub(crate) fn share_net_holds_in_either_order(here: &Here) {
    let own = own_namespace("net");
    let inside = |sandbox: Sandbox| {
        here.prints(&sandbox.proc("/proc"), "readlink /proc/self/ns/net").trim().to_owned()
    };
    assert_eq!(inside(host().share_net().unshare_all()), own);
    assert_eq!(inside(host().unshare_all().share_net()), own);
    assert_ne!(inside(host().unshare_all()), own);
    assert_eq!(inside(host().share_net()), own);
    // a line that is read means what it means to bwrap, trap included
    let read = |line: &[&str]| {
        let sandbox = Sandbox::from_args(line.iter().copied()).unwrap();
        inside(sandbox.ro_bind("/", "/"))
    };
    assert_ne!(read(&["--share-net", "--unshare-all"]), own);
    assert_eq!(read(&["--unshare-all", "--share-net"]), own);
    for sandbox in [host().share_net().unshare(Namespaces::NET), host().unshare(Namespaces::NET).share_net()]
    {
        refused(here, &sandbox, Place::Namespaces, Problem::NetworkSharedAndNot);
    }
}

/// Section 7: a bind is nosuid always, nodev unless it is a device bind; after a plain `/` even null does not work.
pub(crate) fn devices_work_where_they_are_asked_for(here: &Here) {
    let no_devices = |sandbox: &Sandbox| lints(sandbox).contains(&Lint::NoDevices("/".into()));
    let script = "(echo x > /dev/null) 2>&- && echo works || echo fails";
    let plain = Sandbox::new().ro_bind("/", "/").env("PATH", "/usr/bin:/bin");
    assert!(no_devices(&plain));
    prints(here, &plain, script, &["fails"]);
    for sandbox in [plain.clone().dev("/dev"), Sandbox::new().dev_bind("/", "/").env("PATH", "/usr/bin:/bin")]
    {
        assert!(!no_devices(&sandbox), "{sandbox}");
        prints(here, &sandbox, script, &["works"]);
    }
    let sandbox = host().tmpfs("/mnt").dir("/mnt/a").dir("/mnt/b").proc("/proc");
    let sandbox = sandbox.dev_bind("/usr", "/mnt/a").ro_bind("/usr", "/mnt/b");
    let text = here.prints(&sandbox, "cat /proc/self/mountinfo");
    let options = |path: &str| {
        let line = text.lines().find(|line| line.split(' ').nth(4) == Some(path)).unwrap();
        line.split(' ').nth(5).unwrap().to_owned()
    };
    assert!(options("/mnt/a").contains("nosuid") && !options("/mnt/a").contains("nodev"), "{text}");
    let plain = options("/mnt/b");
    assert!(plain.contains("nosuid") && plain.contains("nodev") && plain.starts_with("ro"), "{text}");
}

/// `--dev` makes the nodes that programs count on.
pub(crate) fn the_device_nodes_are_there(here: &Here) {
    let script = "for n in null zero full random urandom tty; do test -c /dev/$n || echo no $n; done; \
                  for n in stdin stdout stderr fd core ptmx; do test -L /dev/$n || echo no $n; done; \
                  test -d /dev/pts || echo no pts; stat -c %t:%T /dev/null; head -c3 /dev/zero | wc -c";
    prints(here, &host().proc("/proc"), script, &["1:3", "3"]);
}

/// Section 7: a destination is relative to the new root, whatever its form.
pub(crate) fn destinations_are_relative_to_the_root(here: &Here) {
    let sandbox = host()
        .tmpfs("mnt")
        .file("a", "mnt/a")
        .file("b", "/mnt/./b")
        .file("c", "//mnt//c")
        .current_dir("/usr");
    prints(here, &sandbox, "cat /mnt/a /mnt/b /mnt/c", &["abc"]);
    let hidden = Sandbox::new().ro_bind("/usr", "mnt/x").tmpfs("/mnt/");
    assert!(lints(&hidden).contains(&Lint::HidesEarlier { hidden: 0 }), "{:?}", lints(&hidden));
}

/// Trap 19: a mount on the root, or on something above, hides what came before.
pub(crate) fn hiding_what_came_before_is_linted(here: &Here) {
    for root in ["/", ".", "//", "/usr/.."] {
        let sandbox = Sandbox::new().ro_bind("/usr", "/usr").tmpfs(root);
        assert!(lints(&sandbox).contains(&Lint::HidesEarlier { hidden: 0 }), "{root}");
    }
    let sandbox = host().tmpfs("/mnt").dir("/mnt/a").ro_bind("/usr", "/mnt");
    assert!(lints(&sandbox).contains(&Lint::HidesEarlier { hidden: 2 }), "{:?}", lints(&sandbox));
    prints(here, &sandbox, "test -e /mnt/a || echo hidden", &["hidden"]);
    // beside it, or below it, nothing is hidden
    let sandbox =
        Sandbox::new().ro_bind("/usr", "/usr").tmpfs("/tmp").tmpfs("/usr/share").ro_bind("/etc", "/usr2");
    let hides = lints(&sandbox).into_iter().find(|lint| matches!(lint, Lint::HidesEarlier { .. }));
    assert_eq!(hides, None);
}

/// Section 7: an optional bind forgives a missing source, and nothing else.
pub(crate) fn optional_binds_forgive_absence_only(here: &Here) {
    let file = here.scratch.join("file");
    fs::write(&file, "x").unwrap();
    let optional =
        |source: &std::path::Path| host().tmpfs("/mnt").add(Bind::read_only(source, "/mnt/x").optional());
    prints(here, &optional(&here.scratch.join("missing")), "test -e /mnt/x || echo absent", &["absent"]);
    prints(here, &optional(&file), "cat /mnt/x", &["x"]);
    fails(here, &optional(&file.join("below")), Stage::Sources, libc::ENOTDIR);
    let long = here.scratch.join("n".repeat(256));
    fails(here, &optional(&long), Stage::Sources, libc::ENAMETOOLONG);
    let link = here.scratch.join("loop");
    symlink("loop", &link).unwrap();
    fails(here, &optional(&link), Stage::Sources, libc::ELOOP);
    // somebody else's directory: in a user namespace bwrap overrides only our own permissions
    if fs::read_dir("/root").is_err() {
        fails(here, &optional("/root/x".as_ref()), Stage::Sources, libc::EACCES);
    }
    fails(here, &host().ro_bind(here.scratch.join("missing"), "/mnt"), Stage::Sources, libc::ENOENT);
}

/// bwrap before 0.12 follows `..` in a destination out of the new root, where `/oldroot` is the host: none is let
/// through, whatever the operation, and none is launched.
pub(crate) fn destinations_cannot_climb(here: &Here) {
    let operations = |to: &'static str| -> [(Operation, &'static str); 13] {
        [
            (Bind::read_only("/usr", to).optional().into(), "read-only bind"),
            (BindFd::read_only(Descriptor::number(0), to).into(), "bind of a descriptor"),
            (RemountRo::new(to).into(), "read-only remount"),
            (Overlay::temporary(to).layer("/usr").into(), "overlay"),
            (Proc::new(to).into(), "proc"),
            (Dev::new(to).into(), "dev"),
            (Tmpfs::new(to).into(), "tmpfs"),
            (Mqueue::new(to).into(), "mqueue"),
            (Dir::new(to).into(), "dir"),
            (File::new("x", to).into(), "file"),
            (BindData::read_only("x", to).into(), "bind of data"),
            (Symlink::new("x", to).into(), "symlink"),
            (Chmod::new(0o755, to).into(), "chmod"),
        ]
    };
    for to in ["/../x", "../x", "..", "/a/../b", "a/b/.."] {
        for (operation, name) in operations(to) {
            refused(here, &Sandbox::new().add(operation), at(0, name, to), Problem::ParentDir);
        }
    }
    for to in ["/...", "/..a/b..", "./a"] {
        assert_eq!(Sandbox::new().dir(to).check(), Ok(()), "{to}");
    }
    // a line that has one is read, and refused with its place; sources and links may climb
    let line = Sandbox::from_args(["--ro-bind", "/usr/../usr", "/usr", "--tmpfs", "/a/../b"]).unwrap();
    refused(here, &line, at(1, "tmpfs", "/a/../b"), Problem::ParentDir);
    assert_eq!(Sandbox::new().ro_bind("/usr/../usr", "/usr").symlink("../x", "/y").check(), Ok(()));
}

/// Section 7: a missing destination is created where it is: on the host, inside a writable bind, and it stays.
pub(crate) fn destinations_created_on_the_host_are_linted(here: &Here) {
    let shared = here.scratch.join("shared");
    fs::create_dir(&shared).unwrap();
    let base = host().tmpfs("/mnt").dir("/mnt/d").bind(&shared, "/mnt/d");
    assert!(!linted_below_writable(&lints(&base)), "nothing is created below yet");
    let below: [Sandbox; 6] = [
        base.clone().ro_bind("/usr", "/mnt/d/a/b"),
        base.clone().tmpfs("/mnt/d/c"),
        base.clone().dir("/mnt/d/e"),
        base.clone().file("x", "/mnt/d/f"),
        base.clone().add(BindData::read_only("x", "/mnt/d/g")),
        base.clone().symlink("x", "/mnt/d/h"),
    ];
    for sandbox in below {
        assert!(linted_below_writable(&lints(&sandbox)), "{sandbox}");
        assert!(!linted_below_writable(&lints_for(&sandbox, |c| c.resolves_in_root = true)), "{sandbox}");
        let advised = here.command(&sandbox, "true").lint().into_iter().map(|advice| advice.lint);
        assert_eq!(linted_below_writable(&advised.collect::<Vec<_>>()), !here.bwrap.resolves_in_root());
        assert!(here.command(&sandbox, "true").status().unwrap().success());
    }
    let mut left: Vec<_> = fs::read_dir(&shared).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["a", "c", "e", "f", "g", "h"], "what the advice warns of");
    // the upper directory of an overlay keeps a link as a bind does; what is lost at the end keeps none
    let overlaid = |overlay: Overlay| lints(&Sandbox::new().add(overlay.layer("/l")).file("x", "/o/x"));
    assert!(linted_below_writable(&overlaid(Overlay::writable("/u", "/w", "/o"))));
    assert!(!linted_below_writable(&overlaid(Overlay::temporary("/o"))));
    assert!(!linted_below_writable(&overlaid(Overlay::read_only("/o"))));
    // a read-only bind, or a file system of the sandbox's own in between, is none of that
    let safe = host().bind(&shared, "/mnt").tmpfs("/mnt/a").dir("/mnt/a/x");
    let at_last = lints(&safe.clone());
    assert!(linted_below_writable(&at_last), "the tmpfs itself is");
    let safe = host().tmpfs("/mnt").ro_bind(&shared, "/mnt/r").file("x", "/mnt/x");
    assert!(!linted_below_writable(&lints(&safe)));
}

/// Traps 10 and 11, CVE-2026-87766: a symlink that an earlier run left in a writable bind leads onto the host.
pub(crate) fn planted_symlinks_lead_nowhere(here: &Here) {
    let (shared, outside) = (here.scratch.join("shared"), here.scratch.join("outside"));
    fs::create_dir(&shared).unwrap();
    fs::create_dir(&outside).unwrap();
    symlink(format!("/oldroot{}", outside.display()), shared.join("link")).unwrap();
    let sandbox = host().tmpfs("/mnt").dir("/mnt/d").bind(&shared, "/mnt/d").dir("/mnt/d/link/planted");
    assert!(linted_below_writable(&lints(&sandbox)));
    if !here.bwrap.resolves_in_root() {
        skip(&format!(
            "bwrap {} follows such links out of the root; it is linted",
            here.bwrap.version_text()
        ));
    }
    let _ = here.command(&sandbox, "true").output();
    assert!(!outside.join("planted").exists());
}

/// Trap 10: bwrap 0.12 and newer refuse a mount on a symlink, with an error that names it.
pub(crate) fn symlinked_destinations_are_refused(here: &Here) {
    let sandbox = host().tmpfs("/mnt").symlink("/usr", "/mnt/link").ro_bind("/etc", "/mnt/link");
    assert!(lints(&sandbox).contains(&Lint::HidesEarlier { hidden: 3 }), "{:?}", lints(&sandbox));
    if !here.bwrap.resolves_in_root() {
        skip(&format!("bwrap {} follows the link; it is linted", here.bwrap.version_text()));
    }
    let error = here.command(&sandbox, "true").output().unwrap_err();
    let Error::SetupFailed(failure) = &error else { panic!("{error:?}") };
    assert_eq!(failure.message().unwrap().path(), Some("/mnt/link".as_ref()), "{failure:?}");
}

/// Section 7: `--file` truncates an existing file, on the host too; data that is bound never does.
pub(crate) fn bound_data_never_touches_the_host(here: &Here) {
    let shared = here.scratch.join("shared");
    fs::create_dir(&shared).unwrap();
    let target = shared.join("f");
    fs::write(&target, "long content of the host's").unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).unwrap();
    let base = || host().tmpfs("/mnt").dir("/mnt/d").bind(&shared, "/mnt/d");
    let data = base().add(BindData::read_only("new", "/mnt/d/f").mode(0o604));
    prints(here, &data, "cat /mnt/d/f; echo; stat -c %a /mnt/d/f", &["new", "604"]);
    assert_eq!(fs::read_to_string(&target).unwrap(), "long content of the host's");
    let file = base().add(File::new("new", "/mnt/d/f").mode(0o600));
    assert!(linted_below_writable(&lints(&file)), "it is the host's file");
    prints(here, &file, "cat /mnt/d/f; echo; stat -c %a /mnt/d/f", &["new", "644"]);
    assert_eq!(fs::read_to_string(&target).unwrap(), "new");
}

/// Section 7: a read-only bind covers its submounts; a remount does not.
pub(crate) fn read_only_is_recursive(here: &Here) {
    let sandbox = host().proc("/proc");
    let script = "awk '$6 !~ /^ro/ && $5 !~ \"^/(dev|proc)\" {print $5}' /proc/self/mountinfo";
    prints(here, &sandbox, script, &[]);
    let sandbox = host().tmpfs("/mnt").tmpfs("/mnt/sub").add(RemountRo::new("/mnt"));
    prints(here, &sandbox, "(: > /mnt/x) 2>&- || echo ro; (: > /mnt/sub/x) && echo rw", &["ro", "rw"]);
}

/// Section 7: layers whose names hold what separates mount options.
pub(crate) fn overlay_paths_are_escaped(here: &Here) {
    here.needs("--overlay");
    let layer = |name: &str, file: &str| {
        let path = here.scratch.join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join(file), file).unwrap();
        path
    };
    let (a, b) = (layer("a:b,c=d\\e", "low"), layer("--overlay-src", "high"));
    let sandbox = host().tmpfs("/mnt").add(Overlay::temporary("/mnt/o").layer(&a).layer(&b));
    prints(here, &sandbox, "cat /mnt/o/low /mnt/o/high; : > /mnt/o/new; ls /mnt/o | wc -l", &["lowhigh3"]);
    assert_eq!(
        fs::read_dir(&a).unwrap().count() + fs::read_dir(&b).unwrap().count(),
        2,
        "nothing is written"
    );
}

/// An overlay option that this bwrap lacks is an error; it has no place that could be lost.
pub(crate) fn overlay_options_are_not_lost(here: &Here) {
    let sandbox =
        host().tmpfs("/mnt").add(Overlay::temporary("/mnt/o").layer("/usr").option("redirect_dir=on"));
    if here.bwrap.accepts("--overlay-opt") {
        assert!(here.command(&sandbox, "true").status().unwrap().success());
    } else {
        let error = here.command(&sandbox, "true").spawn().unwrap_err();
        assert!(matches!(error, Error::MissingOption(_)), "{error:?}");
    }
}

/// Sources are taken relative to the directory of the caller, which is bwrap's.
pub(crate) fn relative_sources_are_the_callers(here: &Here) {
    fs::write(here.scratch.join("file"), "here").unwrap();
    std::env::set_current_dir(&here.scratch).unwrap();
    prints(here, &host().tmpfs("/mnt").ro_bind("file", "/mnt/x"), "cat /mnt/x", &["here"]);
    // the command starts there too, if it is visible
    prints(here, &host(), "pwd", &[here.scratch.to_str().unwrap()]);
}

/// Trap 12: a mount table that changes meanwhile.
pub(crate) fn races_on_the_mount_table_are_named(_: &Here) {
    skip("wants autofs or a FUSE server that goes away between two system calls of bwrap's");
}

/// Trap 16: before 0.13, a bind loses `nosymfollow`.
pub(crate) fn nosymfollow_is_kept(here: &Here) {
    if here.bwrap.version().is_none_or(|version| (version.major, version.minor) < (0, 13)) {
        skip(&format!(
            "bwrap {} loses nosymfollow; nothing above it can put it back",
            here.bwrap.version_text()
        ));
    }
    if !here.root {
        skip("only root can make such a mount");
    }
    let mount = here.scratch.join("m");
    fs::create_dir(&mount).unwrap();
    let script = format!("mount -t tmpfs -o nosymfollow x {0} && exec \"$@\"", mount.display());
    let mut process = std::process::Command::new("unshare");
    process.args(["--mount", "sh", "-c", &script, "sh"]).arg(here.bwrap.path());
    process.args(["--ro-bind", "/", "/", "grep", "-c", "nosymfollow", "/proc/self/mountinfo"]);
    assert_eq!(process.output().unwrap().stdout, b"1\n");
}

/// Trap 21: nesting wants a full `/proc` outside and nothing mounted in it.
pub(crate) fn sandboxes_nest(here: &Here) {
    let stage = here.scratch.ancestors().nth(2).unwrap();
    let outer = Sandbox::new().ro_bind("/", "/").dev("/dev").proc("/proc").unshare(Namespaces::PID);
    let outer = outer.ro_bind(stage, stage).env("PATH", "/usr/bin:/bin");
    let inner = ["--ro-bind", "/", "/", "--unshare-pid", "--proc", "/proc", "sh", "-c", "echo $$"];
    let mut command = here.command(&outer, here.bwrap.path());
    let output = command.args(inner).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"2\n");
    // with something over /proc inside, a user's inner one fails, which is the command's own failure
    let masked = outer.add(BindData::read_only("x", "/proc/version"));
    let status = here.command(&masked, here.bwrap.path()).args(inner).output().unwrap().status;
    assert_eq!(status.code(), Some(i32::from(!here.root)));
}

/// Trap 22: a cgroup namespace limits nothing, it only changes the view.
pub(crate) fn a_cgroup_namespace_is_a_view(here: &Here) {
    if !std::path::Path::new("/proc/self/ns/cgroup").exists() {
        skip("this kernel has no cgroup namespaces");
    }
    let sandbox = host().proc("/proc").unshare(Namespaces::CGROUP);
    let text =
        here.prints(&sandbox, "readlink /proc/self/ns/cgroup; cut -d: -f3 /proc/self/cgroup | sort -u");
    let mut lines = text.lines();
    assert_ne!(lines.next(), Some(own_namespace("cgroup").as_str()));
    assert!(lines.all(|line| line == "/"), "{text}");
}

/// The owner of what is mapped by nobody is nobody, inside a user namespace.
pub(crate) fn unmapped_owners_are_nobody(here: &Here) {
    let sandbox = host().unshare(Namespaces::USER).uid(1000).gid(1000);
    let owner = fs::metadata("/etc/passwd").unwrap().uid();
    let own = rustix::process::getuid().as_raw();
    let seen = if owner == own { "1000" } else { "65534" };
    prints(here, &sandbox, "stat -c %u /etc/passwd", &[seen]);
    let text = here.prints(&sandbox.proc("/proc"), "cat /proc/self/status");
    assert_eq!(status_mask(&text, "CapEff"), 0, "{text}");
}

/// A problem is told with its place, in words.
pub(crate) fn problems_name_their_place(_: &Here) {
    let invalid: Invalid = Sandbox::new().tmpfs("/tmp").ro_bind("/usr", "").check().unwrap_err();
    assert!(
        invalid.to_string().starts_with("operation 2 (read-only bind on \"\"): its destination is empty")
    );
}
