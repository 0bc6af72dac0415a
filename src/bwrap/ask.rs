//! Asks a program what it is, and does not wait for an answer for ever.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getuid, kill_process_group, test_kill_process, waitid,
};

/// How long bwrap may take to say what it is. It takes a few milliseconds, but what is found may be a wrapper.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How long a killed process may take to disappear before we go on without it.
const DEATH: Duration = Duration::from_secs(2);

/// How often a process is looked for that has not closed its streams: its end alone wakes nobody, without `pidfd_open(2)`.
const PAUSE: Duration = Duration::from_millis(1);

/// The most that is read of an answer. bwrap's help has some kilobytes.
const LONGEST: usize = 1 << 16;

/// Runs bwrap with one option and returns what it prints, on either stream. Later than the deadline it is killed.
pub(super) fn ask(path: &Path, option: &str, deadline: Instant) -> io::Result<String> {
    let mut command = Command::new(path);
    command
        .arg(option)
        .env_clear()
        // a pipe, not /dev/null, which a sandbox around us may lack
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // a process group, so that a wrapper is killed with all that it has started
        .process_group(0);
    let mut child = match command.spawn() {
        // a command with a user is forked, without clone3(2)
        Err(error) if Errno::from_io_error(&error).is_some_and(is_denial) => {
            match command.uid(getuid().as_raw()).spawn() {
                Ok(mut child) => {
                    let _ = child.wait();
                    return Err(denied_clone3(&error));
                }
                Err(_) => return Err(error),
            }
        }
        child => child?,
    };
    let heard = listen(&mut child, deadline);
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // nobody has waited for the process, so its number is still its own
    let complete = matches!(heard, Ok((_, true)));
    if let Some(group) = group.filter(|_| !complete) {
        let _ = kill_process_group(group, Signal::KILL);
        wait_for(group, DEATH);
    }
    // otherwise we ignore the exit status: a caller that ignores SIGCHLD gets none
    if let Ok(Some(status)) = child.try_wait()
        && status.signal() == Some(libc::SIGSYS)
    {
        let what = "a system call filter ended it (SIGSYS) before it could say what it is; the number of the call is in the kernel log";
        return Err(io::Error::other(what));
    }
    match heard {
        Ok((text, _)) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            let seconds = PATIENCE.as_secs();
            let what = format!("it did not answer {option} within {seconds} seconds, and was killed");
            Err(io::Error::new(io::ErrorKind::TimedOut, what))
        }
        Err(error) => Err(error),
    }
}

/// What a system call filter answers, or a kernel without the call.
pub(crate) fn is_denial(error: Errno) -> bool {
    [Errno::PERM, Errno::ACCESS, Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP].contains(&error)
}

/// That clone3(2) was denied: what that is needed for, and what to do.
fn denied_clone3(error: &io::Error) -> io::Error {
    let what = format!(
        "clone3(2) was denied ({error}), and the C library starts programs and threads with it. Mostly that is the system call filter \
         of a container engine older than Docker 20.10.10: update the engine, or have the filter answer ENOSYS, with which the library \
         does without"
    );
    io::Error::new(error.kind(), what)
}

