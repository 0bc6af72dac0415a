//! What a text tells of a distribution, of Flatpak and of what lies in a home; and the neighbours of each rule, whose answers stay.

use super::answers::{NO_PERMISSIONS, SWITCH, UID_MAP, holds};

const UNSUPPORTED: &str = "bwrap: Creating new namespace failed, likely because the kernel does not support user namespaces.  \
                           bwrap must be installed setuid on such systems.";
const INVALID: &str = "bwrap: Creating new namespace failed: Invalid argument";

#[test]
fn the_switch_is_set_where_kernels_have_it() {
    let outside = "outside of the Flatpak";
    holds(&[
        ("OS: Fedora Linux 41\n$ flatpak run org.gimp.GIMP", NO_PERMISSIONS, "NS06", outside),
        ("I'm on Gentoo with OpenRC\n$ flatpak run org.gimp.GIMP", NO_PERMISSIONS, "NS06", outside),
        ("NAME=\"Alpine Linux\"\n$ flatpak run org.gimp.GIMP", NO_PERMISSIONS, "NS06", outside),
        ("OS: Arch Linux\n$ flatpak run org.gimp.GIMP", NO_PERMISSIONS, "NS02", SWITCH),
        ("OS: Fedora 41, linux-hardened\n$ flatpak run org.gimp.GIMP", NO_PERMISSIONS, "NS02", SWITCH),
        ("It works on Fedora. Debian 10:\n$ flatpak run org.gimp.GIMP", NO_PERMISSIONS, "NS02", SWITCH),
        ("A colleague with Fedora helped me\n$ flatpak run org.gimp.GIMP", NO_PERMISSIONS, "NS02", SWITCH),
        (
            "NixOS 24.05\nkernel.unprivileged_userns_clone = 0\n$ flatpak run org.gimp.GIMP",
            NO_PERMISSIONS,
            "NS02",
            SWITCH,
        ),
        // which Flatpak itself goes on to say
        (
            "OS: Fedora Linux 41\n$ flatpak run x\nerror: ldconfig failed, exit status 256",
            NO_PERMISSIONS,
            "NS02",
            "",
        ),
        ("OS: Fedora Linux 41\n$ flatpak-builder build x.yml", NO_PERMISSIONS, "NS02", ""),
        ("CentOS 7\n$ flatpak run org.x.Y", NO_PERMISSIONS, "NS02", ""),
        ("Gentoo, custom kernel\n$ flatpak install flathub org.x", NO_PERMISSIONS, "NS02", ""),
        (
            "Fedora 39. `sysctl user.max_user_namespaces=0` was set.\n$ flatpak run x",
            NO_PERMISSIONS,
            "NS02",
            "",
        ),
        ("Previously I was on Fedora. Now with Devuan:\n$ flatpak run x", NO_PERMISSIONS, "NS02", SWITCH),
        (
            "The same setup on Fedora, no problem. But here (Deepin)\n$ flatpak run x",
            NO_PERMISSIONS,
            "NS02",
            SWITCH,
        ),
        ("Seen with runtimes: GNOME, KDE, Fedora\n$ flatpak run x", NO_PERMISSIONS, "NS02", SWITCH),
        ("Fedora 41, in a chroot:\n$ flatpak run x", NO_PERMISSIONS, "NS03", "instead of chroot"),
        ("OS: Fedora Linux 41\n$ docker run -it fedora", NO_PERMISSIONS, "NS01", "seccomp"),
    ]);
}

#[test]
fn the_prompt_of_an_application_is_told_from_others() {
    holds(&[
        ("[\u{1f4e6} net.lutris.Lutris ~]$ bwrap --ro-bind / / true", NO_PERMISSIONS, "NS06", "Flatpak"),
        ("$ flatpak enter net.lutris.Lutris bash", NO_PERMISSIONS, "NS06", "Flatpak"),
        ("\u{1f4e6}[me@box ~]$ flatpak run org.gimp.GIMP", NO_PERMISSIONS, "NS02", SWITCH),
        ("$ flatpak run --command=bash org.gimp.GIMP", NO_PERMISSIONS, "NS02", SWITCH),
        ("It is not inside the flatpak\n$ flatpak run org.gimp.GIMP", NO_PERMISSIONS, "NS02", SWITCH),
    ]);
}

#[test]
fn a_kernel_without_namespaces_is_one_of_its_distribution() {
    let (built, switched) = ("built with CONFIG_USER_NS=y", "user_namespace.enable=1");
    holds(&[
        ("postmarketOS edge", UNSUPPORTED, "NS11", built),
        ("RHEL 9", UNSUPPORTED, "NS11", built),
        ("CentOS 7", UNSUPPORTED, "NS11", switched),
        ("Red Hat Enterprise Linux 7.9", UNSUPPORTED, "NS11", switched),
        ("CONFIG_USER_NS=y", UNSUPPORTED, "NS11", switched),
        ("using flatpak via WSL2 on Windows 11", UNSUPPORTED, "NS11", "--set-version"),
        ("I am on WSL2, kernel 5.15.", UNSUPPORTED, "NS11", built),
        ("Docker Desktop (WSL2), container:", UNSUPPORTED, "NS11", built),
        ("$ uname -r\n5.15.90.1-microsoft-standard-WSL2", UNSUPPORTED, "NS11", built),
        ("  NAME    STATE    VERSION\n* Ubuntu  Running  2", UNSUPPORTED, "NS11", built),
        ("WSL2", INVALID, "NS20", "processor"),
    ]);
    let kinds = "all kinds of namespaces";
    holds(&[
        ("# CONFIG_PID_NS is not set", INVALID, "NS11", kinds),
        ("CONFIG_IPC_NS=y depends on CONFIG_SYSVIPC", INVALID, "NS11", kinds),
        ("The kernel was built without CONFIG_NET_NS", INVALID, "NS11", kinds),
        ("The README says the kernel needs CONFIG_PID_NS. Ours has it.", INVALID, "NS20", "processor"),
        ("CONFIG_PID_NS=y\nCONFIG_IPC_NS=y", INVALID, "NS20", "processor"),
        ("# CONFIG_USER_NS_UNPRIVILEGED is not set", INVALID, "NS20", "processor"),
        ("I enable CONFIG_PID_NS=y", INVALID, "NS20", "processor"),
    ]);
}

