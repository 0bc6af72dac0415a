//! What is shown of a sandbox can be pasted into a shell and read back, for every operation and setting.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command as Process;
use std::sync::Arc;
use std::{fmt, fs};

use bwrap_launch::op::{
    Access, Bind, BindData, BindFd, Chmod, Dev, Dir, File, Mqueue, Operation, Overlay, Proc, RemountRo,
    Symlink, Tmpfs,
};
use bwrap_launch::{Command, Content, Descriptor, Feature as F, Filter, IdRange, Namespaces, Sandbox};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// `PROPTEST_CASES` makes it thorough.
fn config(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { cases };
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 3000, ..default }
}

/// What `HERE` is in the shell; `GONE` is not set there.
const HERE: &str = "it's \"$HOME\" `id` \\ * !!\n ~";

/// A shell that a line is pasted into, and the locale: escapes mean other things where characters are bytes.
#[derive(Debug, Clone, Copy)]
struct Shell {
    words: &'static [&'static str],
    locale: &'static str,
}

/// `make setup` installs those that are missing.
fn shell() -> impl Strategy<Value = Shell> {
    let shells: Vec<&[&str]> = vec![&["bash"], &["bash", "--posix"], &["dash"], &["busybox", "sh"]];
    (select(shells), select(vec!["C", "C.UTF-8"])).prop_map(|(words, locale)| Shell { words, locale })
}

/// Runs lines as a person's shell would, history expansion included where there is one; `body` is what `bwrap` does
/// with its arguments. One process for many lines, because starting one costs more than all the rest.
fn paste(body: &str, lines: &[String], shell: Shell) -> Result<Vec<u8>, TestCaseError> {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("script");
    let history = if shell.words[0] == "bash" { "set -o history -o histexpand\n" } else { "" };
    let start = format!("bwrap() {{ {body}; }}\n{history}");
    fs::write(&script, start + &lines.join("\n") + "\n").unwrap();
    // for lines that start a shell of their own
    let program = directory.path().join("bwrap");
    fs::write(&program, format!("#!/bin/bash\n{body}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut process = Process::new(shell.words[0]);
    process.args(&shell.words[1..]).arg(&script).current_dir("/").env_clear();
    process.env("PATH", format!("{}:/usr/bin:/bin", directory.path().display()));
    process.envs([("LC_ALL", shell.locale), ("HOME", "/root"), ("HERE", HERE)]);
    process.stdin(fs::File::open("/dev/null").unwrap());
    let output = process.output().unwrap_or_else(|error| panic!("{shell:?}: {error}; type make setup"));
    let errors = String::from_utf8_lossy(&output.stderr);
    prop_assert!(output.status.success() && errors.is_empty(), "{:?} {:#?}\n{}", shell, lines, errors);
    Ok(output.stdout)
}

/// The words after `bwrap` of each line, as the shell understands them.
fn split(lines: &[String], shell: Shell) -> Result<Vec<Vec<OsString>>, TestCaseError> {
    let output = paste(r#"printf '%s\0' "$#" "$@""#, lines, shell)?;
    let mut words = output.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec()));
    let mut split = Vec::new();
    for _ in lines {
        let count = words.next().and_then(|count| count.to_str()?.parse().ok());
        split.push(words.by_ref().take(count.unwrap_or(0)).collect());
    }
    prop_assert_eq!(words.collect::<Vec<_>>(), [""], "more words than lines: {:#?}", lines);
    Ok(split)
}

/// Anything that can be an argument, and above all what means something to a shell.
fn word() -> impl Strategy<Value = OsString> {
    #[rustfmt::skip]
    let harmful: &[&[u8]] = &[
        b" ", b"'", b"\"", b"\n", b"\t", b"\r", b"\x01", b"\x1b", b"\x7f", b"\\", b"\\x41", b"$", b"$HOME",
        b"$(id)", b"`id`", b"%", b"%s", b"!", b"!!", b"~", b"~root", b"*", b"?", b"[a-z]", b"{a,b}", b"=",
        b"#", b";", b"&", b"|", b"<", b">", b"3<x", b"(", b")", b"-", b"--", b"--bind", b"-\xff", b"/", b"a",
        b"F", b"0", b"7", b"\xc3\xa9", b"\xc3", b"\xff", b"\x80", b"\xe6\xbc\xa2", b"\xf0\x9f\x98\x80",
        b"\xc2\x85", b"\xe2\x80\xa8",
    ];
    prop_oneof![
        4 => vec(select(harmful), 1..6).prop_map(|parts| OsString::from_vec(parts.concat())),
        1 => vec(1..=u8::MAX, 0..12).prop_map(OsString::from_vec),
        1 => "[^\0]{0,6}".prop_map(OsString::from),
        2 => "/?[a-z./-]{1,8}".prop_map(OsString::from),
    ]
}

fn path() -> impl Strategy<Value = PathBuf> {
    word().prop_map(PathBuf::from)
}

/// Names of variables, mostly those that can be one.
fn name() -> impl Strategy<Value = OsString> {
    prop_oneof![2 => select(vec!["A", "B", "PWD", "HERE"]).prop_map(OsString::from), 1 => word()]
}

fn mode() -> impl Strategy<Value = Option<u32>> {
    option::of(0..=0o7777_u32)
}

/// What no line may show.
const TOKEN: &str = "hunter2-5f3a9c";

fn data(bytes: bool) -> impl Strategy<Value = Option<Content>> {
    let given = prop_oneof![
        vec(any::<u8>(), 0..40).prop_map(Content::from),
        Just(Content::from(&[0; 8])),
        Just(Content::secret(TOKEN))
    ];
    option::of(given).prop_map(move |given| given.filter(|_| bytes))
}

fn fd(number: i32) -> Descriptor {
    Descriptor::number(number)
}

fn content(data: Option<Content>, number: i32) -> Content {
    data.unwrap_or_else(|| fd(number).into())
}

/// One call on a sandbox; the number is for its descriptor, if it takes one.
#[derive(Clone)]
enum Step {
    Plain(Arc<dyn Fn(Sandbox, i32) -> Sandbox>),
    /// It has no option of its own: the launcher maps ids, and leaves out what a bwrap lacks.
    Unspoken(Arc<dyn Fn(Sandbox, i32) -> Sandbox>),
    Unshare(Namespaces),
    ShareNet,
    Environment(Variables),
}

#[derive(Debug, Clone)]
enum Variables {
    Set(OsString, OsString),
    Secret(OsString, String),
    Remove(OsString),
    Clear,
    InheritAll,
    InheritOnly(Vec<&'static str>),
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(set) | Self::Unspoken(set) => write!(f, "{}", set(Sandbox::new(), 3)),
            Self::Unshare(namespaces) => namespaces.fmt(f),
            Self::ShareNet => f.write_str("share_net"),
            Self::Environment(change) => change.fmt(f),
        }
    }
}

