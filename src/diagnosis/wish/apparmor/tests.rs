use super::*;
use crate::diagnosis::fixtures::{docker, machine, only_on, pod};
use crate::diagnosis::wish::fit;
use crate::host::{Distribution, Fact, Host, Program};

fn confine(host: &Host) -> Vec<Remedy> {
    let case = Case::new(None, host, None);
    fit(&case, confine_container(&case))
}

fn permit(host: &Host) -> Vec<Remedy> {
    let case = Case::new(None, host, None);
    fit(&case, permit_bwrap(&case))
}

fn ubuntu(mut host: Host) -> Host {
    host.sysctls.insert(RESTRICTION.into(), Fact::Present("1".into()));
    host.distribution = Fact::Present(Distribution { id: "ubuntu".into(), version: "24.04".into() });
    host
}

#[test]
fn a_container_gets_a_profile_of_its_own() {
    let found = confine(&docker());
    let text = found[0].instructions();
    assert!(
        text.contains("\nmkdir -p /etc/apparmor.d\ncat > /etc/apparmor.d/bwrap-nested <<'EOF'\n"),
        "{text}"
    );
    assert!(text.ends_with(
        "apparmor_parser -r /etc/apparmor.d/bwrap-nested\n\
         docker run --security-opt=apparmor=bwrap-nested IMAGE\n"
    ));
    assert!(found[1].instructions().contains("apparmor=unconfined"));
    let pod = confine(&pod())[0].instructions();
    assert!(pod.contains("type: Localhost") && pod.contains("localhostProfile: \"bwrap-nested\""));
    assert!(pod.starts_with("# on every node"));
}

#[test]
fn no_profile_is_no_way_out_of_the_restriction() {
    let found = confine(&ubuntu(docker()));
    assert_eq!(found.len(), 1);
}

#[test]
fn user_namespaces_are_permitted_where_they_are_asked_about() {
    let mut host = docker();
    assert!(confine(&host)[0].instructions().contains("abi <abi/4.0>,"));
    assert!(confine(&host)[0].instructions().contains("  userns,\n"));
    host.kernel.release = Fact::Present("6.1.0-25-amd64".into());
    let old = confine(&host)[0].instructions();
    assert!(old.contains("abi <abi/3.0>,") && !old.contains("userns,\n") && old.contains("  pivot_root,\n"));
    assert!(confine(&ubuntu(host))[0].instructions().contains("  userns,\n"));
    let mut unknown = docker();
    unknown.kernel.release = Fact::Unknown;
    assert!(confine(&unknown)[0].instructions().contains("abi <abi/3.0>,"));
}

#[test]
fn machines_and_units_change_what_confines_them() {
    let mut host = machine();
    host.security.apparmor_label = Fact::Present("my-service (enforce)".into());
    let text = confine(&host)[0].instructions();
    assert!(text.contains("grep -rl my-service") && text.contains("  mount,\n"));
    host = only_on(host, Platform::SystemdUnit);
    assert!(confine(&host)[0].instructions().contains("AppArmorProfile=bwrap-nested"));
    host = only_on(host, Platform::Lxc);
    let nesting = confine(&host).iter().map(Remedy::instructions).collect::<String>();
    assert!(nesting.contains("security.nesting=true") && nesting.contains("pivot_root /newroot/,"));
}

#[test]
fn the_machines_bwrap_is_permitted_by_its_path() {
    let found = permit(&ubuntu(machine()));
    let Action::AppArmor(profile) = &found[0].action else { panic!() };
    assert_eq!(
        (profile.name.as_str(), profile.path.as_path()),
        ("bwrap", Path::new("/etc/apparmor.d/bwrap"))
    );
    assert!(profile.text.contains("profile bwrap \"/usr/bin/bwrap\" flags=(unconfined) {\n  userns,\n"));
    assert!(found[1].instructions().contains("bwrap-userns-restrict"));
    let last = found.last().unwrap().instructions();
    assert!(last.contains("sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"), "{last}");
    assert_eq!(found.len(), 3);
}

