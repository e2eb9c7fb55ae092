#include "simgpu/fibers.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <utility>

#include "simgpu/device.hpp"
#include "simgpu/device_code.hpp"
#include "simgpu/random.hpp"

simgpu::Index3 threadIdx, blockIdx, blockDim, gridDim;

namespace simgpu {

namespace {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t stack_bytes = std::size_t{64} << 10;  // the first page of each faults
constexpr int no_stack = -1;
constexpr int lanes = static_cast<int>(warp_threads);

}  // namespace

// Keeps what a called function has to keep on the stack, and the stack's place in *kept; goes on with another
// stack that was left in the same way. No system call, unlike swapcontext, which also keeps signal masks.
extern "C" void simgpu_go_on_with(void** kept, void* stack);
asm(R"(
.text
.globl simgpu_go_on_with
.type simgpu_go_on_with, @function
simgpu_go_on_with:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size simgpu_go_on_with, .-simgpu_go_on_with
)");

namespace {

struct Thread {
  Index3 index;
  void* kept = nullptr;  // where its stack was left
  int stack = no_stack;  // before it starts, and after it ended
};

struct Warp {
  int arrived = 0;
  Meeting meeting = Meeting::warp;
  // What lanes show each other. Two rooms in turn: a lane may come to the next shuffle before others have read.
  std::uint64_t shown[2][warp_threads] = {};
  int room = 0;
};

// The stacks, made once; a thread has one from its start to its end.
class Stacks {
 public:
  Stacks() {
    void* const memory = ::mmap(nullptr, most_block_threads * stack_bytes, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) mistake("the system gives no memory for the stacks of a block");
    memory_ = static_cast<std::byte*>(memory);
    for (int i = 0; i < most_block_threads; ++i) {
      ::mprotect(memory_ + static_cast<std::size_t>(i) * stack_bytes, page_bytes, PROT_NONE);
      free_[static_cast<std::size_t>(i)] = most_block_threads - 1 - i;
    }
    free_count_ = most_block_threads;
  }
  int take() { return free_[static_cast<std::size_t>(--free_count_)]; }
  void give_back(int stack) { free_[static_cast<std::size_t>(free_count_++)] = stack; }
  std::byte* end_of(int stack) const { return memory_ + (static_cast<std::size_t>(stack) + 1) * stack_bytes; }
  bool holds(std::uintptr_t address) const {
    return address - reinterpret_cast<std::uintptr_t>(memory_) < most_block_threads * stack_bytes;
  }

