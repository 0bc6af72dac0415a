//! What `strerror` says, read backwards.

use std::fmt;
use std::sync::LazyLock;

use memchr::memmem;

use super::finder::Finder;

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

    /// Its name: `EPERM`.
    pub(crate) fn name(&self) -> Option<&'static str> {
        TEXTS.iter().find(|&&(code, ..)| Some(code) == self.code).map(|&(_, name, _)| name)
    }

    pub(super) fn implied(code: i32) -> Self {
        let text = TEXTS.iter().find(|&&(number, ..)| number == code).map_or("", |&(.., text)| text);
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
    TEXTS.iter().find(|&&(.., known)| known == text).map(|&(code, ..)| code)
}

/// Cuts `: ` and a known text off the end of `message`: what is before it, and the text.
pub(super) fn cut_known(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let limit = format!(": {MOUNT_LIMIT}");
    let start = memmem::rfind(message, limit.as_bytes());
    // bwrap's hint holds a ": " of its own; no other text does
    start.and_then(|start| cut_at(message, start)).or_else(|| {
        let (head, text) = cut_last(message)?;
        code_of(str::from_utf8(text).ok()?).map(|_| (head, text))
    })
}

/// Cuts a known text, in whatever case, or the name of a number off the end of `message`, with or without a colon before it:
/// what is before it, and the error.
pub(super) fn cut_folded(message: &[u8]) -> Option<(&[u8], &'static str)> {
    let limit = MOUNT_LIMIT.to_ascii_lowercase();
    let lower = message.to_ascii_lowercase();
    if let Some(start) = memmem::rfind(&lower, limit.as_bytes()) {
        return Some((without_gap(message.get(..start)?)?, MOUNT_LIMIT));
    }
    let known = TEXTS.iter().flat_map(|text| [(text, text.2), (text, text.1)]);
    known.into_iter().find_map(|(&(_, _, text), end)| {
        let start = message.len().checked_sub(end.len())?;
        let (head, tail) = message.split_at_checked(start)?;
        let head = tail.eq_ignore_ascii_case(end.as_bytes()).then(|| without_gap(head))??;
        Some((head, text))
    })
}

/// What `strerror` says of each number.
pub(super) fn texts() -> impl Iterator<Item = &'static str> {
    TEXTS.iter().map(|&(.., text)| text)
}

/// The known text that this is, in whatever case.
pub(super) fn canonical(text: &[u8]) -> Option<&'static str> {
    TEXTS.iter().map(|&(.., known)| known).find(|known| text.eq_ignore_ascii_case(known.as_bytes()))
}

/// What stands before a gap; `None` if there is none.
fn without_gap(text: &[u8]) -> Option<&[u8]> {
    let gap = |byte: &u8| matches!(byte, b' ' | b':');
    let end = text.iter().rposition(|byte| !gap(byte)).map_or(0, |last| last + 1);
    text.get(..end).filter(|head| head.len() < text.len())
}

/// The error that a text names first: by number (`os error 13`, `[Errno 13]`), by name, or in words, whatever the case.
pub(crate) fn named_in(text: &[u8]) -> Option<Errno> {
    let lower = text.to_ascii_lowercase();
    for mark in ["os error ", "[errno ", "errno=", "errno: ", "errno "] {
        let Some(start) = find(&lower, mark.as_bytes()) else { continue };
        let digits = lower.get(start + mark.len()..)?;
        let end = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let code = str::from_utf8(digits.get(..end)?).ok()?.parse();
        if let Ok(code) = code {
            return Some(Errno::implied(code));
        }
    }
    let whole = |start: usize, length: usize| {
        let beside = [start.checked_sub(1), Some(start + length)].into_iter().flatten();
        beside.filter_map(|at| lower.get(at)).all(|byte| !byte.is_ascii_alphanumeric())
    };
    let found = NAMED.find_all(&lower).filter(|found| whole(found.start(), found.len()));
    let first = found.min_by_key(|found| (found.start(), found.pattern()))?;
    // two words stand for each
    let (code, _, text) = TEXTS.get(first.pattern().as_usize() / 2)?;
    Some(Errno { code: Some(*code), text: (*text).to_owned() })
}

/// What names an error: its text, its name, those of the next one.
static NAMED: LazyLock<Finder> =
    LazyLock::new(|| Finder::folded(TEXTS.iter().flat_map(|(_, name, text)| [*text, *name])));

/// What glibc says in other languages: a row for each number that a start meets. bwrap does not translate it; launchers, shells
/// and people do.
static TRANSLATED: LazyLock<Vec<(i32, &'static str)>> = LazyLock::new(|| {
    let rows = include_str!("translated.tsv").lines().filter_map(|row| row.split_once('\t'));
    let number = |name: &str| TEXTS.iter().find(|text| text.1 == name).map(|text| text.0);
    rows.flat_map(|(name, texts)| texts.split('\t').filter_map(move |text| Some((number(name)?, text))))
        .collect()
});

