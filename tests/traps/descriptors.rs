//! Descriptors: what bwrap reads, what it holds, what reaches the command.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use bwrap_launch::op::BindData;
use bwrap_launch::{Bwrap, Content, Descriptor, Error, Filter, Namespaces, Place, Problem, Sandbox, Stdio};

use crate::common::{Here, host};
use crate::support::{SETTLE, at, outside, prints, refused, refused_at_launch, released, watch};

/// A filter that allows everything: `BPF_RET | BPF_K` with `SECCOMP_RET_ALLOW`.
pub(crate) fn allow_all() -> Vec<u8> {
    let mut filter = 6_u16.to_ne_bytes().to_vec();
    filter.extend([0, 0]);
    filter.extend(0x7fff_0000_u32.to_ne_bytes());
    filter
}

/// The read end of a pipe that yields these bytes, once.
fn once(bytes: &[u8]) -> Descriptor {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(bytes).unwrap();
    reader.into()
}

/// Trap 6, section 4: the second reader of one descriptor silently gets nothing.
pub(crate) fn one_descriptor_cannot_be_read_twice(here: &Here) {
    // the harness's own operations and the tmpfs come first
    let reused = || Problem::DescriptorReused { first: "operation 4 (file on \"/tmp/a\")".to_owned() };
    for descriptor in [once(b"x"), Descriptor::number(0)] {
        let content = || Content::from(descriptor.clone());
        let base = host().tmpfs("/tmp").file(content(), "/tmp/a");
        refused(here, &base.clone().file(content(), "/tmp/b"), at(4, "file", "/tmp/b"), reused());
        let data = base.clone().add(BindData::read_only(content(), "/tmp/b"));
        refused(here, &data, at(4, "bind of data", "/tmp/b"), reused());
        refused(here, &base.seccomp(Filter::new(content())), Place::Filter(0), reused());
    }
}

/// Trap 6 again: an owned descriptor and its bare number are the same thing.
pub(crate) fn an_owned_descriptor_and_its_number_are_one(here: &Here) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"x").unwrap();
    drop(writer);
    let number = reader.as_raw_fd();
    let sandbox = host().tmpfs("/tmp").file(Descriptor::from(reader), "/tmp/a");
    let sandbox = sandbox.file(Descriptor::number(number), "/tmp/b");
    let reused = Problem::DescriptorReused { first: "operation 4 (file on \"/tmp/a\")".to_owned() };
    refused(here, &sandbox, at(4, "file", "/tmp/b"), reused);
}

/// Trap 6: bytes that are used often get a descriptor for each use, so that no recycled number is read empty.
pub(crate) fn the_same_bytes_fill_every_file(here: &Here) {
    let payload = Content::from("PAYLOAD");
    let sandbox = (0..12).fold(host().tmpfs("/tmp"), |sandbox, index| {
        let data = BindData::read_only(payload.clone(), format!("/tmp/{index}b"));
        sandbox.file(payload.clone(), format!("/tmp/{index}a")).add(data)
    });
    let sandbox = sandbox.seccomp(allow_all());
    prints(here, &sandbox, "cat /tmp/* | sed 's/PAYLOAD/x/g'", &["x".repeat(24).as_str()]);
}

/// Section 4: what was read to its end cannot be read by a second launch, whichever clone asks.
pub(crate) fn a_spent_descriptor_is_refused(here: &Here) {
    let sandbox = host().tmpfs("/tmp").file(once(b"x"), "/tmp/a");
    let place = at(3, "file", "/tmp/a");
    let mut command = here.shell(&sandbox, "cat /tmp/a");
    // a launch that is refused for another reason reads nothing
    let mut refused = here.command(&sandbox, "true");
    refused.env("A=B", "");
    assert!(matches!(refused.spawn(), Err(Error::Invalid(_))));
    assert_eq!(command.output().unwrap().stdout, b"x");
    refused_at_launch(&mut command, place.clone(), Problem::DescriptorSpent);
    refused_at_launch(&mut here.command(&sandbox.clone(), "true"), place, Problem::DescriptorSpent);
    let filtered = host().seccomp(Filter::new(Content::from(once(&allow_all()))));
    assert!(here.command(&filtered, "true").status().unwrap().success());
    let mut again = here.command(&filtered, "true");
    refused_at_launch(&mut again, Place::Filter(0), Problem::DescriptorSpent);
}

