//! Sandboxes inside sandboxes, launched through this crate inside and outside, and the ways to forbid them.

use bwrap_launch::{Bwrap, Capability, Errno, Error, Failure, Namespaces, Problem, Sandbox, Stage};

use crate::cases;
use crate::common::{Case, Here};
use crate::support::{base, error, fresh, setup_failure, stage};

pub(crate) const CASES: &[Case] = cases![
    sandboxes_nest,
    sandboxes_nest_in_a_fresh_root,
    further_user_namespaces_are_possible_by_default,
    further_user_namespaces_can_be_forbidden,
    raising_the_limit_inside_does_not_help,
    forbidding_works_inside_a_sandbox,
    forbidding_wants_a_user_namespace_of_its_own,
];

/// Launches a sandbox inside a sandbox and says what became of it.
fn inside(here: &Here, outer: &Sandbox, which: &str) -> String {
    let stage = stage(here);
    // the launcher inside opens /dev/null
    let outer = outer.clone().dev("/dev").ro_bind(&stage, &stage);
    let output = here.helper(&outer, "nested").arg(here.bwrap.path()).arg(which).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{stderr}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Inside: launches a sandbox of one of these kinds.
pub(crate) fn nested(arguments: &[String]) {
    let bwrap = Bwrap::at(&arguments[0]).unwrap();
    let open = || Sandbox::new().bind("/", "/").env("PATH", "/usr/bin:/bin");
    let user = || open().unshare(Namespaces::USER);
    let (sandbox, script) = match arguments[1].as_str() {
        "everything" => (open().bind("/proc", "/proc").unshare_all(), "echo it runs"),
        "fresh" => (fresh().bind("/proc", "/proc").unshare_all(), "findmnt -n -o TARGET /usr"),
        "user" | "raise" => (user(), "echo it runs"),
        "forbidding" => {
            (user().disable_userns().assert_userns_disabled(), "unshare -U true || echo forbidden")
        }
        kind => panic!("{kind}"),
    };
    if arguments[1] == "raise" {
        for limit in ["2", "100"] {
            // the limit of this user namespace, not the host's; whether it can be written is all the same
            let _ = std::fs::write("/proc/sys/user/max_user_namespaces", limit);
        }
    }
    let mut command = sandbox.command("sh");
    match command.args(["-c", script]).bwrap(&bwrap).output() {
        Ok(output) => print!("{}", String::from_utf8_lossy(&output.stdout)),
        Err(error) => {
            let errno =
                error.failure().and_then(Failure::message).and_then(|m| m.errno()).and_then(Errno::code);
            println!("{} {errno:?}", if matches!(error, Error::Refused(_)) { "refused" } else { "failed" });
        }
    }
}

/// What a nested sandbox is told where user namespaces are forbidden.
fn forbidden() -> String {
    format!("refused {:?}\n", Some(libc::ENOSPC))
}

/// A sandbox in which everything is allowed to its root.
fn with_root_inside(sandbox: Sandbox) -> Sandbox {
    sandbox.unshare(Namespaces::USER | Namespaces::PID).uid(0).gid(0).cap_add_all()
}

fn sandboxes_nest(here: &Here) {
    for outer in [base(), base().unshare(Namespaces::USER), with_root_inside(base().proc("/proc"))] {
        assert_eq!(inside(here, &outer, "everything"), "it runs\n", "{outer}");
    }
}

fn sandboxes_nest_in_a_fresh_root(here: &Here) {
    let outer = with_root_inside(fresh().proc("/proc"));
    assert_eq!(inside(here, &outer, "fresh"), "/usr\n");
}

fn further_user_namespaces_are_possible_by_default(here: &Here) {
    for sandbox in [base(), base().unshare(Namespaces::USER)] {
        let failure = setup_failure(here, &sandbox.assert_userns_disabled());
        assert_eq!(failure.stage(), Some(Stage::NestedUserNamespace));
        assert_eq!(failure.message().unwrap().operation(), Some("--assert-userns-disabled"));
    }
}

fn further_user_namespaces_can_be_forbidden(here: &Here) {
    let user = || base().unshare(Namespaces::USER);
    assert_eq!(inside(here, &user(), "user"), "it runs\n");
    let locked = user().disable_userns();
    assert_eq!(here.prints(&locked, "id -u"), here.prints(&user(), "id -u"));
    assert_eq!(inside(here, &locked, "user"), forbidden());
    // the assertion agrees
    assert_eq!(here.prints(&locked.assert_userns_disabled(), "echo it runs"), "it runs\n");
}

fn raising_the_limit_inside_does_not_help(here: &Here) {
    let capabilities = |sandbox: Sandbox| {
        sandbox.uid(0).gid(0).cap_add(Capability::CAP_SYS_ADMIN).cap_add(Capability::CAP_SYS_RESOURCE)
    };
    for sandbox in [base(), capabilities(base())] {
        let locked = sandbox.unshare(Namespaces::USER).disable_userns();
        assert_eq!(inside(here, &locked, "raise"), forbidden(), "{locked}");
    }
}

fn forbidding_works_inside_a_sandbox(here: &Here) {
    for outer in [base(), base().unshare(Namespaces::USER)] {
        assert_eq!(inside(here, &outer, "forbidding"), "forbidden\n", "{outer}");
    }
}

fn forbidding_wants_a_user_namespace_of_its_own(here: &Here) {
    for sandbox in [base(), base().unshare_all(), base().unshare(Namespaces::USER_TRY)] {
        let Error::Invalid(invalid) = error(here, &sandbox.disable_userns()) else { panic!("launched") };
        assert_eq!(invalid.problem, Problem::NeedsUserNamespace("disable_userns"));
    }
}