/// The calls that make a sandbox, and the first of its descriptor numbers.
#[derive(Debug, Clone)]
struct Plan {
    steps: Vec<Step>,
    first: i32,
}

impl Plan {
    fn build(&self) -> Sandbox {
        self.apply(Sandbox::new(), &self.steps)
    }

    fn apply(&self, start: Sandbox, steps: &[Step]) -> Sandbox {
        steps.iter().cloned().zip(self.first..).fold(start, |sandbox, (step, number)| match step {
            Step::Plain(set) | Step::Unspoken(set) => set(sandbox, number),
            Step::Unshare(Namespaces::ALL) => sandbox.unshare_all(),
            Step::Unshare(namespaces) => sandbox.unshare(namespaces),
            Step::ShareNet => sandbox.share_net(),
            Step::Environment(change) => match change {
                Variables::Set(name, value) => sandbox.env(name, value),
                Variables::Secret(name, value) => sandbox.env_secret(name, value),
                Variables::Remove(name) => sandbox.env_remove(name),
                Variables::Clear => sandbox.env_clear(),
                Variables::InheritAll => sandbox.inherit_env(),
                Variables::InheritOnly(names) => sandbox.inherit_env_only(names),
            },
        })
    }

    /// What the line of this sandbox can say of it.
    fn expected(&self) -> Sandbox {
        // a step that goes becomes one that does nothing, so that the numbers of the others stay
        const NOTHING: Step = Step::Unshare(Namespaces::empty());
        let mut steps = self.steps.clone();
        let clears = |step: &Step| matches!(step, Step::Environment(Variables::Clear));
        let cleared = steps.iter().rposition(clears).map_or(0, |index| index + 1);
        let all = |step: &Step| matches!(step, Step::Unshare(set) if set.contains(Namespaces::ALL));
        let shared = steps.iter().any(|step| matches!(step, Step::ShareNet)) && steps.iter().any(all);
        // of a list and "all", the last counts
        let last = steps.iter().skip(cleared).rev().find_map(|step| match step {
            Step::Environment(Variables::InheritAll) => Some(true),
            Step::Environment(Variables::InheritOnly(_)) => Some(false),
            _ => None,
        });
        let mut inherited = Vec::new();
        for (index, step) in steps.iter_mut().enumerate() {
            *step = match std::mem::replace(step, NOTHING) {
                Step::Unspoken(_) => NOTHING,
                // without ALL there is nothing that it takes back
                Step::ShareNet if !shared => NOTHING,
                // a contradiction that check() refuses; in bwrap, the last option wins
                Step::Unshare(namespaces) if shared => Step::Unshare(namespaces - Namespaces::NET),
                // the clearing comes first in every line
                Step::Environment(_) if index < cleared => NOTHING,
                // the line says that there is something secret, and not what
                Step::Environment(Variables::Secret(name, _)) => {
                    Step::Environment(Variables::Set(name, "[secret]".into()))
                }
                // no option of its own: the shell passes on what it has itself, before all that is set
                Step::Environment(Variables::InheritOnly(names)) => {
                    // what the shell has not, the line leaves out
                    inherited.extend(names.into_iter().filter(|name| *name == "HERE"));
                    NOTHING
                }
                Step::Environment(Variables::InheritAll) => {
                    inherited.clear();
                    if last == Some(true) { Step::Environment(Variables::InheritAll) } else { NOTHING }
                }
                other => other,
            };
        }
        let start = inherited
            .into_iter()
            .fold(Sandbox::new(), |sandbox, name| sandbox.env(name, if name == "HERE" { HERE } else { "" }));
        self.apply(start, &steps)
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    let access = select(vec![Access::ReadOnly, Access::ReadWrite, Access::Device]);
    let bind = (path(), path(), access, any::<bool>()).prop_map(|(source, destination, access, optional)| {
        let bind = Bind::new(source, destination, access);
        Operation::from(if optional { bind.optional() } else { bind })
    });
    let overlay = (0..3, vec(path(), 0..4), vec(word(), 0..3), [path(), path(), path()]);
    let overlay = overlay.prop_map(|(kind, layers, options, [upper, work, destination])| {
        let overlay = match kind {
            0 => Overlay::writable(upper, work, destination),
            1 => Overlay::temporary(destination),
            _ => Overlay::read_only(destination),
        };
        let overlay = layers.into_iter().fold(overlay, Overlay::layer);
        Operation::from(options.into_iter().fold(overlay, Overlay::option))
    });
    let size = prop_oneof![1..=u64::MAX / 2, 1..9_u64, Just(u64::MAX / 2)];
    let tmpfs = (path(), mode(), option::of(size)).prop_map(|(path, mode, size)| {
        let tmpfs = mode.into_iter().fold(Tmpfs::new(path), Tmpfs::mode);
        Operation::from(size.into_iter().fold(tmpfs, Tmpfs::size))
    });
    prop_oneof![
        3 => bind,
        2 => overlay,
        2 => tmpfs,
        1 => (path(), mode()).prop_map(|(it, mode)| mode.into_iter().fold(Dir::new(it), Dir::mode).into()),
        1 => path().prop_map(|path| RemountRo::new(path).into()),
        1 => path().prop_map(|path| Proc::new(path).into()),
        1 => path().prop_map(|path| Dev::new(path).into()),
        1 => path().prop_map(|path| Mqueue::new(path).into()),
        1 => (path(), path()).prop_map(|(target, path)| Symlink::new(target, path).into()),
        1 => (0..=0o7777_u32, path()).prop_map(|(mode, path)| Chmod::new(mode, path).into()),
    ]
}

fn call<T: Clone + fmt::Debug + 'static>(
    values: impl Strategy<Value = T> + 'static,
    set: fn(Sandbox, T, i32) -> Sandbox,
) -> BoxedStrategy<Step> {
    values.prop_map(move |value| Step::Plain(Arc::new(move |s, n| set(s, value.clone(), n)))).boxed()
}