#[test]
fn packages_install_bwrap_for_everybody_to_read() {
    holds(&[
        ("Void Linux\n$ flatpak run org.x.Y", UID_MAP, "UM02", "aa-disable flatpak"),
        ("OS: Debian GNU/Linux 12\n$ flatpak run org.x.Y", UID_MAP, "UM02", "aa-disable flatpak"),
        ("Ubuntu 24.04\n$ flatpak run org.x.Y", UID_MAP, "UM02", "Permit user namespaces to /usr/bin/bwrap"),
        // and so nothing but that is left without AppArmor, or where it is shown
        ("Gentoo Linux\n$ flatpak run org.x.Y", UID_MAP, "UM12", "chmod a+r"),
        (
            "Debian 12\n-rwx--x--x 1 root root 72160 May 10 2024 /usr/bin/bwrap\n$ flatpak run org.x.Y",
            UID_MAP,
            "UM12",
            "chmod a+r",
        ),
    ]);
}

#[test]
fn nobody_is_told_to_move_data_away() {
    let link = |path: &str| format!("bwrap: Can't make symlink at {path}: File exists");
    for path in ["/home/u/.var", "/home/u/.local/share", "/root/.ssh", "/var/home/u/.config/x", "/srv/p/.git"]
    {
        holds(&[("$ x", &link(path), "BD07", "move nothing")]);
    }
    for path in ["/var/home", "/home", "/home/u", "/export/home/u", "/data/users"] {
        holds(&[("$ x", &link(path), "BD07", "Make the link where nothing is")]);
    }
    for path in ["/home/u/Music", "/srv/p/link", "/opt.d/x/link"] {
        holds(&[("$ x", &link(path), "BD07", &format!("mv -nT -- {path}"))]);
    }
    holds(&[
        ("$ flatpak run x", &link("/var/home"), "BD07", "newer Flatpak"),
        ("$ flatpak run x", &link("/var/home/u/Musik"), "BD07", "mv -nT"),
    ]);
}

#[test]
fn what_a_launchers_user_can_do_comes_first() {
    let missing = |path: &str| format!("bwrap: Can't find source path {path}: No such file or directory");
    let descriptor = missing("/proc/self/fd/32");
    holds(&[
        ("Flatpak 1.16.5", &descriptor, "BD01", "1.16.6"),
        ("Flatpak 1.16.6\n$ flatpak run x", &descriptor, "BD01", "--filesystem=DIRECTORY"),
        ("bubblewrap-suid 0.7.0-1\n$ flatpak run x", &descriptor, "BD01", "not setuid"),
        ("$ flatpak run x", "bwrap: execvp ldconfig: Exec format error", "EX04", "uname -m"),
        ("$ x", "bwrap: execvp ldconfig: Exec format error", "EX04", "Use a build for this machine"),
        (
            "$ flatpak run x",
            "bwrap: execvp tool: No such file or directory",
            "EX02",
            "that the application has",
        ),
    ]);
    let denied = "bwrap: Can't find source path /home/a/private/x: Permission denied";
    holds(&[
        ("$ sudo flatpak run x", denied, "BD06", "without sudo"),
        ("$ flatpak run x", denied, "BD06", "search the directory"),
        ("I ran sudo flatpak update before\n$ flatpak run x", denied, "BD06", "search the directory"),
    ]);
    holds(&[
        ("Claude Code", "bwrap: execvp /bin/bash: No such file or directory", "EX01", "Update the agent"),
        ("Claude Code", "bwrap: Can't create file at /srv/p/.claude/x: Permission denied", "BD03", ""),
    ]);
}

#[test]
fn proot_is_where_it_is_entered() {
    holds(&[
        ("$ proot-distro login debian", INVALID, "NS21", "proot"),
        ("proot-distro login is what others use; I'm on plain Debian 10", INVALID, "NS20", "processor"),
        (
            "proot-distro is installed on my phone. Debian 12:\n$ flatpak run x",
            NO_PERMISSIONS,
            "NS02",
            SWITCH,
        ),
    ]);
}

#[test]
fn whoever_configures_a_kernel_may_have_left_settings_out() {
    let said = "bwrap: Can't read /proc/sys/kernel/overflowuid: No such file or directory";
    holds(&[
        ("I added it to my custom kernel config\n$ ./conty.sh x", said, "PR09", "CONFIG_PROC_SYSCTL"),
        ("The kernel is my distribution's\n$ ./conty.sh x", said, "PR09", "Mount a whole /proc"),
    ]);
}

#[test]
fn what_unshare_is_denied_is_not_what_to_ask_for() {
    let said = "bwrap: Creating new namespace failed: Operation not permitted";
    let denied = "unshare: unshare failed: Operation not permitted";
    holds(&[
        (&format!("$ unshare --user echo\n{denied}"), said, "NS01", "seccomp"),
        ("`unshare --user echo` fails, unable to create a user namespace.", said, "NS01", "seccomp"),
        (&format!("$ unshare --pid true\n{denied}"), said, "NS07", "user namespace"),
        ("`unshare --user true` works", said, "NS07", "user namespace"),
    ]);
}
