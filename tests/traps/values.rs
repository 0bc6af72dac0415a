//! Values: numbers that bwrap wraps around or reads in another base, and modifiers that it ignores.

use bwrap_launch::op::{BindData, Chmod, Dir, File, Operation, Overlay, Tmpfs};
use bwrap_launch::{Capability, Command, IdRange, Namespaces, ParseError, Place, Problem, Sandbox};
use std::fmt::Display;

use crate::common::{Here, host};
use crate::support::{at, prints, refused, refused_at_launch};

/// Trap 9: bwrap reads 010000 as 4096. Sizes are numbers here, and written in decimal.
pub(crate) fn sizes_are_decimal(here: &Here) {
    let sandbox = host().add(Tmpfs::new("/mnt").size(10_000 * 4096));
    assert!(sandbox.to_string().contains("--size 40960000 "), "{sandbox}");
    prints(here, &sandbox, "df -B1 --output=size /mnt | tail -n1 | tr -d ' '", &["40960000"]);
    // a number that is octal to some eyes
    let sandbox = host().add(Tmpfs::new("/mnt").size(0o1_000_000));
    prints(here, &sandbox, "df -B1 --output=size /mnt | tail -n1 | tr -d ' '", &["262144"]);
    // a line that is read means what it means to bwrap
    let line = ["--size", "01000000", "--tmpfs", "/mnt"];
    assert_eq!(
        Sandbox::from_args(line).unwrap(),
        Sandbox::new().inherit_env().add(Tmpfs::new("/mnt").size(262_144))
    );
}

/// Section 12: sizes that bwrap rejects.
pub(crate) fn impossible_sizes_are_refused(here: &Here) {
    let half = u64::try_from(usize::MAX / 2).unwrap();
    for size in [0, half + 1, u64::MAX] {
        let sandbox = Sandbox::new().add(Tmpfs::new("/t").size(size));
        refused(here, &sandbox, at(0, "tmpfs", "/t"), Problem::Size(size));
    }
    assert_eq!(Sandbox::new().add(Tmpfs::new("/t").size(half)).check(), Ok(()));
    for text in ["0", "", "-1", "+1", " 1", "1 ", "1k", "09", "18446744073709551616", "9223372036854775808"] {
        let error = Sandbox::from_args(["--size", text, "--tmpfs", "/t"]).unwrap_err();
        assert!(matches!(error, ParseError::InvalidValue { option: "--size", .. }), "{text}: {error:?}");
    }
}

/// Trap 9: bwrap takes 4294967296 for 0, and ids above the largest `int` for negative ones.
pub(crate) fn ids_do_not_wrap_around(here: &Here) {
    let user = || Sandbox::new().unshare(Namespaces::USER);
    for id in [1 << 31, u32::MAX] {
        refused(here, &user().uid(id), Place::Identity, Problem::Id(id));
        refused(here, &user().gid(id), Place::Identity, Problem::Id(id));
    }
    let largest = i32::MAX.unsigned_abs();
    let sandbox = host().unshare(Namespaces::USER).uid(largest).gid(largest);
    prints(here, &sandbox, "id -u; id -g", &["2147483647", "2147483647"]);
    for text in ["4294967296", "2147483648", "-1", "0x10", "", "1 "] {
        for option in ["--uid", "--gid"] {
            let error = Sandbox::from_args(["--unshare-user", option, text]).unwrap_err();
            assert!(matches!(error, ParseError::InvalidValue { .. }), "{option} {text}: {error:?}");
        }
    }
}

/// Modes are 07777 at most, in every operation that has one.
pub(crate) fn impossible_modes_are_refused(here: &Here) {
    let problem = || Problem::Mode(0o10000);
    let new = Sandbox::new;
    for (sandbox, name) in [
        (new().add(Tmpfs::new("/x").mode(0o10000)), "tmpfs"),
        (new().add(Dir::new("/x").mode(0o10000)), "dir"),
        (new().add(File::new("x", "/x").mode(0o10000)), "file"),
        (new().add(BindData::read_only("x", "/x").mode(0o10000)), "bind of data"),
        (new().add(Chmod::new(0o10000, "/x")), "chmod"),
    ] {
        refused(here, &sandbox, at(0, name, "/x"), problem());
    }
    // 755 decimal, a slip, is above the largest one in octal digits only: 01363
    assert_eq!(new().add(Dir::new("/x").mode(755)).check(), Ok(()));
    for text in ["8", "10000", "-1", "0x1ff", "", "rwx"] {
        let error = Sandbox::from_args(["--perms", text, "--dir", "/x"]).unwrap_err();
        assert!(matches!(error, ParseError::InvalidValue { option: "--perms", .. }), "{text}: {error:?}");
    }
}

