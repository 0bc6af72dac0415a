// Traces process 1, so that its end has to wait for this one's: before the kernel ends the others.
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <unistd.h>

int main(int count, char **words) {
    signal(SIGTERM, SIG_IGN);
    // in the background: only what began it ends by itself, once the other traces
    int traced[2];
    if (pipe(traced) != 0) return 1;
    if (count > 2 && fork() != 0) {
        char end;
        close(traced[1]);
        (void)!read(traced[0], &end, 1);
        return 3;
    }
    printf("%c", ptrace(PTRACE_SEIZE, 1, 0, PTRACE_O_TRACEEXIT) == 0 ? 'y' : 'n');
    fflush(stdout);
    close(traced[1]);
    (void)words;
    for (;;) pause();
}
