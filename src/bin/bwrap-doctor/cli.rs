//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Can this machine run Bubblewrap sandboxes, and if not, what to change?
#[derive(Parser)]
#[command(name = "bwrap-doctor", version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// Text for people, or one JSON object
    #[arg(long, global = true, value_enum, default_value_t = Format::Human, value_name = "FORMAT")]
    pub(crate) format: Format,
    #[command(subcommand)]
    pub(crate) task: Task,
}

const EXAMPLES: &str = "\
Examples:
  bwrap-doctor check                            can this machine run sandboxes?
  bwrap-doctor check -- --ro-bind / / true      will this bwrap line start?
  bwrap-doctor run -- --ro-bind / / true        run a bwrap line; if it fails, say why
  bwrap ... 2>&1 | bwrap-doctor explain --here -
  bwrap-doctor explain PR01                     all about a cause
  bwrap-doctor host --format json >host.json    for a bug report
  bwrap-doctor pod deployment.yaml              will the line start in these pods?";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Human,
    Json,
}

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Try whether this machine can run sandboxes: exit status 0 if it can, 1 if not
    #[command(after_help = CHECK)]
    Check(Check),
    /// Run a bwrap command line; if the command does not run, say why
    #[command(after_help = RUN)]
    Run(Run),
    /// Explain a code, or diagnose a message of bwrap's, without looking at this machine
    #[command(after_help = EXPLAIN)]
    Explain(Explain),
    /// Show what bwrap-doctor sees of this machine: changes nothing, needs no privileges
    #[command(after_help = HOST)]
    Host(Host),
    /// Judge manifests of Kubernetes before they are applied: will a bwrap line start in their pods?
    #[command(after_help = POD)]
    Pod(Pod),
    /// Put this program in bwrap's place: it runs bwrap, and explains what does not start
    #[command(after_help = INSTALL)]
    Install(Place),
    /// Take back what install did
    #[command(
        after_help = "Removes the copy that install made, and nothing else.\n\nExample:\n  bwrap-doctor uninstall"
    )]
    Uninstall(Place),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  bwrap-doctor completions bash >/etc/bash_completion.d/bwrap-doctor")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or a subcommand's
    #[command(after_help = "Example:\n  bwrap-doctor man run >/usr/local/share/man/man1/bwrap-doctor-run.1")]
    Man {
        /// The subcommand
        subcommand: Option<String>,
    },
}

/// How much is printed.
#[derive(Args, Clone, Default)]
pub(crate) struct Depth {
    /// All of it: every cause with its evidence, every remedy with its commands and files
    #[arg(long)]
    pub(crate) long: bool,
    /// Write the files that go with the remedies (filters, profiles, modules) into this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) write: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) depth: Depth,
    /// The bwrap to try, instead of $BWRAP or the first on the PATH
    #[arg(long, value_name = "PATH")]
    pub(crate) bwrap: Option<PathBuf>,
    /// Only sandboxes that share the host's network have to work
    #[arg(long, conflicts_with = "line")]
    pub(crate) no_network: bool,
    /// bwrap's arguments, as in an existing line: try that sandbox. A command after them is not run
    #[arg(last = true, value_name = "BWRAP-ARGUMENTS")]
    pub(crate) line: Vec<OsString>,
}

const CHECK: &str = "\
Sets up some growing sandboxes, runs nothing in them, and removes them; or the one of a bwrap line. That takes some
50 ms. What fails is explained on one screen, and whole with --long. What hangs is killed after 5 s, and so is a
bwrap that does not say its version in 5 s: 15 s at most in all.

Exit status: 0 sandboxes work, 1 they do not (or there is no bwrap), 2 wrong usage.

Examples:
  bwrap-doctor check && echo fine
  bwrap-doctor check --no-network       for sandboxes without --unshare-net and --unshare-all
  bwrap-doctor check -- --ro-bind / / --unshare-all --proc /proc make
  Kubernetes:  startupProbe: { exec: { command: [bwrap-doctor, check] }, timeoutSeconds: 15 }";

