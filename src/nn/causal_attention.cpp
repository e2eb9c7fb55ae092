#include "nn/causal_attention.hpp"

#include <algorithm>
#include <cmath>

#include "base/contract.hpp"
#include "device/tile_runs.hpp"
#include "nn/past.hpp"
#include "ops/product.hpp"
#include "ops/rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {
namespace {

// To rows of so many times the width.
NetworkModuleOptions projection(const CausalAttentionOptions& options, std::string_view name, index_t times) {
  const LayerShape shape =
      product_shape(options.quantisation, name, options.width, times * options.width, times);
  return {options.name, {{shape}}, options.network, options.seed, Phase::attention};
}

void product(device::Context& context, ops::Transpose transpose_a, tensor::ConstMatrix a,
             ops::Transpose transpose_b, tensor::ConstMatrix b, tensor::Matrix c) {
  ops::matmul(context,
              {.m = c.rows,
               .n = c.cols,
               .k = a.cols,
               .lda = a.stride,
               .ldb = b.stride,
               .ldc = c.stride,
               .transpose_a = transpose_a,
               .transpose_b = transpose_b},
              a.data, b.data, c.data);
}

// c = a b^T: of every row of a with every row of b.
void products_of_rows(device::Context& context, tensor::ConstMatrix a, tensor::ConstMatrix b,
                      tensor::Matrix c) {
  product(context, ops::Transpose::no, a, ops::Transpose::yes, b, c);
}

// c = a b, or a^T b of a square a: sums over the tokens.
void along_tokens(device::Context& context, ops::Transpose transpose_a, tensor::ConstMatrix a,
                  tensor::ConstMatrix b, tensor::Matrix c) {
  product(context, transpose_a, a, ops::Transpose::no, b, c);
}

bool is_on_gpu(const Pass& pass) { return pass.context.device() == device::DeviceKind::cuda; }

}  // namespace

NetworkModuleOptions CausalAttentionOptions::queries_keys_values() const { return projection(*this, "qkv", 3); }

NetworkModuleOptions CausalAttentionOptions::out() const { return projection(*this, "out", 1); }

// Forward is two products of all rows of a window, those behind a row too; in training there are the
// probabilities again and four products for gradients. What the heads saw is kept, and the gradient of queries,
// keys and values.
Cost CausalAttentionOptions::cost() const {
  Cost cost = queries_keys_values().cost();
  cost += out().cost();
  cost.multiply_adds += 2 * window * width;
  cost.training_multiply_adds += 7 * window * width;
  cost.row_floats += static_cast<double>(4 * width);
  cost.thread_floats += static_cast<double>(3 * window * window);
  return cost;
}

CausalAttention::CausalAttention(const CausalAttentionOptions& options, comm::DataPlane& data_plane)
    : options_(options),
      positions_(ops::RotaryTable::make(options.window, options.width / options.heads, options.rotary_base,
                                        options.network.memory)),
      in_(options.queries_keys_values(), data_plane),
      out_(options.out(), data_plane) {
  SY_EXPECTS(options.width % options.heads == 0, "{} heads of {} numbers", options.heads, options.width);
}

float CausalAttention::scale() const {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_width())));
}

HeadsAtOnce CausalAttention::heads_at_once(const Pass& pass) const {
  return {pass, {options_.width, options_.heads, options_.window, scale(), options_.across_documents}};
}

CausalAttention::Head CausalAttention::head_of(const Pass& pass, index_t task, tensor::Matrix qkv,
                                               tensor::Matrix seen) const {
  const index_t row = task / options_.heads * options_.window;
  const index_t column = task % options_.heads * head_width();
  const auto part = [&](tensor::Matrix all, index_t first) {
    return tensor::Matrix(all.row(row) + first, options_.window, head_width(), all.stride);
  };
  ops::CausalMask mask;
  if (!options_.across_documents) mask.first = pass.batch.document_begin.subspan(row, options_.window);
  return {part(qkv, column), part(qkv, options_.width + column), part(qkv, 2 * options_.width + column),
          part(seen, column), mask};
}

void CausalAttention::for_each_head(const Pass& pass, index_t rooms, const auto& body) const {
  const index_t window = options_.window;
  const index_t tasks = pass.tiles().local_rows() / window * options_.heads;
  const index_t threads = std::min(tasks, device::tasks_at_once(pass.context));
  const tensor::Matrix room = tensor::allocate_matrix(pass.workspace(), threads * rooms * window, window);
  device::for_each_task(pass.context, threads, [&](index_t thread) {
    const tensor::Matrix own = room.rows_from(thread * rooms * window, rooms * window);
    for (index_t task = thread; task < tasks; task += threads) body(task, own);
  });
}

void CausalAttention::probabilities(const Pass& pass, const Head& head, tensor::Matrix p) const {
  products_of_rows(pass.context, head.q, head.k, p);
  ops::causal_softmax(pass.context, head.mask, scale(), p);
}

void CausalAttention::forward_head(const Pass& pass, const Head& head, tensor::Matrix p) const {
  probabilities(pass, head, p);
  along_tokens(pass.context, ops::Transpose::no, p, head.v, head.seen);
}

