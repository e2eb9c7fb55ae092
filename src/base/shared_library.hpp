// Libraries that are opened when they are first needed, so that the program starts on machines without them.
#pragma once

#include <string>

#include "base/unique_handle.hpp"

namespace switchyard {

// Where a library is looked for, in this order.
struct LibrarySearch {
  const char* folders_variable = nullptr;  // of the environment: folders, separated by ':'
  std::string soname;                      // "libcublasLt.so.13": then where the loader looks
  std::string last_folder;                 // and last here
};

// One that is open, or the reason why none is. Its functions may be called for as long as it lives.
class SharedLibrary {
 public:
  SharedLibrary() = default;
  // Takes the first file that opens; names that it needs are bound at once, and its own are seen by nobody
  // else.
  explicit SharedLibrary(const LibrarySearch& search);

  explicit operator bool() const { return static_cast<bool>(library_); }
  // The file that was taken, as the loader names it.
  const std::string& path() const { return path_; }
  // What was tried, and what the loader said of each. Empty if one was taken.
  const std::string& why_none() const { return why_none_; }

  // Function: decltype(&name), of the header that declares it. Null if the library has none of that name.
  template <class Function>
  Function function(const char* name) const {
    return reinterpret_cast<Function>(address(name));
  }

 private:
  struct Traits {
    using Handle = void*;
    static Handle none() noexcept { return nullptr; }
    static void close(Handle library) noexcept;
  };
  void* address(const char* name) const;

  UniqueHandle<Traits> library_;
  std::string path_, why_none_;
};

}  // namespace switchyard
