#include "comm/text.hpp"

namespace switchyard::comm {

void broadcast(Communicator& communicator, std::string& text, GroupRank root) {
  auto size = static_cast<std::int64_t>(text.size());
  communicator.broadcast(Span<std::int64_t>(&size, 1), root);
  text.resize(as_size(size));
  communicator.broadcast(Span<char>(text), root);
}

}  // namespace switchyard::comm
