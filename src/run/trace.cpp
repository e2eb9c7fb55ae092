#include "run/trace.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <optional>

#include "base/host_name.hpp"
#include "base/wall_clock.hpp"
#include "comm/agreement.hpp"
#include "run/trace_file.hpp"

namespace switchyard::run {
namespace {

// What a rank says in front of its spans. Plain bytes.
struct RankHead {
  index_t spans = 0;
  index_t left_out = 0;
  index_t last_left_out = 0;
  std::array<char, 64> host{};  // ends with a zero
};

RankHead head_of(const Timeline::Kept& kept) {
  RankHead head{std::ssize(kept.spans), kept.left_out, kept.last_left_out, {}};
  host_name().copy(head.host.data(), head.host.size() - 1);
  return head;
}

}  // namespace

Trace::Trace(comm::Communicator& communicator, index_t steps, index_t steps_done,
             const moe::Statistics& statistics)
    : communicator_(communicator),
      timeline_(steps),
      steps_(steps),
      steps_done_(steps_done),
      offsets_(comm::clock_offsets(communicator)) {
  if (communicator.is_root()) {
    for (const moe::Statistics::Layer& layer : statistics.layers) {
      layers_.push_back(layer.name);
      experts_of_.push_back(layer.routing.experts());
      experts_ += experts_of_.back();
    }
    loads_.assign(2 * steps * experts_, 0);
    step_of_.assign(2 * steps, 0);
  }
  communicator.set_timeline(&timeline_);
}

Trace::~Trace() { communicator_.set_timeline(nullptr); }

// The first steps have places of their own, the others share as many in turn.
index_t Trace::place_of(index_t step) const {
  const index_t number = step - steps_done_ - 1;
  return number < steps_ ? number : steps_ + number % steps_;
}

void Trace::add_loads(index_t step, const moe::Statistics& statistics) {
  if (!communicator_.is_root()) return;
  const index_t place = place_of(step);
  step_of_[place] = step;
  index_t at = place * experts_;
  for (const moe::Statistics::Layer& layer : statistics.layers) {
    for (index_t e = 0; e < layer.routing.experts(); ++e) loads_[at++] = layer.routing.load(e);
  }
}

void Trace::add(Timeline::Kind kind, index_t after, Timeline::Clock::time_point begin) {
  timeline_.add(kind, after, begin, Timeline::Clock::now());
}

void Trace::write(const std::filesystem::path& file) const {
  communicator_.set_timeline(nullptr);
  const std::vector<comm::ClockOffset> now = comm::clock_offsets(communicator_);
  Timeline::Kept kept = timeline_.kept();
  const std::vector<RankHead> heads = communicator_.all_gather(head_of(kept));
  // Whatever the root cannot write, it takes what the others send, and tells them then.
  std::optional<TraceFile> written;
  std::exception_ptr failure;
  const auto attempt = [&](const auto& action) {
    try {
      if (!failure) action();
    } catch (...) {
      failure = std::current_exception();
    }
  };
  if (!communicator_.is_root()) {
    if (!kept.spans.empty()) communicator_.send(std::span<const Timeline::Span>(kept.spans), GroupRank(0));
  } else {
    attempt([&] {
      written.emplace(file, TraceHead{communicator_.size(), 0, steps_, offsets_, now, wall_milliseconds()});
      add_root(*written, kept);
    });
    for (int rank = 1; rank < communicator_.size(); ++rank) {
      const RankHead& head = heads[as_size(rank)];
      kept = {std::vector<Timeline::Span>(as_size(head.spans)), head.left_out, head.last_left_out};
      if (head.spans > 0) communicator_.receive(std::span<Timeline::Span>(kept.spans), GroupRank(rank));
      attempt([&] {
        written->begin_rank(rank, head.host.data(), kept);
        written->add_spans(kept.spans);
      });
    }
    attempt([&] { written->publish(); });
  }
  comm::agree(communicator_, [&] {
    if (failure) std::rethrow_exception(failure);
  });
}

void Trace::write_alone(const std::filesystem::path& file) const {
  const int size = communicator_.size();
  TraceFile written(file, {size, size - 1, steps_, offsets_, {}, wall_milliseconds()});
  add_root(written, timeline_.kept());
  written.publish();
}

void Trace::add_root(TraceFile& file, const Timeline::Kept& kept) const {
  file.begin_rank(0, host_name(), kept);
  file.add_spans(kept.spans);
  for (const Timeline::Span& span : kept.spans) {
    if (span.kind != Timeline::Kind::step) continue;
    const index_t place = place_of(span.number);
    if (step_of_[place] != span.number) continue;  // it has not ended
    file.add_loads(span.begin_ns, {Span<const std::int64_t>(loads_).subspan(place * experts_, experts_),
                                   layers_, experts_of_});
  }
}

}  // namespace switchyard::run
