// What a sequence that goes on token by token has behind it.
#pragma once

#include <vector>

#include "base/contract.hpp"
#include "device/buffer.hpp"
#include "ops/causal.hpp"
#include "tensor/view.hpp"

namespace switchyard::nn {

// Keys and values of the tokens that were read, for each attention in the order in which a pass meets them. A
// pass with a past has one sequence: its first places().count rows are the tokens behind those, and further
// ones copies of the last (products of few rows are summed otherwise: model/token_reader.hpp). Rows of the
// window that no token has had yet are zeros.
class Past {
 public:
  explicit Past(index_t window, device::MemoryKind memory = device::MemoryKind::host)
      : window_(window), memory_(memory) {}

  index_t window() const { return window_; }
  // Tokens that were read.
  index_t length() const { return places_.first; }
  // Of the pass under way.
  ops::Places places() const { return places_; }

  // Around each pass.
  void begin(index_t count) {
    SY_EXPECTS(count >= 1 && length() + count <= window_, "{} tokens behind {} of {}", count, length(),
               window_);
    places_.count = count;
    met_ = 0;
  }
  void end() { places_.first += places_.count; }
  // Forgets the tokens from there on.
  void cut(index_t length) {
    SY_EXPECTS(0 <= length && length <= places_.first, "{} of {} tokens", length, places_.first);
    places_.first = length;
  }

  // Of the attention that the pass meets now: [window, 2 width], keys, turned, beside values.
  tensor::Matrix keys_and_values(index_t width) {
    if (met_ == kept_.size()) kept_.emplace_back(window_ * 2 * width, memory_);
    return {kept_[met_++].data(), window_, 2 * width};
  }

 private:
  index_t window_;
  device::MemoryKind memory_;
  ops::Places places_;
  std::vector<device::Buffer<float>> kept_;
  std::size_t met_ = 0;
};

}  // namespace switchyard::nn
