//! What whoever runs a launcher can do, who cannot edit the line that it writes.

use super::prelude::*;
use crate::bwrap::Stage;
use crate::diagnosis::ProgramProblem;
use crate::diagnosis::launcher::Launcher;

impl Launcher {
    /// From where bwrap lies and what only they bind; of a message alone, from the paths that they protect; or as what stands
    /// around it tells.
    pub(in super::super) fn of(case: &Case<'_>) -> Option<Self> {
        Self::by_paths(case).or_else(|| case.told()?.launcher)
    }

    fn by_paths(case: &Case<'_>) -> Option<Self> {
        let bwrap = case.host.bwrap.present().map(|program| program.path.as_path());
        let Some(sandbox) = case.sandbox else {
            let said = case
                .message()
                .into_iter()
                .flat_map(|message| [message.path(), message.source(), message.subject().map(Path::new)]);
            let mut paths = said.flatten().chain(bwrap);
            return paths.find_map(|path| Self::protecting(path).or_else(|| Self::of_path(path)));
        };
        let paths = sandbox.operations.iter().flat_map(|operation| {
            let source = operation.as_bind().map(|bind| bind.source.as_path());
            [Some(operation.destination()), source].into_iter().flatten()
        });
        paths.chain(bwrap).find_map(Self::of_path)
    }
}

impl Launcher {
    /// What whoever runs it can do, whatever failed.
    pub(super) fn remedy(self) -> Remedy {
        match self {
            Self::Codex => told!("codex"),
            Self::ClaudeCode => told!("claude-code"),
            Self::Flatpak => told!("flatpak"),
            Self::Steam => told!("steam"),
            Self::NixFhs => told!("nix-fhs"),
            Self::Opam => told!("opam"),
            Self::RpmOstree => told!("rpm-ostree"),
            Self::WebKit => told!("webkit"),
            Self::Glycin => told!("glycin"),
        }
    }

    /// What whoever runs it does about just this message.
    pub(super) fn remedy_of(self, case: &Case<'_>) -> Option<Remedy> {
        match self {
            Self::Flatpak => of_flatpak(case),
            Self::Steam => of_steam(case).or_else(|| of_flatpaks_steam(case)),
            Self::ClaudeCode | Self::Codex => of_agents(case),
            _ => None,
        }
    }
}

/// What the message is about: a path outside, or else inside.
fn about<'a>(case: &Case<'a>) -> Option<&'a Path> {
    let message = case.message()?;
    message.source().or(message.path())
}

fn has(path: &Path, parts: &[&str]) -> bool {
    let path = path.to_string_lossy();
    parts.iter().any(|part| path.contains(part))
}

fn of_flatpak(case: &Case<'_>) -> Option<Remedy> {
    let seen = || match case.symptom?.program.as_ref()? {
        ProgramProblem::NotFound { program, .. } => Some(program.as_path()),
        _ => None,
    };
    let said = || case.message()?.subject().map(Path::new).filter(|_| case.stage() == Some(Stage::Exec));
    if let Some(program) = said().or_else(seen) {
        // nobody names that one: it is what Flatpak itself runs first
        if program == Path::new("ldconfig") && case.errno() == Some(libc::ENOEXEC) {
            return Some(told!("flatpak-architecture"));
        }
        let own = Launcher::is_of_application(program);
        return (own && case.errno() != Some(libc::EACCES)).then(|| told!("flatpak-command"));
    }
    let path = about(case)?;
    if let Some(remedy) = of_flatpaks_steam(case) {
        return Some(remedy);
    }
    if let Some(name) = name_of_runtime(path).filter(|_| case.says(LINKS)) {
        return Some(told!("flatpak-no-runtime-name", name));
    }
    match case.errno() {
        Some(libc::EEXIST) if path.starts_with("/var/run") => Some(told!("flatpak-no-var-run")),
        // below /var/run, which is a link, and which Flatpak binds by that name
        Some(libc::ELOOP) if path.starts_with("/var/run/cups") => Some(told!("flatpak-no-cups")),
        Some(libc::EEXIST) if path.components().count() <= 2 || is_of_ostree(path) => {
            Some(told!("flatpak-newer"))
        }
        Some(libc::ENOENT | libc::EIO) if has(path, INSTALLED) => {
            Some(told!("flatpak-files-missing", path = path_word(path)))
        }
        Some(libc::ENOENT | libc::ENOTCONN) if path.starts_with("/run/user") && has(path, &["/doc"]) => {
            // in a container that is made for a person the portal runs outside, and mounts what it shows there
            let inside = case.on(Platform::Podman);
            Some(if inside { told!("flatpak-from-host") } else { told!(BD06, "document-portal") })
        }
        Some(libc::EROFS) if has(path, &["/app/lib/i386-linux-gnu"]) => Some(told!("flatpak-compat-i386")),
        // where the modules of a manifest are built
        Some(libc::ENOENT) if path.starts_with("/run/build") => Some(told!("flatpak-subdir")),
        Some(libc::ENOENT) if has(path, &["/.dbus-proxy"]) => Some(told!("flatpak-runtime-directory")),
        Some(libc::EROFS) if has(path, &["/.flatpak-builder/"]) && path.starts_with("/usr") => {
            Some(told!("flatpak-builder-directory"))
        }
        _ if path.starts_with("/proc/self/fd") && case.hinted(Hint::FlatpakDescriptors) => None,
        _ if path.starts_with("/proc/self/fd") && case.hinted(Hint::SetuidBwrap) => {
            Some(told!("flatpak-sub-sandbox"))
        }
        _ if path.starts_with("/proc/self/fd") => Some(told!("flatpak-filesystem")),
        _ => None,
    }
}

