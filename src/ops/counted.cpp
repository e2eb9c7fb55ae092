#include "ops/counted.hpp"

#include <array>
#include <atomic>
#include <utility>

namespace switchyard::ops {
namespace {

// Threads count in places of their own, so that none waits for the cache line of another. There may be more
// threads than places: then some share one, and the sums stay right.
struct alignas(128) Place {
  std::atomic<index_t> all = 0, of_padding = 0;
};
std::array<Place, 64> places;
std::atomic<std::size_t> threads = 0;

Place& place_of_this_thread() {
  static thread_local Place& mine = places[threads.fetch_add(1, std::memory_order_relaxed) % places.size()];
  return mine;
}

struct Padded {
  index_t rows = 1, padding = 0;
};
thread_local Padded padded;

}  // namespace

MultiplyAdds counted_multiply_adds() {
  MultiplyAdds sum;
  for (const Place& place : places) {
    sum.all += place.all.load(std::memory_order_relaxed);
    sum.of_padding += place.of_padding.load(std::memory_order_relaxed);
  }
  return sum;
}

void add_multiply_adds(index_t count) {
  Place& mine = place_of_this_thread();
  mine.all.fetch_add(count, std::memory_order_relaxed);
  if (padded.padding > 0)
    mine.of_padding.fetch_add(count / padded.rows * padded.padding, std::memory_order_relaxed);
}

PaddedRows::PaddedRows(index_t rows, index_t padding)
    : rows_before_(padded.rows), padding_before_(padded.padding) {
  padded = {rows, padding};
}

PaddedRows::~PaddedRows() { padded = {rows_before_, padding_before_}; }

}  // namespace switchyard::ops