/// Every setting; with `bytes`, files hold bytes too.
fn step(bytes: bool) -> impl Strategy<Value = Step> {
    let file = move || (data(bytes), path(), mode());
    let capability = || select(bwrap_launch::Capability::ALL);
    let range =
        || any::<[u32; 3]>().prop_map(|[inside, outside, count]| [IdRange::new(inside, outside, count)]);
    #[rustfmt::skip]
    let switches: Vec<fn(Sandbox) -> Sandbox> = vec![
        Sandbox::disable_userns, Sandbox::assert_userns_disabled, Sandbox::new_session, Sandbox::cap_add_all,
        Sandbox::cap_drop_all, Sandbox::not_a_security_boundary, Sandbox::die_with_parent, Sandbox::as_pid_1,
        Sandbox::level_prefix,
    ];
    #[rustfmt::skip]
    let features = vec![
        F::Argv0, F::AssertUsernsDisabled, F::BindFd, F::BindTry, F::Chmod, F::DebugOption, F::DieWithParent,
        F::DisableUserns, F::LevelPrefix, F::NewSession, F::NotASecurityBoundary, F::Overlay,
        F::OverlayOption, F::Perms, F::Size, F::SyncFds, F::UnshareCgroup,
    ];
    let namespaces =
        prop_oneof![(0..1_u16 << 9).prop_map(Namespaces::from_bits_truncate), Just(Namespaces::ALL)];
    let secret = ("[^\0]{0,3}", select(vec!["", "\0"])).prop_map(|(word, end)| format!("{word}{TOKEN}{end}"));
    let variables = prop_oneof![
        3 => (name(), word()).prop_map(|(name, value)| Variables::Set(name, value)),
        1 => (name(), secret).prop_map(|(name, value)| Variables::Secret(name, value)),
        2 => name().prop_map(Variables::Remove),
        1 => Just(Variables::Clear),
        1 => Just(Variables::InheritAll),
        1 => vec(select(vec!["HERE", "GONE"]), 1..3).prop_map(Variables::InheritOnly),
    ];
    let file_system = prop_oneof![
        8 => call(operation(), |s, operation, _| s.add(operation)),
        1 => call(path(), |s, path, n| s.add(BindFd::read_write(fd(n), path))),
        1 => call(path(), |s, path, n| s.add(BindFd::read_only(fd(n), path))),
        1 => call(file(), |s, (data, path, mode), n| {
            s.add(mode.into_iter().fold(File::new(content(data, n), path), File::mode))
        }),
        2 => call((any::<bool>(), file()), |s, (write, (data, path, mode)), n| {
            let new = if write { BindData::read_write } else { BindData::read_only };
            s.add(mode.into_iter().fold(new(content(data, n), path), BindData::mode))
        }),
    ];
    let settings = prop_oneof![
        6 => call(select(switches), |s, set, _| set(s)),
        1 => call(data(bytes), |s, data, n| s.seccomp(Filter::new(content(data, n)))),
        1 => call(Just(()), |s, (), n| s.join_user(fd(n))),
        1 => call(Just(()), |s, (), n| s.join_user_after_setup(fd(n))),
        1 => call(Just(()), |s, (), n| s.join_pid(fd(n))),
        // a line with two says by itself that the last may do
        1 => call(Just(()), |s, (), n| {
            let several = !s.get_sync_fds().is_empty();
            let sandbox = s.sync_fd(fd(n));
            if several { sandbox.optional(F::SyncFds) } else { sandbox }
        }),
        1 => call(Just(()), |s, (), n| s.info_fd(fd(n))),
        1 => call(word(), |s, name, _| s.hostname(name)),
        1 => call(word(), |s, label, _| s.exec_label(label)),
        1 => call(word(), |s, label, _| s.file_label(label)),
        1 => call(word(), |s, path, _| s.current_dir(path)),
        1 => call(word(), |s, path, _| s.lock_file(path)),
        // a key that is no text has a property of its own below
        1 => call("[^\0]{0,6}", |s, key, _| s.debug_option(key)),
        1 => call(0..1_u32 << 31, |s, id, _| s.uid(id)),
        1 => call(0..1_u32 << 31, |s, id, _| s.gid(id)),
        1 => call(capability(), |s, capability, _| s.cap_add(capability)),
        1 => call(capability(), |s, capability, _| s.cap_drop(capability)),
    ];
    prop_oneof![
        5 => file_system,
        5 => settings,
        2 => variables.prop_map(Step::Environment),
        1 => namespaces.prop_map(Step::Unshare),
        1 => Just(Step::ShareNet),
        1 => range().prop_map(|range| Step::Unspoken(Arc::new(move |s, _| s.map_uids(range)))),
        1 => range().prop_map(|range| Step::Unspoken(Arc::new(move |s, _| s.map_gids(range)))),
        1 => select(features).prop_map(|it| Step::Unspoken(Arc::new(move |s, _| s.optional(it)))),
    ]
}

