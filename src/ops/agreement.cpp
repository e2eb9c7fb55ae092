#include "ops/agreement.hpp"

#include <bit>
#include <cmath>

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/kernels/team_tree.hpp"
#include "ops/kernels/tree.hpp"
#include "ops/reduce.hpp"

namespace switchyard::ops {
namespace kernels {

struct SquaresOfPieces {
  const SquaredPiece* pieces;
  const void* base;
  double* sums;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const SquaredPiece piece = pieces[row];
    const float* const values = piece.values.at(base);
    const double sum = team.sum(piece.count, [&](index_t i) {
      const double value = values[i];
      return value * value;
    });
    team.once([&] { sums[row] = sum; });
  }
};

// An i behind the places writes the marks.
struct WriteOwnPart {
  const SquarePlace* places;
  index_t place_count;
  const double* sums;
  const StepScalars* scalars;
  const std::int64_t* has_failed;
  std::int64_t* message;
  std::int64_t* marks;

  SY_HD void operator()(index_t i) const {
    if (i == place_count) return write_marks();
    const SquarePlace place = places[i];
    const double square =
        tree_sum(place.pieces, [&](index_t piece) { return sums[place.first_piece + piece]; });
    message[place.place] = std::bit_cast<std::int64_t>(square);
  }
  SY_HD void write_marks() const {
    marks[mark_failed] = scalars->given.failed != 0 || *has_failed != 0 ? 1 : 0;
    marks[mark_stop] = scalars->given.stop;
    marks[mark_time] = scalars->given.time;
  }
};

// x - x is 0 for a finite x and NaN otherwise. NOLINTNEXTLINE(misc-redundant-expression)
SY_HD inline bool is_finite(double x) { return x - x == 0.0; }

struct AgreeOnStep {
  NormTables norms;
  const std::int64_t* squares;
  index_t entries;
  const std::int64_t* marks;
  const double* sums;
  index_t sum_count;
  double most_norm;
  StepScalars* scalars;

  // Not by team.sum(), whose order is another.
  template <class Team>
  SY_HD void operator()(const Team& team, index_t /*row*/) const {
    add_entries(team);
    const double* const by_entry = norms.squares.data();
    const double norm = std::sqrt(
        team_tree_sum(team, entries, norms.nodes.data(), [&](index_t entry) { return by_entry[entry]; }));
    team.for_each(std::ssize(norms.unit_scales), [&](index_t unit) { write_unit_scale(unit); });
    const float strange = team.max(sum_count, [&](index_t i) { return is_finite(sums[i]) ? 0.0F : 1.0F; });
    team.once([&] { write(norm, strange > 0.0F); });
  }

 private:
  SY_HD index_t begin_of(index_t entry) const { return norms.square_begin[entry]; }
  SY_HD index_t squares_of(index_t entry) const { return begin_of(entry + 1) - begin_of(entry); }
  SY_HD double square(index_t place) const { return std::bit_cast<double>(squares[place]); }

  template <class Team>
  SY_HD void add_entries(const Team& team) const {
    double* const by_entry = norms.squares.data();
    team.for_each(entries, [&](index_t entry) {
      if (squares_of(entry) > short_squares) return;
      by_entry[entry] = tree_sum(squares_of(entry), [&](index_t i) { return square(begin_of(entry) + i); });
    });
    for (index_t i = 0; i < std::ssize(norms.long_entries); ++i) {
      const index_t entry = norms.long_entries[i];
      const double sum = team_tree_sum(team, squares_of(entry), norms.nodes.data(),
                                       [&](index_t place) { return square(begin_of(entry) + place); });
      team.once([&] { by_entry[entry] = sum; });
    }
    team.sync();
  }

  SY_HD double norm_of(index_t first, index_t last) const {
    const double* const by_entry = norms.squares.data();
    return std::sqrt(tree_sum(last - first, [&](index_t i) { return by_entry[first + i]; }));
  }
  SY_HD double unit_norm(index_t unit) const {
    const index_t begin = norms.unit_begin[unit];
    const index_t end = norms.unit_begin[unit + 1];
    if (!norms.sum_of_parameters) return norm_of(begin, end);
    double sum = 0;
    for (index_t first = begin; first < end;) {
      index_t last = first + 1;
      while (last < end && norms.parameter[last] == norms.parameter[first]) ++last;
      sum += norm_of(first, last);
      first = last;
    }
    return sum;
  }
  SY_HD void write_unit_scale(index_t unit) const {
    const double norm = unit_norm(unit);
    norms.unit_scales[unit] = norm == 0.0 ? -1.0F : static_cast<float>(1.0 / norm);
  }

  // Once a step was not finite all later ones count as such, too: the host may have enqueued one before it
  // knew.
  SY_HD void write(double norm, bool has_strange_sum) const {
    StepScalars::Agreed& agreed = scalars->agreed;
    const bool is_sound =
        is_finite(norm) && !has_strange_sum && marks[mark_failed] == 0 && agreed.has_failed == 0;
    agreed.gradient_norm = norm;
    agreed.gradient_scale = static_cast<float>(clip_scale(norm, most_norm));
    agreed.is_finite = is_sound ? 1 : 0;
    agreed.has_failed = is_sound ? 0 : 1;
  }
};

}  // namespace kernels

void write_own_part(device::Context& context, const OwnPart& own) {
  const index_t marks = std::ssize(own.message) - mark_count;
  SY_EXPECTS(marks >= 0 && own.sums.size() == own.pieces.size(), "a message of {} numbers, {} pieces, {} sums",
             own.message.size(), own.pieces.size(), own.sums.size());
  device::for_each_row(context, std::ssize(own.pieces),
                       kernels::SquaresOfPieces{own.pieces.data(), own.base, own.sums.data()});
  device::for_each(
      context, std::ssize(own.places) + 1,
      kernels::WriteOwnPart{own.places.data(), std::ssize(own.places), own.sums.data(), own.scalars,
                            own.has_failed, own.message.data(), own.message.data() + marks});
}

void agree(device::Context& context, const AgreementInput& input, const NormTables& norms,
           StepScalars* scalars) {
  const index_t entries = std::ssize(norms.squares);
  const index_t marks = std::ssize(input.message) - mark_count;
  SY_EXPECTS(marks >= 0 && std::ssize(norms.square_begin) == entries + 1 && std::ssize(norms.nodes) >= entries,
             "{} entries with {} bounds and room for {} nodes, in a message of {} numbers", entries,
             norms.square_begin.size(), norms.nodes.size(), input.message.size());
  device::for_each_row(
      context, 1,
      kernels::AgreeOnStep{norms, input.message.data(), entries, input.message.data() + marks,
                           input.sums.data(), std::ssize(input.sums), input.most_norm, scalars});
}

}  // namespace switchyard::ops
