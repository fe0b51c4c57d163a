// SPDX-License-Identifier: Apache-2.0
#include "runtime/resources/metrics_config.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "runtime/resources/resource_test_base.h"

namespace hearth {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

class MetricsTest : public ResourceTest {
 protected:
  const std::string path_ = testing::TempDir() + "/metrics";

  void SetUp() override { unlink(path_.c_str()); }
  std::string Contents() { return *base::ReadFile(path_, 1 << 16); }
  std::string Configure(absl::string_view more = "") {
    return Put("/metrics", absl::StrCat(R"({"metrics_path":")", path_, "\"", more, "}"));
  }
};

TEST_F(MetricsTest, LinesSayWhatWasAddedSinceTheLineBefore) {
  ASSERT_EQ(Configure(), "");
  machine_.current = MachineControl::State::kRunning;
  metrics_ = {{"block", {{"read_count", 3}, {"write_count", 0}}}};
  EXPECT_EQ(Put("/actions", R"({"action_type":"FlushMetrics"})"), "");
  metrics_["block"]["read_count"] = 10;
  metrics_["net"]["rx_count"] = 1;
  EXPECT_EQ(Put("/actions", R"({"action_type":"FlushMetrics"})"), "");
  EXPECT_THAT(
      Contents(),
      MatchesRegex(R"(\{"utc_timestamp_ms":[0-9]+,"block":\{"read_count":3,"write_count":0\}\}
\{"utc_timestamp_ms":[0-9]+,"block":\{"read_count":7,"write_count":0\},"net":\{"rx_count":1\}\}
)"));
}

TEST_F(MetricsTest, LinesMayNameTheMicrovm) {
  ASSERT_EQ(Configure(R"(,"emit_id":true)"), "");
  machine_.current = MachineControl::State::kRunning;
  EXPECT_EQ(Put("/actions", R"({"action_type":"FlushMetrics"})"), "");
  EXPECT_THAT(Contents(), MatchesRegex(R"(\{"utc_timestamp_ms":[0-9]+,"id":"vm1"\}
)"));
}

TEST_F(MetricsTest, WantsAFileFirst) {
  machine_.current = MachineControl::State::kRunning;
  EXPECT_THAT(Put("/actions", R"({"action_type":"FlushMetrics"})"), HasSubstr("PUT /metrics"));
  EXPECT_EQ(Configure(), kTooLate);
}

TEST_F(MetricsTest, RefusesASecondFileAndWhatIsNone) {
  EXPECT_THAT(Put("/metrics", R"({"metrics_path":"/nowhere/at/all"})"),
              HasSubstr("metrics_path: must be a writable file"));
  ASSERT_EQ(Configure(), "");
  EXPECT_THAT(Configure(), HasSubstr("Reinitialization of metrics not allowed"));
}

TEST_F(MetricsTest, AFullPipeCostsALineButNoNumber) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  const base::UniqueFd reader(open(path_.c_str(), O_RDONLY | O_NONBLOCK));
  ASSERT_EQ(Configure(), "");
  const base::UniqueFd writer(open(path_.c_str(), O_WRONLY | O_NONBLOCK));
  std::string page(4096, 'x');
  int pages = 0;
  while (write(writer.get(), page.data(), page.size()) > 0) ++pages;
  ASSERT_GT(pages, 0);
  machine_.current = MachineControl::State::kRunning;
  metrics_ = {{"block", {{"read_count", 3}}}};
  EXPECT_THAT(Put("/actions", R"({"action_type":"FlushMetrics"})"), HasSubstr("write"));
  while (read(reader.get(), page.data(), page.size()) > 0) continue;
  EXPECT_EQ(Put("/actions", R"({"action_type":"FlushMetrics"})"), "");
  page.resize(4096);
  const ssize_t n = read(reader.get(), page.data(), page.size());
  ASSERT_GT(n, 0);
  EXPECT_THAT(page.substr(0, static_cast<size_t>(n)), HasSubstr(R"("read_count":3)"));
}

}  // namespace
}  // namespace hearth
