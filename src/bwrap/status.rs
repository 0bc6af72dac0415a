//! The JSON lines of `--json-status-fd` and `--info-fd`.

use std::num::NonZeroI32;

/// The inode numbers of the namespaces that bwrap made, as `stat /proc/PID/ns/*` shows them. A namespace that
/// the sandbox shares with its caller has none.
///
/// They are those of `--json-status-fd`; see `namespaces(7)`. bwrap does not report user namespaces.
///
/// ```
/// use bwrap_launch::{Namespaces, Sandbox};
/// let sandbox = Sandbox::new().ro_bind("/", "/").unshare(Namespaces::PID);
/// let mut child = sandbox.command("true").spawn()?;
/// child.wait_ready()?;
/// let ids = child.namespaces().unwrap();
/// assert!(ids.mnt.is_some() && ids.pid.is_some() && ids.net.is_none());
/// child.wait()?;
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct NamespaceIds {
    /// Control groups.
    pub cgroup: Option<u64>,
    /// System V IPC and message queues.
    pub ipc: Option<u64>,
    /// Mounts; always new.
    pub mnt: Option<u64>,
    /// Network.
    pub net: Option<u64>,
    /// Process ids.
    pub pid: Option<u64>,
    /// Host name.
    pub uts: Option<u64>,
}

/// More bytes than bwrap ever reports: a pid, namespaces and an exit code, in less than 512.
pub(crate) const MOST: usize = 16 << 10;

/// What bwrap has reported so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Status {
    /// The process that bwrap cloned: process 1 inside, or the command itself.
    pub(crate) child_pid: Option<NonZeroI32>,
    pub(crate) namespaces: NamespaceIds,
    /// How the command ended; only there if bwrap executed it. Whoever gets hold of the descriptors inside can make bwrap
    /// report a number that no command ends with.
    pub(crate) exit_code: Option<i64>,
    /// Something stands there that bwrap does not write: a command got hold of the descriptor.
    pub(crate) foreign: bool,
}

impl Status {
    /// Reads what is there. Members and documents that nobody knows yet are passed over, as bwrap asks its readers to; an
    /// unfinished document counts as not written. What is no JSON is passed over, too, and noted, and so is what is too long.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut status = Self { foreign: bytes.len() >= MOST, ..Self::default() };
        let mut rest = bytes;
        while !rest.is_empty() {
            let mut documents = serde_json::Deserializer::from_slice(rest).into_iter::<serde_json::Value>();
            let read = documents.next();
            let end = documents.byte_offset();
            match read {
                None => break,
                Some(Ok(document)) if document.is_object() => {
                    status.read(&document);
                    rest = rest.get(end..).unwrap_or_default();
                }
                // bwrap is about to write the rest of it, or was killed meanwhile
                Some(Err(error)) if error.is_eof() && is_begun(rest) => break,
                Some(_) => {
                    status.foreign = true;
                    let skipped = rest.get(1..).unwrap_or_default();
                    let next = skipped.iter().position(|byte| *byte == b'{');
                    rest = next.and_then(|at| skipped.get(at..)).unwrap_or_default();
                }
            }
        }
        status
    }

    fn read(&mut self, document: &serde_json::Value) {
        let number = |name: &str| document.get(name).and_then(serde_json::Value::as_u64);
        // the first report counts, whatever comes after it
        if let Some(pid) = number("child-pid").filter(|_| self.child_pid.is_none()) {
            self.child_pid = i32::try_from(pid).ok().and_then(NonZeroI32::new);
            self.namespaces = NamespaceIds {
                cgroup: number("cgroup-namespace"),
                ipc: number("ipc-namespace"),
                mnt: number("mnt-namespace"),
                net: number("net-namespace"),
                pid: number("pid-namespace"),
                uts: number("uts-namespace"),
            };
        }
        if let Some(code) = document.get("exit-code").filter(|_| self.exit_code.is_none()) {
            self.exit_code = Some(code.as_i64().unwrap_or(i64::MAX));
        }
    }
}

