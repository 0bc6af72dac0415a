//! Every kind of descriptor that a bwrap line names: it reads, writes, waits and closes as without the stand-in.

use std::fs;

use crate::cases;
use crate::common::{Case, Here};
use crate::kit::{prints, same, stood_in};

pub(crate) const CASES: &[Case] = cases![
    lists_of_arguments,
    lists_from_pipes,
    lists_that_no_file_can_hold,
    what_lists_ask_for,
    information,
    reports,
    reports_and_a_gate,
    a_descriptor_that_is_kept_until_the_end,
    filters,
    files,
    directories,
    a_gate,
    a_gate_for_id_maps,
    nothing_more_is_open,
];

const ROOT: &str = "printf '%s\\0' --ro-bind / / >list;";

fn lists_of_arguments(here: &Here) {
    prints(here, &format!("{ROOT} exec \"$B\" --args 5 echo hello 5<list"), "hello\n");
    // it begins where the descriptor stands
    prints(
        here,
        "printf 'junk' >all; printf '%s\\0' --ro-bind / / >>all; exec 5<all; \
        dd bs=1 count=4 status=none <&5 >/dev/null; exec \"$B\" --args 5 echo hello",
        "hello\n",
    );
    // what follows a command in a list is passed over
    prints(
        here,
        "printf '%s\\0' --ro-bind / / -- false --tmpfs >list; exec \"$B\" --args 5 echo hello 5<list",
        "hello\n",
    );
    prints(here, ": >list; exec \"$B\" --args 5 --ro-bind / / echo hello 5<list", "hello\n");
}

fn lists_from_pipes(here: &Here) {
    prints(here, "printf '%s\\0' --ro-bind / / | \"$B\" --args 0 echo hello", "hello\n");
    prints(
        here,
        "mkfifo list; { sleep 0.1; printf '%s\\0' --ro-bind / / --setenv X 1; } >list & \
        exec \"$B\" --args 5 sh -c 'echo $X' 5<list",
        "1\n",
    );
    same(here, "printf '%s\\0' --ro-bind / / | \"$B\" --args 0 ls /proc/self/fd");
    // far more than a pipe holds
    prints(
        here,
        "{ printf '%s\\0' --ro-bind / /; for i in $(seq 3000); do printf '%s\\0' --unsetenv VARIABLE_WITH_A_LONG_NAME_$i; done; } \
        | \"$B\" --args 0 echo hello",
        "hello\n",
    );
}

/// Without what was read from a pipe bwrap would make another sandbox: it gets that, or nothing is run.
fn lists_that_no_file_can_hold(here: &Here) {
    let limited = "trap '' XFSZ; ulimit -f 0; exec \"$B\"";
    let list = "printf '%s\\0' --unshare-net --setenv X 1";
    let ran = same(
        here,
        &format!("{list} | {{ {limited} --ro-bind / / --args 0 sh -c 'echo $X; wc -l </proc/net/dev'; }}"),
    );
    assert_eq!((ran.status.code(), ran.out.as_str()), (Some(0), "1\n3\n"));
    // more than a pipe holds
    let list = "{ printf '%s\\0' --unshare-net; for i in $(seq 3000); do printf '%s\\0' --unsetenv VARIABLE_WITH_A_LONG_NAME_$i$LONG; done; }";
    let ran = stood_in(
        here,
        &format!("LONG=$(printf %01000d 0); {list} | {{ {limited} --ro-bind / / --args 0 echo it runs; }}"),
    );
    assert_eq!((ran.status.code(), ran.out.as_str()), (Some(1), ""), "{}", ran.err);
    assert!(ran.err.contains("nothing was run"), "{}", ran.err);
    // nor does a report of bwrap's end it there
    prints(here, "ulimit -f 0; exec \"$B\" --ro-bind / / --unshare-pid echo hello", "hello\n");
}

fn what_lists_ask_for(here: &Here) {
    // reports that a list asks for
    let ran = same(
        here,
        "printf '%s\\0' --ro-bind / / --json-status-fd 6 >list; \"$B\" --args 5 true 5<list 6>status; \
        sed 's/[0-9][0-9]*/N/g' status",
    );
    assert!(ran.out.contains("\"exit-code\": N") && ran.err.is_empty(), "{}{}", ran.out, ran.err);
    let ran = same(
        here,
        "printf '%s\\0' --ro-bind / / --block-fd 6 >list; echo x >gate; \
        exec \"$B\" --args 5 echo hello 5<list 6<gate",
    );
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("hello\n", ""));
}

fn information(here: &Here) {
    let ran = same(
        here,
        "\"$B\" --ro-bind / / --unshare-pid --info-fd 5 true 5>info; sed 's/[0-9][0-9]*/N/g' info",
    );
    assert!(ran.out.contains("\"child-pid\": N"), "{}", ran.out);
    // whoever reads it sees its end while the command runs
    prints(
        here,
        "mkfifo go; \"$B\" --ro-bind / / --info-fd 5 sh -c 'read x <go' 5>&1 >/dev/null \
        | { grep -c child-pid; echo go >go; }",
        "1\n",
    );
}

