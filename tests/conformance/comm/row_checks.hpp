// Rows that travel between ranks against what the interfaces say, element by element. A group is anything with
// rank(), size() and the two calls of rows: a communicator, or a data plane with the context that it moves rows
// of.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <numeric>
#include <span>
#include <vector>

#include "base/ids.hpp"
#include "comm/row_layout.hpp"

namespace switchyard::comm {

// A byte that tells apart where it comes from, where it goes and its place in the block.
inline std::byte payload(int from, int to, index_t place) {
  return static_cast<std::byte>((from * 31 + to * 7 + place * 3 + place / 251 + 1) & 0xff);
}

// Rank r gives counts(r) rows of three ints. `in_place`: its rows already lie in `all`.
void check_all_gather_rows(auto& group, const std::function<index_t(int)>& counts, bool in_place) {
  constexpr index_t width = 3;
  const int me = group.rank().value;
  std::vector<index_t> rows;
  for (int r = 0; r < group.size(); ++r) rows.push_back(counts(r));
  const auto value = [](int rank, index_t i) { return static_cast<int>(rank * 1000 + i); };
  std::vector<int> expected;
  index_t my_start = 0;
  for (int r = 0; r < group.size(); ++r) {
    if (r == me) my_start = std::ssize(expected);
    for (index_t i = 0; i < rows[as_size(r)] * width; ++i) expected.push_back(value(r, i));
  }
  const auto my_elements = static_cast<std::size_t>(rows[as_size(me)] * width);
  std::vector<int> all(expected.size(), -1);
  std::vector<int> apart(my_elements);
  const std::span<int> mine =
      in_place ? std::span(all).subspan(static_cast<std::size_t>(my_start), my_elements) : std::span(apart);
  for (index_t i = 0; i < std::ssize(mine); ++i) mine[static_cast<std::size_t>(i)] = value(me, i);
  group.template all_gather_rows<int>(mine, all, rows, width);
  EXPECT_EQ(all, expected);
}

void check_all_gather_rows(auto& group) {
  for (const bool in_place : {false, true}) {
    check_all_gather_rows(
        group, [](int) { return 2; }, in_place);
    check_all_gather_rows(
        group, [](int rank) { return rank; }, in_place);  // rank 0 has none
    check_all_gather_rows(
        group, [&](int rank) { return rank == group.size() - 1 ? 500 : 0; }, in_place);
    check_all_gather_rows(
        group, [](int) { return 0; }, in_place);
  }
}

struct Blocks {
  std::vector<index_t> rows, first_row;
  index_t end = 0;
  RowLayout layout() const { return {rows, first_row}; }
};

// Blocks with a gap of one row between them, the last rank's first: layouts need not be dense or in rank order.
template <class Rows>
Blocks spread(int ranks, const Rows& rows_with) {
  Blocks blocks{std::vector<index_t>(as_size(ranks)), std::vector<index_t>(as_size(ranks)), 0};
  for (int r = ranks - 1; r >= 0; --r) {
    blocks.rows[as_size(r)] = rows_with(r);
    blocks.first_row[as_size(r)] = blocks.end;
    blocks.end += blocks.rows[as_size(r)] + 1;
  }
  return blocks;
}

void check_all_to_all_rows(auto& group, const std::function<index_t(int from, int to)>& rows,
                           index_t row_bytes) {
  const int me = group.rank().value;
  const Blocks out = spread(group.size(), [&](int to) { return rows(me, to); });
  const Blocks in = spread(group.size(), [&](int from) { return rows(from, me); });
  std::vector<std::byte> send(static_cast<std::size_t>(out.end * row_bytes), std::byte{0xee});
  std::vector<std::byte> recv(static_cast<std::size_t>(in.end * row_bytes), std::byte{0xaa});
  std::vector<std::byte> expected = recv;  // the gaps must stay as they were
  for (int r = 0; r < group.size(); ++r) {
    std::byte* const block = send.data() + out.first_row[as_size(r)] * row_bytes;
    for (index_t i = 0; i < out.rows[as_size(r)] * row_bytes; ++i) block[i] = payload(me, r, i);
    std::byte* const wanted = expected.data() + in.first_row[as_size(r)] * row_bytes;
    for (index_t i = 0; i < in.rows[as_size(r)] * row_bytes; ++i) wanted[i] = payload(r, me, i);
  }
  group.template all_to_all_rows<std::byte>(send.data(), out.layout(), recv.data(), in.layout(), row_bytes);
  EXPECT_EQ(recv, expected) << "rank " << me << " of " << group.size() << ", rows of " << row_bytes << " bytes";
}

void check_rows_of_all_widths(auto& group) {
  for (const index_t row_bytes : {1, 2, 3, 4, 7, 16, 64, 100, 256, 1000, 4096, 5408}) {
    check_all_to_all_rows(
        group, [](int from, int to) { return 1 + (from * 5 + to * 3) % 7; }, row_bytes);
  }
}

void check_zero_rows_anywhere(auto& group) {
  check_all_to_all_rows(
      group, [](int, int) { return 0; }, 16);
  check_all_to_all_rows(
      group, [](int from, int to) { return from == to ? 9 : 0; }, 16);
  check_all_to_all_rows(
      group, [](int from, int to) { return from == to ? 0 : 9; }, 16);
  check_all_to_all_rows(
      group, [](int, int to) { return to == 0 ? 40 : 0; }, 16);  // all to one
  check_all_to_all_rows(
      group, [](int from, int) { return from == 0 ? 40 : 0; }, 16);  // one to all
  check_all_to_all_rows(
      group, [](int from, int) { return from % 2; }, 16);  // half have none to send
  check_all_to_all_rows(
      group, [](int, int) { return 5; }, 0);  // rows without content
}

void check_null_buffers(auto& group) {
  const std::vector<index_t> none(as_size(group.size()), 0);
  group.template all_to_all_rows<float>(nullptr, {none, none}, nullptr, {none, none}, 8);
}

// Only the block to oneself, sent from where it is received.
void check_block_in_place(auto& group) {
  const int me = group.rank().value;
  std::vector<index_t> rows(as_size(group.size()), 0);
  const std::vector<index_t> first_row(as_size(group.size()), 0);
  rows[as_size(me)] = 4;
  std::vector<int> data(4 * 8);
  std::iota(data.begin(), data.end(), me * 100);
  const std::vector<int> before = data;
  group.template all_to_all_rows<int>(data.data(), {rows, first_row}, data.data(), {rows, first_row}, 8);
  EXPECT_EQ(data, before);
}

}  // namespace switchyard::comm