fn plan(bytes: bool) -> impl Strategy<Value = Plan> {
    // small numbers are those that bytes get too
    let first = prop_oneof![0..12, Just(i32::MAX - 99)];
    (vec(step(bytes), 0..9), first).prop_map(|(steps, first)| Plan { steps, first })
}

/// A program, its arguments and its name.
type Run = (OsString, Vec<OsString>, Option<OsString>);

fn run() -> impl Strategy<Value = Run> {
    (word(), vec(word(), 0..4), option::of(word()))
}

fn command(sandbox: &Sandbox, (program, args, name): &Run) -> Command {
    let mut command = sandbox.command(program);
    command.args(args);
    if let Some(name) = name {
        command.arg0(name);
    }
    command
}

/// Whether two commands are the same; `Display` has the name that no method gives.
fn same(left: &Command, right: &Command) -> Result<(), TestCaseError> {
    prop_assert_eq!(left.get_program(), right.get_program());
    prop_assert_eq!(left.get_args().collect::<Vec<_>>(), right.get_args().collect::<Vec<_>>());
    prop_assert_eq!(left.get_sandbox(), right.get_sandbox());
    prop_assert_eq!(left.to_string(), right.to_string());
    prop_assert_eq!(left.to_string(), format!("{right:?}"));
    Ok(())
}