/// The error that a text names in another language than English.
pub(super) fn translated_in(text: &[u8]) -> Option<Errno> {
    static WORDS: LazyLock<Finder> =
        LazyLock::new(|| Finder::exact(TRANSLATED.iter().map(|(_, words)| *words)));
    let first = WORDS.find_all(text).map(|found| found.pattern()).min()?;
    let (code, text) = TRANSLATED.get(first.as_usize())?;
    Some(Errno { code: Some(*code), text: (*text).to_owned() })
}

/// Whether a text ends in a known error, to its last letter.
pub(super) fn ends_in_error(text: &[u8]) -> bool {
    TEXTS.iter().any(|(.., known)| text.ends_with(known.as_bytes()))
}

/// A message that ends in an error as `strerror` does not say it here: cut within, or in another language.
pub(super) struct Reworded<'t> {
    /// What is before the error.
    pub(super) head: &'t [u8],
    /// All of it that is shown.
    pub(super) shown: &'t [u8],
    /// The error, if only one is worded so.
    pub(super) error: Option<&'static str>,
}

/// Takes such a message apart. What is cut without an ellipsis has to be a good part of one error.
pub(super) fn reworded(message: &[u8]) -> Option<Reworded<'_>> {
    const GOOD: usize = 8;
    let (head, tail) = cut_last(message)?;
    let tail = str::from_utf8(tail).ok()?;
    let inner = |letter: char| letter.is_alphanumeric() || ['.', '\u{2026}'].contains(&letter);
    let tail = tail.trim_end_matches(|letter| !inner(letter));
    let begun = tail.trim_end_matches(['.', '\u{2026}', ' ']);
    let dotted = tail.len() > begun.len() + 1;
    let translated = TRANSLATED.iter().find(|(_, text)| *text == begun).map(|(code, _)| *code);
    let says = |text: &&Text| translated.map_or_else(|| text.2.starts_with(begun), |code| text.0 == code);
    let mut known: Vec<&Text> = TEXTS.iter().filter(says).collect();
    known.dedup_by_key(|text| text.0);
    let error = match known.as_slice() {
        [] => return None,
        [(.., text)] => Some(*text),
        _ => None,
    };
    let shown = message.get(..head.len() + ": ".len() + tail.len())?;
    let told = dotted || error.is_some() && (translated.is_some() || begun.len() >= GOOD);
    told.then_some(Reworded { head, shown, error })
}

/// Where a text begins in another.
pub(crate) fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    memmem::find(text, wanted).filter(|_| !wanted.is_empty())
}

/// Cuts `: ` and whatever follows it off the end of `message`.
pub(super) fn cut_last(message: &[u8]) -> Option<(&[u8], &[u8])> {
    cut_at(message, memmem::rfind(message, b": ")?)
}

fn cut_at(message: &[u8], colon: usize) -> Option<(&[u8], &[u8])> {
    let (head, tail) = message.split_at_checked(colon)?;
    Some((head, tail.strip_prefix(b": ")?))
}

/// A number, its name, and what `strerror` says.
type Text = (i32, &'static str, &'static str);

macro_rules! texts {
    ($($name:ident $text:literal;)+) => { &[$((libc::$name, stringify!($name), $text)),+] };
}

