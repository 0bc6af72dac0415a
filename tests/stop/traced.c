// Traces process 1, so that its end has to wait for this one's: before the kernel ends the others.
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <unistd.h>

int main(int count, char **words) {
    signal(SIGTERM, SIG_IGN);
    // in the background: only what began it ends by itself
    if (count > 2 && fork() != 0) {
        sleep(1);
        return 3;
    }
    printf("%c", ptrace(PTRACE_SEIZE, 1, 0, PTRACE_O_TRACEEXIT) == 0 ? 'y' : 'n');
    fflush(stdout);
    (void)words;
    for (;;) pause();
}
