//! `posix_spawn(3)`: the only unsafe code of the crate.
//!
//! It costs the same however large the caller is, because nothing of the caller is copied, and it runs none of our
//! code between fork and exec. What the child needs is said in file actions and attributes.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::LazyLock;

use libc::{c_char, c_int};
use rustix::process::Pid;

use super::descriptors::{Action, none_above};

/// A program to spawn, with all that it gets from us. Its environment is empty.
pub(crate) struct Plan {
    pub(crate) path: CString,
    /// `argv`, the program's own name included.
    pub(crate) arguments: Vec<CString>,
    /// What to do with descriptors, in order. Their numbers must stay open until the plan is carried out.
    pub(crate) actions: Vec<Action>,
    /// Signals that the caller ignores stay ignored, but for those that bwrap needs.
    pub(crate) keeps_ignored_signals: bool,
    pub(crate) family: Family,
}

/// Which processes a spawned one belongs to when it comes to signals and terminals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Family {
    /// The caller's process group.
    #[default]
    Caller,
    /// This process group; 0 is a new one.
    Group(i32),
    /// A new session without a terminal.
    Session,
}

/// `POSIX_SPAWN_SETSID`, of one value in every C library of Linux; the type of libc's constant changes.
const SETSID: c_int = 0x80;

type CloseFrom = unsafe extern "C" fn(*mut libc::posix_spawn_file_actions_t, c_int) -> c_int;

/// glibc 2.34 and newer close everything above a number in one go. Looked up, so that the crate links elsewhere.
static CLOSE_FROM: LazyLock<Option<CloseFrom>> = LazyLock::new(|| {
    let name = c"posix_spawn_file_actions_addclosefrom_np";
    // SAFETY: the name is a C string; the handle asks for the default search order.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: the symbol of that name has this type wherever it exists, and a null pointer becomes `None`.
    unsafe { std::mem::transmute::<*mut libc::c_void, Option<CloseFrom>>(symbol) }
});

/// Spawns the program. Its signal mask is empty, and every signal has its default action, unless the plan keeps what is ignored:
/// bwrap hangs if it inherits an ignored SIGCHLD, and a command could make use of other ignored ones to end it quietly.
///
/// # Errors
///
/// What `posix_spawn` says, such as `ENOENT`, `EACCES` or `E2BIG` for the program, `EBADF` for a descriptor.
pub(crate) fn spawn(plan: &Plan) -> io::Result<Pid> {
    let mut actions = FileActions::new()?;
    for action in &plan.actions {
        actions.add(*action)?;
    }
    let attributes = Attributes::new(plan)?;
    let mut argv: Vec<*mut c_char> = plan.arguments.iter().map(|word| word.as_ptr().cast_mut()).collect();
    argv.push(ptr::null_mut());
    let environment: [*mut c_char; 1] = [ptr::null_mut()];
    let mut pid: libc::pid_t = 0;
    // SAFETY: every pointer is valid for the call: the path and the words are C strings that `plan` owns, `argv` and
    // `environment` end with a null pointer, actions and attributes are initialised. posix_spawn writes none of them.
    check(unsafe {
        libc::posix_spawn(
            &raw mut pid,
            plan.path.as_ptr(),
            actions.0.as_ptr(),
            attributes.0.as_ptr(),
            argv.as_ptr(),
            environment.as_ptr(),
        )
    })?;
    Pid::from_raw(pid).ok_or_else(|| io::Error::other("posix_spawn returned no process id"))
}

/// Has this called when the process exits (`atexit(3)`), other threads still running.
pub(super) fn at_exit(handler: extern "C" fn()) {
    // SAFETY: the handler takes nothing, returns nothing and does not unwind. That it cannot be registered, for lack of memory,
    // leaves an exit as it was.
    let _ = unsafe { libc::atexit(handler) };
}

/// Has this called first in every fork of this process (`pthread_atfork(3)`).
pub(super) fn at_fork(handler: extern "C" fn()) {
    // SAFETY: the handler takes nothing, returns nothing, does not unwind, and does only what is allowed between fork and exec. That it
    // cannot be registered, for lack of memory, leaves a fork as it was.
    let _ = unsafe { libc::pthread_atfork(None, None, Some(handler)) };
}

/// Blocks every signal in the calling thread, so that handlers of the program run elsewhere.
pub(super) fn block_signals() {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set that it is given, which pthread_sigmask then only reads.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut());
    }
}

/// The calling thread's session keyring (`keyctl(2)`, `KEYCTL_GET_KEYRING_ID`). None is made where there is none.
pub(super) fn session_keyring() -> Option<libc::c_long> {
    const KEYCTL_GET_KEYRING_ID: c_int = 0;
    const KEY_SPEC_SESSION_KEYRING: c_int = -3;
    // SAFETY: this operation takes two numbers and touches no memory.
    let id = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0) };
    (id >= 0).then_some(id)
}

