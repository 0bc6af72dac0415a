//! A build that tries to get out.

use std::fs;

use bwrap_launch::Sandbox;
use bwrap_launch::profile::ci;

use crate::common::Here;
use crate::kit::{
    directory, ends_with_the_caller, fails, has_no_privileges, holds, homes_are_empty, inherits_nothing,
    is_alone, root_file_system, sees_only_itself, unwritten,
};

fn build(here: &Here) -> Sandbox {
    ci::on_host(directory(here, "work")).unwrap()
}

pub(crate) fn writes_to_its_work_directory_only(here: &Here) {
    let sandbox = build(here);
    holds(here, &sandbox, &["echo built > result", "test -w ."]);
    assert_eq!(fs::read_to_string(here.scratch.join("work/result")).unwrap(), "built\n");
    unwritten(here, &sandbox);
    // what lies beside the work directory is not there
    fs::write(here.scratch.join("beside"), "").unwrap();
    fails(here, &sandbox, &["ls ../beside"]);
}

pub(crate) fn reads_nothing_of_the_callers(here: &Here) {
    let sandbox = build(here);
    inherits_nothing(here, &sandbox);
    homes_are_empty(here, &sandbox);
    is_alone(here, &sandbox);
}

pub(crate) fn sees_no_process(here: &Here) {
    sees_only_itself(here, &build(here));
}

pub(crate) fn gains_no_privileges(here: &Here) {
    let sandbox = build(here);
    has_no_privileges(here, &sandbox);
    // and with the one more call that is spoken of
    if here.bwrap.accepts("--disable-userns") {
        fails(here, &sandbox.disable_userns(), &["unshare --user true"]);
    }
}

pub(crate) fn nothing_outlives_it(here: &Here) {
    ends_with_the_caller(here, "ci", &directory(here, "work"));
}

pub(crate) fn shares_the_network_if_told(here: &Here) {
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let inside = here.prints(&build(here).share_net(), "readlink /proc/self/ns/net");
    assert_eq!(inside.trim(), own.to_str().unwrap());
}

pub(crate) fn root_file_systems(here: &Here) {
    let (root, work) = (root_file_system(here), directory(here, "work"));
    let mut sandbox = ci::on_rootfs(&root, &work).unwrap();
    // the programs are the host's, everything else is the image's
    sandbox = sandbox.ro_bind("/usr", "/usr");
    fs::write(root.join("etc/image"), "image\n").unwrap();
    for link in ["bin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{link}"), root.join(link)).unwrap();
    }
    assert_eq!(
        here.prints(&sandbox, "cat /etc/image; pwd; echo x > made; ls /etc"),
        "image\n/home/work\nimage\n"
    );
    assert!(work.join("made").exists());
    fails(here, &sandbox, &["touch /written", "touch /etc/written", "touch /usr/written"]);
    has_no_privileges(here, &sandbox);
    is_alone(here, &sandbox);
    // a link instead of a directory could lead anywhere
    fs::remove_dir(root.join("home")).unwrap();
    std::os::unix::fs::symlink("/etc", root.join("home")).unwrap();
    assert!(ci::on_rootfs(&root, &work).unwrap_err().to_string().contains("home"));
    assert!(ci::on_host(here.scratch.join("no-such-directory")).is_err());
    assert!(ci::on_host("/etc/passwd").is_err());
    // what would uncover the host again
    for whole in ["/", "/proc", "/dev/shm", "/tmp", "/home"] {
        let error = ci::on_host(whole).unwrap_err().to_string();
        assert!(error.contains("name a directory of its own"), "{whole}: {error}");
        assert!(ci::on_rootfs(&root, whole).is_err(), "{whole}");
    }
}
