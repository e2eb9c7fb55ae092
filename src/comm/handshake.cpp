#include "comm/handshake.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "base/contract.hpp"
#include "base/hash.hpp"
#include "base/host_name.hpp"

namespace switchyard::comm {
namespace {

constexpr char end_of_word = '\0';  // no configuration, name or version holds it

// What, value and advice of each thing.
std::string pack(Span<const Compared> things) {
  std::string text;
  for (const Compared& thing : things) {
    for (const std::string* word : {&thing.what, &thing.value, &thing.advice}) {
      text += *word;
      text += end_of_word;
    }
  }
  return text;
}

std::vector<Compared> unpack(std::string_view text) {
  const auto word = [&] {
    const std::size_t end = text.find(end_of_word);
    std::string taken(text.substr(0, end));
    text.remove_prefix(end + 1);
    return taken;
  };
  std::vector<Compared> things;
  while (!text.empty()) {
    Compared& thing = things.emplace_back();
    for (std::string* part : {&thing.what, &thing.value, &thing.advice}) *part = word();
  }
  return things;
}

bool alike_on_all(Communicator& communicator, Span<const Compared> mine) {
  const auto digest = static_cast<std::int64_t>(fnv1a(pack(mine)));
  std::array<std::int64_t, 2> largest{digest, ~digest};  // the complement of the smallest is the largest
  communicator.all_reduce_max(largest);
  return largest[0] == ~largest[1];
}

// A thing that the root's list and this rank's do not have in common.
struct Difference {
  Compared thing;
  std::string roots_value;
};

std::vector<Difference> differences(Span<const Compared> roots, Span<const Compared> mine) {
  std::vector<Difference> found;
  for (std::size_t i = 0; i < std::max(roots.size(), mine.size()); ++i) {
    if (i >= mine.size()) {
      found.push_back({{roots[i].what, "", roots[i].advice}, roots[i].value});
    } else if (i >= roots.size() || roots[i].what != mine[i].what) {
      found.push_back({mine[i], ""});
    } else if (roots[i].value != mine[i].value) {
      found.push_back({mine[i], roots[i].value});
    }
  }
  return found;
}

std::string shown(const std::string& value) { return value.empty() ? "nothing" : value; }

std::string sentence(const std::vector<Difference>& differences, std::string_view root_host, GroupRank rank) {
  const Difference& first = differences.front();
  std::vector<std::string_view> others;
  for (const Difference& difference : Span(differences).subspan(1)) others.push_back(difference.thing.what);
  constexpr std::size_t most = 3;
  const std::size_t more = others.size() > most ? others.size() - most : 0;
  others.resize(others.size() - more);
  return fmt::format("{} is {} on rank 0 ({}) and {} on rank {} ({}){}{} {}", first.thing.what,
                     shown(first.roots_value), root_host, shown(first.thing.value), rank.value, host_name(),
                     others.empty() ? "" : fmt::format(", also different: {}", fmt::join(others, ", ")),
                     more > 0 ? fmt::format(" and {} more", more) : "", first.thing.advice);
}

}  // namespace

void expect_same(Communicator& communicator, ErrorKind kind, Span<const Compared> mine) {
  if (alike_on_all(communicator, mine)) return;
  std::string root_host, roots;
  if (communicator.is_root()) {
    root_host = host_name();
    roots = pack(mine);
  }
  communicator.broadcast(root_host);
  communicator.broadcast(roots);
  const std::vector<Difference> found = differences(unpack(roots), mine);

  // The lowest rank that differs has the largest value; it speaks for all.
  std::int64_t speaker = found.empty() ? 0 : communicator.size() - communicator.rank().value;
  std::string text = found.empty() ? "" : sentence(found, root_host, communicator.rank());
  communicator.all_reduce_max({&speaker, 1});
  SY_EXPECTS(speaker > 0, "the digests of what ranks compare differ, and their texts do not");
  communicator.broadcast(text, GroupRank(communicator.size() - static_cast<int>(speaker)));
  throw_agreed(kind, text);
}

}  // namespace switchyard::comm
