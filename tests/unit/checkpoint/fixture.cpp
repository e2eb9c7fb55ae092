#include "fixture.hpp"

#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <numeric>
#include <system_error>

#include "checkpoint/detail/folder.hpp"
#include "checkpoint/detail/pieces.hpp"
#include "comm/local/local_communicator.hpp"
#include "comm/threads/thread_group.hpp"

namespace switchyard::checkpoint {
namespace {

void require(bool condition, const std::string& what) {
  if (!condition) throw std::system_error(errno, std::generic_category(), what);
}

// Elements of the array at `position` that a rank holds: rank 0 two in three, the last rank the rest, those
// between nothing; but every fifth array belongs to rank 1 as a whole.
IndexRange elements_on(int rank, int ranks, std::size_t position, index_t count) {
  if (ranks == 1) return {0, count};
  if (position % 5 == 1) return rank == 1 ? IndexRange{0, count} : IndexRange{};
  const index_t split = count * 2 / 3;
  if (rank == 0) return {0, split};
  return rank == ranks - 1 ? IndexRange{split, count} : IndexRange{};
}

}  // namespace

SmallDisk::SmallDisk(index_t size_bytes) {
  const std::string options = "size=" + std::to_string(size_bytes);
  require(::mount("tmpfs", path().c_str(), "tmpfs", 0, options.c_str()) == 0,
          "mounting a tmpfs (the tests of full disks run as root)");
}

SmallDisk::~SmallDisk() { EXPECT_EQ(::umount2(path().c_str(), MNT_DETACH), 0); }

void SmallDisk::make_read_only() {
  require(::mount("tmpfs", path().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr) == 0,
          "remounting read-only");
}

Content small_content() {
  Content content;
  content.header.integers = {{"state/step", 200}, {"state/seed", -7}, {"state/epoch", 3}};
  content.header.numbers = {{"state/loss", 0.1}, {"info/seconds", 12.5}};
  content.header.texts = {{"config", "[model]\nname = mixture\n"}, {"build", "switchyard 0.1"}, {"empty", ""}};
  std::vector<float> weights(7 * 5);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = std::sin(static_cast<float>(i));
  content.add<float>("parameters/gate/dense_1/weight", DType::float32, {7, 5}, weights);
  content.add<float>("parameters/gate/dense_1/bias", DType::float32, {5}, {0, 1, -2, 0.5f, -0.0f});
  content.add<float>("optimizer/gate/dense_1/weight/momentum", DType::float32, {7, 5}, weights);
  for (int expert = 0; expert < 12; ++expert) {
    std::vector<float> values(3 * 2 * 2 * 4);
    std::iota(values.begin(), values.end(), static_cast<float>(100 * expert));
    content.add<float>("parameters/expert_" + std::to_string(expert) + "/weight", DType::float32, {3, 2, 2, 4},
                       values);
  }
  content.add<double>("statistics/importance", DType::float64, {4},
                      {1.0 / 3, std::numeric_limits<double>::quiet_NaN(), 5e-324, -1e300});
  content.add<std::int64_t>("statistics/load", DType::int64, {2, 2}, {1, -2, std::int64_t{1} << 62, 0});
  content.add<float>("parameters/scale", DType::float32, {}, {2.5f});
  content.add<float>("parameters/nothing", DType::float32, {0, 5}, {});
  return content;
}

std::vector<Slice> slices_of(Content& content, int rank, int ranks) {
  std::vector<Slice> slices;
  std::size_t position = 0;
  for (auto& [path, array] : content.arrays) {
    const IndexRange mine = elements_on(rank, ranks, position++, tensor::element_count(array.shape));
    if (mine.empty() && rank != 0) continue;  // rank 0 also names what it has nothing of
    slices.push_back({path, array.dtype, array.shape, mine,
                      array.bytes.data() + mine.begin * detail::element_bytes(array.dtype)});
  }
  if (rank % 2 == 1) std::reverse(slices.begin(), slices.end());  // the order of slices says nothing
  return slices;
}

fs::path save_from(int ranks, const fs::path& folder, index_t step, Content& content,
                   const SaveOptions& options, detail::ReserveSpace reserve) {
  const auto body = [&](comm::Communicator& communicator) {
    const std::vector<Slice> slices = slices_of(content, communicator.rank().value, ranks);
    detail::save(communicator, folder, {step, content.header, slices}, options, reserve);
  };
  if (ranks == 1) {
    comm::LocalCommunicator local;
    body(local);
  } else {
    comm::run_ranks(ranks, body);
  }
  return folder / detail::file_name(step);
}

std::string message_of(ErrorKind kind, const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(name(error.kind()), name(kind)) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

std::vector<std::byte> bytes_of_file(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

void write_file(const fs::path& file, std::span<const std::byte> bytes) {
  std::ofstream stream(file, std::ios::binary | std::ios::trunc);
  stream.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  require(stream.good(), "writing " + file.string());
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace switchyard::checkpoint