/// Trap 9: `--perms` and `--size` belong to one operation; where bwrap would ignore them they cannot be written.
pub(crate) fn modifiers_belong_to_their_operation(here: &Here) {
    let sandbox = host()
        .add(Tmpfs::new("/mnt").mode(0o1701).size(1 << 20))
        .dir("/mnt/plain")
        .add(Dir::new("/mnt/dir").mode(0o711))
        .add(File::new("x", "/mnt/file").mode(0o604))
        .file("x", "/mnt/plain-file");
    let sandbox = sandbox.tmpfs("/srv");
    prints(
        here,
        &sandbox,
        "stat -c %a /mnt /mnt/plain /mnt/dir /mnt/file /mnt/plain-file /srv",
        &["1701", "755", "711", "604", "666", "755"],
    );
    for (line, modifier) in [
        (&["--perms", "0700"][..], "--perms"),
        (&["--size", "4096"], "--size"),
        (&["--perms", "0700", "--bind", "/", "/"], "--perms"),
        (&["--size", "4096", "--dir", "/x"], "--size"),
        (&["--overlay-src", "/x"], "--overlay-src"),
        (&["--overlay-src", "/x", "--bind", "/", "/"], "--overlay-src"),
    ] {
        let line: Vec<&str> = line.iter().copied().chain(["--", "true"]).collect();
        assert_eq!(Command::from_args(line).unwrap_err(), ParseError::Dangling { modifier });
    }
    for option in ["--perms", "--size"] {
        let line = [option, "1", option, "1", "--tmpfs", "/x"];
        assert_eq!(Sandbox::from_args(line).unwrap_err(), ParseError::Repeated { option });
    }
}

/// Section 5: modes are exact whatever the caller's umask; parents are restricted alike.
pub(crate) fn modes_are_exact(here: &Here) {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let sandbox = host()
        .add(Tmpfs::new("/mnt").mode(0o777))
        .add(Dir::new("/mnt/a").mode(0o775))
        .add(Dir::new("/mnt/b/c").mode(0o1777))
        .add(Dir::new("/mnt/d/e").mode(0o700))
        .dir("/mnt/f/g")
        .add(BindData::read_write("x", "/mnt/h"))
        .add(BindData::read_only("x", "/mnt/i").mode(0o444))
        .add(Chmod::new(0o6711, "/mnt/f"));
    prints(
        here,
        &sandbox,
        "cd /mnt; stat -c %a . a b b/c d d/e f f/g h i; umask",
        &["777", "775", "755", "1777", "700", "700", "6711", "755", "600", "444", "0077"],
    );
}

/// mkdir(2) ignores the bits for setuid and setgid: a mode that has them is refused, or they are there.
pub(crate) fn special_mode_bits_are_not_lost(here: &Here) {
    type Make = fn(u32) -> Operation;
    let cases: [(Make, &str); 4] = [
        (|mode| Tmpfs::new("/mnt/x").mode(mode).into(), "tmpfs"),
        (|mode| Dir::new("/mnt/x").mode(mode).into(), "dir"),
        (|mode| File::new("x", "/mnt/x").mode(mode).into(), "file"),
        (|mode| BindData::read_only("x", "/mnt/x").mode(mode).into(), "bind of data"),
    ];
    let mut lost = Vec::new();
    for (operation, name) in cases {
        for mode in [0o4755, 0o2755, 0o1755, 0o7777] {
            let sandbox = host().tmpfs("/mnt").add(operation(mode));
            let given = || here.prints(&sandbox, "stat -c %a /mnt/x");
            if sandbox.check().is_ok() && given().trim() != format!("{mode:o}") {
                lost.push(format!("{name} of mode {mode:o} has {}", given().trim()));
            }
        }
    }
    assert_eq!(lost, Vec::<String>::new());
}

/// An overlay has one layer at least, a read-only one two.
pub(crate) fn overlays_need_their_layers(here: &Here) {
    let overlay = || at(0, "overlay", "/o");
    let new = Sandbox::new;
    let few = |given: usize, needed: usize| {
        format!(
            "has {given} layers and needs {needed} at least; add them with Overlay::layer (--overlay-src)"
        )
    };
    refused(here, &new().add(Overlay::temporary("/o")), overlay(), few(0, 1));
    refused(here, &new().add(Overlay::writable("/u", "/w", "/o")), overlay(), few(0, 1));
    refused(here, &new().add(Overlay::read_only("/o")), overlay(), few(0, 2));
    refused(here, &new().add(Overlay::read_only("/o").layer("/a")), overlay(), few(1, 2));
    assert_eq!(new().add(Overlay::read_only("/o").layer("/a").layer("/b")).check(), Ok(()));
}

