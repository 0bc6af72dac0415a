//! That containers are what they are said to be, and leave nothing behind.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::bundle::{Bundle, Ended, PROGRAM, Seccomp, Status, Wrapper};

/// A case: its name and what it does.
pub(crate) type Case = (&'static str, fn());

pub(crate) const CASES: &[Case] = &[
    ("input_output_and_status", input_output_and_status),
    ("runtimes_leave_their_marks", runtimes_leave_their_marks),
    ("users_and_privileges", users_and_privileges),
    ("pods_have_users_of_their_own", pods_have_users_of_their_own),
    ("limits_hold", limits_hold),
    ("files_are_lost", files_are_lost),
    ("what_cannot_start_says_so", what_cannot_start_says_so),
    ("what_hangs_is_killed", what_hangs_is_killed),
    ("killed_tests_leave_no_process", killed_tests_leave_no_process),
    ("runs_leave_nothing", runs_leave_nothing),
    ("the_program_is_inside", the_program_is_inside),
];

/// What a script prints in a container, where it must succeed.
fn prints(bundle: &Bundle, script: &str) -> String {
    let ended = bundle.run("sh", &["-ec", script], b"");
    assert!(ended.success(), "{ended:?}\n{bundle:?}");
    ended.stdout
}

fn input_output_and_status() {
    let ended = Bundle::docker().run("sh", &["-c", "cat; echo said >&2; exit 7"], b"in\0out");
    let expected =
        Ended { status: Status::Code(7), stdout: "in\0out".to_owned(), stderr: "said\n".to_owned() };
    assert_eq!(ended, expected);
    // more than fits in a pipe, both ways, through the gate too
    let much = vec![b'x'; 300_000];
    for bundle in [Bundle::bare(), Bundle::bare().pids_limit(5)] {
        assert_eq!(bundle.run("cat", &[""; 0], &much).stdout.len(), much.len());
    }
    // who does not read
    assert!(Bundle::bare().run("true", &[""; 0], &much).success());
}

fn runtimes_leave_their_marks() {
    let marks = |bundle: &Bundle| {
        prints(
            bundle,
            "for path in /.dockerenv /run/.containerenv /var/run/secrets/kubernetes.io/serviceaccount/namespace; do
                 if [ -e $path ]; then echo $path; fi
             done
             echo $container $KUBERNETES_SERVICE_HOST; cat /proc/self/cgroup",
        )
    };
    let said = marks(&Bundle::bare());
    assert!(said.starts_with('\n'), "{said}");
    let said = marks(&Bundle::docker());
    assert!(said.starts_with("/.dockerenv\n\n") && said.contains(":/docker/"), "{said}");
    let said = marks(&Bundle::podman());
    assert!(
        said.starts_with("/run/.containerenv\npodman\n") && said.contains(":/machine.slice/libpod-"),
        "{said}"
    );
    let account = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
    let said = marks(&Bundle::containerd());
    assert!(
        said.starts_with(&format!("{account}\n10.96.0.1\n")) && said.contains("/cri-containerd-"),
        "{said}"
    );
    let said = marks(&Bundle::crio());
    assert!(said.starts_with(&format!("/run/.containerenv\n{account}\n172.30.0.1\n")), "{said}");
    assert!(said.contains("/crio-"), "{said}");
}

fn users_and_privileges() {
    let status =
        |bundle: &Bundle| prints(bundle, "id -u; id -g; grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status");
    let lines = |sets: [&str; 5], no_new_privs, seccomp| {
        let names = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
        let lines = names.iter().zip(sets).map(|(name, set)| format!("{name}:\t{set:0>16}\n"));
        format!("{}NoNewPrivs:\t{no_new_privs}\nSeccomp:\t{seccomp}\n", lines.collect::<String>())
    };
    // the number that everybody knows from Docker
    let (docker, none) = ("a80425fb", "0");
    let root = lines([none, docker, docker, docker, none], 0, 2);
    assert_eq!(status(&Bundle::docker()), format!("0\n0\n{root}"));
    let root = lines([none, "800405fb", "800405fb", "800405fb", none], 0, 2);
    assert_eq!(status(&Bundle::podman()), format!("0\n0\n{root}"));
    let user = Bundle::containerd().uid(5).gid(6).no_new_privs(true);
    assert_eq!(status(&user), format!("5\n6\n{}", lines([none, none, none, docker, none], 1, 0)));
    let ambient = Bundle::containerd().drop_all().uid(5).gid(6).ambient(&["KILL"]);
    assert_eq!(status(&ambient), format!("5\n6\n{}", lines(["20"; 5], 0, 0)));
}

fn pods_have_users_of_their_own() {
    let pod = Bundle::containerd().user_namespace(true);
    let said = prints(&pod, "cat /proc/self/uid_map; id -u; new=$(mktemp) && stat -c %u \"$new\" /etc");
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words, ["0", "100000", "65536", "0", "0", "65534"]);
}

fn limits_hold() {
    let bundle = Bundle::docker().pids_limit(3).rlimit("NOFILE", 20, 30).rlimit("CORE", 0, 0);
    let said = prints(&bundle, "ulimit -n; ulimit -Hn; ulimit -c; cat /sys/fs/cgroup/pids/pids.max || :");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..3], ["20", "30", "0"]);
    if crate::stage::hierarchical() {
        assert_eq!(lines[3], "3");
    }
    let pod = Bundle::containerd().user_namespace(true).sysctl_in_userns("user.max_net_namespaces", 4);
    assert_eq!(prints(&pod, "cat /proc/sys/user/max_net_namespaces"), "4\n");
    let within = Bundle::bare().wrapper(Wrapper::UserNamespaceLimit { kind: "ipc", value: 5 });
    assert_eq!(prints(&within, "cat /proc/sys/user/max_ipc_namespaces"), "5\n");
}

