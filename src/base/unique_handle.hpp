// Owns one raw handle of a C library. Moves by exchange, never copies, closes once; close must not throw.
#pragma once

#include <utility>

namespace switchyard {

// Traits: `using Handle = ...; static Handle none() noexcept; static void close(Handle) noexcept;`
template <class Traits>
class UniqueHandle {
 public:
  using Handle = typename Traits::Handle;

  UniqueHandle() noexcept = default;
  explicit UniqueHandle(Handle handle) noexcept : handle_(handle) {}
  UniqueHandle(UniqueHandle&& other) noexcept : handle_(std::exchange(other.handle_, Traits::none())) {}
  UniqueHandle& operator=(UniqueHandle&& other) noexcept {
    if (this != &other) {
      reset();
      handle_ = std::exchange(other.handle_, Traits::none());
    }
    return *this;
  }
  UniqueHandle(const UniqueHandle&) = delete;
  UniqueHandle& operator=(const UniqueHandle&) = delete;
  ~UniqueHandle() { reset(); }

  Handle get() const noexcept { return handle_; }
  explicit operator bool() const noexcept { return handle_ != Traits::none(); }
  Handle release() noexcept { return std::exchange(handle_, Traits::none()); }
  void reset() noexcept {
    if (handle_ != Traits::none()) Traits::close(std::exchange(handle_, Traits::none()));
  }

 private:
  Handle handle_ = Traits::none();
};

}  // namespace switchyard