/// A host name has 64 bytes at most and belongs into a UTS namespace.
pub(crate) fn host_names_have_limits(here: &Here) {
    let uts = || host().unshare(Namespaces::UTS);
    let long = "n".repeat(65);
    refused(here, &uts().hostname(&long), Place::Identity, Problem::HostnameTooLong(65));
    refused(here, &Sandbox::new().hostname("x"), Place::Identity, Problem::HostnameNeedsUts);
    prints(here, &uts().hostname(&long[..64]), "uname -n", &[&long[..64]]);
    prints(here, &host().unshare_all().hostname("x"), "uname -n", &["x"]);
    assert_ne!(
        std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap(),
        "x\n",
        "the host keeps its name"
    );
}

/// Ranges of ids: the rules of the kernel and of bwrap.
pub(crate) fn id_maps_have_rules(here: &Here) {
    let user = || Sandbox::new().unshare(Namespaces::USER);
    let range = IdRange::new;
    let whole = || [range(0, 0, 65_536)];
    let bad = |sandbox: &Sandbox, problem: &dyn Display| refused(here, sandbox, Place::Identity, problem);
    bad(&user().map_uids(whole()), &Problem::IdMapIncomplete("group"));
    bad(&user().map_gids(whole()), &Problem::IdMapIncomplete("user"));
    let needs = || Problem::NeedsUserNamespace("an id map");
    bad(&Sandbox::new().map_uids(whole()).map_gids(whole()), &needs());
    // --unshare-all asks for a user namespace in a way that bwrap may skip
    bad(&Sandbox::new().unshare_all().map_uids(whole()).map_gids(whole()), &needs());
    let disabled = user().disable_userns().map_uids(whole()).map_gids(whole());
    bad(&disabled, &Problem::Conflict("an id map", "disable_userns"));
    for impossible in
        [range(0, 0, 0), range(u32::MAX, 0, 1), range(0, u32::MAX, 1), range(2, 0, u32::MAX - 1)]
    {
        bad(&user().map_uids([impossible]).map_gids(whole()), &Problem::IdRange(impossible));
        bad(&user().map_uids(whole()).map_gids([impossible]), &Problem::IdRange(impossible));
    }
    let (a, b, c) = (range(0, 0, 10), range(9, 100, 10), range(20, 9, 1));
    bad(&user().map_uids([a, b]).map_gids(whole()), &Problem::IdRangesOverlap(a, b));
    bad(&user().map_uids(whole()).map_gids([a, c]), &Problem::IdRangesOverlap(a, c));
    // 340 lines are the kernel's limit, and a page of text
    let many = |count: u32, first: u32| (0..count).map(move |id| range(first + id, first + id, 1));
    let long = |ranges: usize, bytes: usize| {
        format!(
            "the user map has {ranges} ranges, which are {bytes} bytes of text; the kernel takes 340 ranges and fewer \
             bytes than a page of memory has; join ranges that follow each other"
        )
    };
    bad(&user().map_uids(many(341, 0)).map_gids(whole()), &long(341, 3190));
    assert_eq!(user().map_uids(many(340, 0)).map_gids(whole()).check(), Ok(()));
    if rustix::param::page_size() == 4096 {
        bad(&user().map_uids(many(171, 1 << 31)).map_gids(whole()), &long(171, 171 * 24));
    }
    assert_eq!(user().map_uids(many(170, 1 << 31)).map_gids(whole()).check(), Ok(()));
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    for (uids, gids, kind, id) in [
        (range(0, uid + 1, 9), range(0, gid, 1), "user", uid),
        (range(0, uid, 1), range(0, gid + 1, 9), "group", gid),
    ] {
        let sandbox = user().map_uids([uids]).map_gids([gids]);
        let problem = format!("no range of the {kind} map covers {id}, which bwrap runs as; add it");
        refused_at_launch(&mut here.command(&sandbox, "true"), Place::Identity, problem);
    }
}

/// Capabilities are a closed set: there is no name to misspell, and lines with one are refused.
pub(crate) fn capabilities_are_spelled_right(_: &Here) {
    let line = ["--cap-drop", "cap_kill", "--cap-add", "CAP_NET_RAW"];
    let expected = Sandbox::new().inherit_env();
    let expected = expected.cap_drop(Capability::CAP_KILL).cap_add(Capability::CAP_NET_RAW);
    assert_eq!(Sandbox::from_args(line).unwrap(), expected);
    for name in ["KILL", "CAP_KIL", "", "CAP_"] {
        let error = Sandbox::from_args(["--cap-drop", name]).unwrap_err();
        assert!(matches!(error, ParseError::InvalidValue { option: "--cap-drop", .. }), "{name}: {error:?}");
    }
}
