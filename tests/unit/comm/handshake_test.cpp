// What ranks compare before they work together.
#include "comm/handshake.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "base/host_name.hpp"
#include "comm/threads/thread_group.hpp"

namespace switchyard::comm {
namespace {

// What `ranks` threads throw when each compares what `of` gives it, as text; each must throw the same.
std::string failure_of(int ranks, ErrorKind kind, const std::function<std::vector<Compared>(int rank)>& of) {
  std::vector<std::string> failures(static_cast<std::size_t>(ranks));
  run_ranks(ranks, [&](Communicator& communicator) {
    const int rank = communicator.rank().value;
    try {
      expect_same(communicator, kind, of(rank));
    } catch (const AgreedError& error) {
      failures[static_cast<std::size_t>(rank)] = std::string(name(error.kind())) + ": " + error.what();
    }
    communicator.barrier();  // all are still together
  });
  for (const std::string& failure : failures) EXPECT_EQ(failure, failures[0]);
  return failures[0];
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::vector<Compared> two_things(const std::string& command, const std::string& rate) {
  return {{"the command", command, "(one command); one by one"}, {"the rate", rate, "(one rate); mend it"}};
}

TEST(Handshake, says_nothing_where_all_is_alike) {
  for (const int ranks : {1, 2, 5})
    EXPECT_EQ(failure_of(ranks, ErrorKind::config, [](int) { return two_things("train", "0.1"); }), "");
}

TEST(Handshake, names_what_differs_with_both_values_ranks_and_hosts) {
  const std::string failure =
      failure_of(4, ErrorKind::data, [](int rank) { return two_things("train", rank >= 2 ? "0.01" : "0.1"); });
  const std::string host = host_name();
  EXPECT_TRUE(contains(failure, "DataError: ")) << failure;
  EXPECT_TRUE(contains(failure, "the rate is 0.1 on rank 0 (" + host + ") and 0.01 on rank 2 (" + host +
                                    ") (one rate); mend it"))
      << failure;
  EXPECT_FALSE(contains(failure, "the command")) << failure;
}

TEST(Handshake, names_the_first_thing_and_lists_the_others) {
  const std::string failure = failure_of(2, ErrorKind::config, [](int rank) {
    return two_things(rank == 1 ? "eval" : "train", rank == 1 ? "" : "0.1");
  });
  EXPECT_TRUE(contains(failure, "the command is train on rank 0")) << failure;
  EXPECT_TRUE(contains(failure, "and eval on rank 1")) << failure;
  EXPECT_TRUE(contains(failure, "also different: the rate (one command); one by one")) << failure;
}

TEST(Handshake, lists_of_other_lengths_or_names_differ) {
  for (const int longer : {0, 1}) {
    const std::string failure = failure_of(2, ErrorKind::config, [&](int rank) {
      std::vector<Compared> things = two_things("train", "0.1");
      if (rank == longer) things.push_back({"the seed", "7", "(one seed); mend it"});
      return things;
    });
    EXPECT_TRUE(contains(failure, "the seed is ")) << failure;
    EXPECT_TRUE(contains(failure, "7 on rank " + std::to_string(longer))) << failure;
  }
}

}  // namespace
}  // namespace switchyard::comm
