// SPDX-License-Identifier: Apache-2.0
// The drives as the API knows them, from JSON to devices.
#include "devices/virtio/block/drive_family.h"

#include "devices/virtio/block/block_test_base.h"
#include "devices/virtio/block/module.h"
#include "gmock/gmock.h"
#include "runtime/control/config_file.h"
#include "runtime/control/dispatch.h"

namespace hearth::virtio::block {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class DriveFamilyTest : public testing::Test {
 protected:
  DriveFamilyTest()
      : memory_(*GuestMemory::Create({.size_bytes = 16 << 20})),
        loop_(TestLoop::Mode::kInline),
        family_(kModule.create_family()) {
    family_->AddResources(&resources_);
  }

  // The reply's JSON ("" for none), or the error's message.
  std::string Do(Method method, const std::string& id, const std::string& body = "") {
    Resource& resource = *resources_[id.empty() ? 1 : 0];
    const Verb* verb = FindVerb(resource, method);
    if (verb == nullptr) return "no such verb";
    std::unique_ptr<google::protobuf::MessageLite> message;
    if (verb->body != nullptr) {
      auto parsed = ParseBody(resource, *verb, id, body);
      if (!parsed.ok()) return std::string(parsed.status().message());
      message = *std::move(parsed);
    }
    const auto reply = Perform(resource, *verb, id, message.get(), state_);
    if (!reply.ok()) return std::string(reply.status().message());
    return reply->body != nullptr ? json::ToJson(*reply->body, *reply->schema) : reply->json;
  }
  std::string Put(const std::string& id, const std::string& path, const std::string& more = "",
                  bool root = false) {
    return Do(Method::kPut, id,
              absl::StrCat(R"({"drive_id":")", id, R"(","path_on_host":")", path,
                           R"(","is_root_device":)", root ? "true" : "false", more, "}"));
  }
  // Makes the devices; the first error.
  std::string Start() {
    std::vector<DeviceHandle> handles;
    for (DeviceRequest& request : family_->Requests()) {
      const DeviceContext context = loop_.Context(memory_.get());
      auto device = request.create(context);
      if (!device.ok()) return std::string(device.status().message());
      paths_.push_back(request.path);
      devices_.push_back(*std::move(device));
      handles.emplace_back(devices_.back().get(), context.loop, true);
    }
    family_->Attach(std::move(handles));
    state_ = MachineControl::State::kRunning;
    return "";
  }
  uint64_t Capacity(size_t device) {
    return devices_[device]->config_space().Load<uint64_t>(kConfigCapacity);
  }

  const std::unique_ptr<GuestMemory> memory_;
  TestLoop loop_;
  const std::unique_ptr<DeviceFamily> family_;
  std::vector<std::unique_ptr<Resource>> resources_;
  std::vector<std::string> paths_;
  std::vector<std::unique_ptr<Device>> devices_;
  MachineControl::State state_ = MachineControl::State::kNotStarted;
  TestFile first_, second_{2 << 20};
};

TEST_F(DriveFamilyTest, KeepsWhatItIsGiven) {
  EXPECT_EQ(Do(Method::kGet, ""), "[]");
  EXPECT_EQ(Put("data", first_.path(), R"(,"is_read_only":true,"io_engine":"Sync")"), "");
  const std::string data = absl::StrCat(R"({"drive_id":"data","path_on_host":")", first_.path(),
                                        R"(","is_root_device":false,"is_read_only":true,)"
                                        R"("io_engine":"Sync"})");
  EXPECT_EQ(Do(Method::kGet, "data"), data);
  EXPECT_EQ(Put("other", second_.path()), "");
  EXPECT_THAT(Do(Method::kGet, ""), StartsWith("[" + data + R"(,{"drive_id":"other")"));
  EXPECT_THAT(CollectConfig(resources_), HasSubstr(R"("drives":[{"drive_id":"data")"));
  // A PUT replaces the whole.
  EXPECT_EQ(Put("data", second_.path()), "");
  EXPECT_EQ(Do(Method::kGet, "data"), absl::StrCat(R"({"drive_id":"data","path_on_host":")",
                                                   second_.path(), R"(","is_root_device":false})"));
  EXPECT_EQ(Do(Method::kGet, "none"), "drives none: drive_id: there is no drive \"none\"");
}

TEST_F(DriveFamilyTest, TheRootIsFirst) {
  EXPECT_EQ(family_->KernelArguments(), "");
  EXPECT_EQ(Put("data", first_.path()), "");
  EXPECT_EQ(Put("rootfs", second_.path(), "", true), "");
  EXPECT_EQ(family_->KernelArguments(), "root=/dev/vda rw");
  EXPECT_EQ(Put("rootfs", second_.path(), R"(,"is_read_only":true,"partuuid":"0eaa91a0-01")", true),
            "");
  EXPECT_EQ(family_->KernelArguments(), "root=PARTUUID=0eaa91a0-01 ro");
  EXPECT_EQ(Put("data", first_.path(), "", true),
            "drives data: is_root_device: A root block device already exists! It is \"rootfs\"");
  EXPECT_EQ(Start(), "");
  EXPECT_EQ(paths_, (std::vector<std::string>{"drives/rootfs", "drives/data"}));
  EXPECT_EQ(Capacity(0), 4096u);
}