/// The calling thread's I/O scheduling class and priority (`ioprio_get(2)`).
pub(super) fn io_priority() -> Option<libc::c_long> {
    const IOPRIO_WHO_PROCESS: c_int = 1;
    // SAFETY: the call takes two numbers, 0 for the calling thread, and touches no memory.
    let priority = unsafe { libc::syscall(libc::SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0) };
    (priority >= 0).then_some(priority)
}

/// The calling thread's execution domain (`personality(2)`).
pub(super) fn personality() -> Option<c_int> {
    // SAFETY: the call takes a number, this one to change nothing, and touches no memory.
    let personality = unsafe { libc::personality(0xffff_ffff) };
    (personality >= 0).then_some(personality)
}

/// The calling thread's scheduling policy and real-time priority (`sched(7)`).
pub(super) fn scheduling() -> Option<(i32, i32)> {
    let mut parameters = MaybeUninit::<libc::sched_param>::zeroed();
    // SAFETY: 0 is the calling thread; the second call writes one structure to where it is told.
    let (policy, done) = unsafe {
        // not by the names that musl refuses to carry out
        (
            libc::syscall(libc::SYS_sched_getscheduler, 0),
            libc::syscall(libc::SYS_sched_getparam, 0, parameters.as_mut_ptr()),
        )
    };
    let policy = i32::try_from(policy).ok().filter(|policy| *policy >= 0 && done == 0)?;
    // SAFETY: zeroed, and then filled by the kernel.
    let parameters = unsafe { parameters.assume_init() };
    Some((policy, parameters.sched_priority))
}

/// Sets the scheduling policy and real-time priority of a process's main thread (`sched(7)`).
pub(super) fn set_scheduling(pid: Pid, policy: c_int, priority: c_int) -> io::Result<()> {
    let mut parameters = MaybeUninit::<libc::sched_param>::zeroed();
    // SAFETY: the structure is zeroed, which is a value of it, before one field is written; the call only reads it.
    let done = unsafe {
        (*parameters.as_mut_ptr()).sched_priority = priority;
        // not by the name that musl refuses to carry out
        libc::syscall(libc::SYS_sched_setscheduler, pid.as_raw_pid(), policy, parameters.as_ptr())
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sets the I/O scheduling class and level of a process's main thread (`ioprio_set(2)`).
pub(super) fn set_io_priority(pid: Pid, class: c_int, level: c_int) -> io::Result<()> {
    const IOPRIO_WHO_PROCESS: c_int = 1;
    const IOPRIO_CLASS_SHIFT: c_int = 13;
    let priority = class << IOPRIO_CLASS_SHIFT | level;
    // SAFETY: the call takes three numbers and touches no memory.
    let done = unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, pid.as_raw_pid(), priority) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The resource limits of a process (`prlimit(2)`), soft and hard. One that has ended and was not waited for still has them. Whoever may
/// change them may read them.
pub(super) fn resource_limits(pid: Pid) -> Option<Vec<(libc::rlim_t, libc::rlim_t)>> {
    // `RLIM_NLIMITS` of Linux
    (0..16)
        .map(|resource| {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: the call writes one structure to where it is told, and reads none.
            let done = unsafe { libc::prlimit(pid.as_raw_pid(), resource, ptr::null(), &raw mut limit) };
            (done == 0).then_some((limit.rlim_cur, limit.rlim_max))
        })
        .collect()
}

/// How long files may be that this process writes (`RLIMIT_FSIZE`, soft), as far as there is a limit and it may be read.
pub(super) fn file_size_limit() -> Option<u64> {
    // SAFETY: the call writes one structure to where it is told.
    soft_limit(|limit| unsafe { libc::getrlimit64(libc::RLIMIT_FSIZE, limit) })
}

/// How many descriptors this process may have (`RLIMIT_NOFILE`, soft), as far as there is a limit and it may be read.
pub(super) fn descriptor_limit() -> Option<u64> {
    // SAFETY: the call writes one structure to where it is told.
    soft_limit(|limit| unsafe { libc::getrlimit64(libc::RLIMIT_NOFILE, limit) })
}

fn soft_limit(read: impl FnOnce(*mut libc::rlimit64) -> c_int) -> Option<u64> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    (read(&raw mut limit) == 0 && limit.rlim_cur != libc::RLIM64_INFINITY).then_some(limit.rlim_cur)
}

/// Whether a process is there, or has ended and nobody has waited for it: no signal (`pidfd_send_signal(2)`) finds it. That one
/// may not be sent to it is another matter.
pub(super) fn is_there(process: &OwnedFd) -> bool {
    let no_info = ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open; signal 0 is none, and without information about it the call reads no memory.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), 0, no_info, 0) };
    sent == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

/// The parent of a process, 0 if that is not of our PID namespace (`PIDFD_GET_INFO`, Linux 6.13). Nothing is said of one that somebody
/// has waited for.
pub(super) fn parent_of(process: BorrowedFd<'_>) -> Option<u32> {
    let mut info = MaybeUninit::<libc::pidfd_info>::zeroed();
    // SAFETY: the descriptor is open; the request has the size of the structure in it, and the kernel reads and writes no more than that.
    let done = unsafe { libc::ioctl(process.as_raw_fd(), libc::PIDFD_GET_INFO, info.as_mut_ptr()) };
    // SAFETY: zeroed, which is a value of it, and then filled by the kernel.
    let info = unsafe { info.assume_init() };
    (done == 0 && info.mask & u64::from(libc::PIDFD_INFO_PID) != 0).then_some(info.ppid)
}