 private:
  std::byte* memory_ = nullptr;
  std::array<int, most_block_threads> free_{};  // the last ones are taken first: they are in the cache
  int free_count_ = 0;
};

Stacks& stacks() {
  static auto* const all = new Stacks;
  return *all;
}

// The block that runs. One at a time, under device_lock().
struct Block {
  std::string_view kernel;
  void (*run_thread)(const void*) = nullptr;
  const void* argument = nullptr;
  int threads = 0;
  int ended = 0;
  int arrived = 0;  // at a meeting of the block
  std::array<Thread, most_block_threads> thread;
  std::array<Warp, most_block_threads / warp_threads> warp;
  std::array<int, most_block_threads> ready{};
  int ready_count = 0;
  int running = 0;
  // What became ready last goes on first, so that a warp gets far ahead of the others. Half of all blocks:
  // where each choice is random, no warp does.
  bool is_hasty = false;
  void* host = nullptr;  // where the host's stack was left
  Random random{0};
};
Block block;

Thread& thread_at(int rank) { return block.thread[static_cast<std::size_t>(rank)]; }
Warp& warp_of(int rank) { return block.warp[static_cast<std::size_t>(rank) / warp_threads]; }
void make_ready(int rank) { block.ready[static_cast<std::size_t>(block.ready_count++)] = rank; }

// The ranks from `first` on, beginning with a random one of them.
void make_ready(int first, int count) {
  const auto start = static_cast<int>(block.random.below(static_cast<std::uint32_t>(count)));
  for (int i = 0; i < count; ++i) make_ready(first + (start + i) % count);
}

int take_ready() {
  const auto last = static_cast<std::uint32_t>(block.ready_count - 1);
  const std::uint32_t place = block.is_hasty ? last : block.random.below(last + 1);
  const int rank = block.ready[place];
  block.ready[place] = block.ready[last];
  --block.ready_count;
  return rank;
}

[[noreturn]] void report_deadlock() {
  int at_warp = 0, at_shuffle = 0;
  for (const Warp& warp : block.warp) {
    (warp.meeting == Meeting::shuffle ? at_shuffle : at_warp) += warp.arrived;
  }
  mistake(
      fmt::format("deadlock in block {} of {}: of {} threads {} wait for the block, {} for their warp, {} in a "
                  "shuffle, and {} have ended",
                  blockIdx.x, block.kernel, block.threads, block.arrived, at_warp, at_shuffle, block.ended));
}

void enter_thread();

// What simgpu_go_on_with() finds on the stack of a thread that has not started: six registers, then where to
// go.
void* prepare(int stack) {
  constexpr int registers = 6;
  auto* top = reinterpret_cast<void**>(stacks().end_of(stack));
  *--top = nullptr;  // a return address, so that a backtrace ends here and the stack is aligned
  *--top = reinterpret_cast<void*>(&enter_thread);
  for (int i = 0; i < registers; ++i) *--top = nullptr;
  return top;
}

void go_on_with(int rank, void** kept) {
  Thread& next = thread_at(rank);
  if (next.stack == no_stack) {
    next.stack = stacks().take();
    next.kept = prepare(next.stack);
  }
  block.running = rank;
  threadIdx = next.index;
  simgpu_go_on_with(kept, next.kept);
}

// Leaves the thread that runs until it is chosen again.
void wait_for_others() {
  if (block.ready_count == 0) report_deadlock();
  const int next = take_ready();
  if (next == block.running) return;
  go_on_with(next, &thread_at(block.running).kept);
}

// The life of a stack: one thread after the other, as long as the next one needs a stack.
void enter_thread() {
  while (true) {
    block.run_thread(block.argument);
    ++block.ended;
    Thread& ended = thread_at(block.running);
    const int stack = std::exchange(ended.stack, no_stack);
    void* never_used = nullptr;
    if (block.ready_count == 0) {
      if (block.ended != block.threads) report_deadlock();
      stacks().give_back(stack);
      simgpu_go_on_with(&never_used, block.host);
    }
    const int next = take_ready();
    if (thread_at(next).stack == no_stack) {
      thread_at(next).stack = stack;
      block.running = next;
      threadIdx = thread_at(next).index;
      continue;
    }
    stacks().give_back(stack);
    go_on_with(next, &never_used);
  }
}

void meet_in_block() {
  if (++block.arrived == block.threads) {
    block.arrived = 0;
    make_ready(0, block.threads);
  }
  wait_for_others();
}

void meet_in_warp(Meeting meeting) {
  Warp& warp = warp_of(block.running);
  if (warp.arrived > 0 && warp.meeting != meeting) {
    mistake(
        fmt::format("deadlock in block {} of {}: lanes of one warp wait at different places (__syncwarp and a "
                    "shuffle)",
                    blockIdx.x, block.kernel));
  }
  warp.meeting = meeting;
  const int first = block.running / lanes * lanes;
  const int size = std::min(lanes, block.threads - first);
  if (++warp.arrived == size) {
    warp.arrived = 0;
    if (meeting == Meeting::shuffle) warp.room = 1 - warp.room;
    make_ready(first, size);
  }
  wait_for_others();
}

// All threads of the block are new and may start.
void renew(std::string_view kernel, int threads, std::uint64_t seed) {
  if (block.threads != threads) {
    for (int rank = 0; rank < threads; ++rank) thread_at(rank).index = {.x = static_cast<unsigned>(rank)};
  }
  block.kernel = kernel;
  block.threads = threads;
  block.ended = 0;
  block.random = Random(seed);
  block.is_hasty = block.random.below(2) == 0;
  block.ready_count = 0;
  make_ready(0, block.threads);
}

}  // namespace

void meet(Meeting meeting) { meeting == Meeting::block ? meet_in_block() : meet_in_warp(meeting); }

std::uint64_t shuffle(std::uint64_t bits, unsigned source, std::uint32_t mask) {
  constexpr std::uint32_t whole_warp = 0xffffffff;
  if (mask != whole_warp || source >= warp_threads) {
    mistake(fmt::format("{}: a shuffle of lanes {:#x} from lane {} (only whole warps are simulated)",
                        block.kernel, mask, source));
  }
  Warp& warp = warp_of(block.running);
  const int room = warp.room;
  warp.shown[room][threadIdx.x % warp_threads] = bits;
  meet_in_warp(Meeting::shuffle);
  return warp.shown[room][source];
}

void run_block(std::string_view kernel, int threads, std::uint64_t seed, void (*run_thread)(const void*),
               const void* argument) {
  renew(kernel, threads, seed);
  block.run_thread = run_thread;
  block.argument = argument;
  go_on_with(take_ready(), &block.host);
}

bool is_below_a_fiber(std::uintptr_t address) { return stacks().holds(address); }

}  // namespace simgpu
