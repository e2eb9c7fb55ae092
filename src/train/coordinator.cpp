#include "train/coordinator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "comm/agreement.hpp"
#include "device/transfer.hpp"
#include "ops/reduce.hpp"

namespace switchyard::train {

void expect_finite_updates(const optim::Optimiser& optimiser, device::Context& context) {
  const std::string array = optimiser.not_finite(context);
  if (array.empty()) return;
  throw NumericError(fmt::format("'{}' or its moments are not finite after an update", array));
}

Coordinator::Coordinator(comm::Resources resources, const nn::NormTable& norms,
                         const optim::Optimiser& optimiser)
    : resources_(resources) {
  list_squares(norms, optimiser.slices());
}

// An entry of one square has that of the whole slice; of one with several the slice holds whole pieces.
void Coordinator::list_squares(const nn::NormTable& norms, const std::vector<nn::ParameterSlice>& slices) {
  Vector<ops::SquaredPiece> pieces;
  Vector<ops::SquarePlace> places;
  if (!slices.empty()) base_ = slices.front().gradient;
  for (const nn::ParameterSlice& slice : slices) {
    const index_t first_piece = std::ssize(pieces);
    for (index_t begin = 0; begin < slice.count; begin += ops::squared_piece)
      pieces.push_back({{base_, slice.gradient + begin}, std::min(slice.count - begin, ops::squared_piece)});
    const index_t end = std::ssize(pieces);
    const IndexRange entry{norms.square_begin[slice.norm_entry], norms.square_begin[slice.norm_entry + 1]};
    if (entry.size() == 1) {
      places.push_back({first_piece, end - first_piece, entry.begin});
      continue;
    }
    index_t place = entry.begin + slice.first_element / ops::squared_piece;
    for (index_t piece = first_piece; piece < end; ++piece) places.push_back({piece, 1, place++});
  }
  const device::MemoryKind memory = resources_.context.memory();
  pieces_ = device::make_table<ops::SquaredPiece>(memory, pieces);
  places_ = device::make_table<ops::SquarePlace>(memory, places);
  sums_ = device::Buffer<double>(std::ssize(pieces), memory);
}

void Coordinator::enqueue(optim::Optimiser& optimiser, const ops::StepScalars::Given& given,
                          StepFigures& figures) {
  device::Context& context = resources_.context;
  figures.give(context, given);
  ops::write_own_part(context, {.pieces = pieces_.span(),
                                .base = base_,
                                .places = places_.span(),
                                .sums = sums_.span(),
                                .scalars = figures.scalars(),
                                .has_failed = optimiser.has_failed(),
                                .message = figures.message()});
  resources_.data_plane.all_reduce_sum(context, figures.message());
  optimiser.agree(context, figures.message(), figures.sums(), figures.scalars());
}

Agreement Coordinator::read(const optim::Optimiser& optimiser, const BatchLoader& loader,
                            StepFigures& figures) {
  if (figures.mark(ops::mark_failed) > 0) {
    comm::agree(resources_.communicator, [&] {
      loader.expect_loaded();
      expect_finite_updates(optimiser, resources_.context);
    });
  }
  const ops::StepScalars::Agreed& agreed = figures.scalars()->agreed;
  if (!std::isfinite(agreed.gradient_norm)) {
    throw_agreed(ErrorKind::numeric,
                 fmt::format("the norm of the gradient is {} (the loss is finite, so a derivative overflowed)",
                             agreed.gradient_norm));
  }
  if (agreed.is_finite == 0)
    throw_agreed(ErrorKind::numeric, "a sum over the batch is not finite (its loss and its gradient are)");
  return {agreed.gradient_norm, figures.mark(ops::mark_stop) > 0, figures.mark(ops::mark_time) > 0};
}

}  // namespace switchyard::train
