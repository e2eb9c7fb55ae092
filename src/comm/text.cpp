#include "comm/text.hpp"

namespace switchyard::comm {

void broadcast(Communicator& communicator, std::string& text, GroupRank root) {
  auto size = static_cast<std::int64_t>(text.size());
  communicator.broadcast(std::span<std::int64_t>(&size, 1), root);
  text.resize(static_cast<std::size_t>(size));
  communicator.broadcast(std::span<char>(text), root);
}

}  // namespace switchyard::comm
