// SPDX-License-Identifier: Apache-2.0
// stopwatch: how long, and how much CPU, a program takes from its exec to a sign of life.
//
//   stopwatch [--marker TEXT | --socket PATH] [--memory-label NAME] [--timeout SECONDS] -- PROGRAM
//   [ARGUMENT]...
//
// The sign is TEXT in its output, or a Unix socket at PATH that takes connections. Then the program
// is killed, and one JSON object is printed: wall_ns, cpu_ns (all its threads, user and system),
// user_ns, system_ns, output (the line with the marker), and private_dirty_kib as /proc/PID/smaps
// counts it, without the mappings whose name holds NAME (the guest's memory). Exit status 1 if the
// program ended or the time ran out before the sign.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

struct Arguments {
  std::string marker;
  std::string socket;
  std::string memory_label = "hearth-guest-memory";
  int timeout_s = 60;
  char** program = nullptr;
};

[[noreturn]] void Die(const std::string& message) {
  std::fprintf(stderr, "stopwatch: %s\n", message.c_str());
  std::exit(2);
}

Arguments Parse(int argc, char** argv) {
  Arguments arguments;
  int i = 1;
  for (; i + 1 < argc && std::strcmp(argv[i], "--") != 0; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--marker") {
      arguments.marker = argv[i + 1];
    } else if (flag == "--socket") {
      arguments.socket = argv[i + 1];
    } else if (flag == "--memory-label") {
      arguments.memory_label = argv[i + 1];
    } else if (flag == "--timeout") {
      arguments.timeout_s = std::atoi(argv[i + 1]);
    } else {
      Die("unknown flag " + flag);
    }
  }
  if (i + 1 >= argc || arguments.marker.empty() == arguments.socket.empty()) {
    Die("usage: stopwatch [--marker TEXT | --socket PATH] [--timeout SECONDS] -- PROGRAM...");
  }
  arguments.program = argv + i + 1;
  return arguments;
}

uint64_t Now(clockid_t clock) {
  timespec now;
  if (clock_gettime(clock, &now) != 0) return 0;
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

bool Connects(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  const bool connected = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return connected;
}

uint64_t PrivateDirtyKib(pid_t pid, const std::string& label) {
  std::FILE* const smaps = std::fopen(("/proc/" + std::to_string(pid) + "/smaps").c_str(), "r");
  if (smaps == nullptr) return 0;
  uint64_t total = 0;
  bool counted = true;
  char line[1024];
  while (std::fgets(line, sizeof(line), smaps) != nullptr) {
    unsigned long start, end, kib;
    if (std::sscanf(line, "%lx-%lx ", &start, &end) == 2)
      counted = std::strstr(line, label.c_str()) == nullptr;
    if (counted && std::sscanf(line, "Private_Dirty: %lu kB", &kib) == 1) total += kib;
  }
  std::fclose(smaps);
  return total;
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = Parse(argc, argv);
  auto* const start_ns = static_cast<volatile uint64_t*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  int output[2];
  if (start_ns == MAP_FAILED || pipe2(output, O_CLOEXEC) != 0) Die(std::strerror(errno));

  const pid_t pid = fork();
  if (pid == 0) {
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    dup2(output[1], 1);
    dup2(output[1], 2);
    *start_ns = Now(CLOCK_MONOTONIC);
    execvp(arguments.program[0], arguments.program);
    std::fprintf(stderr, "stopwatch: exec %s: %s\n", arguments.program[0], std::strerror(errno));
    _exit(127);
  }
  close(output[1]);

  clockid_t cpu_clock = CLOCK_MONOTONIC;
  clock_getcpuclockid(pid, &cpu_clock);
  const uint64_t deadline =
      Now(CLOCK_MONOTONIC) + static_cast<uint64_t>(arguments.timeout_s) * 1'000'000'000;
  std::string text;
  bool seen = false;
  while (!seen && Now(CLOCK_MONOTONIC) < deadline) {
    pollfd ready = {.fd = output[0], .events = POLLIN, .revents = 0};
    // A socket is polled for: 50 us of waiting is below what we tell apart.
    const timespec wait = arguments.socket.empty() ? timespec{1, 0} : timespec{0, 50'000};
    if (ppoll(&ready, 1, &wait, nullptr) > 0) {
      char buffer[4096];
      const ssize_t n = read(output[0], buffer, sizeof(buffer));
      if (n <= 0) break;
      text.append(buffer, static_cast<size_t>(n));
      seen = !arguments.marker.empty() && text.find(arguments.marker) != std::string::npos;
    }
    if (!arguments.socket.empty()) seen = Connects(arguments.socket);
  }
  const uint64_t end_ns = Now(CLOCK_MONOTONIC);
  const uint64_t cpu_ns = Now(cpu_clock);
  const uint64_t dirty_kib = PrivateDirtyKib(pid, arguments.memory_label);
  kill(pid, SIGKILL);
  rusage usage = {};
  int status = 0;
  wait4(pid, &status, 0, &usage);
  if (!seen) {
    std::fprintf(stderr, "stopwatch: no sign of life; the program printed:\n%s\n", text.c_str());
    return 1;
  }
  const auto nanoseconds = [](const timeval& t) {
    return static_cast<unsigned long long>(t.tv_sec) * 1'000'000'000 +
           static_cast<unsigned long long>(t.tv_usec) * 1000;
  };
  std::printf(
      "{\"wall_ns\": %llu, \"cpu_ns\": %llu, \"user_ns\": %llu, \"system_ns\": %llu, "
      "\"private_dirty_kib\": %llu}\n",
      static_cast<unsigned long long>(end_ns - *start_ns), static_cast<unsigned long long>(cpu_ns),
      nanoseconds(usage.ru_utime), nanoseconds(usage.ru_stime),
      static_cast<unsigned long long>(dirty_kib));
  return 0;
}
