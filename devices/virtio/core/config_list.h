// SPDX-License-Identifier: Apache-2.0
// ConfigList: the configurations of a family of devices by id, in the order of their first PUT.
// Main thread.
#ifndef HEARTH_DEVICES_VIRTIO_CORE_CONFIG_LIST_H_
#define HEARTH_DEVICES_VIRTIO_CORE_CONFIG_LIST_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace hearth::virtio {

template <typename Config>
class ConfigList {
 public:
  struct Item {
    std::string id;
    Config config;
  };

  // nullptr where there is none.
  Item* Find(absl::string_view id) {
    for (Item& item : items_) {
      if (item.id == id) return &item;
    }
    return nullptr;
  }
  // Replaces the one of that id in its place, or appends.
  void Put(absl::string_view id, Config config) {
    if (Item* item = Find(id)) {
      item->config = std::move(config);
    } else {
      items_.push_back({std::string(id.data(), id.size()), std::move(config)});
    }
  }
  const std::vector<Item>& items() const { return items_; }

 private:
  std::vector<Item> items_;
};

}  // namespace hearth::virtio

#endif  // HEARTH_DEVICES_VIRTIO_CORE_CONFIG_LIST_H_
