// What a thread has built of oneDNN, kept by shape.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <unordered_map>

#include "ops/detail/onednn.hpp"

namespace switchyard::ops::detail {

inline std::size_t hash_of(std::initializer_list<index_t> fields) {
  std::uint64_t hash = 0;
  for (const index_t field : fields) {
    hash = (hash ^ static_cast<std::uint64_t>(field)) * 0x9e3779b97f4a7c15U;  // 2^64 / golden ratio
    hash ^= hash >> 32U;
  }
  return hash;
}

// The plans of one thread: an op has a thread_local one. A model has a few dozen shapes; the limit only keeps a
// caller with ever new row counts from growing without end.
template <class Key, class Plan, class Hash>
class PlanCache {
 public:
  // The plan of `key`, made by build(key) when it is first asked for. Stays until the next call.
  Plan& plan(const Key& key, const auto& build) {
    if (last_ != nullptr && last_key_ == key) return *last_;
    auto found = plans_.find(key);
    if (found == plans_.end()) {
      if (plans_.size() >= max_plans) plans_.clear();
      last_ = nullptr;
      found = plans_.emplace(key, build(key)).first;
    }
    last_key_ = key;
    last_ = &found->second;  // elements of an unordered_map stay where they are
    return *last_;
  }

 private:
  static constexpr std::size_t max_plans = 1024;
  DnnlThread& thread_ = DnnlThread::of_this_thread();  // made before, so freed after the plans
  std::unordered_map<Key, Plan, Hash> plans_;
  Key last_key_;
  Plan* last_ = nullptr;
};

}  // namespace switchyard::ops::detail
