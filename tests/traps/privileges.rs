//! User namespaces, ids, capabilities, system call filters.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;

use bwrap_launch::{
    Capability, Circumstances, Error, Filter, Invalid, Lint, Namespaces, Place, Problem, Sandbox, Stdio,
    Undecided, Version,
};

use crate::cases;
use crate::common::{Case, Here, host, skip};
use crate::descriptors::allow_all;
use crate::support::{lints_for, own_namespace, prints, refused, refused_at_launch, status_mask};

pub(crate) const CASES: &[Case] = cases![
    users_have_no_capabilities,
    added_capabilities_are_the_only_ones,
    users_may_have_all_inside,
    root_cannot_add_all,
    root_cannot_keep_what_bwrap_will_lack,
    drops_hold_where_a_user_namespace_is_skipped,
    root_cannot_keep_what_it_lacks,
    drops_are_effective_as_root,
    an_addition_does_not_undo_drops,
    ambient_capabilities_are_explained,
    root_needs_a_namespace_for_ids,
    user_namespaces_are_made_when_needed,
    devices_do_not_change_the_ids,
    a_hidden_source_is_named,
    disable_userns_has_rules,
    joins_have_rules,
    a_joined_namespace_is_not_handed_on,
    privileges_cannot_grow,
    filters_have_sizes,
    filters_stack,
    a_filter_that_hides_the_command_is_undecided,
];

const SETS: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

/// The five sets of the command's capabilities.
fn capabilities(here: &Here, sandbox: &Sandbox) -> [u64; 5] {
    let output =
        here.command(&sandbox.clone().proc("/proc"), "cat").arg("/proc/self/status").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    SETS.map(|set| status_mask(&text, set))
}

/// Our own permitted capabilities.
fn own_capabilities() -> u64 {
    status_mask(&std::fs::read_to_string("/proc/self/status").unwrap(), "CapPrm")
}

/// The same capability in the crate that can drop one of ours.
fn libcap(capability: Capability) -> caps::Capability {
    capability.name().parse().unwrap()
}

fn bit(capability: Capability) -> u64 {
    1 << capability.number()
}

/// Section 6: an unprivileged caller's command has none, whatever its id inside.
fn users_have_no_capabilities(here: &Here) {
    if here.root {
        skip("about unprivileged callers");
    }
    for sandbox in [host(), host().uid(0).gid(0), host().unshare_all(), host().unshare(Namespaces::USER)] {
        assert_eq!(capabilities(here, &sandbox), [0; 5], "{sandbox}");
    }
}

/// Section 6: what is added inside a user namespace is there, ambient too, and nothing else.
fn added_capabilities_are_the_only_ones(here: &Here) {
    let wanted = bit(Capability::CAP_NET_RAW) | bit(Capability::CAP_KILL);
    let sandbox = host().unshare(Namespaces::USER).cap_drop_all();
    let sandbox = sandbox.cap_add(Capability::CAP_NET_RAW).cap_add(Capability::CAP_KILL);
    assert_eq!(capabilities(here, &sandbox), [wanted; 5]);
    let sandbox = sandbox.cap_drop(Capability::CAP_KILL);
    assert_eq!(capabilities(here, &sandbox), [bit(Capability::CAP_NET_RAW); 5]);
    // order is meaning
    assert_eq!(capabilities(here, &sandbox.cap_drop_all()), [0; 5]);
}

/// Section 6: everything may be asked for where drops are honoured.
fn users_may_have_all_inside(here: &Here) {
    if here.root {
        skip("about unprivileged callers");
    }
    let all = capabilities(here, &host().cap_add_all());
    assert!(all[2].count_ones() > 35 && all[4] == all[2], "{all:x?}");
    let one_less = capabilities(here, &host().cap_add_all().cap_drop(Capability::CAP_KILL));
    assert_eq!(one_less, all.map(|set| set & !bit(Capability::CAP_KILL)));
}

