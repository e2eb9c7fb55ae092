// Counts of rows against counting, with tables that fit the scratch of a team and one that does not.
#include "ops/moe/counts.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "conformance/ops/executors.hpp"

namespace switchyard::ops {
namespace {

struct Rows {
  index_t count, experts, slots, classes, groups;
  std::vector<std::int32_t> labels, predicted, group, expert;
  std::vector<float> log_weights, outputs;
  std::vector<std::uint8_t> dropped;

  Rows(index_t rows, index_t experts_in, index_t slots_in, index_t classes_in)
      : count(rows),
        experts(experts_in),
        slots(slots_in),
        classes(classes_in),
        groups(3),
        log_weights(random_values(rows * slots_in, 1)),
        outputs(random_values(rows * slots_in * classes_in, 2)) {
    for (index_t n = 0; n < rows; ++n) {
      labels.push_back(static_cast<std::int32_t>(n * 7 % classes));
      predicted.push_back(static_cast<std::int32_t>(n * n % classes));
      group.push_back(static_cast<std::int32_t>(n % groups));
      for (index_t i = 0; i < slots; ++i) {
        expert.push_back(static_cast<std::int32_t>((n * 5 + i) % experts));
        dropped.push_back(n * i % 5 == 3 ? 1 : 0);
      }
    }
    // Ties: the lower slot, and the lower class.
    log_weights[1] = log_weights[0] = 9;
    outputs[0] = outputs[static_cast<std::size_t>(classes) - 1] = 9;
  }

  CountColumns columns() const {
    CountColumns all{.errors = 1, .loads = 4, .by_label = 4 + experts, .experts = experts};
    all.by_prediction = all.by_label + classes * experts;
    all.by_group = all.by_prediction + classes * experts;
    all.width = all.by_group + groups * experts;
    return all;
  }
  CountedRows view() const {
    return {.rows = count,
            .labels = labels.data(),
            .predicted = predicted.data(),
            .groups = group.data(),
            .slots = slots,
            .experts = expert.data(),
            .log_weights = {log_weights.data(), count, slots},
            .dropped = dropped.data(),
            .outputs = tensor::ConstMatrix(outputs.data(), count * slots, classes)};
  }

  void count_in(const CountColumns& of, std::vector<std::int64_t>& counts) const {
    const auto add = [&](index_t first, index_t place) { ++counts[as_size(first + place)]; };
    for (index_t n = 0; n < count; ++n) {
      if (predicted[as_size(n)] != labels[as_size(n)]) add(of.errors, 0);
      const auto first = log_weights.begin() + n * slots;
      const index_t slot = n * slots + (std::max_element(first, first + slots) - first);
      for (index_t i = 0; i < slots; ++i) add(of.loads, expert[as_size(n * slots + i)]);
      const index_t e = expert[as_size(slot)];
      const auto row = outputs.begin() + slot * classes;
      const index_t named =
          dropped[as_size(slot)] != 0 ? predicted[as_size(n)] : std::max_element(row, row + classes) - row;
      add(of.by_label, labels[as_size(n)] * experts + e);
      add(of.by_prediction, named * experts + e);
      add(of.by_group, group[as_size(n)] * experts + e);
    }
  }
};

TEST(Counts, are_those_of_the_rows) {
  struct Case {
    index_t rows, experts, slots, classes;
  };
  for (const auto& [rows, experts, slots, classes] :
       {Case{3, 2, 2, 2}, {100, 5, 3, 4}, {5000, 7, 2, 10}, {700, 200, 2, 50}}) {
    const Rows data(rows, experts, slots, classes);
    const CountColumns columns = data.columns();
    const std::vector<KnownCount> known = {{0, 1, rows}, {2, 2, 11}};
    const auto got = on_every_executor("add_counts", [&](device::Context& context) {
      std::vector<std::int64_t> counts(as_size(columns.width), 1000);
      add_counts(context, data.view(), columns, known, counts);
      return counts;
    });
    std::vector<std::int64_t> expected(as_size(columns.width), 1000);
    data.count_in(columns, expected);
    expected[0] += rows;
    expected[2] += 11;
    expected[3] += 11;
    EXPECT_EQ(got, expected) << rows << " rows";
  }
}

TEST(Counts, leave_out_what_no_column_asks_for) {
  const Rows data(50, 3, 1, 4);
  device::Context context(1);
  std::vector<std::int64_t> counts(2);
  add_counts(context, {.rows = 50, .labels = data.labels.data(), .predicted = data.predicted.data()},
             {.errors = 1, .width = 2}, {}, counts);
  EXPECT_EQ(counts[0], 0);
  std::int64_t errors = 0;
  for (std::size_t n = 0; n < 50; ++n) errors += data.labels[n] != data.predicted[n] ? 1 : 0;
  EXPECT_EQ(counts[1], errors);
  const std::vector<KnownCount> known = {{0, 2, 3}};
  add_counts(context, {}, {.width = 2}, known, counts);
  EXPECT_EQ(counts[0], 3);
  EXPECT_EQ(counts[1], errors + 3);
  EXPECT_THROW(add_counts(context, {}, {.width = 3}, known, counts), ContractViolation);
}

TEST(Counts, take_the_class_of_one_output_by_its_sign) {
  const std::vector<float> outputs = {0.5F, -0.5F, 0.0F};
  const std::vector<std::int32_t> experts(3), zeros(3);
  const std::vector<float> log_weights(3);
  device::Context context(1);
  std::vector<std::int64_t> counts(2);
  add_counts(context,
             {.rows = 3,
              .predicted = zeros.data(),
              .slots = 1,
              .experts = experts.data(),
              .log_weights = {log_weights.data(), 3, 1},
              .outputs = tensor::ConstMatrix(outputs.data(), 3, 1),
              .names = NamedClass::positive},
             {.by_prediction = 0, .experts = 1, .width = 2}, {}, counts);
  EXPECT_EQ(counts, (std::vector<std::int64_t>{2, 1}));
}

}  // namespace
}  // namespace switchyard::ops
