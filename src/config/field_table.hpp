// How a room writes the table of its options: a FieldTable<Struct> makes the fields of one role.
//
//   constexpr FieldTable<Options> training{Role::training};
//   constexpr std::array fields = {
//       training.number<&Options::learning_rate>("learning_rate", above_zero, "after warm-up, before decay"),
//   };
#pragma once

#include <array>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "base/contract.hpp"
#include "config/field.hpp"

namespace switchyard::config {

// No count may exceed this, so that the bytes of a matrix of two counts (1e9 x 1e9 x 8 < 2^63) still fit
// index_t.
inline constexpr std::int64_t largest_count = 1'000'000'000;

// A word of an enumeration, beside its enumerator.
template <class Enum>
struct Word {
  Enum value;
  std::string_view name;
};
template <class Enum>
Word(Enum, std::string_view) -> Word<Enum>;  // clang++ 14 cannot tell by itself

inline constexpr std::array yes_no_words = {Word{false, "no"}, Word{true, "yes"}};

template <const auto& words>
inline constexpr auto names_of = [] {
  std::array<std::string_view, words.size()> names;
  for (std::size_t i = 0; i < words.size(); ++i) names[i] = words[i].name;
  return names;
}();

// The accessors are captureless lambdas, one for each member.
template <class Struct>
class FieldTable {
 public:
  constexpr explicit FieldTable(Role role) : role_(role) {}

  template <auto member>
  constexpr Field integer(std::string_view key, std::int64_t min, std::int64_t max, std::string_view help,
                          std::string_view unit = {}) const {
    using Value = std::remove_cvref_t<decltype(std::declval<Struct>().*member)>;
    // Evaluated by the compiler: a range that the member cannot hold does not compile.
    if (!std::in_range<Value>(min) || !std::in_range<Value>(max))
      throw std::logic_error("range exceeds member");
    return {key, role_,
            Integer{[](const void* object) { return static_cast<std::int64_t>(of(object).*member); },
                    [](void* object, std::int64_t value) { of(object).*member = static_cast<Value>(value); },
                    min, max},
            help, unit};
  }

  template <auto member>
  constexpr Field number(std::string_view key, Range range, std::string_view help,
                         std::string_view unit = {}) const {
    return {key, role_,
            Number{[](const void* object) { return of(object).*member; },
                   [](void* object, double value) { of(object).*member = value; }, range},
            help, unit};
  }

  // NOLINTBEGIN(performance-unnecessary-value-param): a move to a dependent member is not seen
  template <auto member>
  constexpr Field numbers(std::string_view key, Range range, std::string_view help) const {
    return {key, role_,
            Numbers{[](const void* object) -> const std::vector<double>& { return of(object).*member; },
                    [](void* object, std::vector<double> values) {
                      SY_EXPECTS(!values.empty(), "no number");
                      of(object).*member = std::move(values);
                    },
                    range},
            help};
  }

  template <auto member>
  constexpr Field text(std::string_view key, std::string_view help) const {
    return {key, role_,
            Text{[](const void* object) -> const std::string& { return of(object).*member; },
                 [](void* object, std::string value) { of(object).*member = std::move(value); }},
            help};
  }

  template <auto member>
  constexpr Field words(std::string_view key, std::string_view help) const {
    return {key, role_,
            Words{[](const void* object) -> const std::vector<std::string>& { return of(object).*member; },
                  [](void* object, std::vector<std::string> value) { of(object).*member = std::move(value); }},
            help};
  }
  // NOLINTEND(performance-unnecessary-value-param)

  template <auto member, const auto& words>
  constexpr Field choice(std::string_view key, std::string_view help) const {
    return {key, role_,
            Choice{names_of<words>,
                   [](const void* object) {
                     std::size_t i = 0;
                     while (i < words.size() && words[i].value != of(object).*member) ++i;
                     SY_EXPECTS(i < words.size(), "an enumerator without a word: {}",
                                static_cast<int>(of(object).*member));
                     return i;
                   },
                   [](void* object, std::size_t i) { of(object).*member = words[i].value; }},
            help};
  }

 private:
  static const Struct& of(const void* object) { return *static_cast<const Struct*>(object); }
  static Struct& of(void* object) { return *static_cast<Struct*>(object); }

  Role role_;
};

// A field that every rank may have its own value of.
constexpr Field per_rank(Field field) {
  field.scope = Scope::rank;
  return field;
}

// A count that may also be automatic_count.
constexpr Field or_auto(Field field) {
  std::get<Integer>(field.type).automatic = "auto";
  return field;
}

constexpr Field free_in_evaluation(Field field) {
  field.free_in_evaluation = true;
  return field;
}

// A field that the headline of a report shows, under this word.
constexpr Field in_headline(std::string_view word, Field field) {
  field.headline = word;
  return field;
}

}  // namespace switchyard::config
