#include "data/detail/documents.hpp"

#include <algorithm>

#include "base/hash.hpp"

namespace switchyard::data::detail {

index_t document_bytes(Span<const std::uint8_t> text) {
  const index_t most = std::min<index_t>(std::ssize(text), longest_document_bytes);
  for (index_t bytes = shortest_document_bytes; bytes < most; ++bytes) {
    if (text[bytes - 1] == '\n') return bytes;
  }
  return most;
}

Split split_of(Span<const std::uint8_t> document) {
  ContentHash hash;
  hash.add(std::as_bytes(document));
  const auto digest = hash.digest();
  const auto bits = std::to_integer<std::uint32_t>(digest[0]) << 8 | std::to_integer<std::uint32_t>(digest[1]);
  const std::uint32_t tenth = 10 * bits >> 16;
  if (tenth == 0) return Split::test;
  return tenth == 1 ? Split::validation : Split::train;
}

}  // namespace switchyard::data::detail
