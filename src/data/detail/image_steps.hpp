// What data.derive, data.prepare and data.augment say, as lists of steps.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"

namespace switchyard::data::detail {

// Of an image, once.
struct PrepareStep {
  enum class Kind { rotate, centre_crop, resize };
  Kind kind;
  std::string word;    // as it is written, for messages
  double degrees = 0;  // rotate: counter-clockwise
  index_t height = 0;  // centre_crop, resize: of the result
  index_t width = 0;   // ...
};

// Of an image of the training split, each time that training visits it.
struct AugmentStep {
  enum class Kind { flip, crop, blur, rotate };
  Kind kind;
  std::string word;        // as it is written, for messages
  index_t padding = 0;     // crop
  index_t width = 0;       // blur: of the kernel, odd
  index_t height = 0;      // ...
  double least_sigma = 0;  // ... drawn from [least_sigma, most_sigma)
  double most_sigma = 0;   // ...
  double degrees = 0;      // rotate: drawn from [-degrees, degrees)
};

// Each is none, or what the key takes; ConfigError for anything else, which quotes the word, its place and the
// whole text. parse_derive() gives the degrees of `rotated`; a step of parse_augment() stands there once.
std::optional<double> parse_derive(std::string_view text);
std::vector<PrepareStep> parse_prepare(std::string_view text);
std::vector<AugmentStep> parse_augment(std::string_view text);

}  // namespace switchyard::data::detail
