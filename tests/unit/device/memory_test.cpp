// Buffers, the arena, scratch of a thread, and copies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "device/allowed_memory.hpp"
#include "device/copy.hpp"
#include "device/launch.hpp"
#include "device/workspace.hpp"

namespace switchyard::device {
namespace {

using testing::AllOf;
using testing::HasSubstr;

bool is_aligned(const void* data) { return reinterpret_cast<std::uintptr_t>(data) % alignment_bytes == 0; }

template <class Action>
std::string message_of(const Action& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Buffer, is_aligned_and_zeroed_at_every_size) {
  for (const index_t count : {1, 15, 1000, 1 << 20, (4 << 20) + 1}) {  // the last asks for huge pages
    const Buffer<float> buffer(count);
    EXPECT_TRUE(is_aligned(buffer.data())) << count;
    index_t nonzero = 0;
    for (const float value : buffer.span()) nonzero += value != 0.0F ? 1 : 0;
    EXPECT_EQ(nonzero, 0) << count;
    EXPECT_EQ(buffer.count(), count);
  }
}

TEST(Buffer, of_no_elements_owns_nothing) {
  const Buffer<double> buffer(0);
  EXPECT_EQ(buffer.data(), nullptr);
  EXPECT_TRUE(buffer.span().empty());
}

TEST(Buffer, moves_by_exchange) {
  Buffer<int> first(3);
  first[1] = 7;
  int* const data = first.data();
  Buffer<int> second(std::move(first));
  EXPECT_EQ(second.data(), data);
  EXPECT_EQ(first.data(), nullptr);  // NOLINT: that is what is tested
  EXPECT_EQ(first.count(), 0);
  Buffer<int> third(5);
  third = std::move(second);
  EXPECT_EQ(third[1], 7);
  EXPECT_EQ(third.count(), 3);
}

TEST(Buffer, says_how_many_bytes_could_not_be_had) {
  const index_t count = index_t{1} << 50;
  EXPECT_THROW(Buffer<float>{count}, OutOfMemory);
  EXPECT_THAT(message_of([&] { Buffer<float>{count}; }), HasSubstr("cannot allocate 4503599627370496 bytes"));
}

TEST(Buffer, refuses_a_count_that_is_no_size) {
  EXPECT_THROW(Buffer<float>{-1}, ContractViolation);
  EXPECT_THROW(Buffer<double>{std::numeric_limits<index_t>::max() / 4}, ContractViolation);
  EXPECT_THROW((void)Workspace().allocate<float>(-3), ContractViolation);
}

TEST(Workspace, gives_aligned_places_that_do_not_overlap) {
  Workspace workspace;
  std::vector<std::pair<std::uintptr_t, std::uintptr_t>> places;
  for (const index_t bytes : {1, 63, 64, 65, 3'000'000, 7, 5'000'000}) {
    const auto span = workspace.allocate<char>(bytes);
    EXPECT_TRUE(is_aligned(span.data()));
    const auto first = reinterpret_cast<std::uintptr_t>(span.data());
    for (const auto& [begin, end] : places) EXPECT_TRUE(first + span.size() <= begin || first >= end);
    places.emplace_back(first, first + span.size());
  }
  EXPECT_EQ(workspace.used_bytes(), 64U + 64U + 64U + 128U + 3'000'000U + 64U + 5'000'000U);
}

TEST(Workspace, allocates_nothing_once_it_is_warm) {
  Workspace workspace;
  const auto step = [&] {
    workspace.reset();
    const auto floats = workspace.allocate<float>(1000);
    const auto doubles = workspace.allocate<double>(1'000'000);
    (void)workspace.allocate<char>(7);
    return std::pair{floats.data(), doubles.data()};
  };
  step();
  step();
  const std::size_t capacity = workspace.capacity_bytes();
  const auto places = step();
  EXPECT_EQ(step(), places);
  EXPECT_EQ(workspace.capacity_bytes(), capacity);
  EXPECT_EQ(workspace.peak_bytes(), workspace.used_bytes());
}

TEST(Workspace, is_whole_after_a_failed_allocation) {
  Workspace workspace;
  const auto before = workspace.allocate<float>(100);
  EXPECT_THROW((void)workspace.allocate<float>(index_t{1} << 50), OutOfMemory);
  EXPECT_NE(workspace.allocate<float>(100).data(), before.data());
  workspace.reset();
  EXPECT_EQ(workspace.used_bytes(), 0U);
  const auto span = workspace.allocate<float>(100);
  span[99] = 1.0F;
}

TEST(ThreadScratch, belongs_to_a_thread_and_is_kept) {
  std::byte* const mine = cpu::thread_scratch(1000);
  EXPECT_TRUE(is_aligned(mine));
  EXPECT_EQ(cpu::thread_scratch(1000), mine);
  EXPECT_EQ(cpu::thread_scratch(10), mine);
  std::byte* theirs = nullptr;
  std::thread([&] { theirs = cpu::thread_scratch(1000); }).join();
  EXPECT_NE(theirs, nullptr);
  std::byte* const larger = cpu::thread_scratch(1 << 20);
  larger[(1 << 20) - 1] = std::byte{1};
  EXPECT_TRUE(is_aligned(larger));
}

TEST(Copy, on_a_cpu_is_a_plain_copy) {
  Context context(1);
  const std::vector<float> host{1, 2, 3};
  Buffer<float> device(3, context.memory());
  copy_to_device(context, host, device.span());
  Buffer<float> other(3, context.memory());
  copy_on_device(context, device.span(), other.span());
  std::array<float, 3> back{};
  copy_to_host(context, other.span(), std::span<float>(back));
  EXPECT_THAT(back, testing::ElementsAre(1, 2, 3));
  context.wait();
}

TEST(Copy, refuses_spans_of_different_length) {
  Context context(1);
  std::vector<float> host(3);
  Buffer<float> device(4);
  EXPECT_THROW(copy_to_device(context, host, device.span()), ContractViolation);
  EXPECT_THAT(message_of([&] { copy_to_host(context, device.span(), std::span<float>(host)); }),
              HasSubstr("a copy of 4 elements into 3"));
}

// The kernel promises it all the same, and would end the process where it is written to.
TEST(HostMemory, is_refused_where_all_blocks_together_are_more_than_the_host_has) {
  const auto most = static_cast<double>(allowed_memory_bytes());
  const auto part = static_cast<std::size_t>(0.6 * most);
  for (int round = 0; round < 2; ++round) {
    void* const first = allocate_bytes(MemoryKind::host, part);
    EXPECT_THAT(
        message_of([&] { free_bytes(MemoryKind::host, allocate_bytes(MemoryKind::host, part)); }),
        AllOf(HasSubstr("cannot allocate "), HasSubstr("this host allows"), HasSubstr("a smaller batch")));
    free_bytes(MemoryKind::host, first);
  }
}

}  // namespace
}  // namespace switchyard::device
