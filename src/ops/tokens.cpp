#include "ops/tokens.hpp"

#include <algorithm>

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/kernels/tokens.hpp"

namespace switchyard::ops {

void cross_entropy(device::Context& context, tensor::Matrix logits, Span<const std::int32_t> targets,
                   float scale, Span<float> losses, Span<std::int32_t> predicted) {
  SY_EXPECTS(std::ssize(targets) == logits.rows && std::ssize(losses) == logits.rows &&
                 std::ssize(predicted) == logits.rows,
             "{} targets, {} losses and {} predictions of {} rows", targets.size(), losses.size(),
             predicted.size(), logits.rows);
  device::for_each_row(context, logits.rows,
                       kernels::CrossEntropy{logits, targets.data(), scale, losses.data(), predicted.data()});
}

void sort_by_token(Span<const std::int32_t> tokens, Span<std::int32_t> begin, Span<std::int32_t> order) {
  SY_EXPECTS(order.size() == tokens.size(), "{} places for {} tokens", order.size(), tokens.size());
  std::ranges::fill(begin, 0);
  for (const std::int32_t token : tokens) ++begin[token];
  std::int32_t first = 0;
  for (std::int32_t& of_token : begin) {
    first += of_token;
    of_token = first;
  }
  // From the last to the first, each before those that were placed: ascending.
  for (auto row = std::ssize(tokens); row-- > 0;) order[--begin[tokens[row]]] = static_cast<std::int32_t>(row);
}

void add_rows_by_token(device::Context& context, tensor::ConstMatrix d_x, Span<const std::int32_t> begin,
                       Span<const std::int32_t> order, tensor::Matrix table) {
  SY_EXPECTS(std::ssize(begin) == table.rows + 1 && std::ssize(order) == d_x.rows && table.cols == d_x.cols,
             "{} x {} rows, {} in order, into {} x {}", d_x.rows, d_x.cols, order.size(), table.rows,
             table.cols);
  device::for_each_row(context, table.rows, kernels::AddRowsByToken{d_x, begin.data(), order.data(), table});
}

}  // namespace switchyard::ops
