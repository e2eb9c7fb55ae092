// Samples that are windows of a text: what its sources, of bytes or of tokens, have in common.
#pragma once

#include <array>
#include <cstdint>

#include "data/detail/source.hpp"

namespace switchyard::data::detail {

// A sample is a window of tokens and, as targets, the token that follows each of its own. Groups are domains.
// Whoever derives from it begins windows (of each domain, in the order of domains), ends domains, and at last
// ends windows.
class WindowSource : public SampleSource {
 public:
  const tensor::SampleShape& shape() const final { return shape_; }
  index_t size(Split split) const final { return std::ssize(of(split).starts); }
  index_t held(Split split) const final { return of(split).held; }
  index_t documents(Split split) const { return of(split).documents; }
  index_t window() const final { return shape_.width; }
  std::int32_t group(Split split, index_t sample) const final;

  // Contract violations: there are no rows of floats and no labels.
  void fill(const Request& request, tensor::Matrix rows) const final;
  std::int32_t label(Split split, index_t sample) const final;

 protected:
  explicit WindowSource(index_t window) : shape_{1, 1, window} {}

  struct Windows {
    Vector<index_t> starts;       // in the tokens that the source holds
    Vector<index_t> domain_ends;  // how many windows the domains up to this one have
    index_t documents = 0;
    index_t held = 0;  // before evaluations took some
  };
  const Windows& of(Split split) const { return windows_[as_size(split)]; }

  void count_documents(Split split, index_t count) { windows_[as_size(split)].documents += count; }
  // One behind the other, as many as have a target behind each of their tokens.
  void begin_windows(Split split, IndexRange tokens);
  void end_domain(Split split);
  // Of validation and of test at most so many windows stay, evenly spread; 0: all.
  void end_windows(index_t most_for_evaluation);

 private:
  static void thin(Windows& windows, index_t most);

  tensor::SampleShape shape_;
  std::array<Windows, 3> windows_;  // by Split
};

}  // namespace switchyard::data::detail