/// Whether this may be the beginning of a document of bwrap's.
fn is_begun(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    text.first().is_none_or(|byte| *byte == b'{')
        && text.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_than_any_report_is_not_all_bwraps() {
        let report = b"{\"child-pid\": 9}\n";
        let mut flood = report.repeat(MOST / report.len() + 1);
        flood.truncate(MOST);
        assert!(Status::parse(&flood).foreign && !Status::parse(report).foreign);
    }

    #[test]
    fn lines_and_pretty_objects_alike() {
        let status = Status::parse(
            b"{ \"child-pid\": 42, \"mnt-namespace\": 4026532700, \"new\": [1] }\n{ \"exit-code\": 137 }\n",
        );
        assert_eq!(status.child_pid.map(NonZeroI32::get), Some(42));
        assert_eq!(status.namespaces.mnt, Some(4_026_532_700));
        assert_eq!(status.namespaces.net, None);
        assert_eq!(status.exit_code, Some(137));
        let pretty = b"{\n    \"child-pid\": 7,\n    \"pid-namespace\": 1\n}\n";
        assert_eq!(Status::parse(pretty).namespaces.pid, Some(1));
    }

    #[test]
    fn an_exit_code_of_whatever_value_is_one() {
        for (code, read) in
            [("257", 257), ("-1", -1), ("18446744073709551615", i64::MAX), ("\"x\"", i64::MAX)]
        {
            let text = format!("{{\"child-pid\": 5}}\n{{\"exit-code\": {code}}}\n{{\"exit-code\": 0}}");
            assert_eq!(Status::parse(text.as_bytes()).exit_code, Some(read));
        }
    }

    #[test]
    fn what_bwrap_does_not_write_hides_nothing() {
        let child = b"{ \"child-pid\": 5 }\n".as_slice();
        let exit = b"{ \"exit-code\": 3 }\n".as_slice();
        for noise in [&[2_u8, 1, 0, 0, 0, 0, 0, 0][..], b"{{", b"17", b"\"{\"", b"{\"a\": \x00}", b"[1]"] {
            let status = Status::parse(&[child, noise, exit].concat());
            assert_eq!(
                (status.child_pid.map(NonZeroI32::get), status.exit_code),
                (Some(5), Some(3)),
                "{noise:?}"
            );
            assert!(status.foreign, "{noise:?}");
            assert!(Status::parse(&[child, noise].concat()).foreign || noise == b"{{", "{noise:?}");
        }
        assert!(!Status::parse(&[child, exit].concat()).foreign);
    }

    proptest::proptest! {
        /// Whatever is written between bwrap's documents: it does not hide them, if it begins none of its own.
        #[test]
        fn noise_hides_nothing(noise in proptest::collection::vec(0_u8..=255, 0..40), cut in 0..60_usize) {
            let document = b"{ \"child-pid\": 5 }\n".as_slice();
            let exit = b"{ \"exit-code\": 3 }\n".as_slice();
            let all = [document, &noise, exit].concat();
            let status = Status::parse(&all);
            let quotes = noise.iter().any(|byte| b"{\"[".contains(byte));
            proptest::prop_assert!(quotes || status.exit_code == Some(3), "{noise:?}");
            proptest::prop_assert_eq!(status.child_pid.map(NonZeroI32::get), Some(5));
            // read at any moment, it says no more than in the end
            let early = Status::parse(all.get(..cut).unwrap_or(&all));
            proptest::prop_assert!(early.child_pid.is_none() || early.child_pid == status.child_pid);
        }
    }

    #[test]
    fn unfinished_and_foreign_lines_say_nothing() {
        assert_eq!(Status::parse(b""), Status::default());
        assert_eq!(Status::parse(b"{ \"child-pid\": 4"), Status::default());
        assert_eq!(Status::parse(b"{\"child-pid\": 0}").child_pid, None);
        let cut = Status::parse(b"{\"child-pid\": 5}\n{ \"exit-code\": ");
        assert_eq!((cut.child_pid.map(NonZeroI32::get), cut.exit_code), (Some(5), None));
    }
}