/// How bwrap says that something is where a link is to be.
const LINKS: &[&str] =
    &["Can't make symlink at %s: destination exists and is not a symlink", "Can't make symlink at %s"];

/// The name of what lies right in a user's runtime directory: `/run/user/1000/discord-ipc-0`.
fn name_of_runtime(path: &Path) -> Option<String> {
    let below = path.strip_prefix("/run/user").ok()?.to_str()?;
    let (user, name) = below.split_once('/')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let number = !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_digit());
    (number && !name.is_empty() && name.chars().all(plain)).then(|| name.to_owned())
}

/// Whether Steam's Flatpak application makes a link in its home inside, which is a directory of its own on the host.
pub(in super::super) fn is_in_home_of_steam(case: &Case<'_>, path: &Path) -> bool {
    case.hinted(Hint::SteamOfFlatpak) && path.starts_with("/home") && path.components().count() == 4
}

/// Whether it is what links below / lead to where ostree keeps the system: /var/home, with all homes.
fn is_of_ostree(path: &Path) -> bool {
    ["/var/home", "/var/mnt", "/var/opt", "/var/roothome", "/var/srv", "/var/usrlocal"]
        .iter()
        .any(|one| path == Path::new(one))
}

fn of_steam(case: &Case<'_>) -> Option<Remedy> {
    if case.stage() == Some(Stage::Exec) {
        // what the runtime starts first; a game's own files have whole paths
        let program = Path::new(case.message()?.subject()?);
        let of_runtime = program.is_relative() && case.errno() == Some(libc::ENOENT);
        return of_runtime.then(|| told!("steam-runtime-anew"));
    }
    let path = about(case)?;
    let incomplete = match case.errno() {
        Some(libc::EACCES) => has(path, &["/run/pressure-vessel"]),
        Some(libc::ENOENT) => has(path, &["/umu/", "/SteamLinuxRuntime", "/pressure-vessel/"]),
        _ => false,
    };
    incomplete.then(|| told!("steam-runtime-anew"))
}

/// What is in the way of a link in the home that Steam's application has inside.
fn of_flatpaks_steam(case: &Case<'_>) -> Option<Remedy> {
    let path = about(case).filter(|path| is_in_home_of_steam(case, path) && case.says(LINKS))?;
    let name = path.file_name().map(word)?;
    Some(told!("steam-flatpak-link", name))
}

/// They cover files and directories of a project that a command could plant something in.
fn of_agents(case: &Case<'_>) -> Option<Remedy> {
    if case.told().is_some_and(|told| told.denies_root) {
        return Some(told!("agent-deny-less"));
    }
    if let Some(program) = case.message()?.subject().map(Path::new) {
        let directory = program.parent().filter(|_| has(program, OF_CODEX))?;
        return Some(told!("agent-program", directory = path_word(directory)));
    }
    let path = about(case)?;
    let name = path.file_name()?.to_string_lossy();
    let directory = path.parent()?;
    let covered = ![".claude", ".codex", ".agents"].contains(&&*name) && !has(path, &["/.claude/"]);
    let link = case.says(&["Can't mount on symlink destination %s"]);
    match case.errno() {
        // in the place of its own settings everything is covered
        Some(libc::EROFS) if name.starts_with('.') && is_no_project(directory) => {
            Some(told!("agent-elsewhere", directory = path_word(directory)))
        }
        errno if link || errno == Some(libc::EISDIR) && covered => {
            Some(told!("agent-real-directory", path = path_word(path)))
        }
        Some(libc::ENOENT) if case.message()?.source().is_none() && is_of_system(path) => {
            Some(told!("agent-system-link", path = path_word(path)))
        }
        // what newer releases leave out
        Some(libc::EACCES | libc::EROFS) | None
            if Launcher::of(case) == Some(Launcher::ClaudeCode)
                && OWN.contains(&&*name)
                && is_of_root(directory)
                && !case.hinted(Hint::NewClaude) =>
        {
            Some(told!("claude-newer", path = path_word(path)))
        }
        Some(libc::ENOENT) if case.message()?.source().is_none() => {
            Some(told!("agent-broken-link", path = path_word(path)))
        }
        _ => None,
    }
}

