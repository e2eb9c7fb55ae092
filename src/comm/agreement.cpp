#include "comm/agreement.hpp"

#include <fmt/format.h>

#include <exception>
#include <new>
#include <optional>
#include <string>

#include "base/host_name.hpp"

namespace switchyard::comm {
namespace {

struct Failure {
  ErrorKind kind;
  std::string message;
};

// An MpiError goes through: this rank cannot talk to the others, and they wait for what it did not send. It
// ends all.
std::optional<Failure> run(const std::function<void()>& action) {
  try {
    action();
    return std::nullopt;
  } catch (const MpiError&) {
    throw;
  } catch (const Error& error) {
    return Failure{error.kind(), error.what()};
  } catch (const std::bad_alloc&) {
    return Failure{ErrorKind::out_of_memory, "out of host memory; use more ranks or a smaller batch"};
  } catch (const std::exception& error) {
    return Failure{ErrorKind::contract, std::string("an unexpected failure: ") + error.what()};
  } catch (...) {
    // Not let through: this rank would leave and the others would wait for it.
    return Failure{ErrorKind::contract, "an unexpected failure of unknown type"};
  }
}

}  // namespace

bool on_any_rank(Communicator& communicator, bool mine) {
  std::int64_t any = mine ? 1 : 0;
  communicator.all_reduce_max({&any, 1});
  return any != 0;
}

void agree(Communicator& communicator, const std::function<void()>& action) {
  const std::optional<Failure> mine = run(action);
  // The lowest rank that failed gives the largest value; 0 if none did. One word, so that success is cheap.
  const int size = communicator.size();
  std::int64_t lowest_failed = mine ? size - communicator.rank().value : 0;
  communicator.all_reduce_max({&lowest_failed, 1});
  if (lowest_failed == 0) return;

  const GroupRank source(size - static_cast<int>(lowest_failed));
  struct Header {
    std::int64_t kind;
    std::int64_t message_bytes;
  } header{};
  std::string message;
  if (communicator.rank() == source) {
    // The root speaks for all, under its own name.
    message = source.value == 0 ? mine->message
                                : fmt::format("rank {} on {}: {}", source.value, host_name(), mine->message);
    header = {static_cast<std::int64_t>(mine->kind), static_cast<std::int64_t>(message.size())};
  }
  communicator.broadcast(Span<Header>(&header, 1), source);
  message.resize(as_size(header.message_bytes));
  communicator.broadcast(Span<char>(message), source);
  throw_agreed(static_cast<ErrorKind>(header.kind), message);
}

}  // namespace switchyard::comm