fn reports(here: &Here) {
    let ran = same(
        here,
        "\"$B\" --ro-bind / / --json-status-fd 5 sh -c 'exit 3' 5>status; echo $?; \
        sed 's/[0-9][0-9]*/N/g' status",
    );
    assert!(ran.out.starts_with("3\n") && ran.out.contains("exit-code"), "{}", ran.out);
    // through a pipe: its end is bwrap's end
    prints(
        here,
        "\"$B\" --ro-bind / / --json-status-fd 5 sh -c 'sleep 0.1; exit 3' 5>&1 >/dev/null \
        | grep -o 'exit-code.*'",
        "exit-code\": 3 }\n",
    );
    let failed = same(
        here,
        "exec \"$B\" --ro-bind / / --json-status-fd 5 --block-fd 6 /nonexistent 5>status 6</dev/null",
    );
    assert_eq!(failed.status.code(), Some(1));
}

fn reports_and_a_gate(here: &Here) {
    let ran = same(
        here,
        "echo x >gate; \"$B\" --ro-bind / / --json-status-fd 5 --block-fd 6 ls /proc/self/fd 5>status 6<gate; \
        grep -c exit-code status",
    );
    assert!(ran.out.ends_with("\n1\n") && ran.err.is_empty(), "{}{}", ran.out, ran.err);
}

fn a_descriptor_that_is_kept_until_the_end(here: &Here) {
    for options in ["", "--unshare-pid"] {
        prints(
            here,
            &format!(
                "mkfifo sync; cat sync >end & exec 5>sync; \
            \"$B\" --ro-bind / / {options} --sync-fd 5 sh -c 'sleep 0.1; echo ran' 5>&5; exec 5>&-; wait; echo over"
            ),
            "ran\nover\n",
        );
    }
}

fn filters(here: &Here) {
    // a program of one instruction, which allows
    let allow = here.scratch.join("allow");
    fs::write(&allow, [6, 0, 0, 0, 0, 0, 0xff, 0x7f]).unwrap();
    for option in ["--seccomp", "--add-seccomp-fd"] {
        if here.bwrap.accepts(option) {
            let allow = allow.display();
            for feed in [
                format!("exec \"$B\" --ro-bind / / {option} 5 grep Seccomp: /proc/self/status 5<{allow}"),
                format!("cat {allow} | \"$B\" --ro-bind / / {option} 0 grep Seccomp: /proc/self/status"),
            ] {
                prints(here, &feed, "Seccomp:\t2\n");
            }
        }
    }
}

fn files(here: &Here) {
    for option in ["--file", "--bind-data", "--ro-bind-data"] {
        let line = format!("\"$B\" --ro-bind / / --tmpfs /tmp {option} 5 /tmp/x cat /tmp/x");
        prints(here, &format!("echo content >x; exec {line} 5<x"), "content\n");
        prints(here, &format!("{line} 5<<'END'\ncontent\nEND"), "content\n");
        prints(here, &format!("mkfifo pipe; echo content >pipe & exec {line} 5<pipe"), "content\n");
    }
}

fn directories(here: &Here) {
    here.needs("--bind-fd");
    for option in ["--bind-fd", "--ro-bind-fd"] {
        prints(
            here,
            &format!(
                "mkdir d; touch d/x; exec \"$B\" --ro-bind / / --tmpfs /tmp --dir /tmp/d {option} 5 /tmp/d ls /tmp/d 5<d"
            ),
            "x\n",
        );
    }
}

fn a_gate(here: &Here) {
    prints(
        here,
        "mkfifo gate; \"$B\" --ro-bind / / --block-fd 5 cat mark 5<>gate & \
        sleep 0.1; echo opened >mark; echo x >gate; wait",
        "opened\n",
    );
    // an end of file opens it, too
    prints(here, "exec \"$B\" --ro-bind / / --block-fd 5 echo hello 5</dev/null", "hello\n");
}

fn a_gate_for_id_maps(here: &Here) {
    prints(
        here,
        "mkfifo gate; exec 6<>gate; \
        \"$B\" --ro-bind / / --unshare-user --info-fd 5 --userns-block-fd 6 id -u 5>info & \
        until grep -qs '}' info; do sleep 0.01; done; \
        child=$(sed -n 's/.*child-pid\": \\([0-9]*\\).*/\\1/p' info); \
        echo deny >/proc/$child/setgroups; echo \"$(id -u) $(id -u) 1\" >/proc/$child/uid_map; \
        echo \"$(id -g) $(id -g) 1\" >/proc/$child/gid_map; echo x >&6; wait $!; test $? = 0 && echo mapped",
        &format!("{}\nmapped\n", rustix::process::getuid().as_raw()),
    );
}

fn nothing_more_is_open(here: &Here) {
    for options in ["", "--unshare-pid", "--unshare-pid --as-pid-1"] {
        let ran = same(here, &format!("exec \"$B\" --ro-bind / / {options} --proc /proc ls /proc/self/fd"));
        assert!(ran.out.contains("0\n1\n") && ran.err.is_empty(), "{}{}", ran.out, ran.err);
        // a name that is not open stays so
        same(
            here,
            &format!(
                "exec \"$B\" --ro-bind / / {options} --proc /proc --json-status-fd 5 --info-fd 6 \
            ls /proc/self/fd 5>a 6>b"
            ),
        );
    }
}
