#include "nn/heads_at_once.hpp"

#include <algorithm>

#include "tensor/tensor.hpp"

namespace switchyard::nn {
namespace {

using ops::Causal;
using ops::HeadMatrices;
using ops::Transpose;

// Of probabilities, and as many of their gradients. Reading them takes 0.1 ms, some twenty times what a launch
// does.
constexpr index_t most_bytes = index_t{256} << 20;

}  // namespace

HeadMatrices HeadsAtOnce::heads_of(tensor::Matrix all, index_t column, index_t rows, const Part& part) const {
  return {.data = all.data + column,
          .rows = rows,
          .cols = head_width(),
          .stride = all.stride,
          .heads = shape_.heads,
          .head_apart = head_width(),
          .sequence_apart = rows * all.stride,
          .first = part.first};
}

HeadMatrices HeadsAtOnce::room(const Part& part) const {
  const index_t window = shape_.window;
  return {.data = pass_.workspace().allocate<float>(part.count * part.rows * window).data(),
          .rows = part.rows,
          .cols = window,
          .stride = window,
          .sequence_apart = part.rows * window};
}

tensor::Matrix HeadsAtOnce::rows_of(const HeadMatrices& room, const Part& part) const {
  return {room.data, part.count * part.rows, room.cols};
}

void HeadsAtOnce::for_each_part(const auto& body) const {
  const index_t window = shape_.window;
  const index_t heads = pass_.tiles().local_rows() / window * shape_.heads;
  const index_t at_once = std::max<index_t>(most_bytes / (window * window * size_of<float>), 1);
  for (index_t first = 0; first < heads; first += at_once) {
    Part part{first, std::min(at_once, heads - first), window, {}};
    part.mask.rows = window;
    part.mask.heads = shape_.heads;
    part.mask.first_head = first;
    if (!shape_.across_documents) part.mask.first = pass_.batch.document_begin;
    const device::Workspace::Mark before = pass_.workspace().mark();
    body(part);
    pass_.workspace().release(before);
  }
}

void HeadsAtOnce::probabilities(const Part& part, const HeadMatrices& q, const HeadMatrices& k,
                                const HeadMatrices& p) const {
  ops::head_products(pass_.context,
                     {.a = q,
                      .transpose_b = Transpose::yes,
                      .b = k,
                      .c = p,
                      .causal = Causal::seen_columns,
                      .places = part.mask.places},
                     part.count);
  ops::causal_softmax(pass_.context, part.mask, shape_.scale, rows_of(p, part));
}

void HeadsAtOnce::forward(tensor::Matrix qkv, tensor::Matrix seen) const {
  const index_t width = shape_.width;
  for_each_part([&](const Part& part) {
    const auto of = [&](tensor::Matrix all, index_t column) { return heads_of(all, column, part.rows, part); };
    const HeadMatrices p = room(part);
    probabilities(part, of(qkv, 0), of(qkv, width), p);
    ops::head_products(pass_.context,
                       {.a = p, .b = of(qkv, 2 * width), .c = of(seen, 0), .causal = Causal::seen_terms},
                       part.count);
  });
}

void HeadsAtOnce::forward_behind(tensor::Matrix qkv, tensor::Matrix kept, const ops::CausalMask& mask,
                                 tensor::Matrix seen) const {
  Part part{0, shape_.heads, qkv.rows, mask};
  part.mask.rows = qkv.rows;
  part.mask.heads = shape_.heads;
  const HeadMatrices p = room(part);
  probabilities(part, heads_of(qkv, 0, qkv.rows, part), heads_of(kept, 0, kept.rows, part), p);
  ops::head_products(pass_.context,
                     {.a = p,
                      .b = heads_of(kept, shape_.width, kept.rows, part),
                      .c = heads_of(seen, 0, seen.rows, part),
                      .causal = Causal::seen_terms,
                      .places = mask.places},
                     part.count);
}

void HeadsAtOnce::backward(tensor::Matrix qkv, tensor::Matrix d_seen, tensor::Matrix d_qkv) const {
  const index_t width = shape_.width;
  for_each_part([&](const Part& part) {
    const auto of = [&](tensor::Matrix all, index_t column) { return heads_of(all, column, part.rows, part); };
    const auto multiply = [&](const ops::HeadProduct& product) {
      ops::head_products(pass_.context, product, part.count);
    };
    const HeadMatrices p = room(part), d_p = room(part), d_o = of(d_seen, 0);
    const HeadMatrices q = of(qkv, 0), k = of(qkv, width), v = of(qkv, 2 * width);
    probabilities(part, q, k, p);
    multiply({.transpose_a = Transpose::yes,
              .a = p,
              .b = d_o,
              .c = of(d_qkv, 2 * width),
              .causal = Causal::seeing_terms});
    multiply({.a = d_o, .transpose_b = Transpose::yes, .b = v, .c = d_p, .causal = Causal::seen_columns});
    ops::causal_softmax_backward(pass_.context, part.mask, rows_of(p, part), shape_.scale, rows_of(d_p, part));
    multiply({.a = d_p, .b = k, .c = of(d_qkv, 0), .causal = Causal::seen_terms});
    multiply({.transpose_a = Transpose::yes,
              .a = d_p,
              .b = q,
              .c = of(d_qkv, width),
              .causal = Causal::seeing_terms});
  });
}

}  // namespace switchyard::nn