#[test]
fn another_bwrap_gets_another_profile() {
    let mut host = ubuntu(machine());
    host.bwrap = Fact::Present(Program::new("/opt/my tools{1}/bwrap", "0.11.0"));
    let found = permit(&host);
    let Action::AppArmor(profile) = &found[0].action else { panic!() };
    assert_eq!(profile.name, "opt.my-tools-1-.bwrap");
    assert!(profile.text.contains(r#""/opt/my tools\{1\}/bwrap""#), "{}", profile.text);
    assert!(!found[1].instructions().contains("bwrap-userns-restrict"));
}

#[test]
fn containers_are_confined_before_the_machine_is_opened() {
    for host in [ubuntu(docker()), ubuntu(pod())] {
        let found = permit(&host);
        assert!(found[0].instructions().contains("bwrap-nested"), "{found:?}");
        assert!(matches!(found[1].action, Action::AppArmor(_)));
        assert!(found[1].summary.contains("the machine that") || found[1].summary.contains("every node"));
    }
}

#[test]
fn jobs_of_github_use_sudo() {
    let mut host = ubuntu(machine());
    host = only_on(host, Platform::GitHubActions);
    let found = permit(&host);
    assert!(found.last().unwrap().instructions().starts_with("sudo sysctl -w "));
    assert!(found[0].requires.iter().any(|text| text.contains("sudo")));
}

#[test]
fn ubuntus_profile_is_linked_or_there_already() {
    let of = |version: &str| {
        let mut host = ubuntu(machine());
        host.distribution = Fact::Present(Distribution { id: "ubuntu".into(), version: version.into() });
        permit(&host).iter().map(Remedy::instructions).find(|text| text.contains("bwrap-userns-restrict"))
    };
    for version in ["24.04", "24.10"] {
        let text = of(version).unwrap();
        assert!(text.contains("\nln -s /usr/share/") && text.contains("apparmor-profiles"), "{text}");
    }
    for version in ["25.04", "26.04"] {
        assert_eq!(of(version).unwrap(), "apparmor_parser -r /etc/apparmor.d/bwrap-userns-restrict\n");
    }
    assert_eq!((of("22.04"), of("")), (None, None));
    let mut host = ubuntu(machine());
    host.distribution = Fact::Present(Distribution { id: "debian".into(), version: "25.04".into() });
    assert_eq!(permit(&host).len(), 2);
}

#[test]
fn a_profile_that_is_there_is_loaded_first() {
    let there = |name: &str, bwrap: &str| {
        let mut host = ubuntu(machine());
        host.files.insert(Path::new(PROFILES).join(name), Fact::Present(crate::host::FileKind::Other));
        host.bwrap = Fact::Present(Program::new(bwrap, "0.11.0"));
        host
    };
    let found = permit(&there("bwrap-userns-restrict", "/usr/bin/bwrap"));
    assert_eq!(found[0].instructions(), "apparmor_parser -r /etc/apparmor.d/bwrap-userns-restrict\n");
    assert!(found[0].requires[0].contains("/etc/apparmor.d/disable/bwrap-userns-restrict"));
    assert!(found[1..].iter().all(|remedy| !remedy.instructions().contains("bwrap-userns-restrict")));
    let found = permit(&there("opt.x.bwrap", "/opt/x/bwrap"));
    assert_eq!(found[0].instructions(), "apparmor_parser -r /etc/apparmor.d/opt.x.bwrap\n");
    // one for another bwrap is of no use
    assert!(matches!(permit(&there("bwrap", "/opt/x/bwrap"))[0].action, Action::AppArmor(_)));
    // the host's files are not those of a container
    let mut host = there("bwrap", "/usr/bin/bwrap");
    host = only_on(host, Platform::Docker);
    assert!(permit(&host).iter().all(|remedy| !matches!(remedy.action, Action::Commands(_))));
}

#[test]
fn profiles_attach_to_the_resolved_path() {
    let mut host = ubuntu(machine());
    let mut program = Program::new("/home/me/bin/bwrap", "0.11.0");
    program.real_path = Some("/nix/store/abc/bin/bwrap".into());
    host.bwrap = Fact::Present(program);
    let Action::AppArmor(profile) = &permit(&host)[0].action else { panic!() };
    assert!(profile.text.contains("\"/nix/store/abc/bin/bwrap\""), "{}", profile.text);
    assert_eq!(profile.path, Path::new("/etc/apparmor.d/nix.store.abc.bin.bwrap"));
    // and a link to the packaged one is the packaged one
    let mut program = Program::new("/home/me/bin/bwrap", "0.11.0");
    program.real_path = Some("/usr/bin/bwrap".into());
    host.bwrap = Fact::Present(program);
    assert!(permit(&host)[1].instructions().contains("bwrap-userns-restrict"));
}

#[test]
fn the_restrictions_own_profile_gets_no_rules() {
    for label in ["unprivileged_userns (enforce)", "bwrap//&unpriv_bwrap (enforce)"] {
        let mut host = ubuntu(machine());
        host.security.apparmor_label = Fact::Present(label.into());
        let found = confine(&host);
        assert!(found[0].summary.contains("outside of the program"));
        assert!(found.iter().all(|remedy| !remedy.instructions().contains("grep -rl")), "{found:?}");
        assert_eq!(found[1..], permit(&host));
    }
}
