//! System call filters that come from hostile files: each launch has an error of its own, or the filter that was looked at.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bwrap_launch::{Command, Descriptor, Undecided};

use crate::common::{Here, host};
use crate::support::{Kind, Mark};

/// `BPF_RET | BPF_K` with `SECCOMP_RET_ALLOW`, over and over.
fn allowing(count: usize) -> Vec<u8> {
    [&6_u16.to_ne_bytes()[..], &[0, 0], &0x7fff_0000_u32.to_ne_bytes()].concat().repeat(count)
}

/// Longer than anything here may take, and shorter than for ever.
const BOUND: Duration = Duration::from_secs(20);

fn launch(here: &Here, filter: impl Into<OwnedFd>, listed: bool) -> (Kind, String) {
    let mark = Mark::new(here, "filtered");
    mark.clear();
    let (script, begin, filter) = (mark.script(""), Instant::now(), filter.into());
    let (number, scratch) = (filter.as_raw_fd().to_string(), here.scratch.to_str().unwrap());
    let mut command = if listed {
        let line = [
            "--ro-bind",
            "/",
            "/",
            "--bind",
            scratch,
            scratch,
            "--add-seccomp-fd",
            &number,
            "sh",
            "-c",
            &script,
        ];
        Command::from_args(line).unwrap()
    } else {
        let sandbox =
            host().bind(&here.scratch, &here.scratch).seccomp(Descriptor::from(filter.try_clone().unwrap()));
        here.shell(&sandbox, &script)
    };
    let outcome =
        command.bwrap(&here.bwrap).timeout(Duration::from_secs(5)).output().map(|output| output.status);
    let said = outcome.as_ref().map_or_else(ToString::to_string, ToString::to_string);
    let kind = Kind::of(&outcome);
    assert!(begin.elapsed() < BOUND, "it took {:?}: {said}", begin.elapsed());
    assert_eq!(mark.began(), matches!(kind, Kind::Ran(0)), "{kind:?} {said}");
    (kind, said)
}

pub(crate) fn filters_from_hostile_files(here: &Here) {
    let file = |name: &str, bytes: &[u8]| {
        let path = here.scratch.join(name);
        fs::write(&path, bytes).unwrap();
        File::open(path).unwrap()
    };
    let sparse = file("sparse", b"");
    File::options().write(true).open(here.scratch.join("sparse")).unwrap().set_len(1 << 40).unwrap();
    let endless = || {
        let (reader, mut writer) = std::io::pipe().unwrap();
        std::thread::spawn(move || while writer.write_all(&allowing(512)).is_ok() {});
        File::from(OwnedFd::from(reader))
    };
    for listed in [false, true] {
        let (kind, said) = launch(here, file("allowing", &allowing(1)), listed);
        assert_eq!(kind, Kind::Ran(0), "{said}");
        for (name, hostile) in [
            ("empty", file("empty", b"")),
            ("nothing", File::open("/dev/null").unwrap()),
            ("odd", file("odd", &allowing(2)[..15])),
            ("too long", file("long", &allowing(4097))),
            ("sparse", sparse.try_clone().unwrap()),
            ("a device without an end", File::open("/dev/zero").unwrap()),
            ("a pipe without an end", endless()),
        ] {
            let (kind, said) = launch(here, hostile, listed);
            assert_eq!(kind, Kind::Invalid, "{name}: {said}");
        }
        let (kind, said) = launch(here, File::open("/").unwrap(), listed);
        assert!(kind == Kind::System && said.contains("directory"), "a directory: {kind:?} {said}");
        // the kernel refuses it: no return at the end. What such a filter would let pass, nobody knows
        let (kind, said) = launch(here, file("refused", &[0; 16]), listed);
        assert_eq!(kind, Kind::Undecided(Undecided::FilterMayHideIt { status: 1 }), "{said}");
    }
    let (reader, writer) = std::io::pipe().unwrap();
    let (kind, said) = launch(here, reader, false);
    assert!(kind == Kind::System && said.contains("whoever writes it"), "a silent pipe: {kind:?} {said}");
    drop(writer);
}

/// What was read is what bwrap gets: a filter, or an error.
pub(crate) fn a_filter_that_changes_while_it_is_read(here: &Here) {
    let path = here.scratch.join("changing");
    fs::write(&path, allowing(1)).unwrap();
    let done = AtomicBool::new(false);
    let kinds = std::thread::scope(|scope| {
        scope.spawn(|| {
            for length in (0..4200).step_by(7).cycle().take_while(|_| !done.load(Ordering::Relaxed)) {
                fs::write(&path, allowing(length)).unwrap();
            }
        });
        let kinds: Vec<Kind> = (0..40).map(|_| launch(here, File::open(&path).unwrap(), false).0).collect();
        done.store(true, Ordering::Relaxed);
        kinds
    });
    let fine = |kind: &Kind| matches!(kind, Kind::Ran(0) | Kind::Invalid);
    assert!(kinds.iter().all(fine), "{kinds:?}");
}
