//! Overlays, bwrap 0.11 and newer.

use std::fs;
use std::path::PathBuf;

use bwrap_launch::op::Overlay;
use bwrap_launch::{Error, ParseError, Problem, Sandbox};

use crate::cases;
use crate::common::{Case, Here, host, skip};
use crate::support::{base, directory, error, mount_on};

pub(crate) const CASES: &[Case] = cases![
    writable_overlays_keep_what_is_written,
    layers_lie_on_each_other,
    odd_overlay_paths_work,
    temporary_overlays_leave_no_trace,
    read_only_overlays_cannot_be_written,
    overlays_want_layers,
    dangling_layers_are_refused,
    overlay_options_are_passed_on,
    dangling_overlay_options_are_refused,
];

/// Two layers, an upper and a work directory. The scratch directory must be able to hold the last two.
struct Layers {
    lower: PathBuf,
    higher: PathBuf,
    upper: PathBuf,
    work: PathBuf,
}

fn layers(here: &Here) -> Layers {
    here.needs("--overlay");
    let kind = rustix::fs::statfs(&here.scratch).unwrap().f_type;
    // an overlay cannot be the upper directory of another
    if kind == 0x794c_7630 {
        skip("the scratch directory lies on an overlay itself");
    }
    let lower = directory(here, "lower", "a", "lower a");
    fs::write(lower.join("both"), "lower").unwrap();
    let higher = directory(here, "higher", "b", "higher b");
    fs::write(higher.join("both"), "higher").unwrap();
    let (upper, work) = (here.scratch.join("upper"), here.scratch.join("work"));
    fs::create_dir(&upper).unwrap();
    fs::create_dir(&work).unwrap();
    Layers { lower, higher, upper, work }
}

fn writable_overlays_keep_what_is_written(here: &Here) {
    let Layers { lower, higher, upper, work } = layers(here);
    let sandbox = base().add(Overlay::writable(&upper, &work, "/tmp/it").layer(&lower).layer(&higher));
    let seen = here.prints(&sandbox, "cd /tmp/it; cat both; echo new > both; rm a; ls; cat both");
    assert_eq!(seen, "higherb\nboth\nnew\n");
    assert_eq!(fs::read_to_string(upper.join("both")).unwrap(), "new\n");
    assert_eq!(fs::read_to_string(higher.join("both")).unwrap(), "higher");
    assert_eq!(fs::read_to_string(lower.join("a")).unwrap(), "lower a", "removed inside only");
    // and the next sandbox finds it
    assert_eq!(here.prints(&sandbox, "cd /tmp/it; ls; cat both"), "b\nboth\nnew\n");
}

fn layers_lie_on_each_other(here: &Here) {
    let Layers { lower, higher, upper, work } = layers(here);
    let one = base().add(Overlay::writable(&upper, &work, "/tmp/it").layer(&lower));
    assert_eq!(here.prints(&one, "cd /tmp/it; ls; cat a both"), "a\nboth\nlower alower");
    assert_eq!(mount_on(here, &one, "/tmp/it").kind, "overlay");
    let two = base().add(Overlay::temporary("/tmp/it").layer(&lower).layer(&higher));
    assert_eq!(here.prints(&two, "cd /tmp/it; ls; cat a b both"), "a\nb\nboth\nlower ahigher bhigher");
    let swapped = base().add(Overlay::temporary("/tmp/it").layer(&higher).layer(&lower));
    assert_eq!(here.prints(&swapped, "cat /tmp/it/both"), "lower", "the last is on top");
}

/// The characters that mean something in overlayfs's own options.
fn odd_overlay_paths_work(here: &Here) {
    let _ = layers(here);
    let odd = |name: &str| directory(here, &format!("{name} \"',:\\="), "file", name);
    let (lower, higher, upper, work) =
        (odd("lower"), odd("higher"), odd("upper"), here.scratch.join(",:w\\"));
    fs::create_dir(&work).unwrap();
    fs::remove_file(upper.join("file")).unwrap();
    let sandbox = base().add(Overlay::writable(&upper, &work, "/tmp/i,t:\\").layer(&lower).layer(&higher));
    assert_eq!(here.prints(&sandbox, "cd '/tmp/i,t:\\'; cat file; echo new > file"), "higher");
    assert_eq!(fs::read_to_string(upper.join("file")).unwrap(), "new\n");
}

