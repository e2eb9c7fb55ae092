// The HDF5 C library: its lock, its ids as owning handles, its errors as Failure. Included where files are
// written, in checkpoint/detail, and where those of others are read, in data/detail/hdf5_source.cpp.
#pragma once

#include <hdf5.h>

#include <mutex>
#include <string>

#include "base/log.hpp"
#include "base/unique_handle.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::checkpoint::hdf5 {

// Held during every call into libhdf5, closing an id included: the serial library may be built without thread
// safety, and ranks can be threads of one process. Not recursive, and never held across a message between
// ranks. The first lock sets the library up: no work at exit (it crashes after a file that could not be
// closed).
class LibraryLock {
 public:
  LibraryLock();

 private:
  std::unique_lock<std::mutex> lock_;
};

template <herr_t (*close_function)(hid_t)>
struct IdTraits {
  using Handle = hid_t;
  static Handle none() noexcept { return H5I_INVALID_HID; }
  static void close(Handle id) noexcept {
    if (close_function(id) < 0) log::debug("HDF5 could not close an id");
  }
};
using FileId = UniqueHandle<IdTraits<H5Fclose>>;
using GroupId = UniqueHandle<IdTraits<H5Gclose>>;
using DatasetId = UniqueHandle<IdTraits<H5Dclose>>;
using SpaceId = UniqueHandle<IdTraits<H5Sclose>>;
using TypeId = UniqueHandle<IdTraits<H5Tclose>>;
using AttributeId = UniqueHandle<IdTraits<H5Aclose>>;
using PropertiesId = UniqueHandle<IdTraits<H5Pclose>>;

// Throws Failure("what: innermost message of the library").
[[noreturn]] void fail_in_library(const std::string& what);

// For the result of any call: negative means failure. `what` names the action: "creating data set 'config'".
inline void check(herr_t status, const std::string& what) {
  if (status < 0) fail_in_library(what);
}
template <class Id>
Id checked(hid_t id, const std::string& what) {
  if (id < 0) fail_in_library(what);
  return Id(id);
}

// How files are opened and created: format v110 only, no file locks (Lustre and NFS refuse them).
PropertiesId file_access();
SpaceId space_of(const tensor::Shape& shape);

}  // namespace switchyard::checkpoint::hdf5
