#include "ops/detail/onednn.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <string_view>

#include "base/contract.hpp"
#include "base/crash.hpp"
#include "base/error.hpp"
#include "device/single_threaded_libraries.hpp"

namespace switchyard::ops::detail {
namespace {

std::string_view reason(dnnl_status_t status) {
  switch (status) {
    case dnnl_success:
      return "success";
    case dnnl_out_of_memory:
      return "out of memory";
    case dnnl_invalid_arguments:
      return "invalid arguments";
    case dnnl_unimplemented:
      return "no implementation for this processor and shape";
    case dnnl_iterator_ends:
      return "no further implementation";
    case dnnl_runtime_error:
      return "a failure at run time";
    case dnnl_not_required:
      return "not required";
  }
  return "an unknown status";
}

std::string_view advice(dnnl_status_t status) {
  if (status == dnnl_out_of_memory) return "use fewer rows per rank or a smaller layer";
  if (status == dnnl_unimplemented)
    return "use float32, or run `switchyard doctor` to see what this processor offers";
  return "this is a fault of the caller: please report it with the shape";
}

DnnlMemory make_memory(const dnnl_memory_desc_t& layout, const std::string& subject) {
  dnnl_memory_t memory = nullptr;
  check_dnnl(dnnl_memory_create(&memory, &layout, DnnlThread::of_this_thread().engine(), DNNL_MEMORY_NONE),
             "describe the memory of", subject);
  return DnnlMemory(memory);
}

// oneDNN 2.6 does not look whether it was given memory for the code that it generates, and would crash: ask
// before, and let no other thread of ours build meanwhile. (Threads that build the same wait for each other
// anyway.)
DnnlPrimitive build_primitive(const DnnlPrimitiveDesc& description, const std::string& subject) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  if (!has_spare_memory()) {
    throw OutOfMemory(fmt::format(
        "no memory to build {} (the system refused {} bytes); raise the limit on memory, or use fewer threads "
        "(run.threads), fewer ranks per host or a smaller model",
        subject, spare_bytes));
  }
  dnnl_primitive_t primitive = nullptr;
  check_dnnl(dnnl_primitive_create(&primitive, description.get()), "build", subject);
  return DnnlPrimitive(primitive);
}

}  // namespace

void check_dnnl(dnnl_status_t status, const char* action, const std::string& subject) {
  if (status == dnnl_success) [[likely]]
    return;
  throw BlasError(
      fmt::format("oneDNN could not {} {} ({}); {}", action, subject, reason(status), advice(status)));
}

DnnlThread& DnnlThread::of_this_thread() {
  static thread_local DnnlThread state;
  return state;
}

DnnlThread::DnnlThread() {
  device::use_libraries_single_threaded();
  dnnl_engine_t engine = nullptr;
  check_dnnl(dnnl_engine_create(&engine, dnnl_cpu, 0), "open", "its CPU engine");
  engine_ = DnnlEngine(engine);
  dnnl_stream_t stream = nullptr;
  check_dnnl(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "open", "a stream");
  stream_ = DnnlStream(stream);
}

void* DnnlThread::scratchpad(index_t bytes) {
  if (bytes > scratchpad_.count()) scratchpad_ = device::Buffer<std::byte>(bytes);
  return scratchpad_.data();
}

dnnl_memory_desc_t array_layout(std::initializer_list<index_t> dims, dnnl_format_tag_t tag) {
  static_assert(std::is_same_v<dnnl_dim_t, index_t>);
  dnnl_memory_desc_t layout;
  check_dnnl(dnnl_memory_desc_init_by_tag(&layout, static_cast<int>(dims.size()), dims.begin(), dnnl_f32, tag),
             "describe", fmt::format("an array of {}", fmt::join(dims, " x ")));
  return layout;
}

dnnl_memory_desc_t matrix_layout(dnnl_data_type_t type, index_t rows, index_t cols, index_t row_stride,
                                 index_t col_stride) {
  const dnnl_dim_t dims[] = {rows, cols};
  const dnnl_dim_t strides[] = {row_stride, col_stride};
  dnnl_memory_desc_t layout;
  check_dnnl(dnnl_memory_desc_init_by_strides(&layout, 2, dims, type, strides), "describe",
             fmt::format("a {} x {} matrix with strides {} and {}", rows, cols, row_stride, col_stride));
  return layout;
}

DnnlAttributes make_attributes() {
  dnnl_primitive_attr_t attributes = nullptr;
  check_dnnl(dnnl_primitive_attr_create(&attributes), "make", "attributes");
  DnnlAttributes owned(attributes);
  check_dnnl(dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user), "set",
             "the scratch mode");
  return owned;
}

DnnlPrimitiveDesc describe_operation(const_dnnl_op_desc_t operation, const_dnnl_primitive_attr_t attributes,
                                     const_dnnl_primitive_desc_t hint, const std::string& subject) {
  dnnl_primitive_desc_t description = nullptr;
  check_dnnl(dnnl_primitive_desc_create(&description, operation, attributes,
                                        DnnlThread::of_this_thread().engine(), hint),
             "plan", subject);
  return DnnlPrimitiveDesc(description);
}

DnnlOperation::DnnlOperation(DnnlPrimitiveDesc description, std::initializer_list<int> arguments,
                             std::string subject)
    : description_(std::move(description)),
      argument_count_(static_cast<int>(std::ssize(arguments) - std::ranges::count(arguments, 0))),
      data_count_(std::ssize(arguments)),
      subject_(std::move(subject)) {
  SY_EXPECTS(argument_count_ < max_arguments, "at most {} arguments, got {}", max_arguments - 1,
             argument_count_);
  primitive_ = build_primitive(description_, subject_);

  int position = 0;
  const auto add = [&](int argument) {
    memories_[position] = make_memory(layout(argument), subject_);
    arguments_[position] = {argument, memories_[position].get()};
    ++position;
  };
  for (const int argument : arguments) {
    if (argument != 0) add(argument);
  }
  add(DNNL_ARG_SCRATCHPAD);
  scratchpad_bytes_ = static_cast<index_t>(dnnl_memory_desc_get_size(&layout(DNNL_ARG_SCRATCHPAD)));
}

const dnnl_memory_desc_t& DnnlOperation::layout(int argument) const {
  const dnnl_memory_desc_t* const found =
      dnnl_primitive_desc_query_md(description_.get(), dnnl_query_exec_arg_md, argument);
  SY_EXPECTS(found != nullptr, "{} has no argument {}", subject_, argument);
  return *found;
}

void DnnlOperation::run(std::initializer_list<const void*> data) {
  SY_ASSERT(std::ssize(data) == data_count_);
  DnnlThread& thread = DnnlThread::of_this_thread();
  const auto point = [&](int position, const void* place) {
    check_dnnl(dnnl_memory_set_data_handle(memories_[position].get(), const_cast<void*>(place)),
               "place the memory of", subject_);
  };
  for (int i = 0; i < argument_count_; ++i) point(i, data.begin()[i]);
  if (scratchpad_bytes_ > 0) point(argument_count_, thread.scratchpad(scratchpad_bytes_));
  check_dnnl(dnnl_primitive_execute(primitive_.get(), thread.stream(), argument_count_ + 1, arguments_), "run",
             subject_);
  check_dnnl(dnnl_stream_wait(thread.stream()), "finish", subject_);
}

}  // namespace switchyard::ops::detail