/// The texts of glibc, and those of musl where it differs.
#[rustfmt::skip]
const TEXTS: &[Text] = texts![
    EPERM "Operation not permitted";
    ENOENT "No such file or directory";
    ESRCH "No such process";
    EINTR "Interrupted system call";
    EIO "Input/output error";
    EIO "I/O error"; // musl
    ENXIO "No such device or address";
    E2BIG "Argument list too long";
    ENOEXEC "Exec format error";
    EBADF "Bad file descriptor";
    ECHILD "No child processes";
    ECHILD "No child process"; // musl
    EAGAIN "Resource temporarily unavailable";
    ENOMEM "Cannot allocate memory";
    ENOMEM "Out of memory"; // musl
    EACCES "Permission denied";
    EFAULT "Bad address";
    ENOTBLK "Block device required";
    EBUSY "Device or resource busy";
    EBUSY "Resource busy"; // musl
    EEXIST "File exists";
    EXDEV "Invalid cross-device link";
    EXDEV "Cross-device link"; // musl
    ENODEV "No such device";
    ENOTDIR "Not a directory";
    EISDIR "Is a directory";
    EINVAL "Invalid argument";
    ENFILE "Too many open files in system";
    EMFILE "Too many open files";
    EMFILE "No file descriptors available"; // musl
    ENOTTY "Inappropriate ioctl for device";
    ENOTTY "Not a tty"; // musl
    ETXTBSY "Text file busy";
    EFBIG "File too large";
    ENOSPC "No space left on device";
    ESPIPE "Illegal seek";
    ESPIPE "Invalid seek"; // musl
    EROFS "Read-only file system";
    EMLINK "Too many links";
    EPIPE "Broken pipe";
    EDOM "Numerical argument out of domain";
    EDOM "Domain error"; // musl
    ERANGE "Numerical result out of range";
    ERANGE "Result not representable"; // musl
    EDEADLK "Resource deadlock avoided";
    EDEADLK "Resource deadlock would occur"; // musl
    ENAMETOOLONG "File name too long";
    ENAMETOOLONG "Filename too long"; // musl
    ENOLCK "No locks available";
    ENOSYS "Function not implemented";
    ENOTEMPTY "Directory not empty";
    ELOOP "Too many levels of symbolic links";
    ELOOP "Symbolic link loop"; // musl
    ENOMSG "No message of desired type";
    EIDRM "Identifier removed";
    ENODATA "No data available";
    ETIME "Timer expired";
    ETIME "Device timeout"; // musl
    ENOLINK "Link has been severed";
    EPROTO "Protocol error";
    EMULTIHOP "Multihop attempted";
    EBADMSG "Bad message";
    EOVERFLOW "Value too large for defined data type";
    EOVERFLOW "Value too large for data type"; // musl
    EBADFD "File descriptor in bad state";
    ELIBBAD "Accessing a corrupted shared library";
    EILSEQ "Invalid or incomplete multibyte or wide character";
    EILSEQ "Illegal byte sequence"; // musl
    ERESTART "Interrupted system call should be restarted";
    EUSERS "Too many users";
    ENOTSOCK "Socket operation on non-socket";
    ENOTSOCK "Not a socket"; // musl
    EDESTADDRREQ "Destination address required";
    EMSGSIZE "Message too long";
    EMSGSIZE "Message too large"; // musl
    EPROTOTYPE "Protocol wrong type for socket";
    ENOPROTOOPT "Protocol not available";
    EPROTONOSUPPORT "Protocol not supported";
    ESOCKTNOSUPPORT "Socket type not supported";
    EOPNOTSUPP "Operation not supported";
    EOPNOTSUPP "Not supported"; // musl
    EPFNOSUPPORT "Protocol family not supported";
    EAFNOSUPPORT "Address family not supported by protocol";
    EADDRINUSE "Address already in use";
    EADDRINUSE "Address in use"; // musl
    EADDRNOTAVAIL "Cannot assign requested address";
    EADDRNOTAVAIL "Address not available"; // musl
    ENETDOWN "Network is down";
    ENETUNREACH "Network is unreachable";
    ENETUNREACH "Network unreachable"; // musl
    ENETRESET "Network dropped connection on reset";
    ENETRESET "Connection reset by network"; // musl
    ECONNABORTED "Software caused connection abort";
    ECONNABORTED "Connection aborted"; // musl
    ECONNRESET "Connection reset by peer";
    ENOBUFS "No buffer space available";
    EISCONN "Transport endpoint is already connected";
    EISCONN "Socket is connected"; // musl
    ENOTCONN "Transport endpoint is not connected";
    ENOTCONN "Socket not connected"; // musl
    ESHUTDOWN "Cannot send after transport endpoint shutdown";
    ESHUTDOWN "Cannot send after socket shutdown"; // musl
    ETIMEDOUT "Connection timed out";
    ETIMEDOUT "Operation timed out"; // musl
    ECONNREFUSED "Connection refused";
    EHOSTDOWN "Host is down";
    EHOSTUNREACH "No route to host";
    EHOSTUNREACH "Host is unreachable"; // musl
    EALREADY "Operation already in progress";
    EINPROGRESS "Operation now in progress";
    EINPROGRESS "Operation in progress"; // musl
    ESTALE "Stale file handle";
    ESTALE "Stale NFS file handle"; // glibc before 2.17
    ESTALE "Stale NFS handle"; // as it is retold
    EUCLEAN "Structure needs cleaning";
    EUCLEAN "Data consistency error"; // musl
    EREMOTEIO "Remote I/O error";
    EDQUOT "Disk quota exceeded";
    EDQUOT "Quota exceeded"; // musl
    ENOMEDIUM "No medium found";
    EMEDIUMTYPE "Wrong medium type";
    ECANCELED "Operation canceled";
    ENOKEY "Required key not available";
    EKEYEXPIRED "Key has expired";
    EKEYREVOKED "Key has been revoked";
    EKEYREJECTED "Key was rejected by service";
    EOWNERDEAD "Owner died";
    EOWNERDEAD "Previous owner died"; // musl
    ENOTRECOVERABLE "State not recoverable";
    ERFKILL "Operation not possible due to RF-kill";
    EHWPOISON "Memory page has hardware error";
];