/// Trap 13: as root, bwrap silently ignores every drop after ALL if a single capability is missing.
fn root_cannot_add_all(here: &Here) {
    if !here.root {
        skip("about root");
    }
    for sandbox in [host().cap_add_all(), host().unshare(Namespaces::PID).cap_add_all().cap_drop_all()] {
        let problem = Problem::CapAddAllAsRoot;
        refused_at_launch(&mut here.command(&sandbox, "true"), Place::Privileges, problem);
    }
    // in a user namespace of its own, bwrap has them all
    let sandbox = host().unshare(Namespaces::USER).cap_add_all().cap_drop(Capability::CAP_KILL);
    let kept = capabilities(here, &sandbox)[2];
    assert_eq!((kept & bit(Capability::CAP_KILL), kept.count_ones() > 35), (0, true), "{kept:x}");
}

/// Trap 13: what root has but cannot hand on to bwrap, which it executes, is lacking too.
fn root_cannot_keep_what_bwrap_will_lack(here: &Here) {
    if !here.root {
        skip("about root");
    }
    let lacking = Capability::CAP_SYS_PTRACE;
    assert!(caps::has_cap(None, caps::CapSet::Permitted, libcap(lacking)).unwrap(), "root has it");
    caps::drop(None, caps::CapSet::Bounding, libcap(lacking)).unwrap();
    let sandbox = host().cap_drop_all().cap_add(lacking);
    let missing = Problem::CapabilityMissing(lacking.to_string());
    let expected = Invalid::new(Place::Privileges, missing);
    let sets = capabilities_or(here, &sandbox);
    assert!(sets == Err(expected) || sets == Ok(0), "every drop was ignored: {sets:x?}");
}

/// The command's effective capabilities, or why they cannot be had.
fn capabilities_or(here: &Here, sandbox: &Sandbox) -> Result<u64, Invalid> {
    match here.command(&sandbox.clone().proc("/proc"), "cat").arg("/proc/self/status").output() {
        Ok(output) => Ok(status_mask(&String::from_utf8(output.stdout).unwrap(), "CapEff")),
        Err(Error::Invalid(invalid)) => Err(invalid),
        Err(error) => panic!("{error}"),
    }
}

