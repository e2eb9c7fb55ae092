// At the shapes of our models a row of a float32 product does not depend on the other rows of the call or on
// its place among them, and an output block equals the same block of the whole product. oneDNN does not promise
// this (it fails for fewer than 16 rows, and at some sizes above 1,000): a new version that breaks it is to be
// noticed here.
#include "conformance/ops/executors.hpp"
#include "ops/matmul.hpp"

namespace switchyard::ops {
namespace {

struct Product {
  index_t m, n, k;
  Transpose transpose_a = Transpose::no;
  Transpose transpose_b = Transpose::no;
  Epilogue epilogue = Epilogue::none;
};

// The products of our models: gate and expert layers forward, their data gradients (B transposed) and their
// weight gradients (A transposed), for batches of 512.
const Product products[] = {
    {512, 512, 1352, Transpose::no, Transpose::no, Epilogue::bias_relu},
    {512, 1352, 512, Transpose::no, Transpose::yes},
    {512, 64, 169, Transpose::no, Transpose::no, Epilogue::bias_relu},
    {512, 169, 64, Transpose::no, Transpose::yes},
    {512, 10, 64, Transpose::no, Transpose::no, Epilogue::bias},
    {512, 64, 10, Transpose::no, Transpose::yes},
    {512, 5, 512, Transpose::no, Transpose::no, Epilogue::bias},
    {512, 512, 5, Transpose::no, Transpose::yes},
    {256, 32, 32, Transpose::no, Transpose::no, Epilogue::bias_relu},
    {256, 32, 2, Transpose::no, Transpose::no, Epilogue::bias_relu},
    {1352, 512, 512, Transpose::yes, Transpose::no},
    {169, 64, 512, Transpose::yes, Transpose::no},
    {169, 64, 64, Transpose::yes, Transpose::no},
    {64, 169, 255, Transpose::yes, Transpose::no},
    {169, 64, 256, Transpose::yes, Transpose::no},
    {512, 5, 512, Transpose::yes, Transpose::no},
};

struct Operands {
  explicit Operands(const Product& p)
      : product(p),
        a(random_values(p.m * p.k, 1)),
        b(random_values(p.k * p.n, 2)),
        bias(random_values(p.n, 3)) {}

  // C[rows first_row.., cols first_col..] of the whole product, computed alone.
  // The operands begin at places a_start and b_start of their arrays.
  std::vector<float> block(index_t first_row, index_t rows, index_t first_col, index_t cols,
                           index_t a_start = 0, index_t b_start = 0) const {
    const index_t lda = product.transpose_a == Transpose::no ? product.k : product.m;
    const index_t ldb = product.transpose_b == Transpose::no ? product.n : product.k;
    const float* const a_block =
        a.data() + a_start + first_row * (product.transpose_a == Transpose::no ? lda : 1);
    const float* const b_block =
        b.data() + b_start + first_col * (product.transpose_b == Transpose::no ? 1 : ldb);
    std::vector<float> c(static_cast<std::size_t>(rows * cols));
    matmul({rows, cols, product.k, lda, ldb, cols, product.transpose_a, product.transpose_b, false,
            product.epilogue},
           a_block, b_block, c.data(), product.epilogue == Epilogue::none ? nullptr : bias.data() + first_col);
    return c;
  }

  Product product;
  std::vector<float> a, b, bias;
};

std::vector<float> cut(const std::vector<float>& whole, index_t width, index_t first_row, index_t rows,
                       index_t first_col, index_t cols) {
  std::vector<float> block;
  for (index_t r = first_row; r < first_row + rows; ++r)
    for (index_t c = first_col; c < first_col + cols; ++c)
      block.push_back(whole[static_cast<std::size_t>(r * width + c)]);
  return block;
}

std::string describe(const Product& p) {
  return std::to_string(p.m) + " x " + std::to_string(p.n) + " x " + std::to_string(p.k) +
         (p.transpose_a == Transpose::yes ? " A transposed" : "") +
         (p.transpose_b == Transpose::yes ? " B transposed" : "");
}

TEST(MatmulRows, do_not_depend_on_the_other_rows) {
  for (const Product& product : products) {
    const Operands operands(product);
    const std::vector<float> whole = operands.block(0, product.m, 0, product.n);
    for (const index_t rows : {64, 128, 27, 16, 63}) {
      for (const index_t first : {index_t{0}, index_t{64}, index_t{37}}) {
        if (first + rows > product.m) continue;
        EXPECT_TRUE(same_bits(operands.block(first, rows, 0, product.n),
                              cut(whole, product.n, first, rows, 0, product.n)))
            << describe(product) << ", rows " << first << " to " << first + rows;
      }
    }
  }
}

TEST(MatmulRows, have_the_same_bits_in_an_output_block) {
  for (const Product& product : products) {
    const Operands operands(product);
    const std::vector<float> whole = operands.block(0, product.m, 0, product.n);
    for (const index_t cols : {64, 128, 27, 256}) {
      for (const index_t first : {index_t{0}, index_t{64}}) {
        if (first + cols > product.n) continue;
        EXPECT_TRUE(same_bits(operands.block(0, product.m, first, cols),
                              cut(whole, product.n, 0, product.m, first, cols)))
            << describe(product) << ", columns " << first << " to " << first + cols;
      }
    }
  }
}

TEST(MatmulRows, do_not_depend_on_where_the_operands_lie) {
  for (const Product& product : products) {
    Operands operands(product);
    const std::vector<float> whole = operands.block(0, product.m, 0, product.n);
    operands.a.insert(operands.a.begin(), 0.0F);  // 4 bytes further
    operands.b.insert(operands.b.begin(), 3, 0.0F);
    EXPECT_TRUE(same_bits(operands.block(0, product.m, 0, product.n, 1, 3), whole)) << describe(product);
  }
}

}  // namespace
}  // namespace switchyard::ops
