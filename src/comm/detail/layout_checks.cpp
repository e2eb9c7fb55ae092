#include "comm/detail/layout_checks.hpp"

#include <numeric>

#include "base/contract.hpp"

namespace switchyard::comm::detail {
namespace {

void require_layout(RowLayout layout, int size) {
  SY_EXPECTS(std::ssize(layout.rows) == size && std::ssize(layout.first_row) == size,
             "a layout of {} counts and {} offsets in a group of {} ranks", layout.rows.size(),
             layout.first_row.size(), size);
  for (std::size_t r = 0; r < layout.rows.size(); ++r) {
    SY_EXPECTS(layout.rows[r] >= 0 && layout.first_row[r] >= 0, "{} rows from row {} on, with rank {}",
               layout.rows[r], layout.first_row[r], r);
  }
}

}  // namespace

void require_exchange(Member member, RowLayout send, RowLayout recv, index_t row_bytes) {
  SY_EXPECTS(row_bytes >= 0, "rows of {} bytes", row_bytes);
  require_layout(send, member.size);
  require_layout(recv, member.size);
  SY_EXPECTS(send.rows[member.rank] == recv.rows[member.rank], "rank {} sends itself {} rows and receives {}",
             member.rank.value, send.rows[member.rank], recv.rows[member.rank]);
}

index_t require_gather(Member member, Span<const std::byte> mine, Span<const std::byte> all,
                       Span<const index_t> rows, index_t row_bytes) {
  SY_EXPECTS(std::ssize(rows) == member.size, "row counts of {} ranks in a group of {}", rows.size(),
             member.size);
  const index_t my_rows = rows[member.rank];
  const index_t all_rows = std::accumulate(rows.begin(), rows.end(), index_t{0});
  SY_EXPECTS(std::ssize(mine) == my_rows * row_bytes, "{} bytes for {} rows of {} bytes", mine.size(), my_rows,
             row_bytes);
  SY_EXPECTS(std::ssize(all) == all_rows * row_bytes, "{} bytes for {} rows of {} bytes from all ranks",
             all.size(), all_rows, row_bytes);
  return all_rows;
}

}  // namespace switchyard::comm::detail