/// Trap 13 behind section 6: where bwrap skips the user namespace that it may skip, drops still hold.
fn drops_hold_where_a_user_namespace_is_skipped(here: &Here) {
    // the limit is that of the new user namespace, whose root we become; the machine's own stays
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"";
    let mut process = std::process::Command::new("unshare");
    process.args(["--user", "--map-root-user", "sh", "-c", script, "sh"]);
    process.arg(std::env::current_exe().unwrap()).args(["--helper", "skipping"]).arg(here.bwrap.path());
    let output = process.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A helper: root in a user namespace that can have no further ones, without one capability.
pub(crate) fn skipping(arguments: &[String]) {
    let bwrap = bwrap_launch::Bwrap::at(&arguments[0]).unwrap();
    // root gets back at every exec what is in the bounding set
    for set in [caps::CapSet::Bounding, caps::CapSet::Effective, caps::CapSet::Permitted] {
        caps::drop(None, set, caps::Capability::CAP_SYS_RESOURCE).unwrap();
    }
    let run = |sandbox: &Sandbox| {
        let output = sandbox.command("cat").arg("/proc/self/status").bwrap(&bwrap).output();
        output.map(|output| status_mask(&String::from_utf8(output.stdout).unwrap(), "CapEff"))
    };
    let (kill, lacking) = (Capability::CAP_KILL, Capability::CAP_SYS_RESOURCE);
    // not with a new /proc: root of such a namespace may not mount one everywhere
    let base = || Sandbox::new().ro_bind("/", "/").unshare(Namespaces::USER_TRY).env("PATH", "/usr/bin:/bin");
    assert_eq!(run(&base().cap_drop(kill)).unwrap() & bit(kill), 0);
    for sandbox in [base().cap_add_all().cap_drop(kill), base().cap_add(lacking).cap_drop(kill)] {
        match run(&sandbox) {
            Ok(effective) => {
                assert_eq!(effective & bit(kill), 0, "CAP_KILL was dropped and is there\n{sandbox}");
            }
            Err(error) => assert!(matches!(error, Error::Invalid(_)), "{error:?}"),
        }
    }
}

/// Trap 13: so would it for a named capability that root lacks.
fn root_cannot_keep_what_it_lacks(here: &Here) {
    if !here.root {
        skip("about root");
    }
    let lacking = Capability::CAP_SYS_RESOURCE;
    let expected = |sandbox: &Sandbox| {
        let problem = Problem::CapabilityMissing(lacking.to_string());
        refused_at_launch(&mut here.command(sandbox, "true"), Place::Privileges, problem);
    };
    if own_capabilities() & bit(lacking) != 0 {
        caps::drop(None, caps::CapSet::Effective, libcap(lacking)).unwrap();
        caps::drop(None, caps::CapSet::Permitted, libcap(lacking)).unwrap();
    }
    expected(&host().cap_drop_all().cap_add(lacking));
    expected(&host().cap_add(lacking).cap_drop(Capability::CAP_KILL));
    // taken back, it does not matter
    let sandbox = host().cap_drop_all().cap_add(lacking).cap_add(Capability::CAP_KILL).cap_drop(lacking);
    assert_eq!(capabilities(here, &sandbox)[2], bit(Capability::CAP_KILL));
    // inside a user namespace root has them all
    let sandbox = host().unshare(Namespaces::USER).cap_drop_all().cap_add(lacking);
    assert_eq!(capabilities(here, &sandbox)[2], bit(lacking));
}

/// Section 6, trap 13: what root drops is really gone.
fn drops_are_effective_as_root(here: &Here) {
    if !here.root {
        skip("about root");
    }
    let own = own_capabilities();
    let kept = capabilities(here, &host());
    assert_eq!((kept[1], kept[2]), (own, own), "root keeps what it has, hence the lint");
    assert!(lints_for(&host(), |c| c.root = true).contains(&Lint::RootKeepsCapabilities));
    assert!(!lints_for(&host().cap_drop_all(), |c| c.root = true).contains(&Lint::RootKeepsCapabilities));
    let less = own & !(bit(Capability::CAP_KILL) | bit(Capability::CAP_FOWNER));
    let sandbox = host().cap_drop(Capability::CAP_KILL).cap_drop(Capability::CAP_FOWNER);
    let dropped = capabilities(here, &sandbox);
    assert_eq!((dropped[1], dropped[2]), (less, less), "{dropped:x?}");
    // the bounding set may stay full without a user namespace: no_new_privs guards it
    let none = capabilities(here, &host().cap_drop_all());
    assert_eq!([none[0], none[1], none[2], none[4]], [0; 4], "{none:x?}");
    let one = capabilities(here, &host().cap_drop_all().cap_add(Capability::CAP_NET_BIND_SERVICE));
    let bind = bit(Capability::CAP_NET_BIND_SERVICE);
    assert_eq!([one[1], one[2], one[4]], [bind; 3], "{one:x?}");
    assert_eq!(capabilities(here, &host().unshare(Namespaces::USER).cap_drop_all()), [0; 5]);
}

/// Trap 13 behind an option that keeps them: added to what root keeps anyway, a missing one spoils every drop.
fn an_addition_does_not_undo_drops(here: &Here) {
    let sandbox = host().cap_add(Capability::CAP_CHOWN).cap_drop(Capability::CAP_KILL);
    let sets = capabilities(here, &sandbox);
    assert_eq!(sets[2] & bit(Capability::CAP_KILL), 0, "{sets:x?}");
    assert_ne!(sets[2] & bit(Capability::CAP_CHOWN), 0, "{sets:x?}");
}

/// Section 6: ambient capabilities of an unprivileged caller end bwrap, and that is told.
fn ambient_capabilities_are_explained(here: &Here) {
    if !here.root {
        skip("only root can give a user ambient capabilities");
    }
    let mut process = std::process::Command::new("setpriv");
    process.args(["--reuid=61234", "--regid=61234", "--clear-groups"]);
    process.args(["--inh-caps=+net_raw", "--ambient-caps=+net_raw", "--"]);
    process.arg(std::env::current_exe().unwrap()).args(["--helper", "ambient"]).arg(here.bwrap.path());
    let output = process.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A helper: launches as a user with an ambient capability. Not even the help is printed.
pub(crate) fn ambient(arguments: &[String]) {
    let error = bwrap_launch::Bwrap::at(&arguments[0]).unwrap_err();
    assert!(error.to_string().contains("Unexpected capabilities"), "{error}");
}

/// Section 6: root without a user namespace cannot have another id; bwrap would refuse.
fn root_needs_a_namespace_for_ids(here: &Here) {
    if !here.root {
        prints(here, &host().uid(1).gid(2), "id -u; id -g", &["1", "2"]);
        return;
    }
    for sandbox in [host().uid(1), host().gid(1), host().uid(0).gid(1)] {
        let problem = Problem::IdNeedsUserNamespace;
        refused_at_launch(&mut here.command(&sandbox, "true"), Place::Identity, problem);
    }
    prints(here, &host().uid(0).gid(0), "id -u", &["0"]);
    prints(here, &host().unshare(Namespaces::USER).uid(7).gid(8), "id -u; id -g", &["7", "8"]);
}

/// Section 6: root gets no user namespace unasked, a user always.
fn user_namespaces_are_made_when_needed(here: &Here) {
    let own = own_namespace("user");
    let inside = |sandbox: Sandbox| here.prints(&sandbox.proc("/proc"), "readlink /proc/self/ns/user");
    assert_eq!(inside(host()).trim() == own, here.root);
    for asked in [Namespaces::USER, Namespaces::USER_TRY, Namespaces::ALL] {
        assert_ne!(inside(host().unshare(asked)).trim(), own, "{asked:?}");
    }
}

/// `--dev` as a user takes a second user namespace; the wanted ids hold all the same.
fn devices_do_not_change_the_ids(here: &Here) {
    let sandbox = host().unshare(Namespaces::USER).uid(5).gid(6);
    prints(here, &sandbox, "id -u; id -g; test -c /dev/null && echo yes", &["5", "6", "yes"]);
    assert_eq!(capabilities(here, &sandbox.cap_drop_all())[2], 0);
}

/// Trap 18: in a user namespace even root cannot see what only other users may; the failure names the path.
fn a_hidden_source_is_named(here: &Here) {
    if !here.root {
        skip("about root");
    }
    let closed = here.scratch.join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::write(closed.join("file"), "x").unwrap();
    std::os::unix::fs::chown(&closed, Some(61_235), Some(61_235)).unwrap();
    std::fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    let sandbox = host().tmpfs("/mnt").ro_bind(closed.join("file"), "/mnt/file");
    prints(here, &sandbox, "cat /mnt/file", &["x"]);
    let error = here.command(&sandbox.unshare(Namespaces::USER), "true").output().unwrap_err();
    let Error::SetupFailed(failure) = &error else { panic!("{error:?}") };
    assert_eq!(failure.message().unwrap().path(), Some(closed.join("file").as_path()), "{failure:?}");
    assert_eq!(failure.message().unwrap().errno().and_then(bwrap_launch::Errno::code), Some(libc::EACCES));
}

/// Section 6: `--disable-userns` wants `--unshare-user` itself.
fn disable_userns_has_rules(here: &Here) {
    let needs = || Problem::NeedsUserNamespace("disable_userns");
    for sandbox in [host(), host().unshare_all(), host().unshare(Namespaces::USER_TRY)] {
        refused(here, &sandbox.disable_userns(), Place::Namespaces, needs());
    }
    here.needs("--disable-userns");
    let sandbox = host().unshare(Namespaces::USER).disable_userns().assert_userns_disabled();
    let script = "unshare --user true 2> /dev/null && echo possible; echo end";
    prints(here, &sandbox, script, &["end"]);
    // alone, the assertion fails
    let error = here.command(&host().unshare(Namespaces::USER).assert_userns_disabled(), "true").output();
    assert!(matches!(error, Err(Error::SetupFailed(_) | Error::NotExecuted(_))), "{error:?}");
}

/// A namespace that is joined cannot be new as well.
fn joins_have_rules(here: &Here) {
    let user = || File::open("/proc/self/ns/user").unwrap();
    for new in [Namespaces::USER, Namespaces::USER_TRY, Namespaces::ALL] {
        let sandbox = host().join_user(user()).unshare(new);
        refused(here, &sandbox, Place::Namespaces, Problem::JoinedAndNewUserNamespace);
    }
}

/// Section 4: bwrap leaves the descriptor of a joined namespace open in the command, a capability over it.
fn a_joined_namespace_is_not_handed_on(here: &Here) {
    // --dev would put a second user namespace between
    let first = Sandbox::new().ro_bind("/", "/").proc("/proc").unshare(Namespaces::USER | Namespaces::PID);
    let mut child = here.command(&first, "cat").stdin(Stdio::piped()).spawn().unwrap();
    child.wait_ready().unwrap();
    let pid = child.sandbox_pid().unwrap();
    let open = |kind: &str| File::open(format!("/proc/{pid}/ns/{kind}")).unwrap();
    let one = host().proc("/proc").join_user(open("user"));
    let two = one.clone().join_pid(open("pid"));
    let every = here.bwrap.version() >= Some(Version::new(0, 13, 1));
    for (sandbox, leaks) in [(one, false), (two, !every)] {
        let circumstances = |here: &mut Circumstances| here.keeps_every_sync_fd = every;
        let advised = lints_for(&sandbox, circumstances).contains(&Lint::NamespaceDescriptorInherited);
        assert_eq!(advised, leaks, "{sandbox}");
        let output = here.helper(&sandbox, "descriptors").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text != "[0, 1, 2]\n", leaks, "the advice is wrong: {text}{sandbox}");
    }
}

/// Trap 17: no new privileges, for root too.
fn privileges_cannot_grow(here: &Here) {
    for sandbox in [host(), host().unshare_all()] {
        prints(here, &sandbox.proc("/proc"), "grep NoNewPrivs /proc/self/status | tr -dc 01", &["1"][..]);
    }
}

/// A filter is whole instructions, 1 to 4096 of them.
fn filters_have_sizes(here: &Here) {
    for size in [0, 1, 7, 9, 4096 * 8 + 8] {
        let sandbox = host().seccomp(allow_all()).seccomp(vec![0; size]);
        refused(here, &sandbox, Place::Filter(1), Problem::FilterSize(size));
    }
    assert!(here.command(&host().seccomp(allow_all()), "true").status().unwrap().success());
}

/// Section 12: filters stack; bwrap refuses its two options together, which cannot be written.
fn filters_stack(here: &Here) {
    here.needs("--add-seccomp-fd");
    let sandbox = host().seccomp(allow_all()).seccomp(Filter::terminal().unwrap()).seccomp(allow_all());
    assert!(here.command(&sandbox, "true").status().unwrap().success());
    let shown = sandbox.to_string();
    assert_eq!(
        (shown.matches("--add-seccomp-fd").count(), shown.matches("--seccomp").count()),
        (3, 0),
        "{shown}"
    );
    let error = here.command(&sandbox, "true").prepare().unwrap_err();
    let Error::Invalid(invalid) = &error else { panic!("{error:?}") };
    assert_eq!(invalid.problem, Problem::Conflict("prepare", "several seccomp filters"));
}

/// Section 3: a filter that denies write(2) hides that the command ran; nobody is told that it did not.
fn a_filter_that_hides_the_command_is_undecided(here: &Here) {
    if !cfg!(target_arch = "x86_64") {
        skip("the filter is for x86-64");
    }
    let instruction = |code: u16, jt: u8, jf: u8, k: u32| {
        let mut bytes = code.to_ne_bytes().to_vec();
        bytes.extend([jt, jf]);
        bytes.extend(k.to_ne_bytes());
        bytes
    };
    // load the number; write(2)? then EPERM, else allow
    let filter = [
        instruction(0x20, 0, 0, 0),
        instruction(0x15, 0, 1, 1),
        instruction(0x06, 0, 0, 0x0005_0001),
        instruction(0x06, 0, 0, 0x7fff_0000),
    ];
    let sandbox = host().seccomp(filter.concat());
    let error = here.shell(&sandbox, "exit 1").status().unwrap_err();
    let Error::Undecided(failure) = &error else { panic!("{error:?}") };
    assert_eq!(failure.undecided(), Some(Undecided::FilterMayHideIt { status: 1 }));
    // bwrap itself never ends with another number than 1
    match here.shell(&sandbox, "exit 4").status() {
        Ok(status) => assert_eq!(status.code(), Some(4)),
        Err(error) => assert!(matches!(error, Error::Undecided(_)), "{error:?}"),
    }
}
