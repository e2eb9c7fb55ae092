#include "events/event_file.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "events/crc32c.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::events {
namespace {

using namespace std::string_literals;

constexpr std::int64_t now = 1'700'000'000'125;

std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

template <class Value>
Value value_at(const std::string& bytes, std::size_t place) {
  Value value;
  std::memcpy(&value, bytes.data() + place, sizeof(Value));
  return value;
}

// What the frames of a file hold; each must be whole.
std::vector<std::string> events_of(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  const std::string bytes = text.str();
  std::vector<std::string> events;
  for (std::size_t place = 0; place < bytes.size();) {
    const auto size = value_at<std::uint64_t>(bytes, place);
    EXPECT_EQ(value_at<std::uint32_t>(bytes, place + 8), masked(crc32c(bytes.substr(place, 8))));
    events.push_back(bytes.substr(place + 12, size));
    EXPECT_EQ(value_at<std::uint32_t>(bytes, place + 12 + size), masked(crc32c(events.back())));
    place += size + 16;
  }
  return events;
}

class EventFileTest : public testing::Test {
 protected:
  std::filesystem::path folder() const { return directory_.path() / "tensorboard"; }

  test::TemporaryDirectory directory_;
};

TEST_F(EventFileTest, begins_with_its_version_and_the_first_step) {
  EventFile(folder(), 7, now).sync();
  const std::vector<std::string> events = events_of(files_in(folder()).at(0));
  ASSERT_EQ(events.size(), 2U);
  // wall_time 1700000000.125; step; file_version
  const std::string time = "\x09\0\0\x08\x40\xfc\x54\xd9\x41"s;
  EXPECT_EQ(events[0], time + "\x10\0\x1a\x0d"s + "brain.Event:2");
  EXPECT_EQ(events[1], time + "\x10\x07\x3a\x02\x08\x01"s);
}

TEST_F(EventFileTest, has_an_event_for_each_write) {
  EventFile file(folder(), 0, now);
  file.add_scalar("a", 1.0);
  file.add_scalar("bc", -2.0);
  file.write(1, now);
  file.add_scalar("a", 3.0);
  file.write(2, now);
  const std::vector<std::string> events = events_of(files_in(folder()).at(0));
  ASSERT_EQ(events.size(), 4U);
  EXPECT_EQ(events[2].substr(9),
            "\x10\x01\x2a\x15"
            "\x0a\x08\x0a\x01"
            "a\x15\0\0\x80\x3f"
            "\x0a\x09\x0a\x02"
            "bc\x15\0\0\0\xc0"s);
  EXPECT_EQ(events[3].substr(9),
            "\x10\x02\x2a\x0a\x0a\x08\x0a\x01"
            "a\x15\0\0\x40\x40"s);
}

TEST_F(EventFileTest, has_a_bar_for_each_value_of_a_histogram) {
  EventFile file(folder(), 0, now);
  file.add_histogram("h", std::array{3.0, 0.0, 1.0});
  file.write(1, now);
  const std::string event = events_of(files_in(folder()).at(0)).at(2);
  const std::size_t histogram = event.find("\x0a\x01h\x2a"s) + 5;
  // min, max, count, sum and sum of squares of the bars' numbers
  const std::array expected = {-0.5, 2.5, 4.0, 2.0, 4.0};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(event[histogram + 9 * i], static_cast<char>((i + 1) * 8 + 1));
    EXPECT_EQ(value_at<double>(event, histogram + 9 * i + 1), expected[i]);
  }
  const std::size_t limits = histogram + 45 + 2;
  const std::size_t bars = limits + 24 + 2;
  EXPECT_EQ(event.substr(limits - 2, 2), "\x32\x18");
  EXPECT_EQ(event.substr(bars - 2, 2), "\x3a\x18");
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(value_at<double>(event, limits + 8 * i), static_cast<double>(i) + 0.5);
  EXPECT_EQ(value_at<double>(event, bars), 3.0);
  EXPECT_EQ(value_at<double>(event, bars + 16), 1.0);
}

// Readers take files by name.
TEST_F(EventFileTest, comes_behind_those_that_are_there) {
  const EventFile first(folder(), 1, now);
  const std::filesystem::path first_file = files_in(folder()).at(0);
  EXPECT_EQ(first_file.filename().string().substr(0, 31), "events.out.tfevents.1700000000.");
  const EventFile second(folder(), 2, now - 60'000);
  const std::vector<std::filesystem::path> both = files_in(folder());
  ASSERT_EQ(both.size(), 2U);
  EXPECT_EQ(both[0], first_file);
  EXPECT_EQ(both[1].filename().string().substr(0, 31), "events.out.tfevents.1700000001.");
}

TEST_F(EventFileTest, says_what_is_in_the_way) {
  std::ofstream(folder()) << "a file";
  EXPECT_THROW(EventFile(folder(), 1, now), DataError);
}

}  // namespace
}  // namespace switchyard::events
