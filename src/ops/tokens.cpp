#include "ops/tokens.hpp"

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

void sort_by_token(device::Context& context, TileView tiles, const TokenOrder& of) {
  SY_EXPECTS(of.order.size() == of.tokens.size() && std::ssize(of.begin) == tiles.count * (of.vocabulary + 1),
             "{} places for {} tokens, {} beginnings of {} tiles", of.order.size(), of.tokens.size(),
             of.begin.size(), tiles.count);
  device::for_each_row(
      context, tiles.count,
      kernels::SortByToken{tiles, of.tokens.data(), of.vocabulary, of.begin.data(), of.order.data()});
}

void add_rows_by_token(device::Context& context, TileView tiles, const TokenOrder& of, tensor::ConstMatrix d_x,
                       const TokenTables& tables) {
  SY_EXPECTS(std::ssize(of.order) == d_x.rows, "{} rows, {} in order", d_x.rows, of.order.size());
  device::for_each_row(
      context, tiles.count * of.vocabulary,
      kernels::AddRowsByToken{tiles, of.vocabulary, of.begin.data(), of.order.data(), d_x, tables});
}

}  // namespace switchyard::ops
