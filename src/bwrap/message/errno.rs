//! What `strerror` says, read backwards.

use std::fmt;

/// The error number behind a [`Message`](super::Message).
///
/// The numbers are those of the architecture for which this is built; MIPS, SPARC and PA-RISC have some of their own.
///
/// See `errno(3)` and `strerror(3)`.
///
/// ```
/// use bwrap_launch::Message;
/// let message = Message::parse(b"bwrap: pivot_root: Invalid argument");
/// let errno = message.errno().unwrap();
/// assert_eq!((errno.code(), errno.text()), (Some(22), "Invalid argument"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Errno {
    code: Option<i32>,
    text: String,
}

impl Errno {
    /// Its number, `None` if the text is in no list known here (that of glibc and of musl).
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.code
    }

    /// What bwrap printed, or glibc's text where the wording of the message implies the number.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn implied(code: i32) -> Self {
        let text = TEXTS.iter().find(|&&(number, _)| number == code).map_or("", |&(_, text)| text);
        Self { code: Some(code), text: text.into() }
    }

    /// Reads `text`, all of it.
    pub(super) fn read(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text).into_owned();
        Self { code: code_of(&text), text }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// bwrap's own text for ENOSPC from mount, since 0.9.0; a hint follows.
const MOUNT_LIMIT: &str = "Limit exceeded (ENOSPC)";
/// What glibc says about a number without a text.
const UNKNOWN: &str = "Unknown error ";

fn code_of(text: &str) -> Option<i32> {
    if text.starts_with(MOUNT_LIMIT) {
        return Some(libc::ENOSPC);
    }
    if let Some(number) = text.strip_prefix(UNKNOWN) {
        return number.parse().ok();
    }
    TEXTS.iter().find(|&&(_, known)| known == text).map(|&(code, _)| code)
}

/// Cuts `: ` and a known text off the end of `message`: what is before it, and the text.
pub(super) fn cut_known(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let limit = format!(": {MOUNT_LIMIT}");
    let start = message.windows(limit.len()).rposition(|window| window == limit.as_bytes());
    // bwrap's hint holds a ": " of its own; no other text does
    start.and_then(|start| cut_at(message, start)).or_else(|| {
        let (head, text) = cut_last(message)?;
        code_of(str::from_utf8(text).ok()?).map(|_| (head, text))
    })
}

/// Cuts `: ` and whatever follows it off the end of `message`.
pub(super) fn cut_last(message: &[u8]) -> Option<(&[u8], &[u8])> {
    cut_at(message, message.windows(2).rposition(|window| window == b": ")?)
}

fn cut_at(message: &[u8], colon: usize) -> Option<(&[u8], &[u8])> {
    let (head, tail) = message.split_at_checked(colon)?;
    Some((head, tail.strip_prefix(b": ")?))
}

