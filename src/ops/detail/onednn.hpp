// What our calls of oneDNN share: owned handles, status checks, the state of one thread, and a built operation.
//
// The C interface on purpose: dnnl_primitive_execute takes an array, where the C++ one fills a hash table per
// call.
#pragma once

#include <dnnl.h>

#include <initializer_list>
#include <string>

#include "base/ids.hpp"
#include "base/unique_handle.hpp"
#include "device/buffer.hpp"

namespace switchyard::ops::detail {

template <class HandleType, dnnl_status_t (*destroy)(HandleType)>
struct DnnlTraits {
  using Handle = HandleType;
  static Handle none() noexcept { return nullptr; }
  static void close(Handle handle) noexcept { destroy(handle); }  // can fail for a null handle only
};
using DnnlEngine = UniqueHandle<DnnlTraits<dnnl_engine_t, dnnl_engine_destroy>>;
using DnnlStream = UniqueHandle<DnnlTraits<dnnl_stream_t, dnnl_stream_destroy>>;
using DnnlMemory = UniqueHandle<DnnlTraits<dnnl_memory_t, dnnl_memory_destroy>>;
using DnnlPrimitive = UniqueHandle<DnnlTraits<dnnl_primitive_t, dnnl_primitive_destroy>>;
using DnnlPrimitiveDesc = UniqueHandle<DnnlTraits<dnnl_primitive_desc_t, dnnl_primitive_desc_destroy>>;
using DnnlAttributes = UniqueHandle<DnnlTraits<dnnl_primitive_attr_t, dnnl_primitive_attr_destroy>>;
using DnnlPostOps = UniqueHandle<DnnlTraits<dnnl_post_ops_t, dnnl_post_ops_destroy>>;

// Throws BlasError unless the status is success: "oneDNN could not ACTION SUBJECT (why); what to try".
void check_dnnl(dnnl_status_t status, const char* action, const std::string& subject);

// What one thread needs to run oneDNN. Made when a thread first asks; from then on OpenMP regions of libraries
// run with one thread there. Freed when the thread ends.
class DnnlThread {
 public:
  static DnnlThread& of_this_thread();

  dnnl_engine_t engine() const { return engine_.get(); }
  dnnl_stream_t stream() const { return stream_.get(); }
  // At least `bytes` bytes, shared by all operations of this thread, which run one after the other. Grows only.
  void* scratchpad(index_t bytes);

 private:
  DnnlThread();
  DnnlEngine engine_;
  DnnlStream stream_;
  device::Buffer<std::byte> scratchpad_;
};

// A float32 array: dense in the order of `dims` (dnnl_a, dnnl_abcd), images of dims batch, channels, height,
// width with the channels of a pixel side by side (dnnl_nhwc), or as oneDNN chooses (dnnl_format_tag_any).
dnnl_memory_desc_t array_layout(std::initializer_list<index_t> dims, dnnl_format_tag_t tag);
// Element (i, j) of a rows x cols matrix lies at i * row_stride + j * col_stride.
dnnl_memory_desc_t matrix_layout(dnnl_data_type_t type, index_t rows, index_t cols, index_t row_stride,
                                 index_t col_stride);

// Attributes that leave scratch memory to the caller, so that executing allocates nothing.
DnnlAttributes make_attributes();
// Throws BlasError. `hint` is the forward pass of a backward one.
DnnlPrimitiveDesc describe_operation(const_dnnl_op_desc_t operation, const_dnnl_primitive_attr_t attributes,
                                     const_dnnl_primitive_desc_t hint, const std::string& subject);

// A built primitive with the memory objects that it runs on. Used by the thread that made it.
class DnnlOperation {
 public:
  DnnlOperation() = default;
  // `arguments` are DNNL_ARG_SRC and so on, in the order in which run() takes their data; the last may be 0,
  // for one that this operation has not, whose data run() then passes over. Building takes about 0.25 ms.
  // `subject` names the operation in errors.
  DnnlOperation(DnnlPrimitiveDesc description, std::initializer_list<int> arguments, std::string subject);

  explicit operator bool() const { return static_cast<bool>(primitive_); }
  // The layout that the operation reads or writes for one argument (DNNL_ARG_SRC and so on).
  const dnnl_memory_desc_t& layout(int argument) const;

  // Runs and returns when done. Allocates nothing once the thread's scratchpad is large enough. The library
  // wants mutable pointers; it writes to outputs only.
  void run(std::initializer_list<const void*> data);

 private:
  static constexpr int max_arguments = 5;  // scratchpad included
  DnnlPrimitiveDesc description_;
  DnnlPrimitive primitive_;
  DnnlMemory memories_[max_arguments];
  dnnl_exec_arg_t arguments_[max_arguments] = {};
  int argument_count_ = 0;  // without the scratchpad, which is the last one
  index_t data_count_ = 0;  // what run() takes: the same, and the argument that may be 0
  index_t scratchpad_bytes_ = 0;
  std::string subject_;
};

}  // namespace switchyard::ops::detail