tensor::Matrix CausalAttention::see_past(const Pass& pass, tensor::Matrix qkv) const {
  Past& past = *pass.past;
  SY_EXPECTS(past.window() == options_.window, "a past of {} tokens, and a window of {}", past.window(),
             options_.window);
  const index_t width = options_.width;
  ops::CausalMask mask{.places = past.places()};
  if (!options_.across_documents) mask.first = pass.batch.document_begin;
  ops::rotate(pass.context, positions_, 2 * options_.heads, ops::Turn::forward, qkv, mask.places);
  const tensor::Matrix kept = past.keys_and_values(width);
  const index_t read = std::min(mask.places.count, qkv.rows);
  ops::gather_rows(pass.context, tensor::ConstMatrix(qkv.data + width, read, 2 * width, qkv.stride),
                   kept.rows_from(mask.places.first, read));
  const tensor::Matrix seen = tensor::allocate_matrix(pass.workspace(), qkv.rows, width);
  if (is_on_gpu(pass)) {
    heads_at_once(pass).forward_behind(qkv, kept, mask, seen);
    return seen;
  }
  const tensor::Matrix rooms =
      tensor::allocate_matrix(pass.workspace(), options_.heads * qkv.rows, options_.window);
  device::for_each_task(pass.context, options_.heads, [&](index_t head) {
    const index_t column = head * head_width();
    const auto part = [&](tensor::Matrix all, index_t first) {
      return tensor::Matrix(all.data + first, all.rows, head_width(), all.stride);
    };
    forward_head(pass,
                 {part(qkv, column), part(kept, column), part(kept, width + column), part(seen, column), mask},
                 rooms.rows_from(head * qkv.rows, qkv.rows));
  });
  return seen;
}

tensor::Matrix CausalAttention::forward(const Pass& pass, tensor::ConstMatrix x) {
  const tensor::Matrix qkv = in_.forward(pass, x);
  if (pass.past != nullptr) return out_.forward(pass, see_past(pass, qkv));
  pass.trace->push<Record>().qkv = qkv;
  ops::rotate(pass.context, positions_, 2 * options_.heads, ops::Turn::forward, qkv);
  const tensor::Matrix seen = tensor::allocate_matrix(pass.workspace(), x.rows, options_.width);
  if (is_on_gpu(pass)) {
    heads_at_once(pass).forward(qkv, seen);
  } else {
    for_each_head(pass, 1, [&](index_t task, tensor::Matrix room) {
      forward_head(pass, head_of(pass, task, qkv, seen), room);
    });
  }
  return out_.forward(pass, seen);
}

// dV = P^T dO, dP = dO V^T, dQ = dS K, dK = dS^T Q.
void CausalAttention::backward_head(const Pass& pass, const Head& head, const Head& d, tensor::Matrix p,
                                    tensor::Matrix d_p) const {
  probabilities(pass, head, p);
  along_tokens(pass.context, ops::Transpose::yes, p, d.seen, d.v);
  products_of_rows(pass.context, d.seen, head.v, d_p);
  ops::causal_softmax_backward(pass.context, head.mask, p, scale(), d_p);
  along_tokens(pass.context, ops::Transpose::no, d_p, head.k, d.q);
  along_tokens(pass.context, ops::Transpose::yes, d_p, head.q, d.k);
}

tensor::Matrix CausalAttention::backward(const Pass& pass, tensor::Matrix d_y, Wants wants) {
  const tensor::Matrix d_seen = out_.backward(pass, d_y, Wants::input_gradient);
  const tensor::Matrix qkv = pass.trace->pop<Record>().qkv;
  const tensor::Matrix d_qkv = tensor::allocate_matrix(pass.workspace(), qkv.rows, qkv.cols);
  if (is_on_gpu(pass)) {
    heads_at_once(pass).backward(qkv, d_seen, d_qkv);
  } else {
    for_each_head(pass, 2, [&](index_t task, tensor::Matrix rooms) {
      backward_head(pass, head_of(pass, task, qkv, {}), head_of(pass, task, d_qkv, d_seen),
                    rooms.rows_from(0, options_.window), rooms.rows_from(options_.window, options_.window));
    });
  }
  ops::rotate(pass.context, positions_, 2 * options_.heads, ops::Turn::backward, d_qkv);
  return in_.backward(pass, d_qkv, wants);
}

void CausalAttention::reduce_gradients(const Pass& pass) {
  in_.reduce_gradients(pass);
  out_.reduce_gradients(pass);
}

void CausalAttention::gather_updated_values(device::Context& context) {
  in_.gather_updated_values(context);
  out_.gather_updated_values(context);
}

void CausalAttention::values_changed(device::Context& context) {
  in_.values_changed(context);
  out_.values_changed(context);
}

void CausalAttention::add_norms(NormTable& table) {
  in_.add_norms(table);
  out_.add_norms(table);
}

void CausalAttention::add_slices(const NormTable& table, std::vector<ParameterSlice>& all) {
  in_.add_slices(table, all);
  out_.add_slices(table, all);
}

void CausalAttention::add_parameters(std::vector<NamedArray>& all) {
  in_.add_parameters(all);
  out_.add_parameters(all);
}

}  // namespace switchyard::nn
