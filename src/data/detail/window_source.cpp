#include "data/detail/window_source.hpp"

#include <algorithm>

#include "base/contract.hpp"

namespace switchyard::data::detail {

std::int32_t WindowSource::group(Split split, index_t sample) const {
  const Vector<index_t>& ends = of(split).domain_ends;
  return static_cast<std::int32_t>(std::ranges::upper_bound(ends, sample) - ends.begin());
}

void WindowSource::fill(const Request& request, tensor::Matrix) const {
  SY_EXPECTS(false, "{} windows of a text as rows of floats", request.samples.size());
}

std::int32_t WindowSource::label(Split, index_t sample) const {
  SY_EXPECTS(false, "the label of window {} of a text", sample);
  return 0;
}

void WindowSource::begin_windows(Split split, IndexRange tokens) {
  for (index_t at = tokens.begin; at + window() < tokens.end; at += window())
    windows_[as_size(split)].starts.push_back(at);
}

void WindowSource::end_domain(Split split) {
  Windows& windows = windows_[as_size(split)];
  windows.domain_ends.push_back(std::ssize(windows.starts));
}

void WindowSource::end_windows(index_t most_for_evaluation) {
  for (Windows& windows : windows_) windows.held = std::ssize(windows.starts);
  for (const Split split : {Split::validation, Split::test}) {
    if (most_for_evaluation > 0) thin(windows_[as_size(split)], most_for_evaluation);
  }
  for (Windows& windows : windows_) windows.starts.shrink_to_fit();
}

void WindowSource::thin(Windows& windows, index_t most) {
  const index_t all = std::ssize(windows.starts);
  if (all <= most) return;
  // Window k of those that stay was window k * all / most, rounded down: below `end` lie ceil(end * most / all)
  // of them.
  for (index_t k = 0; k < most; ++k) windows.starts[as_size(k)] = windows.starts[as_size(k * all / most)];
  windows.starts.resize(as_size(most));
  for (index_t& end : windows.domain_ends) end = (end * most + all - 1) / all;
}

}  // namespace switchyard::data::detail