/// How much of what was sent to a socket's other end waits there unread (`SIOCOUTQ`, `unix(7)`).
pub(super) fn unread(socket: &OwnedFd) -> Option<usize> {
    let mut count: c_int = 0;
    // SAFETY: the descriptor is open, and the request writes one int to the address that it is given.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    if done == 0 { usize::try_from(count).ok() } else { None }
}

/// Duplicates a descriptor that is known by its number only, to hold it while a launch is made.
pub(super) fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl takes any number, open or not, and touches no memory for this command.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(none_above(io::Error::last_os_error()));
    }
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// The functions of `posix_spawn` return their error.
fn check(code: c_int) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}

struct FileActions(MaybeUninit<libc::posix_spawn_file_actions_t>);

impl FileActions {
    fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: init initialises what it is given.
        check(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        Ok(Self(actions))
    }

    fn add(&mut self, action: Action) -> io::Result<()> {
        let actions = self.0.as_mut_ptr();
        // SAFETY: `actions` was initialised by `new`; numbers need not be open, and a path is
        // copied.
        check(unsafe {
            match action {
                Action::Duplicate { from, to } => libc::posix_spawn_file_actions_adddup2(actions, from, to),
                Action::Control { terminal, spare } => {
                    let path = c_string(format!("/proc/self/fd/{terminal}").as_bytes())?;
                    libc::posix_spawn_file_actions_addopen(actions, spare, path.as_ptr(), libc::O_RDWR, 0)
                }
                Action::Close(number) => libc::posix_spawn_file_actions_addclose(actions, number),
                Action::CloseFrom(number) => match *CLOSE_FROM {
                    Some(close_from) => match close_from(actions, number) {
                        // glibc takes no number beyond the limit, where hardly anything is open
                        libc::EBADF => return self.close_known(number),
                        code => code,
                    },
                    None => return self.close_known(number),
                },
            }
        })
    }

    /// Without `closefrom`, closes what is open now and inherited: a descriptor that another thread opens without
    /// `O_CLOEXEC` meanwhile slips through.
    fn close_known(&mut self, from: RawFd) -> io::Result<()> {
        for entry in std::fs::read_dir("/proc/self/fd")? {
            let number = entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok());
            if let Some(number) = number.filter(|number| *number >= from) {
                self.add(Action::Close(number))?;
            }
        }
        Ok(())
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: initialised by `new`, and not used afterwards.
        unsafe { libc::posix_spawn_file_actions_destroy(self.0.as_mut_ptr()) };
    }
}

struct Attributes(MaybeUninit<libc::posix_spawnattr_t>);

impl Attributes {
    fn new(plan: &Plan) -> io::Result<Self> {
        // a session begins before any action on descriptors
        let controls = plan.actions.iter().any(|action| matches!(action, Action::Control { .. }));
        let family = if controls { Family::Session } else { plan.family };
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: init initialises what it is given.
        check(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        let mut attributes = Self(attributes);
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        let mut default = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises the sets, sigaddset changes an initialised one; a set is an array of bits, and
        // sigfillset would leave out the two that the C library ignores in a child unless they are asked for.
        let (none, default) = unsafe {
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigemptyset(default.as_mut_ptr());
            if plan.keeps_ignored_signals {
                libc::sigaddset(default.as_mut_ptr(), libc::SIGPIPE);
                libc::sigaddset(default.as_mut_ptr(), libc::SIGCHLD);
            } else {
                default.as_mut_ptr().write_bytes(0xff, 1);
            }
            (none.assume_init(), default.assume_init())
        };
        let mut flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        let group = match family {
            Family::Caller => None,
            Family::Group(group) => {
                flags |= libc::POSIX_SPAWN_SETPGROUP;
                Some(group)
            }
            Family::Session => {
                flags |= SETSID;
                None
            }
        };
        let flags = libc::c_short::try_from(flags).map_err(io::Error::other)?;
        let pointer = attributes.0.as_mut_ptr();
        // SAFETY: the attributes are initialised, and the sets live for the calls, which copy them.
        unsafe {
            check(libc::posix_spawnattr_setsigmask(pointer, &raw const none))?;
            check(libc::posix_spawnattr_setsigdefault(pointer, &raw const default))?;
            if let Some(group) = group {
                check(libc::posix_spawnattr_setpgroup(pointer, group))?;
            }
            check(libc::posix_spawnattr_setflags(pointer, flags))?;
        }
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised by `new`, and not used afterwards.
        unsafe { libc::posix_spawnattr_destroy(self.0.as_mut_ptr()) };
    }
}

/// The path of a program as a C string.
pub(crate) fn c_string(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}