fn temporary_overlays_leave_no_trace(here: &Here) {
    let Layers { lower, higher, .. } = layers(here);
    let sandbox = base()
        .add(Overlay::temporary("/tmp/one").layer(&lower))
        .add(Overlay::temporary("/tmp/two").layer(&lower))
        .add(Overlay::temporary("/tmp/three").layer(&lower).layer(&higher));
    let script = "cd /tmp; for i in one two three; do echo $i > $i/both; done; cat */both; ls one";
    for _ in 0..2 {
        assert_eq!(here.prints(&sandbox, script), "one\nthree\ntwo\na\nboth\n");
    }
    assert_eq!(fs::read_to_string(lower.join("both")).unwrap(), "lower");
    assert_eq!(fs::read_to_string(higher.join("both")).unwrap(), "higher");
}

fn read_only_overlays_cannot_be_written(here: &Here) {
    let Layers { lower, higher, .. } = layers(here);
    let sandbox = base().add(Overlay::read_only("/tmp/it").layer(&lower).layer(&higher));
    let seen = here.prints(&sandbox, "cd /tmp/it; cat a b both; echo x > both || echo refused; cat both");
    assert_eq!(seen, "lower ahigher bhigherrefused\nhigher");
}

fn overlays_want_layers(here: &Here) {
    for (overlay, given, needed) in [
        (Overlay::writable("/u", "/w", "/tmp"), 0, 1),
        (Overlay::temporary("/tmp"), 0, 1),
        (Overlay::read_only("/tmp"), 0, 2),
        (Overlay::read_only("/tmp").layer("/etc"), 1, 2),
    ] {
        let Error::Invalid(invalid) = error(here, &host().add(overlay)) else { panic!("launched") };
        let Problem::TooFewLayers { given: has, needed: needs, .. } = invalid.problem else {
            panic!("{invalid}")
        };
        assert_eq!((has, needs), (given, needed));
    }
}

/// A builder cannot leave a layer without its overlay; a command line can.
fn dangling_layers_are_refused(here: &Here) {
    let _ = here;
    let dangling = Err(ParseError::Dangling { modifier: "--overlay-src" });
    for line in [
        &["--overlay-src", "/a"][..],
        &["--overlay-src", "/a", "--tmpfs", "/tmp"],
        &["--overlay-src", "/a", "--chdir", "/", "--tmp-overlay", "/tmp"],
    ] {
        assert_eq!(Sandbox::from_args(line), dangling, "{line:?}");
    }
    assert!(Sandbox::from_args(["--overlay-src", "/a", "--tmp-overlay", "/tmp"]).is_ok());
}

fn overlay_options_are_passed_on(here: &Here) {
    here.needs("--overlay-opt");
    let Layers { lower, higher, .. } = layers(here);
    let overlay = Overlay::temporary("/tmp/it").option("index=off").layer(&lower).option("metacopy=off");
    let sandbox = base().add(overlay.layer(&higher));
    let mount = mount_on(here, &sandbox, "/tmp/it");
    for option in ["index=off", "metacopy=off"] {
        assert!(mount.super_options.iter().any(|other| other == option), "{mount:?}");
    }
    let bad = base().add(Overlay::temporary("/tmp/it").layer(&lower).option("no-such-option"));
    assert!(matches!(error(here, &bad), Error::SetupFailed(_)));
}

fn dangling_overlay_options_are_refused(here: &Here) {
    let dangling = Err(ParseError::Dangling { modifier: "--overlay-opt" });
    assert_eq!(Sandbox::from_args(["--overlay-opt", "x", "--tmpfs", "/tmp"]), dangling);
    // and where bwrap has no such option, that is said before anything is launched
    if here.bwrap.accepts("--overlay") && !here.bwrap.accepts("--overlay-opt") {
        let sandbox = base().add(Overlay::temporary("/tmp").layer("/etc").option("index=off"));
        let Error::MissingOption(missing) = error(here, &sandbox) else { panic!("launched") };
        assert_eq!(missing.option, "--overlay-opt");
    }
}
