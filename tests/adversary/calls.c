/* Tries the system calls that a filter is to deny, one in a child of its own each, and prints "NAME ERRNO" (0: it went
 * through; "signal N": it was killed). Arguments are such that nothing happens where a call is let through. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef TIOCLINUX
#define TIOCLINUX 0x541C
#endif

static void tried(const char *name, long result) {
    printf("%s %d\n", name, result < 0 ? errno : 0);
    fflush(stdout);
}

#define TRY(name, call)                                     \
    do {                                                    \
        fflush(stdout);                                     \
        pid_t child = fork();                               \
        if (child == 0) { tried(name, call); _exit(0); }    \
        int status;                                         \
        waitpid(child, &status, 0);                         \
        if (WIFSIGNALED(status)) printf("%s signal %d\n", name, WTERMSIG(status)); \
    } while (0)

int main(void) {
    TRY("clone3", syscall(435, 0, 0));
    TRY("open_tree", syscall(428, -1, "", 0));
    TRY("move_mount", syscall(429, -1, "", -1, "", 0));
    TRY("fsopen", syscall(430, "none", 0));
    TRY("fsconfig", syscall(431, -1, 0, 0, 0, 0));
    TRY("fsmount", syscall(432, -1, 0, 0));
    TRY("fspick", syscall(433, -1, "", 0));
    TRY("mount_setattr", syscall(442, -1, "", 0, 0, 0));
    TRY("open_tree_attr", syscall(467, -1, "", 0, 0, 0));
    TRY("io_uring_setup", syscall(425, 0, 0));
    TRY("add_key", syscall(SYS_add_key, 0, 0, 0, 0, 0));
    TRY("request_key", syscall(SYS_request_key, 0, 0, 0, 0));
    TRY("keyctl", syscall(SYS_keyctl, 0, -3, 0));
    TRY("bpf", syscall(SYS_bpf, -1, 0, 0));
    TRY("userfaultfd", syscall(SYS_userfaultfd, 1 << 30));
    TRY("perf_event_open", syscall(SYS_perf_event_open, 0, 0, 0, 0, 0));
    TRY("ptrace", syscall(SYS_ptrace, 0, 0, 0, 0));
    TRY("pidfd_getfd", syscall(438, -1, 0, 0));
    TRY("process_vm_writev", syscall(SYS_process_vm_writev, getpid(), 0, 0, 0, 0, 0));
    TRY("kexec_load", syscall(SYS_kexec_load, 0, 0, 0, 0xffff));
    TRY("init_module", syscall(SYS_init_module, 0, 0, 0));
    TRY("finit_module", syscall(SYS_finit_module, -1, 0, 0));
    TRY("delete_module", syscall(SYS_delete_module, 0, 0));
    TRY("mount", syscall(SYS_mount, 0, 0, 0, 0, 0));
    TRY("umount2", syscall(SYS_umount2, 0, 0));
    TRY("pivot_root", syscall(SYS_pivot_root, 0, 0));
    TRY("chroot", syscall(SYS_chroot, 0));
    TRY("setns", syscall(SYS_setns, -1, 0));
    TRY("unshare user", syscall(SYS_unshare, CLONE_NEWUSER));
    TRY("unshare user and more", syscall(SYS_unshare, CLONE_NEWUSER | CLONE_NEWNS));
    TRY("unshare files", syscall(SYS_unshare, CLONE_FILES));
    TRY("clone user", syscall(SYS_clone, CLONE_NEWUSER | CLONE_THREAD, 0, 0, 0, 0));
    TRY("clone user, high bits", syscall(SYS_clone, (1UL << 40) | CLONE_NEWUSER | CLONE_THREAD, 0, 0, 0, 0));
    TRY("tiocsti", ioctl(-1, TIOCSTI, "x"));
    TRY("tioclinux", ioctl(-1, TIOCLINUX, "x"));
    TRY("tiocsti, high bits", syscall(SYS_ioctl, -1, (1UL << 32) | TIOCSTI, "x"));
    TRY("tioclinux, high bits", syscall(SYS_ioctl, -1, (1UL << 40) | TIOCLINUX, "x"));
    TRY("ioctl", ioctl(-1, TIOCGWINSZ, 0));
    TRY("socket unix", socket(AF_UNIX, SOCK_STREAM, 0));
    TRY("socket inet", socket(AF_INET, SOCK_STREAM, 0));
    TRY("socket netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    TRY("socket alg", socket(AF_ALG, SOCK_SEQPACKET, 0));
    TRY("socket packet", socket(AF_PACKET, SOCK_RAW, 0));
    TRY("socket vsock", socket(40, SOCK_STREAM, 0));
    TRY("socket none", socket(1000, SOCK_STREAM, 0));
    TRY("socket unix, high bits", syscall(SYS_socket, (1UL << 32) | AF_UNIX, SOCK_STREAM, 0));
    TRY("personality", syscall(SYS_personality, 0xffffffff));
#ifdef __x86_64__
    TRY("x32 ioctl", syscall(0x40000000 | 514, -1, TIOCSTI, "x"));
    TRY("x32 getpid", syscall(0x40000000 | SYS_getpid));
    TRY("x32 keyctl", syscall(0x40000000 | SYS_keyctl, 0, -3, 0));
    {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            long result;
            __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory"); /* getpid of i386 */
            printf("i386 0\n");
            fflush(stdout);
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status)) printf("i386 signal %d\n", WTERMSIG(status));
    }
#endif
    return 0;
}
