#include "ops/update.hpp"

#include <cmath>

#include "base/contract.hpp"
#include "device/launch.hpp"

namespace switchyard::ops {
namespace kernels {

// elements.update(i) for all of a piece; then *failed = 1 if one of `checked` is NaN or infinite there, else 0.
template <class Team, class Elements, class... Checked>
SY_HD void update_elements(const Team& team, index_t count, std::uint8_t* failed, const Elements& elements,
                           const Checked*... checked) {
  team.for_each(count, [&](index_t i) { elements.update(i); });
  // v - v is 0 for a finite v and NaN otherwise. NOLINTBEGIN(misc-redundant-expression)
  const float failures =
      team.max(count, [&](index_t i) { return (... + (checked[i] - checked[i])) == 0.0F ? 0.0F : 1.0F; });
  // NOLINTEND(misc-redundant-expression)
  team.once([&] { *failed = failures > 0.0F ? 1 : 0; });
}

// beta * moment
SY_HD inline float decayed(float moment, float one_minus_beta) { return moment - one_minus_beta * moment; }

// The bias corrections are folded into two constants, so that an element takes one square root and one
// division. Square root and division are rounded correctly everywhere (nvcc: without fast-math).
template <Decay decay>
struct AdamElements {
  Adam adam;
  StepScalars::Rates rates;
  float inverse_root_second;
  float gradient_scale;
  float* w;
  const float* gradient;
  float* first_moment;
  float* second_moment;

  SY_HD void update(index_t i) const {
    float g = gradient_scale * gradient[i];
    if constexpr (decay == Decay::l2) g += rates.weight_decay * w[i];
    const float m = decayed(first_moment[i], adam.one_minus_beta1) + adam.one_minus_beta1 * g;
    const float v = decayed(second_moment[i], adam.one_minus_beta2) + adam.one_minus_beta2 * (g * g);
    first_moment[i] = m;
    second_moment[i] = v;
    float change = rates.corrected_rate * m / (std::sqrt(v) * inverse_root_second + adam.epsilon);
    if constexpr (decay == Decay::decoupled) change += rates.decoupled_decay * w[i];
    w[i] -= change;
  }
};

template <Decay decay>
struct AdamPieces {
  Adam adam;
  const UpdatePiece* pieces;
  const void* base;
  const StepScalars* scalars;
  std::uint8_t* failed;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    if (scalars->agreed.is_finite == 0) return;
    const UpdatePiece piece = pieces[row];
    const AdamElements<decay> elements{adam,
                                       scalars->given.rates[piece.group],
                                       scalars->given.inverse_root_second,
                                       scalars->agreed.gradient_scale,
                                       piece.value.at(base),
                                       piece.gradient.at(base),
                                       piece.first.at(base),
                                       piece.second.at(base)};
    // An infinite first moment makes the weight infinite or NaN; an infinite second one hides itself.
    update_elements(team, piece.count, failed + row, elements, elements.w, elements.second_moment);
  }
};

struct SgdElements {
  float scale, weight_decay, rate, momentum;
  float* w;
  const float* gradient;
  float* velocity;

  SY_HD void update(index_t i) const {
    const float g = scale * gradient[i] + weight_decay * w[i];
    const float u = momentum * velocity[i] + g;
    velocity[i] = u;
    w[i] -= rate * u;
  }
};

// Without momentum there is no velocity to keep.
struct PlainSgdElements {
  float scale, weight_decay, rate;
  float* w;
  const float* gradient;

  SY_HD void update(index_t i) const { w[i] -= rate * (scale * gradient[i] + weight_decay * w[i]); }
};

struct SgdPieces {
  Sgd sgd;
  const UpdatePiece* pieces;
  const void* base;
  const StepScalars* scalars;
  std::uint8_t* failed;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    if (scalars->agreed.is_finite == 0) return;
    const UpdatePiece piece = pieces[row];
    const float scale =
        sgd.unit_scales != nullptr ? sgd.unit_scales[piece.unit] : scalars->agreed.gradient_scale;
    if (sgd.unit_scales != nullptr && scale < 0) {
      team.once([&] { failed[row] = 0; });
      return;
    }
    const StepScalars::Rates rates = scalars->given.rates[piece.group];
    if (piece.first.is_null()) {
      const PlainSgdElements elements{scale, rates.weight_decay, rates.rate, piece.value.at(base),
                                      piece.gradient.at(base)};
      return update_elements(team, piece.count, failed + row, elements, elements.w);
    }
    const SgdElements elements{scale,
                               rates.weight_decay,
                               rates.rate,
                               sgd.momentum,
                               piece.value.at(base),
                               piece.gradient.at(base),
                               piece.first.at(base)};
    update_elements(team, piece.count, failed + row, elements, elements.w, elements.velocity);
  }
};

struct NoteFailures {
  // There may be ten thousand words. So many slots have a scratch that gives the row a block of a GPU, whose
  // threads all take part in for_each.
  static constexpr index_t slots = 2048;

  const std::uint64_t* failed;
  index_t words;
  std::int64_t* any;

  index_t scratch_bytes() const { return slots * size_of<float>; }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t /*row*/) const {
    float* const found = team.template scratch<float>();
    team.for_each(slots, [&](index_t slot) {
      float failure = 0;
      for (index_t i = slot; i < words; i += slots) failure = failed[i] == 0 ? failure : 1.0F;
      found[slot] = failure;
    });
    const float failures = team.max(slots, [&](index_t slot) { return found[slot]; });
    team.once([&] {
      if (failures > 0.0F) *any = 1;
    });
  }
};

}  // namespace kernels

void adam_update(device::Context& context, const Adam& adam, const Update& update) {
  const auto run = [&]<Decay decay> {
    device::for_each_row(
        context, std::ssize(update.pieces),
        kernels::AdamPieces<decay>{adam, update.pieces.data(), update.base, update.scalars, update.failed});
  };
  adam.decay == Decay::l2 ? run.operator()<Decay::l2>() : run.operator()<Decay::decoupled>();
}

void sgd_update(device::Context& context, const Sgd& sgd, const Update& update) {
  device::for_each_row(
      context, std::ssize(update.pieces),
      kernels::SgdPieces{sgd, update.pieces.data(), update.base, update.scalars, update.failed});
}

void note_failures(device::Context& context, Span<const std::uint8_t> failed, std::int64_t* any) {
  SY_EXPECTS(failed.size() % sizeof(std::uint64_t) == 0, "{} marks of failures; a multiple of {}",
             failed.size(), sizeof(std::uint64_t));
  device::for_each_row(
      context, 1,
      kernels::NoteFailures{reinterpret_cast<const std::uint64_t*>(failed.data()),
                            std::ssize(failed) / static_cast<index_t>(sizeof(std::uint64_t)), any});
}

}  // namespace switchyard::ops
