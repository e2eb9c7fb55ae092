#include "run/shared_inputs.hpp"

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "base/host_name.hpp"
#include "comm/agreement.hpp"
#include "comm/handshake.hpp"
#include "files/regular_file.hpp"

namespace switchyard::run {
namespace {

// Empty if it cannot be read.
std::string content_of(const std::filesystem::path& path) {
  constexpr std::size_t most_bytes = 4096;
  return files::why_unreadable(path).empty() ? files::read_regular_file(path, most_bytes) : std::string();
}

bool comes_to_hold(const std::filesystem::path& path, const std::string& content) {
  using std::chrono::steady_clock;
  const auto end = steady_clock::now() + std::chrono::seconds(2);
  while (content_of(path) != content) {
    if (steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace

void expect_same_data(comm::Communicator& communicator, const data::Dataset& dataset) {
  const data::Identity& data = dataset.identity();
  const std::string advice =
      "(the ranks have read different data); give data.dir or data.file the same content on every host";
  const std::vector<comm::Compared> things = {
      {"the number of training samples", fmt::format("{}", data.training_samples), advice},
      {"the number of validation samples", fmt::format("{}", data.validation_samples), advice},
      {"the number of test samples", fmt::format("{}", data.test_samples), advice},
      {"the digest of the data", data.digest, advice},
      {"the digest of the samples' ids", dataset.ids_digest(), advice},
  };
  comm::expect_same(communicator, ErrorKind::data, things);
}

void expect_folder_seen(comm::Communicator& communicator, const std::filesystem::path& folder) {
  if (communicator.size() == 1) return;
  const std::filesystem::path lock = folder / "lock";  // says process and host of its holder
  std::string content, host;
  if (communicator.is_root()) {
    content = content_of(lock);
    host = host_name();
  }
  communicator.broadcast(content);
  communicator.broadcast(host);
  comm::agree(communicator, [&] {
    if (comes_to_hold(lock, content)) return;
    throw DataError(fmt::format(
        "the run folder '{}' that rank 0 on {} writes to is not seen here ({}); put it on storage that "
        "all hosts share, and start all ranks in one working folder",
        folder.string(), host,
        files::is_there(lock) ? "the lock file here is of another run" : "it has no lock file here"));
  });
}

}  // namespace switchyard::run
