// Views and arrays that any integer, enumerator or id counts and indexes: load[expert], sums.subspan(first, n).
//
// The standard library counts in std::size_t, we in index_t; here is the one place where they meet. What is
// checked in std::span and std::vector under _GLIBCXX_ASSERTIONS is checked here too, and a negative index
// fails that check.
#pragma once

#include <concepts>
#include <cstddef>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/ids.hpp"

namespace switchyard {

template <class T>
class Span : public std::span<T> {
  using Base = std::span<T>;

 public:
  constexpr Span() = default;
  constexpr Span(T* data, std::integral auto count) : Base(data, as_size(count)) {}
  template <class Range>
  requires(!std::same_as<std::remove_cvref_t<Range>, Span> &&
           std::convertible_to<Range&&, Base>) constexpr Span(Range&& range)
      : Base(std::forward<Range>(range)) {}

  constexpr T& operator[](Index auto i) const { return Base::operator[](as_size(i)); }
  constexpr Span first(Index auto count) const { return Base::first(as_size(count)); }
  constexpr Span last(Index auto count) const { return Base::last(as_size(count)); }
  constexpr Span subspan(Index auto offset) const { return Base::subspan(as_size(offset)); }
  constexpr Span subspan(Index auto offset, Index auto count) const {
    return Base::subspan(as_size(offset), as_size(count));
  }
};

template <class Range>
Span(Range&&) -> Span<std::remove_reference_t<std::ranges::range_reference_t<Range>>>;
template <class T, std::integral I>
Span(T*, I) -> Span<T>;

// For T other than bool.
template <class T>
class Vector : public std::vector<T> {
  using Base = std::vector<T>;

 public:
  using Base::Base;
  Vector() = default;
  explicit Vector(std::integral auto count) : Base(as_size(count)) {}
  Vector(std::integral auto count, const T& value) : Base(as_size(count), value) {}
  Vector(Base values) : Base(std::move(values)) {}

  T& operator[](Index auto i) { return Base::operator[](as_size(i)); }
  const T& operator[](Index auto i) const { return Base::operator[](as_size(i)); }
  void resize(std::integral auto count) { Base::resize(as_size(count)); }
  void reserve(std::integral auto count) { Base::reserve(as_size(count)); }
  using Base::assign;
  void assign(std::integral auto count, const T& value) { Base::assign(as_size(count), value); }
};

}  // namespace switchyard

template <class T>
inline constexpr bool std::ranges::enable_borrowed_range<switchyard::Span<T>> = true;
template <class T>
inline constexpr bool std::ranges::enable_view<switchyard::Span<T>> = true;
