// SPDX-License-Identifier: Apache-2.0
// hearth: one process, one microVM.
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include "absl/synchronization/mutex.h"
#include "api-server/router.h"
#include "api-server/server.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "devices/virtio/device_table.h"
#include "runtime/control/config_file.h"
#include "runtime/resources/vm_config.h"
#include "runtime/vmm/options.h"
#include "runtime/vmm/vmm.h"

namespace hearth {
namespace {

constexpr absl::Duration kMetricsInterval = absl::Seconds(60);

// What of the start failed decides the exit status.
struct Failure {
  absl::Status status;
  int exit_status;
};

// SIGTERM, SIGINT and SIGHUP end the process in order, on the main thread: they are blocked in all
// threads, which inherit the mask, and read here. A reader that goes away is an error of its write,
// not a signal.
absl::StatusOr<base::UniqueFd> CatchSignals() {
  signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  base::UniqueFd fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return base::ErrnoStatus("signalfd", "");
  return fd;
}

class Program {
 public:
  explicit Program(ProgramOptions options) : options_(std::move(options)) {}

  // Until the guest, a signal or a failure ends it; the exit status.
  int Run(const BootTimer::Times& process_start) {
    if (std::optional<Failure> failure = SetUp(process_start)) {
      HEARTH_LOG(kError, failure->status.message());
      return failure->exit_status;
    }
    loop_->Run();
    return exit_status_;
  }

 private:
  std::optional<Failure> SetUp(const BootTimer::Times& process_start) {
    if (absl::Status status = Prepare(process_start); !status.ok())
      return Failure{status, kExitGenericError};
    if (!options_.config_file.empty()) {
      if (absl::Status status = ApplyConfigFile(options_.config_file, resources_); !status.ok()) {
        return Failure{status, kExitBadConfiguration};
      }
    }
    if (!options_.no_api) {
      if (absl::Status status = Serve(); !status.ok()) return Failure{status, kExitGenericError};
    }
    if (!options_.config_file.empty()) {
      if (absl::Status status = vmm_->Start(); !status.ok()) {
        return Failure{base::Annotate(status, "starting the microVM"), kExitGenericError};
      }
    }
    return std::nullopt;
  }

  absl::Status Prepare(const BootTimer::Times& process_start) {
    if (!options_.log_path.empty())
      HEARTH_RETURN_IF_ERROR(base::SetLogPath(options_.log_path), "--log-path");
    base::SetLogOptions({.instance_id = options_.id,
                         .level = options_.log_level,
                         .show_level = options_.show_level,
                         .show_origin = options_.show_log_origin});
    HEARTH_ASSIGN_OR_RETURN(signals_, CatchSignals());
    HEARTH_ASSIGN_OR_RETURN(loop_, base::EventLoop::Create());
    HEARTH_RETURN_IF_ERROR(loop_->Add(signals_.get(), EPOLLIN, [this](uint32_t) { OnSignal(); }));
    vmm_ = std::make_unique<Vmm>(Vmm::Options{.kvm_node = options_.kvm_node,
                                              .boot_timer = options_.boot_timer,
                                              .allow_io_uring = !options_.no_io_uring,
                                              .process_start = process_start},
                                 &config_, &devices_, loop_.get(),
                                 [this](int status) { End(status); });
    metrics_ = AddResources(&config_, vmm_.get(),
                            {.id = options_.id, .version = std::string(kHearthVersion)},
                            {.collect = [this] { return devices_.CollectMetrics(); },
                             .on_configured = [this] { FlushMetricsLater(); }},
                            &resources_);
    devices_.AddResources(&resources_);
    return absl::OkStatus();
  }

  absl::Status Serve() {
    router_ = std::make_unique<api::Router>(resources_, vmm_.get());
    api::ServerOptions options;
    options.socket_path = options_.api_sock;
    options.limits.max_body_bytes = options_.http_api_max_payload_size;
    HEARTH_ASSIGN_OR_RETURN(server_,
                            api::Server::Create(std::move(options), router_.get(), loop_.get()));
    HEARTH_RETURN_IF_ERROR(server_->Start());
    HEARTH_LOG(kInfo, "listening on ", options_.api_sock);
    return absl::OkStatus();
  }

  void FlushMetricsLater() {
    loop_->PostDelayed(kMetricsInterval, [this] {
      FlushMetrics();
      FlushMetricsLater();
    });
  }

  void FlushMetrics() {
    if (!config_.metrics) return;
    if (const absl::Status status = metrics_->Flush(); !status.ok())
      HEARTH_LOG(kWarning, status.message());
  }

  void OnSignal() {
    signalfd_siginfo info;
    while (read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
      HEARTH_LOG(kInfo, "ending on signal ", info.ssi_signo, " (",
                 strsignal(static_cast<int>(info.ssi_signo)), ") from process ", info.ssi_pid);
    }
    End(kExitOk);
  }

  void End(int exit_status) {
    exit_status_ = exit_status;
    FlushMetrics();
    loop_->Quit();
  }

  const ProgramOptions options_;
  int exit_status_ = kExitOk;
  VmConfig config_;
  DeviceFamilies devices_{virtio::DeviceModules()};
  Resources resources_;
  MetricsResource* metrics_ = nullptr;  // of resources_
  base::UniqueFd signals_;
  std::unique_ptr<base::EventLoop> loop_;
  std::unique_ptr<Vmm>
      vmm_;  // before resources_ is used, after it is destroyed: they only point to each other
  std::unique_ptr<api::Router> router_;
  std::unique_ptr<api::Server> server_;  // destroyed first: no request reaches what is going
};

int Main(int argc, char** argv) {
  const BootTimer::Times process_start = BootTimer::Now();
  // Abseil's deadlock detector, on by default in Debian's build, triples the cost of a lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  absl::StatusOr<ProgramOptions> options = ParseOptions(
      absl::Span<const char* const>(argv + 1, argc > 0 ? static_cast<size_t>(argc - 1) : 0));
  if (!options.ok()) {
    const absl::string_view message = options.status().message();
    std::fprintf(stderr, "hearth: %.*s; see hearth --help\n", static_cast<int>(message.size()),
                 message.data());
    return kExitArgumentParsing;
  }
  if (options->help) {
    std::fputs(HelpText().c_str(), stdout);
    return kExitOk;
  }
  if (options->version) {
    std::printf("Hearth v%.*s\n", static_cast<int>(kHearthVersion.size()), kHearthVersion.data());
    return kExitOk;
  }
  return Program(*std::move(options)).Run(process_start);
}

}  // namespace
}  // namespace hearth

int main(int argc, char** argv) { return hearth::Main(argc, argv); }
