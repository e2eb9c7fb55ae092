// A kernel without the sync() that it needs: under ThreadSanitizer the executor of the tests must report it.
#include "device/launch.hpp"

namespace {

using switchyard::index_t;

struct MissingSync {
  float* out;
  index_t scratch_bytes() const { return 4 * 64; }
  void operator()(const auto& team, index_t) const {
    float* const scratch = team.template scratch<float>();
    team.for_each(64, [&](index_t i) { scratch[i] = static_cast<float>(i); });
    team.for_each(64, [&](index_t i) { out[i] = scratch[63 - i]; });
  }
};

}  // namespace

int main() {
  float out[64] = {};
  auto context = switchyard::device::Context::concurrent(2);
  switchyard::device::for_each_row(context, 50, MissingSync{out});
  return 0;
}
