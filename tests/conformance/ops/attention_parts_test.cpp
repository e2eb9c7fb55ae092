// Frozen experts want no gradient of their hidden vectors, and a frozen gate none of its queries.
#include "conformance/ops/executors.hpp"
#include "ops/moe/attention.hpp"
#include "support/row_places.hpp"

namespace switchyard::ops {
namespace {

TEST(AttentionGradient, of_the_queries_is_the_same_without_that_of_hidden_vectors) {
  for (const auto& [samples, experts, width] :
       {std::array<index_t, 3>{5, 4, 7}, {3, 1, 33}, {2, 33, 64}, {0, 2, 3}}) {
    const std::vector<float> u = random_values(samples * width, 1);
    const std::vector<float> d_scores = random_values(samples * experts, 2);
    const std::vector<float> hidden = random_values(samples * experts * width, 3);
    std::vector<float> d_hidden(hidden.size());
    test::RowPlaces<const float> rows;
    test::RowPlaces<float> d_rows;
    for (index_t i = 0; i < samples * experts; ++i) {
      rows.push_back(hidden.data() + i * width);
      d_rows.push_back(d_hidden.data() + i * width);
    }
    const auto of_queries = [&](device::Context& context, tensor::RowTarget wanted) {
      std::vector<float> d_u(u.size(), -7.0F);
      attention_backward(context, {{u.data(), samples, width}, rows.view(width), experts},
                         {d_scores.data(), samples, experts}, {{d_u.data(), samples, width}, wanted});
      return d_u;
    };
    device::Context serial(1);
    const std::vector<float> expected = of_queries(serial, d_rows.view(width));
    const auto without = [&](device::Context& context) { return of_queries(context, {}); };
    EXPECT_EQ(on_every_executor("without hidden vectors", without), expected);
  }
}

TEST(AttentionGradient, of_hidden_vectors_is_the_same_without_that_of_the_queries) {
  constexpr index_t samples = 5;
  constexpr index_t experts = 3;
  constexpr index_t width = 33;
  const std::vector<float> u = random_values(samples * width, 1);
  const std::vector<float> d_scores = random_values(samples * experts, 2);
  const std::vector<float> hidden = random_values(samples * experts * width, 3);
  test::RowPlaces<const float> rows;
  for (index_t i = 0; i < samples * experts; ++i) rows.push_back(hidden.data() + i * width);
  const auto of_hidden = [&](device::Context& context, tensor::Matrix d_u) {
    std::vector<float> d_hidden(hidden.size(), -7.0F);
    test::RowPlaces<float> d_rows;
    for (index_t i = 0; i < samples * experts; ++i) d_rows.push_back(d_hidden.data() + i * width);
    attention_backward(context, {{u.data(), samples, width}, rows.view(width), experts},
                       {d_scores.data(), samples, experts}, {d_u, d_rows.view(width)});
    return d_hidden;
  };
  std::vector<float> d_u(u.size());
  device::Context serial(1);
  const std::vector<float> expected = of_hidden(serial, {d_u.data(), samples, width});
  EXPECT_EQ(on_every_executor("without queries", [&](device::Context& c) { return of_hidden(c, {}); }),
            expected);
}

}  // namespace
}  // namespace switchyard::ops
