// Gates of which one expert answers: by certainty, and by predicted losses.
#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "conformance/ops/mixture_case.hpp"
#include "support/row_places.hpp"

namespace switchyard::ops {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

std::vector<float> choices(const std::vector<float>& values, index_t samples, index_t slots) {
  return on_every_executor("choose_one", [&](device::Context& context) {
    const PaddedMatrix in(values, samples, slots, 3), out(samples, slots, 1);
    choose_one(context, in.view(), out.view());
    EXPECT_TRUE(out.padding_is_untouched());
    std::vector<float> dense;
    for (index_t n = 0; n < samples; ++n)
      dense.insert(dense.end(), out.view().row(n), out.view().row(n) + slots);
    return dense;
  });
}

TEST(ChooseOne, gives_all_weight_to_the_first_largest_value) {
  for (const index_t slots : edge_sizes) {
    if (slots == 0) continue;
    for (const index_t samples : {0, 1, 5}) {
      std::vector<float> values = random_values(samples * slots, 1);
      for (float& v : values) v = std::round(v);  // many ties
      const std::vector<float> got = choices(values, samples, slots);
      for (index_t n = 0; n < samples; ++n) {
        const auto row = values.begin() + n * slots;
        const index_t best = std::max_element(row, row + slots) - row;
        for (index_t i = 0; i < slots; ++i)
          EXPECT_EQ(got[as_size(n * slots + i)], i == best ? 0.0F : -infinity) << n << ", " << i;
      }
    }
  }
}

TEST(ChooseOne, takes_values_that_are_infinite) {
  EXPECT_EQ(choices({-infinity, -3e38F, -infinity}, 1, 3), (std::vector<float>{-infinity, 0, -infinity}));
  EXPECT_EQ(choices({1, infinity, infinity}, 1, 3), (std::vector<float>{-infinity, 0, -infinity}));
}

TEST(ChooseOne, refuses_weights_of_another_shape) {
  device::Context context(1);
  std::vector<float> values(6);
  EXPECT_THROW(choose_one(context, {values.data(), 2, 3}, {values.data(), 3, 2}), ContractViolation);
}

// Of rows of log-probabilities at the end of memory first.
std::vector<float> certainties_of(const std::vector<float>& log_probs, index_t samples, index_t slots,
                                  index_t classes) {
  return on_every_executor("certainties", [&](device::Context& context) {
    test::RowPlaces<const float> rows;
    for (index_t i = samples * slots; i-- > 0;) rows.push_back(log_probs.data() + i * classes);
    const PaddedMatrix out(samples, slots, 2);
    certainties(context, rows.view(classes), out.view());
    EXPECT_TRUE(out.padding_is_untouched());
    std::vector<float> dense;
    for (index_t n = samples; n-- > 0;) {
      for (index_t i = slots; i-- > 0;) dense.push_back(out.view()(n, i));
    }
    return dense;  // in the order of log_probs
  });
}

TEST(Certainties, are_minus_the_entropies_in_bits) {
  for (const index_t classes : edge_sizes) {
    if (classes == 0) continue;
    for (const auto& [samples, slots] : {std::pair<index_t, index_t>{0, 3}, {2, 1}, {2, 33}, {3, 5}}) {
      const std::vector<float> logits = random_values(samples * slots * classes, 4, 3.0F);
      const reference::Array y = reference::log_softmax(to_array({logits.data(), samples * slots, classes}));
      const std::vector<float> log_probs(y.values.begin(), y.values.end());
      const std::vector<float> got = certainties_of(log_probs, samples, slots, classes);
      for (std::size_t i = 0; i < got.size(); ++i) {
        double entropy = 0;
        for (std::size_t c = 0; c < y.cols; ++c) {
          const double log_p = static_cast<double>(log_probs[i * y.cols + c]);
          entropy -= std::exp(log_p) * log_p / std::log(2.0);
        }
        // Exponents near 10 that are good to 2^-24 of themselves, in a sum of terms below 0.54 bits each.
        ASSERT_NEAR(got[i], -entropy, 2e-6 * (1 + entropy)) << classes << " classes, row " << i;
      }
    }
  }
}

TEST(Certainties, of_distributions_with_known_entropies) {
  const float quarter = std::log(0.25F);
  EXPECT_NEAR(certainties_of({quarter, quarter, quarter, quarter}, 1, 1, 4)[0], -2.0, 1e-6);
  // 0 log 0 = 0, also for logarithms whose probability float32 cannot hold.
  EXPECT_EQ(certainties_of({0, -infinity, -infinity}, 1, 1, 3)[0], 0.0F);
  EXPECT_EQ(certainties_of({-200.0F, 0, -3e38F}, 1, 1, 3)[0], 0.0F);
  EXPECT_EQ(certainties_of({0}, 1, 1, 1)[0], 0.0F);
}

TEST(Certainties, refuse_distributions_over_nothing) {
  device::Context context(1);
  std::vector<float> values(4);
  const test::RowPlaces<const float> rows(3, values.data());
  EXPECT_THROW(certainties(context, rows.view(1), {values.data(), 2, 2}), ContractViolation);
}

struct Size {
  index_t samples, slots, classes;
};
const Size sizes[] = {{3, 5, 10}, {2, 1, 3}, {2, 33, 2}, {4, 32, 5}, {2, 31, 1}, {0, 4, 3}};

// Scores near the log-probabilities of the labels, some of them equal to them.
struct PredictedLosses {
  MixtureData data;
  std::vector<float> scores;

