// Text that occurs more than once in a corpus.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/ids.hpp"

namespace switchyard::data::detail {

// Takes documents one after another and leaves of each what none before it held: nothing of a document that is
// one before it byte for byte, and of others all paragraphs but those of 40 bytes or more that occurred. A
// paragraph ends with the blank lines (of spaces, tabs and carriage returns) behind it; they do not count as
// its bytes, and go where it goes.
class Repeats {
 public:
  std::string first_occurrences_in(std::string_view document);

  index_t dropped_bytes() const { return dropped_bytes_; }

 private:
  using Digest = std::array<std::byte, 16>;
  struct FirstBytes {
    std::size_t operator()(const Digest& digest) const {
      std::size_t bits;
      std::memcpy(&bits, digest.data(), sizeof bits);
      return bits;
    }
  };
  using Seen = std::unordered_set<Digest, FirstBytes>;

  static bool add(Seen& seen, std::string_view text);  // whether it is new

  Seen documents_, paragraphs_;
  index_t dropped_bytes_ = 0;
};

}  // namespace switchyard::data::detail
