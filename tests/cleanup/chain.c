// A chain of processes without an end: each makes the next one and is gone, and the last runs ahead of whoever stops them one after the
// other. A helper that is nobody's child continues them. It ends by itself, after the seconds that it is told.
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { AHEAD = 300 };
static volatile struct { int stopped, helper; } *shared;
static int number;

static void on_child(int signal, siginfo_t *about, void *context) {
    if (about->si_code == CLD_STOPPED && shared->stopped <= number) shared->stopped = number + 1;
}

int main(int count, char **words) {
    time_t end = time(0) + atoi(words[1]);
    shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    setpgid(0, 0);
    pid_t group = getpgrp();
    if (fork() == 0) {
        if (fork() != 0) _exit(0);
        setsid();
        shared->helper = 1;
        while (time(0) < end) { kill(-group, SIGCONT); usleep(5000); }
        kill(-group, SIGKILL);
        _exit(0);
    }
    wait(0);
    while (!shared->helper) usleep(100);
    struct sigaction action = { .sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_NOCLDWAIT | SA_RESTART };
    sigaction(SIGCHLD, &action, 0);
    write(1, "up\n", 3);
    for (int first = 1; time(0) < end;) {
        pid_t next = fork();
        if (next == 0) {
            number++, first = 0;
            while (number - shared->stopped > AHEAD && time(0) < end) usleep(1000);
        } else if (next > 0) {
            while (time(0) < end && (first || shared->stopped < number + 3)) usleep(5000);
            break;
        }
    }
}