TEST_F(DriveFamilyTest, RefusesWhatDoesNotFit) {
  const std::string path = first_.path();
  EXPECT_EQ(Put("a", "/nowhere"),
            "drives a: path_on_host: open /nowhere: No such file or directory");
  EXPECT_EQ(Put("a", "/dev/null"),
            "drives a: path_on_host: /dev/null: is neither a regular file nor a block device");
  EXPECT_EQ(Put("a b", path),
            "drives a b: drive_id: got \"a b\", must be 1 to 64 letters, digits, \"_\" and \"-\"");
  EXPECT_EQ(Put("a", path, R"(,"socket":"/run/vhost")"),
            "drives a: socket: Hearth has no vhost-user; give the image itself as path_on_host");
  EXPECT_EQ(Do(Method::kPut, "a", R"({"drive_id":"a","is_root_device":false})"),
            "drives a: missing required field path_on_host");
  EXPECT_EQ(Do(Method::kPut, "a", R"({"drive_id":"b","is_root_device":false})"),
            "drives a: drive_id: got \"b\", must be \"a\" as in the path");
  EXPECT_EQ(Put("a", path, R"(,"queue_size":100)"),
            "drives a: queue_size: got 100, must be a power of two");
  EXPECT_EQ(Put("a", path, R"(,"queues":17)"),
            "drives a: queues: got 17, must be an integer from 1 to 16");
  EXPECT_EQ(Put("a", path, R"(,"cache_type":"Writethrough")"),
            "drives a: cache_type: got \"Writethrough\", must be one of \"Writeback\", "
            "\"Unsafe\"");
  EXPECT_EQ(Put("a", path, R"(,"partuuid":"x init=/bin/sh")", true),
            "drives a: partuuid: got \"x init=/bin/sh\", must be letters, digits, \"-\", \"/\" and "
            "\"=\"");
  EXPECT_EQ(Put("a", path, R"(,"serial":"a b")"),
            "drives a: serial: must be printable ASCII without blanks");
  EXPECT_EQ(Do(Method::kPatch, "a", absl::StrCat(R"({"path_on_host":")", path, R"("})")),
            "The requested operation is not supported before starting the microVM.");
  EXPECT_EQ(Do(Method::kGet, ""), "[]");
}

TEST_F(DriveFamilyTest, AsyncWantsIoUring) {
  EXPECT_EQ(Put("a", first_.path(), R"(,"io_engine":"Async")"), "");
  EXPECT_EQ(
      Start(),
      "drives/a: io_engine: got \"Async\", but the io thread runs over epoll; leave it out or "
      "use \"Sync\"");
}

TEST_F(DriveFamilyTest, AFileThatIsGoneFailsTheStart) {
  {
    TestFile file;
    EXPECT_EQ(Put("a", file.path()), "");
  }
  EXPECT_THAT(Start(), StartsWith("drives/a: path_on_host: open "));
}

TEST_F(DriveFamilyTest, APatchGoesOverToAnotherFile) {
  EXPECT_EQ(Put("data", first_.path(), R"(,"cache_type":"Unsafe")"), "");
  EXPECT_EQ(Start(), "");
  EXPECT_EQ(Capacity(0), 2048u);
  EXPECT_EQ(Do(Method::kPatch, "data",
               absl::StrCat(R"({"drive_id":"data","path_on_host":")", second_.path(), R"("})")),
            "");
  EXPECT_EQ(Capacity(0), 4096u);
  EXPECT_THAT(Do(Method::kGet, "data"), HasSubstr(second_.path()));
  // The same file, grown.
  ASSERT_EQ(ftruncate(second_.fd(), 3 << 20), 0);
  const std::string again = absl::StrCat(R"({"path_on_host":")", second_.path(), R"("})");
  EXPECT_EQ(Do(Method::kPatch, "data", again), "");
  EXPECT_EQ(Capacity(0), 6144u);
  // An error changes nothing.
  EXPECT_EQ(Do(Method::kPatch, "data", R"({"path_on_host":"/nowhere"})"),
            "drives data: path_on_host: open /nowhere: No such file or directory");
  EXPECT_EQ(Capacity(0), 6144u);
  EXPECT_THAT(Do(Method::kGet, "data"), HasSubstr(second_.path()));
  EXPECT_EQ(Do(Method::kPatch, "none", again), "drives none: drive_id: there is no drive \"none\"");
  EXPECT_EQ(Do(Method::kPatch, "data", R"({"drive_id":"data"})"), "Empty PATCH request.");
  EXPECT_EQ(Put("data", first_.path()),
            "The requested operation is not supported after starting the microVM.");
}

TEST_F(DriveFamilyTest, APatchChangesTheBucketsThatItNames) {
  EXPECT_EQ(Put("data", first_.path(),
                R"(,"rate_limiter":{"bandwidth":{"size":4096,"refill_time":100}})"),
            "");
  EXPECT_EQ(Start(), "");
  EXPECT_EQ(
      Do(Method::kPatch, "data", R"({"rate_limiter":{"ops":{"size":10,"refill_time":1000}}})"), "");
  EXPECT_THAT(Do(Method::kGet, "data"),
              HasSubstr(R"("rate_limiter":{"bandwidth":{"size":4096,"refill_time":100},)"
                        R"("ops":{"size":10,"refill_time":1000}})"));
}

TEST_F(DriveFamilyTest, TheModuleSaysWhatItNeeds) {
  EXPECT_EQ(kModule.name, "block");
  EXPECT_EQ(kModule.virtio_id, 2u);
  for (const SystemCall& call : kModule.system_calls) EXPECT_FALSE(call.reason.empty());
}

}  // namespace
}  // namespace hearth::virtio::block
