// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/balloon/page_set.h"

#include <algorithm>

#include "base/status_macros.h"

namespace hearth::virtio::balloon {
namespace {

// Calls `visit(word, mask)` for each word that `run` has bits in, until it returns false.
template <typename Visit>
bool VisitWords(PageRun run, Visit visit) {
  while (run.count > 0) {
    const uint64_t bit = run.first % 64;
    const uint64_t bits = std::min<uint64_t>(run.count, 64 - bit);
    const uint64_t mask = (bits == 64 ? ~0ull : (1ull << bits) - 1) << bit;
    if (!visit(run.first / 64, mask)) return false;
    run.first += bits;
    run.count -= bits;
  }
  return true;
}

}  // namespace

void PageSet::Add(PageRun run) {
  HEARTH_CHECK(run.first <= pages_ && run.count <= pages_ - run.first);
  VisitWords(run, [this](uint64_t word, uint64_t mask) { return words_[word] |= mask, true; });
}

void PageSet::Remove(PageRun run) {
  HEARTH_CHECK(run.first <= pages_ && run.count <= pages_ - run.first);
  VisitWords(run, [this](uint64_t word, uint64_t mask) { return words_[word] &= ~mask, true; });
}

bool PageSet::ContainsAll(PageRun run) const {
  HEARTH_CHECK(run.first <= pages_ && run.count <= pages_ - run.first);
  return VisitWords(run,
                    [this](uint64_t word, uint64_t mask) { return (words_[word] & mask) == mask; });
}

void PageSet::Clear() { std::fill(words_.begin(), words_.end(), 0); }

std::string PageSet::Save() const {
  std::string bits;
  for (size_t i = 0; i < words_.size(); ++i) {
    if (words_[i] == 0) continue;
    bits.resize(i * 8);  // fills up with zeros
    for (int byte = 0; byte < 8; ++byte)
      bits.push_back(static_cast<char>(words_[i] >> (byte * 8) & 0xff));
  }
  bits.resize(bits.find_last_not_of('\0') + 1);
  return bits;
}

bool PageSet::Restore(absl::string_view bits) {
  if (bits.size() > (pages_ + 7) / 8) return false;
  std::vector<uint64_t> words(words_.size());
  for (size_t i = 0; i < bits.size(); ++i)
    words[i / 8] |= uint64_t{static_cast<uint8_t>(bits[i])} << (i % 8 * 8);
  if (pages_ % 64 != 0 && words.back() >> (pages_ % 64) != 0) return false;
  words_ = std::move(words);
  return true;
}

}  // namespace hearth::virtio::balloon
