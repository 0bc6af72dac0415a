//! What `strerror` says, read backwards.

use std::fmt;

/// The error number behind a [`Message`](super::Message).
///
/// The numbers are those of x86, Arm, RISC-V, POWER and s390; MIPS, SPARC and PA-RISC number some
/// errors from 35 on differently.
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
        return Some(28);
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
    // the hint holds a ": " of its own, every other text is without
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
    (1, "Operation not permitted"),
    (2, "No such file or directory"),
    (3, "No such process"),
    (4, "Interrupted system call"),
    (5, "Input/output error"),
    (5, "I/O error"), // musl
    (6, "No such device or address"),
    (7, "Argument list too long"),
    (8, "Exec format error"),
    (9, "Bad file descriptor"),
    (10, "No child processes"),
    (10, "No child process"), // musl
    (11, "Resource temporarily unavailable"),
    (12, "Cannot allocate memory"),
    (12, "Out of memory"), // musl
    (13, "Permission denied"),
    (14, "Bad address"),
    (15, "Block device required"),
    (16, "Device or resource busy"),
    (16, "Resource busy"), // musl
    (17, "File exists"),
    (18, "Invalid cross-device link"),
    (18, "Cross-device link"), // musl
    (19, "No such device"),
    (20, "Not a directory"),
    (21, "Is a directory"),
    (22, "Invalid argument"),
    (23, "Too many open files in system"),
    (24, "Too many open files"),
    (24, "No file descriptors available"), // musl
    (25, "Inappropriate ioctl for device"),
    (25, "Not a tty"), // musl
    (26, "Text file busy"),
    (27, "File too large"),
    (28, "No space left on device"),
    (29, "Illegal seek"),
    (29, "Invalid seek"), // musl
    (30, "Read-only file system"),
    (31, "Too many links"),
    (32, "Broken pipe"),
    (33, "Numerical argument out of domain"),
    (33, "Domain error"), // musl
    (34, "Numerical result out of range"),
    (34, "Result not representable"), // musl
    (35, "Resource deadlock avoided"),
    (35, "Resource deadlock would occur"), // musl
    (36, "File name too long"),
    (36, "Filename too long"), // musl
    (37, "No locks available"),
    (38, "Function not implemented"),
    (39, "Directory not empty"),
    (40, "Too many levels of symbolic links"),
    (40, "Symbolic link loop"), // musl
    (42, "No message of desired type"),
    (43, "Identifier removed"),
    (61, "No data available"),
    (62, "Timer expired"),
    (62, "Device timeout"), // musl
    (67, "Link has been severed"),
    (71, "Protocol error"),
    (72, "Multihop attempted"),
    (74, "Bad message"),
    (75, "Value too large for defined data type"),
    (75, "Value too large for data type"), // musl
    (77, "File descriptor in bad state"),
    (84, "Invalid or incomplete multibyte or wide character"),
    (84, "Illegal byte sequence"), // musl
    (85, "Interrupted system call should be restarted"),
    (87, "Too many users"),
    (88, "Socket operation on non-socket"),
    (88, "Not a socket"), // musl
    (89, "Destination address required"),
    (90, "Message too long"),
    (90, "Message too large"), // musl
    (91, "Protocol wrong type for socket"),
    (92, "Protocol not available"),
    (93, "Protocol not supported"),
    (94, "Socket type not supported"),
    (95, "Operation not supported"),
    (95, "Not supported"), // musl
    (96, "Protocol family not supported"),
    (97, "Address family not supported by protocol"),
    (98, "Address already in use"),
    (98, "Address in use"), // musl
    (99, "Cannot assign requested address"),
    (99, "Address not available"), // musl
    (100, "Network is down"),
    (101, "Network is unreachable"),
    (101, "Network unreachable"), // musl
    (102, "Network dropped connection on reset"),
    (102, "Connection reset by network"), // musl
    (103, "Software caused connection abort"),
    (103, "Connection aborted"), // musl
    (104, "Connection reset by peer"),
    (105, "No buffer space available"),
    (106, "Transport endpoint is already connected"),
    (106, "Socket is connected"), // musl
    (107, "Transport endpoint is not connected"),
    (107, "Socket not connected"), // musl
    (108, "Cannot send after transport endpoint shutdown"),
    (108, "Cannot send after socket shutdown"), // musl
    (110, "Connection timed out"),
    (110, "Operation timed out"), // musl
    (111, "Connection refused"),
    (112, "Host is down"),
    (113, "No route to host"),
    (113, "Host is unreachable"), // musl
    (114, "Operation already in progress"),
    (115, "Operation now in progress"),
    (115, "Operation in progress"), // musl
    (116, "Stale file handle"),
    (117, "Structure needs cleaning"),
    (117, "Data consistency error"), // musl
    (121, "Remote I/O error"),
    (122, "Disk quota exceeded"),
    (122, "Quota exceeded"), // musl
    (123, "No medium found"),
    (124, "Wrong medium type"),
    (125, "Operation canceled"),
    (126, "Required key not available"),
    (127, "Key has expired"),
    (128, "Key has been revoked"),
    (129, "Key was rejected by service"),
    (130, "Owner died"),
    (130, "Previous owner died"), // musl
    (131, "State not recoverable"),
    (132, "Operation not possible due to RF-kill"),
    (133, "Memory page has hardware error"),
];
