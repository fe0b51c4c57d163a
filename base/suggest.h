// SPDX-License-Identifier: Apache-2.0
// "Did you mean ...?" for mistyped names.
#ifndef HEARTH_BASE_SUGGEST_H_
#define HEARTH_BASE_SUGGEST_H_

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace hearth::base {

// The one of `known` with the smallest edit distance from `word`; "" when none is near enough to be
// meant (a third of the word's letters). Names of more than 64 bytes are near to nothing.
absl::string_view Nearest(absl::string_view word, absl::Span<const absl::string_view> known);

}  // namespace hearth::base

#endif  // HEARTH_BASE_SUGGEST_H_
