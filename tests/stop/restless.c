// A command without a PID namespace that does not stand still: a helper beside it resumes its group all the time, and its
// children, some hundred at a time, live for 20 ms. It ends by itself after some seconds.
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void pause_for(long nanoseconds) {
    struct timespec time = {0, nanoseconds};
    nanosleep(&time, 0);
}

int main(void) {
    pid_t own = getpid();
    time_t end = time(0) + 12;
    setpgid(0, 0);
    signal(SIGTERM, SIG_IGN);
    if (!fork()) {
        // its parent ends at once: it descends from the command no more
        if (fork()) _exit(0);
        while (time(0) < end && !kill(own, 0)) kill(0, SIGCONT);
        _exit(0);
    }
    wait(0);
    signal(SIGCHLD, SIG_IGN);
    while (time(0) < end) {
        if (!fork()) {
            pause_for(20 * 1000 * 1000);
            _exit(0);
        }
        pause_for(200 * 1000);
    }
    return 0;
}
