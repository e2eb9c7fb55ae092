#include "cli/handshake.hpp"

#include <gnu/libc-version.h>

#include <string>

#include "base/build_info.hpp"
#include "checkpoint/checkpoint.hpp"
#include "comm/mpi/mpi_session.hpp"
#include "ops/gpu_products.hpp"
#include "ops/matmul.hpp"
#include "run/config.hpp"

namespace switchyard::cli {
namespace {

constexpr std::string_view one_configuration =
    "(all ranks of a run have one configuration); give every rank the same file and options; independent runs "
    "are started one by one, not as the ranks of one launch";

}  // namespace

void expect_same_program(comm::Communicator& communicator, std::string_view command) {
  const std::string one_command =
      "(all ranks of a launch run one command); independent commands are started one by one";
  const std::string one_build =
      "(ranks of two programs would disagree about messages or round otherwise); install one build on every "
      "host, and see that every rank starts it";
  const std::string one_library =
      "(results would depend on the host that computes them); give every host the same libraries";
  const std::string one_instruction_set =
      "(products would round otherwise from host to host); start all ranks on processors of one kind, or set "
      "ONEDNN_MAX_CPU_ISA to the lesser of the two for every rank";
  const BuildInfo build = build_info();
  const std::vector<comm::Compared> things = {
      {"the command", std::string(command), one_command},
      {"the build", describe(build), one_build},
      {"the digest of the program", binary_id(), one_build},
      {"the MPI library", comm::mpi_library(), one_library},
      {"the library of products", ops::product_library(), one_library},
      {"the HDF5 library", checkpoint::hdf5_library(), one_library},
      {"the C library", std::string("glibc ") + gnu_get_libc_version(), one_library},
      {"the instruction set of products", ops::product_instruction_set(), one_instruction_set},
  };
  comm::expect_same(communicator, ErrorKind::config, things);
}

void expect_same_gpus(comm::Communicator& communicator, const device::Context& context) {
  if (context.device() == device::DeviceKind::cpu) return;
  const std::string advice =
      "(the library chooses how to multiply by the GPU, and an expert's bits would depend on where it lives); start "
      "all ranks on GPUs of one model with one library, or set run.device = cpu";
  const ops::ProductIdentity products = ops::product_identity(context);
  const std::vector<comm::Compared> things = {{"the GPU", products.instructions, advice},
                                              {"the library of products", products.library, advice}};
  comm::expect_same(communicator, ErrorKind::config, things);
}

std::vector<comm::Compared> compared_configuration(const run::Config& config, std::string_view where) {
  std::vector<comm::Compared> things;
  for (const config::Key& key : run::schema().keys()) {
    if (key.field->scope == config::Scope::rank) continue;
    things.push_back(
        {std::string(where) + key.name, run::schema().text(config, key), std::string(one_configuration)});
  }
  return things;
}

comm::Compared compared_argument(std::string_view what, std::string_view value) {
  return {std::string(what), std::string(value), std::string(one_configuration)};
}

}  // namespace switchyard::cli
