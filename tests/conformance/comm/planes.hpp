// What the conformance checks of data planes run over, besides communicators. Each executable that has them
// defines plane_makers().
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.hpp"
#include "comm/data_plane.hpp"
#include "comm/watchdog.hpp"
#include "device/context.hpp"

namespace switchyard::comm {

// An array of a test where a context computes: on a GPU a copy in its workspace, which goes back at the end.
template <class T>
class Placed {
 public:
  Placed(device::Context& context, const T* host, index_t count)
      : memory_(context.memory()), place_(host, count) {
    if (memory_ != device::MemoryKind::device || host == nullptr) return;
    const Span<T> copy = context.workspace().allocate<T>(count);
    device::copy_now(copy.data(), memory_, host, copy.size_bytes());
    place_ = copy;
  }
  T* data() { return const_cast<T*>(place_.data()); }
  void take_back(T* host) {
    if (host != data()) device::copy_back_now(host, data(), memory_, place_.size_bytes());
  }

 private:
  device::MemoryKind memory_;
  Span<const T> place_;
};

// Up to the end of the last block; layouts may be wrong.
inline index_t elements_of(RowLayout layout, index_t width) {
  index_t end = 0;
  for (std::size_t r = 0; r < std::min(layout.rows.size(), layout.first_row.size()); ++r)
    end = std::max(end, layout.first_row[r] + layout.rows[r]);
  return end * std::max<index_t>(width, 0);
}

// Looks at the plane meanwhile.
struct PlaneWaits final : device::Waits {
  void begin() override {
    if (watchdog != nullptr) watchdog->begin_on_device(Operation::device);
  }
  void look() override {
    const bool waits_for_ranks = plane->look();
    if (watchdog != nullptr) watchdog->set_device_waits_for_ranks(waits_for_ranks);
  }
  void end() noexcept override {
    if (watchdog != nullptr) watchdog->end();
  }
  DataPlane* plane = nullptr;
  Watchdog* watchdog = nullptr;
};

// A plane and the context whose rows it moves, for arrays of the host.
class Plane {
 public:
  Plane(device::Context context, const std::function<std::unique_ptr<DataPlane>(device::Context&)>& make)
      : context_(std::move(context)), plane_(make(context_)) {
    waits_.plane = plane_.get();
    context_.set_waits(&waits_);
  }
  // Of waits for the context.
  void set_watchdog(Watchdog* watchdog) { waits_.watchdog = watchdog; }

  GroupRank rank() const { return plane_->rank(); }
  int size() const { return plane_->size(); }
  DataPlane& plane() { return *plane_; }
  device::Context& context() { return context_; }

  template <class T>
  void all_to_all_rows(const T* send, RowLayout send_layout, T* recv, RowLayout recv_layout, index_t width) {
    const index_t sent = elements_of(send_layout, width), received = elements_of(recv_layout, width);
    const bool in_place = send == recv;
    const auto mark = context_.workspace().mark();
    Placed<T> to(context_, recv, in_place ? std::max(sent, received) : received);
    Placed<T> from(context_, in_place ? nullptr : send, sent);
    plane_->all_to_all_rows<T>(context_, in_place ? to.data() : from.data(), send_layout, to.data(),
                               recv_layout, width);
    context_.wait();
    to.take_back(recv);
    context_.workspace().release(mark);
  }
  template <class T>
  void all_gather_rows(Span<const T> mine, Span<T> all, Span<const index_t> rows, index_t width) {
    const bool in_place = mine.data() >= all.data() && mine.data() < all.data() + all.size();
    const auto mark = context_.workspace().mark();
    Placed<T> to(context_, all.data(), std::ssize(all));
    Placed<T> from(context_, in_place ? nullptr : mine.data(), std::ssize(mine));
    const T* const given = in_place ? to.data() + (mine.data() - all.data()) : from.data();
    plane_->all_gather_rows<T>(context_, {given, mine.size()}, {to.data(), all.size()}, rows, width);
    context_.wait();
    to.take_back(all.data());
    context_.workspace().release(mark);
  }
  void all_reduce_sum(Span<std::int64_t> values) {
    const auto mark = context_.workspace().mark();
    Placed<std::int64_t> placed(context_, values.data(), std::ssize(values));
    plane_->all_reduce_sum(context_, {placed.data(), values.size()});
    context_.wait();
    placed.take_back(values.data());
    context_.workspace().release(mark);
  }

 private:
  device::Context context_;
  std::unique_ptr<DataPlane> plane_;
  PlaneWaits waits_;
};

struct PlaneMaker {
  std::string name;
  std::function<std::unique_ptr<Plane>(Communicator&)> make;  // collective
};
std::vector<PlaneMaker> plane_makers();

}  // namespace switchyard::comm
