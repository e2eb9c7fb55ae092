// The tiles of a batch as a device takes them: the whole difference between devices above `ops`.
#pragma once

#include "base/partition.hpp"
#include "device/context.hpp"
#include "device/thread_pool.hpp"

namespace switchyard::device {

// body(run) with runs of neighbouring tiles of [0, tiles), each tile in one of them. On the CPU a run is one
// tile and a task of the pool, so that what a body does to a tile, one after the other, finds it in the cache.
// On a GPU one run is all tiles, and what is done to them a launch each.
template <class Body>
void for_each_tile_run(Context& context, index_t tiles, const Body& body) {
  if (context.device() == DeviceKind::cuda) return body(IndexRange{0, tiles});
  context.pool().parallel_for(tiles, [&](index_t tile) { body(IndexRange{tile, tile + 1}); });
}

// body(i) for i in [0, count): tasks of the pool on the CPU. On a GPU one after the other, since nothing is
// launched from tasks.
template <class Body>
void for_each_task(Context& context, index_t count, const Body& body) {
  if (context.device() == DeviceKind::cpu) return context.pool().parallel_for(count, body);
  for (index_t i = 0; i < count; ++i) body(i);
}
// How many tasks run at a time, each with memory of its own.
inline index_t tasks_at_once(Context& context) {
  return context.device() == DeviceKind::cpu ? context.pool().size() : 1;
}

}  // namespace switchyard::device
