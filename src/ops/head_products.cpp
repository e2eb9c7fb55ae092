#include "ops/head_products.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/counted.hpp"
#include "ops/kernels/head_product.hpp"

namespace switchyard::ops {

void head_products(device::Context& context, const HeadProduct& p, index_t count) {
  const bool plain_a = p.transpose_a == Transpose::no, plain_b = p.transpose_b == Transpose::no;
  const index_t terms = plain_a ? p.a.cols : p.a.rows;
  SY_EXPECTS((plain_a ? p.a.rows : p.a.cols) == p.c.rows && (plain_b ? p.b.cols : p.b.rows) == p.c.cols &&
                 (plain_b ? p.b.rows : p.b.cols) == terms,
             "a product of heads {} x {} by {} x {} to {} x {}", p.a.rows, p.a.cols, p.b.rows, p.b.cols,
             p.c.rows, p.c.cols);
  SY_EXPECTS((p.causal == Causal::seeing_terms) == (p.causal != Causal::whole && !plain_a),
             "a causal product of {} rows, of the transpose or not", p.c.rows);
  if (p.c.rows == 0 || p.c.cols == 0) return;
  add_multiply_adds(count * p.c.rows * p.c.cols * terms);
  const kernels::HeadProductBlock kernel{.of = p, .terms = terms};
  device::for_each_row(context, count * kernel.row_blocks * kernel.column_blocks, kernel);
}

}  // namespace switchyard::ops