/// Options and what follows them: a word, a number, a capability.
const OPTIONS: &str = "
    --unshare-all|--unshare-user|--unshare-user-try|--unshare-ipc|--unshare-pid|--unshare-net|--unshare-uts|
    --unshare-cgroup|--unshare-cgroup-try|--share-net|--disable-userns|--assert-userns-disabled|
    --new-session|--not-a-security-boundary|--clearenv|--die-with-parent|--as-pid-1|--level-prefix|
    --debug-opt=|--debug-opt=x|--hostname W|--exec-label W|--file-label W|--chdir W|--argv0 W|--lock-file W|
    --unsetenv W|--remount-ro W|--proc W|--dev W|--mqueue W|--tmpfs W|--dir W|--tmp-overlay W|--ro-overlay W|
    --overlay-src W|--overlay-opt W|--bind W W|--bind-try W W|--ro-bind W W|--ro-bind-try W W|--dev-bind W W|
    --dev-bind-try W W|--symlink W W|--setenv W W|--overlay W W W|
    --overlay-src W --overlay-opt W --ro-overlay W|--overlay-src W --overlay W W W|--userns N|--userns2 N|
    --pidns N|--seccomp N|--add-seccomp-fd N|--sync-fd N|--info-fd N|--uid N|--gid N|--bind-fd N W|
    --ro-bind-fd N W|--file N W|--bind-data N W|--ro-bind-data N W|--chmod N W|--cap-add C|--cap-drop C|
    --perms N|--size N|--perms N --size N --tmpfs W|--size N --perms N --tmpfs W|--perms N --dir W|
    --perms N --file N W|--perms N --bind-data N W|--args N|--block-fd N|--userns-block-fd N|
    --json-status-fd N|--help|--version|--debug-opt|--debug-opt=\u{e9}|--nonsense|W|N W|--|-";