/// What a process prints until it ends, and whether it has ended: else it prints without end.
fn listen(child: &mut Child, deadline: Instant) -> io::Result<(String, bool)> {
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut ended = false;
    loop {
        let mut buffer = [0; 4096];
        let mut heard = false;
        heard |= read_ready(&mut stdout, &mut out, &mut buffer)?;
        heard |= read_ready(&mut stderr, &mut err, &mut buffer)?;
        if out.len() + err.len() > LONGEST {
            break;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if heard && !left.is_zero() {
            continue;
        }
        // a process that still holds the pipes after bwrap's end has nothing to say to us
        if ended {
            break;
        }
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let streams = [stdout.as_ref().map(AsFd::as_fd), stderr.as_ref().map(AsFd::as_fd)];
        let streams = streams.into_iter().flatten();
        let mut polled: Vec<PollFd<'_>> =
            streams.map(|stream| PollFd::from_borrowed_fd(stream, PollFlags::IN)).collect();
        match poll(&mut polled, Timespec::try_from(left.min(PAUSE)).ok().as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        ended = has_ended(Pid::from_child(child));
    }
    // put errors last, whichever stream they came from
    out.append(&mut err);
    Ok((String::from_utf8_lossy(&out).into_owned(), ended))
}

/// Reads once from a stream, if there is something to read. Says whether there was; `None` replaces a stream at its end.
fn read_ready(
    stream: &mut Option<impl Read + AsFd>,
    text: &mut Vec<u8>,
    buffer: &mut [u8],
) -> io::Result<bool> {
    let Some(source) = stream else { return Ok(false) };
    let ready = poll(&mut [PollFd::new(source, PollFlags::IN)], Some(&Timespec::default()));
    if !ready.is_ok_and(|count| count > 0) {
        return Ok(false);
    }
    match source.read(buffer) {
        Ok(0) => *stream = None,
        Ok(count) => text.extend(buffer.iter().take(count)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        Err(error) => return Err(error),
    }
    Ok(true)
}

/// Whether a child has ended, which stays to be waited for. Where the caller ignores SIGCHLD it is gone then.
fn has_ended(pid: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(pid), options) {
        Ok(status) => status.is_some(),
        Err(error) => error == Errno::CHILD && test_kill_process(pid) == Err(Errno::SRCH),
    }
}

/// Waits for the end of a child, not for long.
fn wait_for(pid: Pid, patience: Duration) {
    let deadline = Instant::now() + patience;
    while !has_ended(pid) && Instant::now() < deadline {
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::stand_in::{self, dies};
    use super::*;

    /// A script that is asked something.
    fn script(directory: &tempfile::TempDir, text: &str) -> PathBuf {
        let path = directory.path().join("bwrap");
        stand_in::script(&path, text);
        path
    }

    #[test]
    fn an_answer_has_a_time_limit() {
        let directory = tempfile::tempdir().unwrap();
        let pids = directory.path().join("pids");
        for (what, end) in [
            ("it hangs", "sleep 60"),
            ("it closes its streams and hangs", "exec >/dev/null 2>&1 <&1; sleep 60"),
        ] {
            let text = format!("sleep 60 & echo $$ $! >{}; {end}", pids.display());
            let path = script(&directory, &text);
            // on a busy machine it may take a while to say who it is
            let said = [400, 4_000, 15_000].into_iter().find_map(|limit| {
                let _ = std::fs::remove_file(&pids);
                let began = Instant::now();
                let error = ask(&path, "--help", began + Duration::from_millis(limit)).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{what}: {error}");
                assert!(began.elapsed() < Duration::from_secs(30), "{what}");
                std::fs::read_to_string(&pids).ok().filter(|said| said.ends_with('\n'))
            });
            let said = said.unwrap();
            let mut numbers = said.split_whitespace();
            let own = numbers.next().unwrap();
            assert!(!Path::new(&format!("/proc/{own}")).exists(), "{what}: not even a zombie");
            assert!(numbers.all(dies), "{what}");
        }
    }

    #[test]
    fn an_answer_ends_with_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let pid = directory.path().join("pid");
        let text = format!("echo err >&2; sleep 20 & echo $! >{}; echo out", pid.display());
        let began = Instant::now();
        let answer = ask(&script(&directory, &text), "--help", began + PATIENCE).unwrap();
        assert_eq!(answer, "out\nerr\n");
        assert!(began.elapsed() < Duration::from_secs(15));
        let pid = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        // without end
        let answer = ask(&script(&directory, "yes"), "--help", Instant::now() + PATIENCE).unwrap();
        assert!(answer.len() > LONGEST && answer.len() < 2 * LONGEST);
    }
}
