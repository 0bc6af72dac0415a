//! What is done otherwise than Zuul does it, and can be switched back.

use bitflags::bitflags;

bitflags! {
    /// Where the profile differs from the driver of Zuul 14.3.0, on purpose. All are on in a new
    /// [`Driver`](super::Driver); with none, it yields what Zuul yields, down to the text of `/etc/group`.
    ///
    /// ```
    /// use bwrap_launch::Bwrap;
    /// use bwrap_launch::profile::zuul::{Driver, Fixes};
    /// // a playbook of ours relies on the executor's variables
    /// let driver = Driver::new(&Bwrap::find()?)?.fixes(Fixes::all() - Fixes::ENVIRONMENT);
    /// let sandbox = driver.context().launcher("/tmp", "/tmp").sandbox()?;
    /// assert!(!sandbox.to_string().contains("--clearenv"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Fixes: u16 {
        /// The command is a command. Zuul appends it to bwrap's options, so one that begins with `-` is read as more of them.
        const SEPARATOR = 1;
        /// A path is a path. Zuul runs each through Python's `str.format`: `{b}` is a `KeyError`, and `{{b}}` becomes `{b}`.
        const BRACES = 1 << 1;
        /// `/etc/os-release` and its like are inside. Zuul means to bind them, with a pattern (`^\W+-release$`) that their
        /// names cannot match.
        const RELEASE_FILES = 1 << 2;
        /// The members in `/etc/group` are a list of names. Zuul writes a list of Python's, `[]` or `['a', 'b']`.
        const GROUP_LINE = 1 << 3;
        /// The command sees the variables that it is given. With Zuul it sees the caller's too, credentials among them.
        const ENVIRONMENT = 1 << 4;
        /// Files of the host may be absent, `/etc/localtime` for example, and so may the caller's lines in the user and group
        /// databases, for which plain ones are made up. Zuul's bwrap refuses to start, or its driver raises `KeyError`.
        const ABSENT = 1 << 5;
        /// [`Driver::check`](super::Driver::check) tells what bwrap said and what was diagnosed. Zuul throws it away.
        const MESSAGE = 1 << 6;
        /// [`Driver::exit_status`](super::Driver::exit_status) is the command's own, or says that it did not run. `zuul-bwrap`
        /// always exits 0.
        const STATUS = 1 << 7;
        /// [`Launcher::leftovers`](super::Launcher::leftovers) takes away the directories that bwrap had to make on the host,
        /// and [`Driver::check`](super::Driver::check) makes none. Zuul leaves them, `/tmp/tmp` to begin with.
        const LEFTOVERS = 1 << 8;
        /// A work or home directory that holds `/etc/passwd`, as `/` and `/etc` do, is refused
        /// ([`Error::HoldsEtc`](super::Error::HoldsEtc)). Zuul binds it, and as root its bwrap overwrites the host's `/etc/passwd`
        /// and `/etc/group` with the command's.
        const OWN_ETC = 1 << 9;
    }
}