fn files_are_lost() {
    let path = format!("/tmp/bwrap-launch-test.{}", std::process::id());
    let bundle = Bundle::docker().remove("/srv").remove("/etc/passwd").remove("/usr/bin/ls");
    let script =
        format!("echo new >{path}; cat {path}; echo /sr[v] /etc/passw[d] /usr/bin/l[s]; stat -c %a /etc");
    assert_eq!(prints(&bundle, &script), "new\n/sr[v] /etc/passw[d] /usr/bin/l[s]\n755\n");
    assert!(!Path::new(&path).exists());
    assert!(Path::new("/srv").exists());
    let copied = Bundle::bare().copy("/etc/passwd", "/deep/down/file").uid(1000);
    assert!(prints(&copied, "cat /deep/down/file").starts_with("root:"));
}

fn what_cannot_start_says_so() {
    let ended = Bundle::docker().run("/nowhere", &[""; 0], b"");
    let Status::NotStarted(reason) = &ended.status else { panic!("{ended:?}") };
    assert!(reason.contains("no such file or directory"), "{reason}");
    let unknown = Seccomp::Custom(serde_json::json!({ "defaultAction": "NONE" }));
    let ended = Bundle::bare().seccomp(unknown).pids_limit(3).run("true", &[""; 0], b"");
    assert!(matches!(ended.status, Status::NotStarted(_)), "{ended:?}");
    // behind what is done to a container that runs, a shell says so
    let ended = Bundle::docker().pids_limit(3).run("/nowhere", &[""; 0], b"");
    assert_eq!(ended.status, Status::Code(127), "{ended:?}");
}

fn what_hangs_is_killed() {
    for bundle in [Bundle::docker(), Bundle::docker().pids_limit(20)] {
        // as long as it takes to start
        let started = [4, 15, 45].map(Duration::from_secs).into_iter().any(|limit| {
            let began = Instant::now();
            let ended = bundle.clone().timeout(limit).run("sh", &["-c", "echo so; sleep 77077"], b"");
            assert_eq!(ended.status, Status::TimedOut);
            assert!(began.elapsed() < limit + Duration::from_secs(30), "{:?}", began.elapsed());
            ended.stdout == "so\n"
        });
        assert!(started);
    }
    assert_eq!(processes("sleep\x0077077"), 0);
}

/// How many processes have this in their command lines, with zeros between words.
fn processes(words: &str) -> usize {
    let has = |entry: std::io::Result<std::fs::DirEntry>| {
        let line = std::fs::read(entry.unwrap().path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(words)
    };
    std::fs::read_dir("/proc").unwrap().filter_map(|entry| has(entry).then_some(())).count()
}

/// A helper: runs a container for as long as nobody kills it.
pub(crate) fn hang() {
    Bundle::docker().timeout(Duration::from_secs(60)).run("sleep", &["77078"], b"");
}

fn killed_tests_leave_no_process() {
    let mut test = Command::new(std::env::current_exe().unwrap())
        .args(["--helper", "hang"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let until = |count| {
        let deadline = Instant::now() + Duration::from_secs(30);
        while processes("sleep\x0077078\0") != count && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(processes("sleep\x0077078\0"), count);
    };
    until(1);
    test.kill().unwrap();
    test.wait().unwrap();
    until(0);
    assert_eq!(groups(test.id()).is_empty(), !crate::stage::hierarchical());
    // the next one cleans up; zombies take a moment to leave
    let deadline = Instant::now() + Duration::from_secs(30);
    while !groups(test.id()).is_empty() && Instant::now() < deadline {
        crate::stage::sweep();
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(groups(test.id()), [""; 0]);
}

/// The control groups that a process made for its runs.
fn groups(process: u32) -> Vec<String> {
    let find = Command::new("find").args(["/sys/fs/cgroup", "-name", &format!("*test.{process}.*")]).output();
    String::from_utf8(find.unwrap().stdout).unwrap().lines().map(str::to_owned).collect()
}

fn runs_leave_nothing() {
    // others may mount what they like meanwhile
    let ours =
        |line: &&str| [" /mnt ", "lowerdir=/,", " /sys/fs/cgroup"].iter().any(|mark| line.contains(mark));
    let mounts = || {
        let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        text.lines().filter(ours).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = mounts();
    for bundle in [Bundle::docker(), Bundle::containerd().user_namespace(true), Bundle::bare().lxcfs()] {
        assert!(bundle.run("true", &[""; 0], b"").success());
    }
    assert_eq!(mounts(), before);
    let list = Command::new("runc").args(["list", "--quiet"]).output().unwrap();
    assert!(!String::from_utf8(list.stdout).unwrap().contains("bwrap-launch-test"));
}

fn the_program_is_inside() {
    for bundle in [Bundle::docker().uid(1000), Bundle::crio().user_namespace(true)] {
        let ended = bundle.run(PROGRAM, &["--helper", "hello"], b"");
        assert_eq!((ended.status, ended.stdout.as_str()), (Status::Code(0), "hello\n"));
    }
}
