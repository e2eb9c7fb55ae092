// Tests only: one row at a time, with a team of real threads and a barrier, so that ThreadSanitizer and wrong
// results reveal a missing sync() or two threads that write one place.
#pragma once

#include <barrier>
#include <cstddef>
#include <cstring>
#include <thread>
#include <vector>

#include "base/thread.hpp"
#include "device/team.hpp"

namespace switchyard::device::cpu {

// What the threads of one team share.
struct TeamShared {
  explicit TeamShared(int size) : barrier(size) {}
  std::barrier<> barrier;
  double lane[lane_count] = {};
};

class ConcurrentTeam {
 public:
  template <class T, int n>
  using Kept = KeptByOne<T, n>;

  ConcurrentTeam(TeamShared& shared, int rank, int size, std::byte* scratch)
      : shared_(&shared), rank_(rank), size_(size), scratch_(scratch) {}

  template <class F>
  SY_HD void for_each(index_t n, const F& f) const {
    for (index_t i = rank_; i < n; i += size_) f(i);
  }
  template <class F>
  SY_HD auto sum(index_t n, const F& f) const {
    using T = decltype(f(index_t{0}));
    sync();
    for (int l = rank_; l < lane_count; l += size_) {
      T value = 0;
      for (index_t i = l; i < n; i += lane_count) value += f(i);
      shared_->lane[l] = static_cast<double>(value);  // exact for float
    }
    sync();
    T lane[lane_count];
    for (int l = 0; l < lane_count; ++l) lane[l] = static_cast<T>(shared_->lane[l]);
    sync();
    return butterfly_sum(lane);
  }
  template <class F>
  SY_HD float max(index_t n, const F& f) const {
    sync();
    for (int l = rank_; l < lane_count; l += size_) {
      float value = -__builtin_inff();
      for (index_t i = l; i < n; i += lane_count) value = larger(value, f(i));
      shared_->lane[l] = static_cast<double>(value);
    }
    sync();
    float lane[lane_count];
    for (int l = 0; l < lane_count; ++l) lane[l] = static_cast<float>(shared_->lane[l]);
    sync();
    return butterfly_max(lane);
  }
  SY_HOST_CALLS_ALLOWED
  SY_HD void sync() const { shared_->barrier.arrive_and_wait(); }
  template <class T>
  SY_HD T* scratch(index_t offset_bytes = 0) const {
    return reinterpret_cast<T*>(scratch_ + offset_bytes);
  }
  template <class F>
  SY_HD void once(const F& f) const {
    if (rank_ == 0) f();
  }

 private:
  TeamShared* shared_;
  int rank_;
  int size_;
  std::byte* scratch_;
};

// f(team, row) for row in [0, rows), in order. The scratch is full of NaNs at the start, so that a functor that
// reads what it never wrote shows.
template <class Functor>
void run_with_concurrent_team(int team_size, index_t rows, const Functor& f) {
  std::vector<std::max_align_t> scratch(as_size(scratch_bytes_of(f)) / sizeof(std::max_align_t) + 1);
  std::memset(scratch.data(), 0xff, scratch.size() * sizeof(std::max_align_t));
  TeamShared shared(team_size);
  const auto member = [&](int rank) {
    flush_denormals_to_zero();
    const ConcurrentTeam team(shared, rank, team_size, reinterpret_cast<std::byte*>(scratch.data()));
    for (index_t row = 0; row < rows; ++row) {
      f(team, row);
      team.sync();  // the next row reuses the scratch
    }
  };
  std::vector<std::jthread> others;
  for (int rank = 1; rank < team_size; ++rank) others.emplace_back(member, rank);
  member(0);
}

}  // namespace switchyard::device::cpu
