// A checkpoint behind a digest that is right: what stands behind the first 512 bytes, read as every command
// does.
#include "checkpoint/detail/file_reader.hpp"
#include "checkpoint/detail/user_block.hpp"
#include "fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace detail = switchyard::checkpoint::detail;
  const auto file = switchyard::fuzz::write(
      "checkpoint", std::string(detail::user_block_bytes, '\0').append(switchyard::fuzz::text_of(data, size)));
  try {
    detail::seal(file);
    detail::verify_bytes(file);
    const detail::FileReader reader(file);
    for (const detail::Entry& entry : reader.entries()) {
      static_cast<void>(reader.computed_crc32(entry));
      if (entry.kind == detail::Entry::Kind::text) static_cast<void>(reader.read_text(entry));
      if (entry.kind == detail::Entry::Kind::header_value &&
          entry.dtype == switchyard::checkpoint::DType::int64)
        static_cast<void>(reader.read_number<std::int64_t>(entry));
      static_cast<void>(reader.stored_crc32(entry));
    }
  } catch (const detail::Failure&) {
  }
  return 0;
}