/// In what Codex' own program lies, which it starts again inside.
const OF_CODEX: &[&str] = &["/codex-linux-sandbox", "/@openai/codex"];

/// What Claude Code covers in each directory above a project.
const OWN: &[&str] = &[".claude", ".mcp.json"];

/// Whether a directory is root's on every system, and one that projects lie below.
fn is_of_root(directory: &Path) -> bool {
    ["/", "/home", "/mnt", "/opt", "/srv"].iter().any(|root| directory == Path::new(root))
}

/// Where links are the system's own: those of a merged /usr, of ostree, of /run, and what lies below.
const SYSTEM_LINKS: &[&str] = &[
    "/bin",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/sbin",
    "/srv",
    "/var/lock",
    "/var/mail",
    "/var/run",
];
const SYSTEM: &[&str] = &[
    "/boot",
    "/dev",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/mtab",
    "/etc/os-release",
    "/etc/resolv.conf",
    "/etc/static",
    "/gnu",
    "/nix",
    "/proc",
    "/run",
    "/sys",
    "/usr",
];

/// What users and administrators fill there.
const OF_USERS: &[&str] = &["/dev/shm", "/gnu/var", "/nix/var", "/run/media", "/run/user", "/usr/local"];

/// Whether a link there is the system's own.
fn is_of_system(path: &Path) -> bool {
    let below = |tops: &[&str]| tops.iter().any(|top| path.starts_with(top));
    SYSTEM_LINKS.iter().any(|link| path == Path::new(link)) || below(SYSTEM) && !below(OF_USERS)
}

/// Whether a directory is one that they protect, or that is nobody's to work in.
fn is_no_project(directory: &Path) -> bool {
    let own = [".claude", ".codex", ".agents", ".git"].iter().any(|name| directory.ends_with(name));
    own || directory == Path::new("/") || directory.starts_with("/usr") || directory.starts_with("/nix/store")
}

/// Where Flatpak keeps what is installed.
const INSTALLED: &[&str] = &["/flatpak/runtime/", "/flatpak/app/"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Symptom;
    use crate::diagnosis::fixtures::machine;
    use crate::host::{Fact, Program};
    use crate::sandbox::Sandbox;

    #[test]
    fn launchers_are_known_by_what_only_they_do() {
        let host = machine();
        let said = |text: &str| {
            let symptom = Symptom::from_text(text.as_bytes());
            Launcher::of(&Case::new(Some(&symptom), &host, None))
        };
        let claude = "bwrap: Can't create file at /w/.claude/settings.json: Read-only file system";
        assert_eq!(said(claude), Some(Launcher::ClaudeCode));
        assert_eq!(said("bwrap: Can't create file at /w/.agents: Is a directory"), Some(Launcher::Codex));
        assert_eq!(said("bwrap: Can't create file at /w/x: Is a directory"), None);
        let runs = |sandbox: &Sandbox| Launcher::of(&Case::new(None, &host, Some(sandbox)));
        // whoever runs one of them in a sandbox is none of them
        assert_eq!(runs(&Sandbox::new().ro_bind("/home/me/.claude/x", "/home/me/.claude/x")), None);
        let rootfs = "/nix/store/abc-steam-fhsenv-rootfs/usr";
        assert_eq!(runs(&Sandbox::new().ro_bind(rootfs, "/usr")), Some(Launcher::NixFhs));
        let mut host = machine();
        host.bwrap = Fact::Present(Program::new("/opt/steam/pressure-vessel/libexec/srt-bwrap", "0.11.0"));
        assert_eq!(Launcher::of(&Case::new(None, &host, Some(&Sandbox::new()))), Some(Launcher::Steam));
    }
}
