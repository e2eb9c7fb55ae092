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
  template <std::integral I>
  constexpr Span(T* data, I count) : Base(data, as_size(count)) {}
  template <class Range>
  requires(!std::same_as<std::remove_cvref_t<Range>, Span> &&
           std::convertible_to<Range&&, Base>) constexpr Span(Range&& range)
      : Base(std::forward<Range>(range)) {}

  template <Index I>
  constexpr T& operator[](I i) const {
    return Base::operator[](as_size(i));
  }
  template <Index I>
  constexpr Span first(I count) const {
    return Base::first(as_size(count));
  }
  template <Index I>
  constexpr Span last(I count) const {
    return Base::last(as_size(count));
  }
  template <Index I>
  constexpr Span subspan(I offset) const {
    return Base::subspan(as_size(offset));
  }
  template <Index I, Index J>
  constexpr Span subspan(I offset, J count) const {
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
  template <std::integral I>
  explicit Vector(I count) : Base(as_size(count)) {}
  template <std::integral I>
  Vector(I count, const T& value) : Base(as_size(count), value) {}
  Vector(Base values) : Base(std::move(values)) {}

  template <Index I>
  T& operator[](I i) {
    return Base::operator[](as_size(i));
  }
  template <Index I>
  const T& operator[](I i) const {
    return Base::operator[](as_size(i));
  }
  template <std::integral I>
  void resize(I count) {
    Base::resize(as_size(count));
  }
  template <std::integral I>
  void reserve(I count) {
    Base::reserve(as_size(count));
  }
  using Base::assign;
  template <std::integral I>
  void assign(I count, const T& value) {
    Base::assign(as_size(count), value);
  }
};

}  // namespace switchyard

template <class T>
inline constexpr bool std::ranges::enable_borrowed_range<switchyard::Span<T>> = true;
template <class T>
inline constexpr bool std::ranges::enable_view<switchyard::Span<T>> = true;