/// Section 4: bwrap closes what it reads, so that reading 0, 1 or 2 would take the command's stream away.
pub(crate) fn standard_streams_as_content_stay_open(here: &Here) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"payload").unwrap();
    drop(writer);
    rustix::stdio::dup2_stdin(&reader).unwrap();
    let sandbox = host().proc("/proc").tmpfs("/tmp").file(Descriptor::number(0), "/tmp/x");
    let script = "cat /tmp/x; for n in 0 1 2; do test -e /proc/self/fd/$n && printf ' %s' $n; done; cat";
    let mut command = here.shell(&sandbox, script);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b" typed").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"payload 0 1 2 typed");
    // inherited, it is the very pipe: at its end, but open
    let mut command = here.shell(&sandbox, "readlink /proc/self/fd/0 | cut -c 1-5");
    let output = command.stdin(Stdio::inherit()).output().unwrap();
    assert_eq!(output.stdout, b"pipe:\n");
}

/// Section 3: a negative number is no descriptor, wherever one is expected.
pub(crate) fn negative_numbers_are_refused(here: &Here) {
    let bad = || Descriptor::number(-1);
    let problem = || Problem::DescriptorNumber(-1);
    refused(here, &Sandbox::new().file(bad(), "/x"), at(0, "file", "/x"), problem());
    let bind = bwrap_launch::op::BindFd::read_only(bad(), "/x");
    refused(here, &Sandbox::new().add(bind), at(0, "bind of a descriptor", "/x"), problem());
    refused(here, &Sandbox::new().seccomp(Filter::new(Content::from(bad()))), Place::Filter(0), problem());
    for sandbox in [
        Sandbox::new().join_user(bad()),
        Sandbox::new().join_user_after_setup(bad()),
        Sandbox::new().join_pid(bad()),
    ] {
        refused(here, &sandbox, Place::Namespaces, problem());
    }
    for sandbox in [Sandbox::new().sync_fd(bad()), Sandbox::new().info_fd(bad())] {
        refused(here, &sandbox, Place::Lifetime, problem());
    }
}

/// Section 4: everything without close-on-exec would pass; the command gets what it is given only.
pub(crate) fn nothing_of_bwraps_reaches_the_command(here: &Here) {
    let leak = File::open("/").unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let sandbox = host()
        .proc("/proc")
        .tmpfs("/mnt")
        .file("x", "/mnt/a")
        .add(BindData::read_only("x", "/mnt/b"))
        .seccomp(allow_all())
        .info_fd(File::create("/dev/null").unwrap())
        .sync_fd(writer);
    for sandbox in [sandbox.clone(), sandbox.unshare(Namespaces::PID)] {
        let output = here.helper(&sandbox, "descriptors").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "[0, 1, 2]\n", "{sandbox}");
    }
    drop(reader);
}

/// Section 3: as process 1 the command would inherit the descriptor that bwrap is to keep.
pub(crate) fn process_1_does_not_inherit_the_sync_descriptor(here: &Here) {
    let (_reader, writer) = std::io::pipe().unwrap();
    let sandbox = host().proc("/proc").unshare(Namespaces::PID).as_pid_1().sync_fd(writer);
    if sandbox.check().is_err() {
        return;
    }
    let output = here.helper(&sandbox, "descriptors").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "[0, 1, 2]\n");
}

/// Section 3: `--block-fd` lets the command run when its writer crashes; a held sandbox must not.
pub(crate) fn a_crashed_caller_does_not_open_the_gate(here: &Here) {
    let mark = here.scratch.join("mark");
    let mut process = outside(here, "hold");
    let mut caller = process.arg(&mark).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut said = [0; 5];
    let mut stdout = caller.stdout.take().unwrap();
    stdout.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"held\n");
    caller.kill().unwrap();
    caller.wait().unwrap();
    // the sandbox has the pipe too: its end is the end of everything
    stdout.read_to_end(&mut Vec::new()).unwrap();
    assert!(!mark.exists());
}

