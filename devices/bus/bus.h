// SPDX-License-Identifier: Apache-2.0
// Bus: finds the device behind a port (PIO) or an address (MMIO) of a vCPU exit. A machine has one
// of each.
//
// Built once (Builder), immutable from then on: vCPU threads look up without a lock, and several
// may be in the same device at the same time, so a device locks what it shares. The bus does not
// own its devices. What no device answers reads as all ones and swallows writes, as on a PC.
#ifndef HEARTH_DEVICES_BUS_BUS_H_
#define HEARTH_DEVICES_BUS_BUS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace hearth {

class BusDevice {
 public:
  virtual ~BusDevice() = default;
  // For errors and logs, such as "serial".
  virtual absl::string_view name() const = 0;
  // One guest access of data.size() bytes (1, 2, 4 or 8) at `offset` from the start of the device's
  // range. The access lies within the range. Called on vCPU threads; must not block, allocate or
  // fail: the guest may do anything, and gets zeros or ones for what makes no sense.
  virtual void Read(uint64_t offset, absl::Span<uint8_t> data) = 0;
  virtual void Write(uint64_t offset, absl::Span<const uint8_t> data) = 0;
};

class Bus {
 public:
  class Builder {
   public:
    // Refused where [start, start + size) wraps, is empty or overlaps a range added before.
    absl::Status Add(uint64_t start, uint64_t size, BusDevice* device);
    Bus Build() &&;

   private:
    friend class Bus;
    struct Range {
      uint64_t start;
      uint64_t size;
      BusDevice* device;
    };
    std::vector<Range> ranges_;
  };

  Bus() = default;
  // Return false where no device takes the whole access; Read() has filled `data` with ones then.
  bool Read(uint64_t address, absl::Span<uint8_t> data) const;
  bool Write(uint64_t address, absl::Span<const uint8_t> data) const;

 private:
  explicit Bus(std::vector<Builder::Range> ranges) : ranges_(std::move(ranges)) {}
  const Builder::Range* Find(uint64_t address, uint64_t size) const;
  std::vector<Builder::Range> ranges_;  // sorted by start
};

}  // namespace hearth

#endif  // HEARTH_DEVICES_BUS_BUS_H_
