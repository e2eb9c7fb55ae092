// A random batch of the mixture, as the op and as the reference see it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "conformance/ops/executors.hpp"
#include "ops/moe/gating.hpp"
#include "ops/moe/mixture.hpp"
#include "support/row_places.hpp"

namespace switchyard::ops {

struct MixtureData {
  index_t samples, experts, slots, classes;
  std::vector<float> gate_logits;
  std::vector<std::int32_t> chosen;   // [N, K]
  std::vector<float> log_probs;       // [N, K, C]
  test::RowPlaces<const float> rows;  // into log_probs, in an order that is not that of memory
  std::vector<std::int32_t> labels;

  MixtureData(index_t samples_in, index_t experts_in, index_t slots_in, index_t classes_in, unsigned seed)
      : samples(samples_in),
        experts(experts_in),
        slots(slots_in),
        classes(classes_in),
        gate_logits(random_values(samples * experts, seed, 2.0F)),
        log_probs(static_cast<std::size_t>(samples * slots * classes)) {
    const std::vector<float> logits = random_values(samples * slots * classes, seed + 1, 2.0F);
    const reference::Array y = reference::log_softmax(to_array({logits.data(), samples * slots, classes}));
    std::transform(y.values.begin(), y.values.end(), log_probs.begin(),
                   [](double v) { return static_cast<float>(v); });
    std::mt19937 generator(seed + 2);
    std::vector<std::int32_t> all(static_cast<std::size_t>(experts));
    for (std::size_t e = 0; e < all.size(); ++e) all[e] = static_cast<std::int32_t>(e);
    for (index_t n = 0; n < samples; ++n) {
      if (slots < experts) std::shuffle(all.begin(), all.end(), generator);
      chosen.insert(chosen.end(), all.begin(), all.begin() + slots);
      labels.push_back(static_cast<std::int32_t>(generator() % static_cast<unsigned>(classes)));
    }
    for (index_t i = 0; i < samples * slots; ++i)
      rows.push_back(log_probs.data() + (samples * slots - 1 - i) * classes);
  }
  MixtureData(const MixtureData&) = delete;
  MixtureData& operator=(const MixtureData&) = delete;

  MixtureBatch batch() const {
    return {.samples = samples,
            .slots = slots,
            .log_probs = rows.view(classes),
            .labels = labels.data(),
            .classes = classes};
  }
  reference::MixtureCase reference_case() const {
    reference::MixtureCase c{to_array({gate_logits.data(), samples, experts}), {}, {}, {}};
    for (index_t n = 0; n < samples; ++n) {
      c.experts.emplace_back(chosen.begin() + n * slots, chosen.begin() + (n + 1) * slots);
      reference::Array y(static_cast<std::size_t>(slots), static_cast<std::size_t>(classes));
      for (index_t i = 0; i < slots; ++i)
        for (index_t k = 0; k < classes; ++k)
          y(static_cast<std::size_t>(i), static_cast<std::size_t>(k)) =
              static_cast<double>(rows[static_cast<std::size_t>(n * slots + i)][k]);
      c.log_probs.push_back(y);
      c.labels.push_back(labels[static_cast<std::size_t>(n)]);
    }
    return c;
  }
};

// Everything that the mixture's ops write.
struct MixtureRun {
  std::vector<float> weights, log_weights, losses, posteriors, probabilities, d_log_probs, d_logits;
  std::vector<std::int32_t> predicted;
  std::vector<double> entropies;

  MixtureRun(device::Context& context, const MixtureData& data, float scale,
             const std::vector<double>& importance)
      : weights(size(data.samples * data.slots)),
        log_weights(weights.size()),
        losses(size(data.samples)),
        posteriors(weights.size()),
        probabilities(size(data.samples * data.classes)),
        d_log_probs(weights.size() * size(data.classes), -1.0F),
        d_logits(size(data.samples * data.experts), -1.0F),
        predicted(losses.size()),
        entropies(losses.size()) {
    const tensor::Matrix w(weights.data(), data.samples, data.slots),
        h(posteriors.data(), data.samples, data.slots);
    const tensor::Matrix log_w(log_weights.data(), data.samples, data.slots);
    gate_weights(context, {data.gate_logits.data(), data.samples, data.experts}, data.chosen.data(),
                 {w, log_w, data.slots == 1 ? std::span(entropies) : std::span<double>()});
    mixture_forward(context, data.batch(), log_w,
                    {losses, h, predicted, {probabilities.data(), data.samples, data.classes}});
    test::RowPlaces<float> d_rows;
    for (index_t i = 0; i < data.samples * data.slots; ++i)
      d_rows.push_back(d_log_probs.data() + i * data.classes);
    std::vector<float> d_log_weights(weights.size());
    const tensor::Matrix d_log_w(d_log_weights.data(), data.samples, data.slots);
    mixture_backward(context, data.batch(), {h, h}, scale, {d_rows.view(data.classes), d_log_w});
    gate_backward(context,
                  {.scores = {data.gate_logits.data(), data.samples, data.experts},
                   .experts = data.chosen.data(),
                   .weights = w,
                   .log_weights = log_w,
                   .d_slots = d_log_w,
                   .importance = importance},
                  {d_logits.data(), data.samples, data.experts});
    if (data.slots > 1) entropy_rows(context, w, entropies);
  }

 private:
  static std::size_t size(index_t count) { return static_cast<std::size_t>(count); }
};

}  // namespace switchyard::ops