/// A helper: holds a sandbox whose command would leave a mark.
pub(crate) fn hold(arguments: &[String]) {
    let mark = Path::new(&arguments[1]);
    let directory = mark.parent().unwrap();
    let mut command = host().bind(directory, directory).command("touch");
    let prepared = command.arg(mark).bwrap(&Bwrap::at(&arguments[0]).unwrap()).prepare().unwrap();
    println!("held");
    std::thread::sleep(std::time::Duration::from_secs(60));
    drop(prepared);
}

/// Section 3 and trap 14: a report that nobody reads ends bwrap and strands the child with our streams.
pub(crate) fn a_report_without_a_reader_strands_nobody(here: &Here) {
    for sandbox in [host(), host().unshare(Namespaces::PID)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = here.command(&sandbox.info_fd(writer), "true");
        let holders = watch(&mut command);
        let error = command.output().unwrap_err();
        drop(command);
        assert!(error.failure().is_some(), "{error:?}");
        assert!(released(&holders, SETTLE), "{error}");
    }
}

/// Trap 14: whatever fails early, no child is left that holds standard output.
pub(crate) fn early_failures_leave_no_orphan(here: &Here) {
    let not_a_namespace = || File::open("/").unwrap();
    for sandbox in [
        host().join_user_after_setup(not_a_namespace()),
        host().join_pid(not_a_namespace()),
        host().join_user(not_a_namespace()),
        host().unshare_all().ro_bind("/nonexistent", "/mnt"),
    ] {
        let mut command = here.command(&sandbox, "true");
        let holders = watch(&mut command);
        // `output` reads to the end of file, which an orphan would put off for ever
        let error = command.output().unwrap_err();
        drop(command);
        assert!(matches!(error, Error::Refused(_) | Error::SetupFailed(_)), "{error:?}");
        assert!(released(&holders, SETTLE), "{error}");
    }
}

/// Section 3: a pipe that is read for content ends when its writer closes, and its content is complete then.
pub(crate) fn content_from_a_slow_pipe_is_complete(here: &Here) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let sandbox = host().tmpfs("/tmp").file(Descriptor::from(reader), "/tmp/x");
    let mut command = here.shell(&sandbox, "wc -c < /tmp/x");
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    for _ in 0..10 {
        writer.write_all(&[b'x'; 10_000]).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    drop(writer);
    assert_eq!(child.wait_with_output().unwrap().stdout, b"100000\n");
}

/// A caller may have closed its standard streams: what a launch opens must not take their places.
pub(crate) fn closed_streams_are_not_replaced(here: &Here) {
    let seen = here.scratch.join("seen");
    let sandbox = host().bind(&here.scratch, &here.scratch);
    // the loop's own output goes elsewhere in a process of its own
    let script =
        format!("(for n in 0 1 2; do readlink /proc/$$/fd/$n; done) > {}; cat >/dev/null; :", seen.display());
    let saved = std::io::stderr().as_fd().try_clone_to_owned().unwrap();
    (0..3).for_each(|number| nix::unistd::close(number).unwrap());
    let told = [0, 1, 2].map(|piped| {
        let mut command = here.shell(&sandbox, &script);
        let stream = |number| if number == piped { Stdio::piped() } else { Stdio::inherit() };
        // a launch before must not lend its pipes either
        let mut earlier =
            here.command(&sandbox, "true").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut child = command.stdin(stream(0)).stdout(stream(1)).stderr(stream(2)).spawn().unwrap();
        drop(child.stdin.take());
        let status = child.wait();
        earlier.wait().unwrap();
        (status, std::fs::read_to_string(&seen))
    });
    rustix::stdio::dup2_stderr(&saved).unwrap();
    for (piped, (status, text)) in told.into_iter().enumerate() {
        assert!(status.unwrap().success());
        let text = text.unwrap();
        let kinds: Vec<&str> = text.lines().map(|line| line.split(':').next().unwrap()).collect();
        let mut expected = ["/dev/null"; 3];
        expected[piped] = "pipe";
        assert_eq!(kinds, expected);
    }
}
