#include "simgpu/nccl/segment.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <set>

#include "simgpu/device.hpp"

namespace simgpu::nccl {
namespace {

constexpr std::string_view prefix = "switchyard-nccl-";

// Removed at the end of the process where not all ranks came.
struct MadeHere {
  std::mutex mutex;
  std::set<std::string> names;
  ~MadeHere() {
    for (const std::string& name : names) ::shm_unlink(name.c_str());
  }
};
MadeHere& made_here() {
  static MadeHere made;
  return made;
}

// Of processes that were killed before all ranks had come.
void remove_orphans() {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm", ignored)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(prefix)) continue;
    const int process = std::atoi(name.c_str() + prefix.size());
    if (process > 0 && ::kill(process, 0) != 0 && errno == ESRCH) ::shm_unlink(("/" + name).c_str());
  }
}

std::shared_ptr<Page> map(int descriptor) {
  void* const mapped = ::mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  ::close(descriptor);
  if (mapped == MAP_FAILED) mistake("NCCL's stand-in cannot map its shared memory");
  return {static_cast<Page*>(mapped), [](Page* page) { ::munmap(page, sizeof(Page)); }};
}

std::string describe(std::string_view call, const Header& header, std::string_view direction, int peer) {
  const bool reduces = header.operation == Operation::all_reduce;
  return fmt::format("{} of {} bytes {} rank {}, message {} between the two", reduces ? "ncclAllReduce" : call,
                     header.bytes, reduces ? "with" : direction, peer, header.number);
}

}  // namespace

std::string describe_send(const Header& header, int to) { return describe("ncclSend", header, "to", to); }
std::string describe_receive(const Header& header, int from) {
  return describe("ncclRecv", header, "from", from);
}

std::string make_segment() {
  static std::atomic<int> made = 0;
  remove_orphans();
  const std::string name = fmt::format("/{}{}-{}", prefix, ::getpid(), ++made);
  ::shm_unlink(name.c_str());  // of an earlier process with this number
  const int descriptor = ::shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (descriptor < 0 || ::ftruncate(descriptor, sizeof(Page)) != 0)
    mistake("NCCL's stand-in cannot make its shared memory");
  ::close(descriptor);
  const std::scoped_lock lock(made_here().mutex);
  made_here().names.insert(name);
  return name;
}

std::shared_ptr<Page> open_segment(const std::string& name) {
  const int descriptor = ::shm_open(name.c_str(), O_RDWR | O_CLOEXEC, 0);
  return descriptor < 0 ? nullptr : map(descriptor);
}

void remove_segment(const std::string& name) {
  ::shm_unlink(name.c_str());
  const std::scoped_lock lock(made_here().mutex);
  made_here().names.erase(name);
}

void fail(Page& page, int code, const std::string& sentence) {
  int none = 0;
  if (!page.failure_state.compare_exchange_strong(none, 1)) return;
  std::copy_n(sentence.begin(), std::min(sentence.size(), page.failure.size() - 1), page.failure.begin());
  page.failure_code = code;
  page.failure_state = 2;
}

std::string failure_of(const Page& page) { return page.failure_state == 2 ? page.failure.data() : ""; }

}  // namespace simgpu::nccl