#[derive(Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) depth: Depth,
    /// Write the report into this file instead of standard error; it is empty if the command ran
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// The bwrap to run, instead of $BWRAP or the first on the PATH
    #[arg(long, value_name = "PATH")]
    pub(crate) bwrap: Option<PathBuf>,
    /// bwrap's arguments and the command, as in an existing line
    #[arg(last = true, required = true, value_name = "BWRAP-ARGUMENTS")]
    pub(crate) line: Vec<OsString>,
}

const RUN: &str = "\
Standard streams, environment and open descriptors are the command's, as with bwrap itself. The report goes to
standard error, after bwrap's own words; with --format json it is the last line there, and there is none if the
command ran. --report FILE has the report alone. It is one screen; --long says all of it.

Exit status: the command's own; 128+n if signal n killed it. If it did not run:
  124  nobody can know whether it ran
  125  no sandbox: bwrap refused, the set-up failed, or the line is wrong
  126  the command could not be executed
  127  the command is not there

Examples:
  bwrap-doctor run -- --ro-bind / / --unshare-all --proc /proc -- ps ax
  bwrap-doctor run --format json --report why.json -- --ro-bind / / make
  bwrap-doctor run --bwrap /opt/bwrap -- --ro-bind /usr /usr --symlink usr/lib64 /lib64 /usr/bin/true";

#[derive(Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) depth: Depth,
    /// A cause (`PR01`, `MaskedProc`), a message, or a file with one (`-`: standard input); without: a list of all
    #[arg(conflicts_with = "message")]
    pub(crate) code: Option<String>,
    /// What bwrap wrote to standard error; `-` reads it from standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) message: Option<OsString>,
    /// Facts of the machine where it failed (`bwrap-doctor host --format json`), or a part of them
    #[arg(long, value_name = "FILE")]
    pub(crate) host: Option<PathBuf>,
    /// It failed on this machine: look at it, and at the files that the message and the line are about
    #[arg(long, conflicts_with = "host")]
    pub(crate) here: bool,
    /// A file with the bwrap line: shell words, a JSON array, or NUL-ended as /proc/PID/cmdline
    #[arg(long, value_name = "FILE")]
    pub(crate) args: Option<PathBuf>,
}

const EXPLAIN: &str = "\
With --args alone it predicts whether that line will start. A message is found in whatever was pasted: a log, JSON,
a ticket. The answer is one screen; --long says all of it.

Exit status: 0, or 2 for an unknown code, wrong usage or an unreadable file.

Examples:
  bwrap-doctor explain                  list all codes
  bwrap-doctor explain PR01
  bwrap-doctor explain --message 'bwrap: setting up uid map: Permission denied'
  bwrap-doctor explain build.log
  kubectl logs pod | bwrap-doctor explain - --host host.json --args line.txt
  bwrap-doctor explain --args line.txt --here";

#[derive(Args)]
pub(crate) struct Host {
    /// The bwrap that is meant, instead of $BWRAP or the first on the PATH
    #[arg(long, value_name = "PATH")]
    pub(crate) bwrap: Option<PathBuf>,
}

const HOST: &str = "\
The JSON holds no secrets: ids, capabilities, mounts, security labels, kernel parameters, limits. Read it before
you publish it: paths and host names may be in it.

Examples:
  bwrap-doctor host
  kubectl exec pod -- bwrap-doctor host --format json >host.json";

