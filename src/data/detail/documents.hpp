// How text files become documents, and documents splits.
#pragma once

#include <cstdint>

#include "base/ids.hpp"
#include "base/span.hpp"
#include "data/dataset.hpp"

namespace switchyard::data::detail {

// Each file, or folder, of text is a domain.
inline constexpr index_t most_domains = 1024;
// A window and the byte behind it fit into the shortest document that is not a file's last.
inline constexpr index_t shortest_document_bytes = 4096;
inline constexpr index_t longest_document_bytes = 8192;

// How long the document is with which `text` begins: it ends behind the first line break that makes it long
// enough, or where it would become too long.
index_t document_bytes(Span<const std::uint8_t> text);

// By its bytes alone: a document that occurs again, in whichever file, is of the same split.
Split split_of(Span<const std::uint8_t> document);

}  // namespace switchyard::data::detail