  explicit PredictedLosses(const Size& size)
      : data(size.samples, size.slots, size.slots, size.classes, 5),
        scores(random_values(size.samples * size.slots, 6)) {
    for (index_t i = 0; i < size.samples * size.slots; ++i) {
      const float log_prob = log_prob_of_label(i);
      scores[as_size(i)] = i % 3 == 0 ? log_prob : scores[as_size(i)] + log_prob;
    }
  }
  float log_prob_of_label(index_t i) const {
    return data.rows[as_size(i)][data.labels[as_size(i / data.slots)]];
  }
};

TEST(AnswerLosses, are_of_the_slot_with_the_largest_weight) {
  for (const Size& size : sizes) {
    const MixtureData data(size.samples, size.slots, size.slots, size.classes, 5);
    std::vector<float> log_weights = random_values(size.samples * size.slots, 7);
    for (std::size_t i = 1; i < log_weights.size(); i += 2) log_weights[i] = log_weights[i - 1];  // ties
    const std::vector<float> got = on_every_executor("answer_losses", [&](device::Context& context) {
      std::vector<float> losses(as_size(size.samples));
      answer_losses(context, data.batch(), {log_weights.data(), size.samples, size.slots}, losses);
      return losses;
    });
    for (index_t n = 0; n < size.samples; ++n) {
      const auto first = log_weights.begin() + n * size.slots;
      const index_t slot = std::max_element(first, first + size.slots) - first;
      EXPECT_EQ(got[as_size(n)], -data.rows[as_size(n * size.slots + slot)][data.labels[as_size(n)]])
          << "sample " << n;
    }
  }
}

TEST(PredictionErrors, are_added_to_the_losses) {
  for (const Size& size : sizes) {
    const PredictedLosses test(size);
    const PaddedMatrix scores(test.scores, size.samples, size.slots, 2);
    const std::vector<float> got = on_every_executor("add_prediction_errors", [&](device::Context& context) {
      std::vector<float> losses(as_size(size.samples), 0.5F);  // it adds to what is there
      add_prediction_errors(context, test.data.batch(), scores.view(), losses);
      return losses;
    });
    for (index_t n = 0; n < size.samples; ++n) {
      double expected = 0.5;
      for (index_t i = n * size.slots; i < (n + 1) * size.slots; ++i)
        expected += std::abs(static_cast<double>(test.scores[as_size(i)]) -
                             static_cast<double>(test.log_prob_of_label(i)));
      ASSERT_NEAR(got[as_size(n)], expected, 1e-6 * (1 + expected)) << size.slots << " slots, sample " << n;
    }
  }
}

TEST(PredictionErrors, send_a_step_of_fixed_size_towards_the_log_probability) {
  const float scale = 0.125F;
  for (const Size& size : sizes) {
    const PredictedLosses test(size);
    const PaddedMatrix scores(test.scores, size.samples, size.slots, 2);
    const std::vector<float> got =
        on_every_executor("prediction_error_backward", [&](device::Context& context) {
          const PaddedMatrix d_scores(size.samples, size.slots, 3);
          prediction_error_backward(context, test.data.batch(), scores.view(), scale, d_scores.view());
          EXPECT_TRUE(d_scores.padding_is_untouched());
          std::vector<float> dense;
          for (index_t n = 0; n < size.samples; ++n)
            dense.insert(dense.end(), d_scores.view().row(n), d_scores.view().row(n) + size.slots);
          return dense;
        });
    for (index_t i = 0; i < size.samples * size.slots; ++i) {
      const float score = test.scores[as_size(i)];
      const float log_prob = test.log_prob_of_label(i);
      EXPECT_EQ(got[as_size(i)], score > log_prob ? scale : score < log_prob ? -scale : 0.0F) << i;
    }
    if (size.samples > 0) {
      EXPECT_EQ(got[0], 0.0F) << "a right prediction has no gradient";
    }
  }
}

TEST(PredictionErrors, refuse_views_that_do_not_fit) {
  device::Context context(1);
  const PredictedLosses test({2, 3, 4});
  std::vector<float> values(6);
  std::vector<float> losses(2);
  const tensor::Matrix fits(values.data(), 2, 3);
  const tensor::Matrix turned(values.data(), 3, 2);
  const MixtureBatch batch = test.data.batch();
  EXPECT_THROW(add_prediction_errors(context, batch, turned, losses), ContractViolation);
  EXPECT_THROW(add_prediction_errors(context, batch, fits, std::span(losses).first(1)), ContractViolation);
  EXPECT_THROW(prediction_error_backward(context, batch, turned, 1, fits), ContractViolation);
  EXPECT_THROW(prediction_error_backward(context, batch, fits, 1, turned), ContractViolation);
}

// What the two have in common: weights of 0 and -infinity make the mixture the answer of one.
TEST(Mixture, of_a_choice_is_the_chosen_distribution) {
  for (const Size& size : sizes) {
    const MixtureData data(size.samples, size.slots, size.slots, size.classes, 7);
    const std::vector<float> scores = random_values(size.samples * size.slots, 8);
    const std::vector<float> got = on_every_executor("a choice", [&](device::Context& context) {
      std::vector<float> log_weights(scores.size()), posteriors(scores.size()), losses(as_size(size.samples));
      std::vector<std::int32_t> predicted(losses.size());
      const tensor::Matrix log_w(log_weights.data(), size.samples, size.slots);
      choose_one(context, {scores.data(), size.samples, size.slots}, log_w);
      mixture_forward(context, data.batch(), log_w,
                      {losses, {posteriors.data(), size.samples, size.slots}, predicted});
      losses.insert(losses.end(), posteriors.begin(), posteriors.end());
      losses.insert(losses.end(), predicted.begin(), predicted.end());
      return losses;
    });
    for (index_t n = 0; n < size.samples; ++n) {
      const auto row = scores.begin() + n * size.slots;
      const index_t best = std::max_element(row, row + size.slots) - row;
      const float* const y = data.rows[as_size(n * size.slots + best)];
      EXPECT_EQ(got[as_size(n)], -y[data.labels[as_size(n)]]);
      for (index_t i = 0; i < size.slots; ++i)
        EXPECT_EQ(got[as_size(size.samples + n * size.slots + i)], i == best ? 1.0F : 0.0F);
      EXPECT_EQ(got[as_size(size.samples * (1 + size.slots) + n)],
                static_cast<float>(std::max_element(y, y + size.classes) - y));
    }
  }
}

}  // namespace
}  // namespace switchyard::ops
