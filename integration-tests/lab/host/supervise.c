// SPDX-License-Identifier: Apache-2.0
// The lab's host runs this as process 1. It runs the command of /run/lab/command, passes its output on
// as it comes, and ends with a report that the command cannot write by accident: it goes over a channel
// of its own and starts with a word that only this run knows.
//
//   hearth-lab NONCE ready            the host is up, the command starts
//   hearth-lab NONCE exit STATUS      the command ended (128 + n: killed by signal n)
//   hearth-lab NONCE files BYTES      followed by a tar file of /out, if that was asked for
//   hearth-lab NONCE end              everything has been said
//
// /run/lab/channels has the device paths of output, errors and report, and the nonce, one a line.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static char nonce[64];
static int report_fd = -1;
static int channels_are_ttys;

static void Die(const char* what, const char* on) {
  // On the console, where the runner looks when a run ends without a report.
  dprintf(2, "lab-supervise: %s %s: %s\n", what, on, strerror(errno));
  sync();
  reboot(RB_POWER_OFF);
  for (;;) pause();
}

static void WriteAll(int fd, const char* data, size_t size) {
  while (size > 0) {
    ssize_t written = write(fd, data, size);
    if (written < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      Die("write", "a channel");
    }
    data += written;
    size -= (size_t)written;
  }
}

static void __attribute__((format(printf, 1, 2))) Report(const char* format, ...) {
  char line[256];
  int size = snprintf(line, sizeof(line), "hearth-lab %s ", nonce);
  va_list args;
  va_start(args, format);
  size += vsnprintf(line + size, sizeof(line) - (size_t)size, format, args);
  va_end(args);
  WriteAll(report_fd, line, (size_t)size);
}

static int OpenChannel(const char* path) {
  int fd = -1;
  // Virtio ports appear a moment after their bus.
  for (int tries = 0; tries < 500; ++tries) {
    fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0 || (errno != ENOENT && errno != ENXIO)) break;
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
  }
  if (fd < 0) Die("open", path);
  struct termios tty;
  if (tcgetattr(fd, &tty) == 0) {
    channels_are_ttys = 1;
    cfmakeraw(&tty);
    cfsetspeed(&tty, B115200);
    tcsetattr(fd, TCSANOW, &tty);
  }
  return fd;
}

static void Line(FILE* file, char* line, int size) {
  if (!fgets(line, size, file)) Die("read", "/run/lab/channels");
  line[strcspn(line, "\n")] = 0;
}

// Passes what there is in a pipe on; 0 when there is no more and never will be.
static int Pump(int from, int to) {
  static char buffer[65536];
  for (;;) {
    ssize_t size = read(from, buffer, sizeof(buffer));
    if (size > 0) {
      WriteAll(to, buffer, (size_t)size);
      continue;
    }
    if (size == 0) return 0;
    if (errno == EINTR) continue;
    return 1;  // EAGAIN
  }
}

static void SendFiles(void) {
  static const char tar_path[] = "/run/lab/out.tar";
  pid_t child = fork();
  if (child == 0) {
    execl("/bin/tar", "tar", "-C", "/out", "-cf", tar_path, ".", (char*)NULL);
    _exit(127);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) Die("tar", "/out");
  int fd = open(tar_path, O_RDONLY | O_CLOEXEC);
  struct stat info;
  if (fd < 0 || fstat(fd, &info) < 0) Die("open", tar_path);
  Report("files %lld\n", (long long)info.st_size);
  static char buffer[65536];
  ssize_t size;
  while ((size = read(fd, buffer, sizeof(buffer))) > 0) WriteAll(report_fd, buffer, (size_t)size);
  close(fd);
}

static void OnChild(int signal_number) { (void)signal_number; }

int main(void) {
  char out_path[64], err_path[64], report_path[64];
  FILE* channels = fopen("/run/lab/channels", "re");
  if (!channels) Die("open", "/run/lab/channels");
  Line(channels, out_path, sizeof(out_path));
  Line(channels, err_path, sizeof(err_path));
  Line(channels, report_path, sizeof(report_path));
  Line(channels, nonce, sizeof(nonce));
  fclose(channels);
  report_fd = OpenChannel(report_path);
  int to[2] = {OpenChannel(out_path), OpenChannel(err_path)};

  int pipes[2][2];
  for (int i = 0; i < 2; ++i) {
    if (pipe2(pipes[i], O_CLOEXEC) < 0) Die("pipe2", "for the command's output");
    fcntl(pipes[i][0], F_SETFL, O_NONBLOCK);
  }
  mkdir("/out", 0777);
  // Interrupts ppoll when the command ends but leaves its output to a process in the background.
  sigset_t blocked, unblocked;
  sigemptyset(&unblocked);
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGCHLD);
  sigprocmask(SIG_BLOCK, &blocked, NULL);
  sigaction(SIGCHLD, &(struct sigaction){.sa_handler = OnChild}, NULL);

  Report("ready\n");
  pid_t child = fork();
  if (child < 0) Die("fork", "the command");
  if (child == 0) {
    sigprocmask(SIG_SETMASK, &unblocked, NULL);
    signal(SIGCHLD, SIG_DFL);
    setsid();
    int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    dup2(pipes[0][1], 1);
    dup2(pipes[1][1], 2);
    execl("/bin/sh", "sh", "/run/lab/command", (char*)NULL);
    _exit(127);
  }
  close(pipes[0][1]);
  close(pipes[1][1]);

  int ended = 0, status = 0;
  int open_pipe[2] = {1, 1};
  while (!ended) {
    struct pollfd fds[2];
    for (int i = 0; i < 2; ++i) fds[i] = (struct pollfd){.fd = open_pipe[i] ? pipes[i][0] : -1, .events = POLLIN};
    ppoll(fds, 2, NULL, &unblocked);
    for (int i = 0; i < 2; ++i)
      if (open_pipe[i] && fds[i].revents) open_pipe[i] = Pump(pipes[i][0], to[i]);
    pid_t pid;
    int its_status;
    while ((pid = waitpid(-1, &its_status, WNOHANG)) > 0)
      if (pid == child) ended = 1, status = its_status;
  }
  // What the command left running goes, so that the run ends; what it wrote does not.
  kill(-1, SIGKILL);
  while (waitpid(-1, NULL, 0) > 0) {
  }
  for (int i = 0; i < 2; ++i)
    if (open_pipe[i]) Pump(pipes[i][0], to[i]);
  if (channels_are_ttys)
    for (int i = 0; i < 2; ++i) tcdrain(to[i]);

  Report("exit %d\n", WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
  if (access("/run/lab/want-files", F_OK) == 0) SendFiles();
  Report("end\n");
  if (channels_are_ttys) tcdrain(report_fd);
  sync();
  // The runner ends the emulator as soon as it has read the last line; this is for when it does not.
  nanosleep(&(struct timespec){.tv_sec = 2}, NULL);
  reboot(RB_POWER_OFF);
  for (;;) pause();
}
