// What nvcc records of each kernel and a plain compiler does not: what its parameters are. launch_kernel.hpp
// says it in front of every launch.
#pragma once

#include <cstddef>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "device/team.hpp"

namespace simgpu {

struct Parameter {
  std::size_t bytes;
  std::size_t alignment;
  void (*clear_padding)(void* value);  // what padding holds by chance may look like a pointer
};

struct Kernel {
  const void* entry = nullptr;
  const std::type_info* functor = nullptr;  // its first parameter: the name of the kernel
  const Parameter* parameters = nullptr;
  std::size_t parameter_count = 0;
  // One thread of it.
  void (*run_thread)(const void* entry, void* const* arguments) = nullptr;
  // All of it, one row or element after the other; null if the kernel has another form than those of
  // launch.cuh.
  void (*run_serially)(void* const* arguments, std::byte* scratch) = nullptr;
};

void know_kernel(const Kernel& kernel);

template <class T>
void clear_padding(void* value) {
#if defined(__has_builtin)
#if __has_builtin(__builtin_clear_padding)
  __builtin_clear_padding(static_cast<T*>(value));
#endif
#endif
  (void)value;
}

template <class Functor>
concept ElementFunctor = requires(const Functor& f, switchyard::index_t i) {
  f(i);
};
template <class Functor>
concept RowFunctor = requires(const Functor& f, const switchyard::device::SerialTeam& team,
                              switchyard::index_t row) {
  f(team, row);
};

// The kernels of launch.cuh take a functor and a count, and what else they take changes no result.
template <class Functor>
void run_serially(void* const* arguments, [[maybe_unused]] std::byte* scratch) {
  const auto& f = *static_cast<const Functor*>(arguments[0]);
  const switchyard::index_t count = *static_cast<const switchyard::index_t*>(arguments[1]);
  if constexpr (ElementFunctor<Functor>) {
    for (switchyard::index_t i = 0; i < count; ++i) f(i);
  } else {
    const switchyard::device::SerialTeam team(scratch);
    for (switchyard::index_t row = 0; row < count; ++row) f(team, row);
  }
}

using RunSerially = void (*)(void* const* arguments, std::byte* scratch);
template <class... Parameters>
inline constexpr RunSerially serial_form = nullptr;
template <class Functor, class... Rest>
requires(ElementFunctor<Functor> || RowFunctor<Functor>) inline constexpr RunSerially
    serial_form<Functor, switchyard::index_t, Rest...> = &run_serially<Functor>;

template <class First, class...>
const std::type_info& first_type() {
  return typeid(First);
}

template <class... Parameters>
void know_kernel(void (*kernel)(Parameters...)) {
  static constexpr Parameter parameters[] = {
      {sizeof(Parameters), alignof(Parameters), &clear_padding<Parameters>}...};
  const auto run_thread = [](const void* entry, void* const* arguments) {
    const auto call = reinterpret_cast<void (*)(Parameters...)>(const_cast<void*>(entry));
    [&]<std::size_t... i>(std::index_sequence<i...>) { call(*static_cast<const Parameters*>(arguments[i])...); }
    (std::index_sequence_for<Parameters...>{});
  };
  know_kernel(Kernel{.entry = reinterpret_cast<const void*>(kernel),
                     .functor = &first_type<Parameters...>(),
                     .parameters = parameters,
                     .parameter_count = sizeof...(Parameters),
                     .run_thread = run_thread,
                     .run_serially = serial_form<Parameters...>});
}

}  // namespace simgpu
