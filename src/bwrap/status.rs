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

/// What bwrap has reported so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Status {
    /// The process that bwrap cloned: process 1 inside, or the command itself.
    pub(crate) child_pid: Option<NonZeroI32>,
    pub(crate) namespaces: NamespaceIds,
    /// How the command ended; only there if bwrap executed it. Whoever gets hold of the descriptors inside can make bwrap
    /// report a number that no command ends with.
    pub(crate) exit_code: Option<i64>,
}

impl Status {
    /// Reads what is there. Members and lines that nobody knows yet are passed over, as bwrap asks its
    /// readers to; an unfinished line counts as not written.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut status = Self::default();
        let documents = serde_json::Deserializer::from_slice(bytes).into_iter::<serde_json::Value>();
        for document in documents.map_while(Result::ok) {
            let number = |name: &str| document.get(name).and_then(serde_json::Value::as_u64);
            if let Some(pid) = number("child-pid") {
                status.child_pid = i32::try_from(pid).ok().and_then(NonZeroI32::new);
                status.namespaces = NamespaceIds {
                    cgroup: number("cgroup-namespace"),
                    ipc: number("ipc-namespace"),
                    mnt: number("mnt-namespace"),
                    net: number("net-namespace"),
                    pid: number("pid-namespace"),
                    uts: number("uts-namespace"),
                };
            }
            // a command may append to the reports: the first of each kind counts
            if let Some(code) = document.get("exit-code").filter(|_| status.exit_code.is_none()) {
                status.exit_code = Some(code.as_i64().unwrap_or(i64::MAX));
            }
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn unfinished_and_foreign_lines_say_nothing() {
        assert_eq!(Status::parse(b""), Status::default());
        assert_eq!(Status::parse(b"{ \"child-pid\": 4"), Status::default());
        assert_eq!(Status::parse(b"{\"child-pid\": 0}").child_pid, None);
        let cut = Status::parse(b"{\"child-pid\": 5}\n{ \"exit-code\": ");
        assert_eq!((cut.child_pid.map(NonZeroI32::get), cut.exit_code), (Some(5), None));
    }
}