/// Words as somebody might give them to bwrap, seldom quite wrong.
fn line() -> impl Strategy<Value = Vec<OsString>> {
    let right = "0 1 3 755 010 0x1f 07777 +5 2147483647 9223372036854775807";
    let wrong = "-1 5; 0x 8z 2147483648 4294967296 18446744073709551616";
    let pick = |text: &'static str| select(text.split(' ').map(OsString::from).collect::<Vec<_>>());
    let number = prop_oneof![20 => pick(right), 1 => pick(wrong), 1 => word()];
    let capability = pick("ALL all CAP_KILL cap_sys_admin CAP_BPF KILL CAP_");
    let option = select(OPTIONS.split('|').map(str::trim).collect::<Vec<_>>());
    let part =
        (option, vec(word(), 4), vec(number, 2), capability).prop_map(|(option, words, numbers, cap)| {
            let (mut words, mut numbers) = (words.into_iter(), numbers.into_iter());
            let fill = |word: &str| match word {
                "W" => words.next(),
                "N" => numbers.next(),
                "C" => Some(cap.clone()),
                _ => Some(word.into()),
            };
            option.split(' ').filter_map(fill).collect::<Vec<_>>()
        });
    let cut = option::weighted(0.1, any::<Index>());
    (vec(part, 0..5), option::weighted(0.3, vec(word(), 0..4)), cut).prop_map(|(parts, command, cut)| {
        let mut words = parts.concat();
        words.extend(command.into_iter().flat_map(|command| [vec!["--".into()], command].concat()));
        words.truncate(cut.map_or(words.len(), |cut| cut.index(words.len() + 1)));
        words
    })
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn what_is_shown_can_be_read_back(cases in vec((plan(false), run()), 1..12), shell in shell()) {
        let shown = |(plan, run): &(Plan, Run)| {
            let sandbox = plan.build();
            [sandbox.to_string(), command(&sandbox, run).to_string()]
        };
        let words = split(&cases.iter().flat_map(shown).collect::<Vec<_>>(), shell)?;
        for ((plan, run), words) in cases.iter().zip(words.chunks(2)) {
            let expected = plan.expected();
            prop_assert_eq!(Sandbox::from_args(&words[0]), Ok(expected.clone()));
            prop_assert_eq!(format!("{expected:?}"), expected.to_string());
            same(&Command::from_args(&words[1]).unwrap(), &command(&expected, run))?;
        }
    }

    #[test]
    fn lines_with_redirections_are_stable(plans in vec(plan(true), 1..12), shell in shell()) {
        let first: Vec<_> = plans.iter().map(|plan| plan.build().to_string()).collect();
        let mut words = split(&first, shell)?;
        let read: Vec<_> = words.iter().map(|words| Sandbox::from_args(words).unwrap()).collect();
        let second: Vec<_> = read.iter().map(Sandbox::to_string).collect();
        let again = split(&second, shell)?;
        // a contradiction that check() refuses; in bwrap, the last option wins
        for words in words.iter_mut().filter(|words| words.contains(&"--share-net".into())) {
            words.retain(|word| word != "--unshare-net");
        }
        prop_assert_eq!(&words, &again);
        for (sandbox, words) in read.iter().zip(&again) {
            prop_assert_eq!(Sandbox::from_args(words), Ok(sandbox.clone()));
        }
    }

    /// Otherwise a line that is shown would be worse than what it shows.
    #[test]
    fn what_is_valid_stays_valid(
        cases in vec((plan(true), run()), 16..32), roomy: bool, shell in shell()
    ) {
        let most = Namespaces::USER | Namespaces::PID | Namespaces::UTS;
        let room = if roomy { most } else { Namespaces::empty() };
        let commands = cases.iter().map(|(plan, run)| command(&plan.build().unshare(room), run));
        let valid: Vec<_> = commands.filter(|command| command.get_sandbox().check().is_ok()).collect();
        let lines = valid.iter().flat_map(|command| [command.get_sandbox().to_string(), command.to_string()]);
        for (command, words) in valid.iter().zip(split(&lines.collect::<Vec<_>>(), shell)?.chunks(2)) {
            prop_assert_eq!(Sandbox::from_args(&words[0]).unwrap().check(), Ok(()));
            let read = Command::from_args(&words[1]).unwrap();
            if command.check().is_ok() {
                prop_assert_eq!(read.check(), Ok(()));
            }
        }
        prop_assume!(!valid.is_empty());
    }

    #[test]
    fn what_is_read_can_be_shown(lines in vec(line(), 16..32), shell in shell()) {
        let read = |line| (Sandbox::from_args(line), Command::from_args(line));
        let (sandboxes, commands): (Vec<_>, Vec<_>) = lines.iter().map(read).unzip();
        for error in sandboxes.iter().filter_map(|read| read.as_ref().err()) {
            prop_assert!(!error.to_string().is_empty());
        }
        let sandboxes: Vec<_> = sandboxes.into_iter().flatten().collect();
        let commands: Vec<_> = commands.into_iter().flatten().collect();
        let shown = sandboxes.iter().map(Sandbox::to_string).chain(commands.iter().map(Command::to_string));
        let shown: Vec<_> = shown.collect();
        let words = split(&shown, shell)?;
        for (sandbox, words) in sandboxes.iter().zip(&words) {
            prop_assert_eq!(Sandbox::from_args(words), Ok(sandbox.clone()));
        }
        for (command, words) in commands.iter().zip(words.iter().skip(sandboxes.len())) {
            same(&Command::from_args(words).unwrap(), command)?;
        }
    }

    #[test]
    fn redirections_yield_the_bytes(
        files in vec(vec(any::<u8>(), 0..300), 0..12), given in 0..12, shell in shell()
    ) {
        // every byte beside every other kind, up to the size that is still shown
        let all = (0..=u8::MAX).cycle().take(4096).collect::<Vec<_>>();
        let files: Vec<_> = files.into_iter().chain([all]).collect();
        let start = Sandbox::new().sync_fd(fd(given));
        let together = files.iter().cloned().fold(start, |sandbox, bytes| sandbox.file(bytes, "/f"));
        let alone = files.iter().cloned().map(|bytes| Sandbox::new().file(bytes, "/f"));
        let lines: Vec<_> = alone.chain([together]).map(|sandbox| sandbox.to_string()).collect();
        let body = r#"while [ $# != 0 ]; do
            if [ "$1" = --file ]; then cat <&"$2" && printf '|%s|' "$3"; fi; shift; done"#;
        let expected = [files.clone(), files].concat().join(&b"|/f|"[..]);
        prop_assert!(paste(body, &lines, shell)? == [&expected, &b"|/f|"[..]].concat(), "{:#?}", lines);
    }
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn secrets_are_never_shown(plan in plan(true), run in run()) {
        let sandbox = plan.build().env_secret("TOKEN", TOKEN).file(Content::secret(TOKEN), "/t");
        let mut command = command(&sandbox, &run);
        command.env_secret("TOKEN2", format!("{TOKEN}\0"));
        let advice = sandbox.lint(&bwrap_launch::Circumstances::default());
        let errors: Vec<_> = [sandbox.check(), command.check()].into_iter().filter_map(Result::err).collect();
        let shown = [
            format!("{sandbox}{sandbox:?}{sandbox:#?}{command}{command:?}{advice:?}{:?}", command.lint()),
            format!("{:?}{errors:?}", sandbox.operations()),
            errors.iter().map(ToString::to_string).collect(),
        ].concat();
        prop_assert!(!shown.contains(TOKEN), "{}", shown);
    }
}

proptest! {
    #![proptest_config(config(24))]

    /// `check` accepts them all.
    #[test]
    fn debug_options_of_any_bytes(key in word(), shell in shell()) {
        prop_assume!(!key.is_empty());
        let sandbox = Sandbox::new().debug_option(&key);
        prop_assert_eq!(sandbox.check(), Ok(()));
        let words = split(&[sandbox.to_string()], shell)?;
        prop_assert_eq!(Sandbox::from_args(&words[0]), Ok(sandbox));
    }

    /// `check` accepts every name without `=`; a line that is pasted must not run a part of it.
    #[test]
    fn inherited_variables_of_any_name(name in word(), shell in shell()) {
        prop_assume!(!name.is_empty() && !name.as_bytes().contains(&b'='));
        let sandbox = Sandbox::new().inherit_env_only([&name]);
        prop_assert_eq!(sandbox.check(), Ok(()));
        let words = split(&[sandbox.to_string()], shell)?.remove(0);
        // a name that the shell can read is there if the shell has such a variable
        if words.len() != 1 {
            prop_assert_eq!(words.len(), 4);
            prop_assert_eq!(&words[..3], ["--clearenv".into(), "--setenv".into(), name]);
        }
    }
}