#[derive(Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(crate) struct Pod {
    /// Manifests, YAML or JSON; `-` reads standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// What runs the containers, each once: containerd, cri-o, gvisor; else all of them
    #[arg(long, value_name = "NAME[=VERSION]")]
    pub(crate) runtime: Vec<String>,
    /// The version of Kubernetes, if it is an older one
    #[arg(long, value_name = "VERSION")]
    pub(crate) kubernetes: Option<String>,
    /// Facts of a node: `bwrap-doctor host --format json`, typed on one
    #[arg(long, value_name = "FILE")]
    pub(crate) node: Option<PathBuf>,
    /// The image's user, for pods without runAsUser; else root, unless they say runAsNonRoot
    #[arg(long, value_name = "UID")]
    pub(crate) image_user: Option<u32>,
    /// The kubelets' seccompDefault is on: who names no filter has the runtime's
    #[arg(long)]
    pub(crate) seccomp_default: bool,
    /// Only containers of this name; else all count but those that only start the pod up
    #[arg(long, value_name = "NAME")]
    pub(crate) container: Option<String>,
    /// Print one patch that takes all out of the way that fields of the pod can
    #[arg(long, group = "change")]
    pub(crate) patch: bool,
    /// `strategic` (a merge; the default), `json` (RFC 6902), `kustomize`, or `whole`
    #[arg(long, value_enum, hide_possible_values = true, requires = "patch", value_name = "TYPE")]
    pub(crate) patch_type: Option<PatchType>,
    /// Make that change in the files, if bwrap starts then; comments, order and quotes stay
    #[arg(long, group = "change", conflicts_with = "patch")]
    pub(crate) write: bool,
    /// With either: write what the nodes must have (filters, profiles) into this directory
    #[arg(long, value_name = "DIR", requires = "change")]
    pub(crate) node_files: Option<PathBuf>,
    /// Print a job that runs `bwrap-doctor check` as this pod runs; the image must have it
    #[arg(long, conflicts_with_all = ["args", "change"])]
    pub(crate) probe: bool,
    /// A file with the bwrap line: shell words, a JSON array, or NUL-ended
    #[arg(long, value_name = "FILE")]
    pub(crate) args: Option<PathBuf>,
    /// bwrap's arguments, as in an existing line; else those of all namespaces, a new /proc and /dev
    #[arg(last = true, value_name = "BWRAP-ARGUMENTS", conflicts_with = "args")]
    pub(crate) line: Vec<OsString>,
}

/// What a patch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PatchType {
    Strategic,
    Json,
    Kustomize,
    Whole,
}

const POD: &str = "\
Reads Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job, CronJob, PodTemplate,
AutoscalingRunnerSet (Actions Runner Controller), Rollout (Argo), StatefulSet and DaemonSet of OpenKruise, and lists of
them, asks no cluster, and changes nothing but with --write. As a file named kubectl-bwrap this program is
`kubectl bwrap FILE`.
Unset seccompProfile is taken for Unconfined, as where the kubelet's seccompDefault is off (on: --seccomp-default).

Exit status: 0 it starts with each runtime, 1 it will not with one, 2 wrong input or usage, 3 what is not known of the
nodes decides (--node). With --patch the same of the changed manifest. With --write, too: only 0 has changed files.

Examples:
  bwrap-doctor pod deployment.yaml
  kubectl get pod executor -o yaml | bwrap-doctor pod --runtime cri-o=1.33.1 -
  bwrap-doctor pod --patch --node node.json deployment.yaml >patch.yaml
  bwrap-doctor pod --write --runtime containerd --node node.json deployment.yaml
  bwrap-doctor pod --probe deployment.yaml | kubectl create -f -
  bwrap-doctor pod pod.yaml -- --ro-bind / / --unshare-pid --proc /proc make";

#[derive(Args)]
pub(crate) struct Place {
    /// For the machine: /usr/local/bin, instead of ~/.local/bin
    #[arg(long)]
    pub(crate) machine: bool,
    /// Another directory
    #[arg(long, value_name = "PATH", conflicts_with = "machine")]
    pub(crate) directory: Option<PathBuf>,
}

const INSTALL: &str = "\
Copies this program to a file named bwrap, and overwrites nothing but such a copy. Called under that name it becomes
the real bwrap: same arguments, descriptors, streams, process, signals and exit status. Only where the sandbox does not
start, the explanation follows bwrap's own words on standard error. Programs that call /usr/bin/bwrap by its path do not
come here.

Environment of the copy:
  BWRAP_DOCTOR_BWRAP  the real bwrap; else bwrap.distrib beside the copy, the next one on the PATH, or /usr/bin/bwrap
  BWRAP_DOCTOR_LOG    a file for explanations, instead of standard error
  BWRAP_DOCTOR_ONCE   a directory for marks: a cause is explained once a day, and then named in a line

Exit status: 0, or 2 if there is something else in that place.

Examples:
  bwrap-doctor install
  sudo bwrap-doctor install --machine
  bwrap-doctor uninstall";