/// The texts of glibc, and those of musl where it differs.
#[rustfmt::skip]
const TEXTS: &[(i32, &str)] = &[
    (libc::EPERM, "Operation not permitted"),
    (libc::ENOENT, "No such file or directory"),
    (libc::ESRCH, "No such process"),
    (libc::EINTR, "Interrupted system call"),
    (libc::EIO, "Input/output error"),
    (libc::EIO, "I/O error"), // musl
    (libc::ENXIO, "No such device or address"),
    (libc::E2BIG, "Argument list too long"),
    (libc::ENOEXEC, "Exec format error"),
    (libc::EBADF, "Bad file descriptor"),
    (libc::ECHILD, "No child processes"),
    (libc::ECHILD, "No child process"), // musl
    (libc::EAGAIN, "Resource temporarily unavailable"),
    (libc::ENOMEM, "Cannot allocate memory"),
    (libc::ENOMEM, "Out of memory"), // musl
    (libc::EACCES, "Permission denied"),
    (libc::EFAULT, "Bad address"),
    (libc::ENOTBLK, "Block device required"),
    (libc::EBUSY, "Device or resource busy"),
    (libc::EBUSY, "Resource busy"), // musl
    (libc::EEXIST, "File exists"),
    (libc::EXDEV, "Invalid cross-device link"),
    (libc::EXDEV, "Cross-device link"), // musl
    (libc::ENODEV, "No such device"),
    (libc::ENOTDIR, "Not a directory"),
    (libc::EISDIR, "Is a directory"),
    (libc::EINVAL, "Invalid argument"),
    (libc::ENFILE, "Too many open files in system"),
    (libc::EMFILE, "Too many open files"),
    (libc::EMFILE, "No file descriptors available"), // musl
    (libc::ENOTTY, "Inappropriate ioctl for device"),
    (libc::ENOTTY, "Not a tty"), // musl
    (libc::ETXTBSY, "Text file busy"),
    (libc::EFBIG, "File too large"),
    (libc::ENOSPC, "No space left on device"),
    (libc::ESPIPE, "Illegal seek"),
    (libc::ESPIPE, "Invalid seek"), // musl
    (libc::EROFS, "Read-only file system"),
    (libc::EMLINK, "Too many links"),
    (libc::EPIPE, "Broken pipe"),
    (libc::EDOM, "Numerical argument out of domain"),
    (libc::EDOM, "Domain error"), // musl
    (libc::ERANGE, "Numerical result out of range"),
    (libc::ERANGE, "Result not representable"), // musl
    (libc::EDEADLK, "Resource deadlock avoided"),
    (libc::EDEADLK, "Resource deadlock would occur"), // musl
    (libc::ENAMETOOLONG, "File name too long"),
    (libc::ENAMETOOLONG, "Filename too long"), // musl
    (libc::ENOLCK, "No locks available"),
    (libc::ENOSYS, "Function not implemented"),
    (libc::ENOTEMPTY, "Directory not empty"),
    (libc::ELOOP, "Too many levels of symbolic links"),
    (libc::ELOOP, "Symbolic link loop"), // musl
    (libc::ENOMSG, "No message of desired type"),
    (libc::EIDRM, "Identifier removed"),
    (libc::ENODATA, "No data available"),
    (libc::ETIME, "Timer expired"),
    (libc::ETIME, "Device timeout"), // musl
    (libc::ENOLINK, "Link has been severed"),
    (libc::EPROTO, "Protocol error"),
    (libc::EMULTIHOP, "Multihop attempted"),
    (libc::EBADMSG, "Bad message"),
    (libc::EOVERFLOW, "Value too large for defined data type"),
    (libc::EOVERFLOW, "Value too large for data type"), // musl
    (libc::EBADFD, "File descriptor in bad state"),
    (libc::EILSEQ, "Invalid or incomplete multibyte or wide character"),
    (libc::EILSEQ, "Illegal byte sequence"), // musl
    (libc::ERESTART, "Interrupted system call should be restarted"),
    (libc::EUSERS, "Too many users"),
    (libc::ENOTSOCK, "Socket operation on non-socket"),
    (libc::ENOTSOCK, "Not a socket"), // musl
    (libc::EDESTADDRREQ, "Destination address required"),
    (libc::EMSGSIZE, "Message too long"),
    (libc::EMSGSIZE, "Message too large"), // musl
    (libc::EPROTOTYPE, "Protocol wrong type for socket"),
    (libc::ENOPROTOOPT, "Protocol not available"),
    (libc::EPROTONOSUPPORT, "Protocol not supported"),
    (libc::ESOCKTNOSUPPORT, "Socket type not supported"),
    (libc::EOPNOTSUPP, "Operation not supported"),
    (libc::EOPNOTSUPP, "Not supported"), // musl
    (libc::EPFNOSUPPORT, "Protocol family not supported"),
    (libc::EAFNOSUPPORT, "Address family not supported by protocol"),
    (libc::EADDRINUSE, "Address already in use"),
    (libc::EADDRINUSE, "Address in use"), // musl
    (libc::EADDRNOTAVAIL, "Cannot assign requested address"),
    (libc::EADDRNOTAVAIL, "Address not available"), // musl
    (libc::ENETDOWN, "Network is down"),
    (libc::ENETUNREACH, "Network is unreachable"),
    (libc::ENETUNREACH, "Network unreachable"), // musl
    (libc::ENETRESET, "Network dropped connection on reset"),
    (libc::ENETRESET, "Connection reset by network"), // musl
    (libc::ECONNABORTED, "Software caused connection abort"),
    (libc::ECONNABORTED, "Connection aborted"), // musl
    (libc::ECONNRESET, "Connection reset by peer"),
    (libc::ENOBUFS, "No buffer space available"),
    (libc::EISCONN, "Transport endpoint is already connected"),
    (libc::EISCONN, "Socket is connected"), // musl
    (libc::ENOTCONN, "Transport endpoint is not connected"),
    (libc::ENOTCONN, "Socket not connected"), // musl
    (libc::ESHUTDOWN, "Cannot send after transport endpoint shutdown"),
    (libc::ESHUTDOWN, "Cannot send after socket shutdown"), // musl
    (libc::ETIMEDOUT, "Connection timed out"),
    (libc::ETIMEDOUT, "Operation timed out"), // musl
    (libc::ECONNREFUSED, "Connection refused"),
    (libc::EHOSTDOWN, "Host is down"),
    (libc::EHOSTUNREACH, "No route to host"),
    (libc::EHOSTUNREACH, "Host is unreachable"), // musl
    (libc::EALREADY, "Operation already in progress"),
    (libc::EINPROGRESS, "Operation now in progress"),
    (libc::EINPROGRESS, "Operation in progress"), // musl
    (libc::ESTALE, "Stale file handle"),
    (libc::EUCLEAN, "Structure needs cleaning"),
    (libc::EUCLEAN, "Data consistency error"), // musl
    (libc::EREMOTEIO, "Remote I/O error"),
    (libc::EDQUOT, "Disk quota exceeded"),
    (libc::EDQUOT, "Quota exceeded"), // musl
    (libc::ENOMEDIUM, "No medium found"),
    (libc::EMEDIUMTYPE, "Wrong medium type"),
    (libc::ECANCELED, "Operation canceled"),
    (libc::ENOKEY, "Required key not available"),
    (libc::EKEYEXPIRED, "Key has expired"),
    (libc::EKEYREVOKED, "Key has been revoked"),
    (libc::EKEYREJECTED, "Key was rejected by service"),
    (libc::EOWNERDEAD, "Owner died"),
    (libc::EOWNERDEAD, "Previous owner died"), // musl
    (libc::ENOTRECOVERABLE, "State not recoverable"),
    (libc::ERFKILL, "Operation not possible due to RF-kill"),
    (libc::EHWPOISON, "Memory page has hardware error"),
];
