// SPDX-License-Identifier: Apache-2.0
// lab-stamp COMMAND [ARGUMENT]...: runs the command and puts before each line of its output the
// nanoseconds since it was started. Under --icount that is the number of instructions, exactly.
// A line is stamped when its first byte arrives.

#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000ll + now.tv_nsec;
}

int main(int argc, char** argv) {
  int fds[2];
  if (argc < 2 || pipe(fds) < 0) {
    fprintf(stderr, "usage: lab-stamp COMMAND [ARGUMENT]...\n");
    return 2;
  }
  long long start = Now();
  pid_t child = fork();
  if (child == 0) {
    dup2(fds[1], 1);
    close(fds[0]);
    close(fds[1]);
    execvp(argv[1], argv + 1);
    fprintf(stderr, "lab-stamp: exec %s: %s\n", argv[1], strerror(errno));
    _exit(127);
  }
  close(fds[1]);
  char buffer[4096];
  ssize_t size;
  int line_start = 1;
  while ((size = read(fds[0], buffer, sizeof(buffer))) > 0) {
    long long at = Now() - start;
    for (ssize_t i = 0; i < size; ++i) {
      if (buffer[i] == '\r') continue;
      if (line_start) printf("%12lld ", at);
      putchar(buffer[i]);
      line_start = buffer[i] == '\n';
    }
    fflush(stdout);
  }
  int status = 0;
  waitpid(child, &status, 0);
  printf("%s%12lld end, status %d\n", line_start ? "" : "\n", Now() - start,
         WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
