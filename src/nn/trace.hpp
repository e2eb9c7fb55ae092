// What modules remember between forward and backward.
#pragma once

#include <memory>
#include <vector>

#include "base/contract.hpp"
#include "base/span.hpp"

namespace switchyard::nn {

// Records of one forward, in its order; backward takes them off in the opposite one. A module that
// keeps all it remembers here may be called twice: it has two records and one set of parameters. Place i holds
// the same type of record in every step, so its memory is used again and a warm step allocates nothing.
class Trace {
 public:
  // Forgets all records of the pass before; their memory stays.
  void clear() { depth_ = 0; }
  bool empty() const { return depth_ == 0; }

  // What the record held in the step before is still there.
  template <class Record>
  Record& push() {
    if (depth_ == records_.size()) records_.push_back(nullptr);
    std::unique_ptr<Place>& place = records_[depth_++];
    if (dynamic_cast<Typed<Record>*>(place.get()) == nullptr) place = std::make_unique<Typed<Record>>();
    return static_cast<Typed<Record>&>(*place).record;
  }
  // The last one; it lives until the next push().
  template <class Record>
  Record& pop() {
    SY_EXPECTS(depth_ > 0, "backward takes more records than forward left");
    auto* const place = dynamic_cast<Typed<Record>*>(records_[--depth_].get());
    SY_EXPECTS(place != nullptr, "backward takes record {} of another type than forward left", depth_);
    return place->record;
  }

 private:
  struct Place {
    Place() = default;
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    virtual ~Place() = default;
  };
  template <class Record>
  struct Typed final : Place {
    Record record;
  };

  std::vector<std::unique_ptr<Place>> records_;
  std::size_t depth_ = 0;
};

}  // namespace switchyard::nn
