// What the ranks of one command compare before they work together (comm/handshake.hpp says how).
#pragma once

#include <string_view>
#include <vector>

#include "comm/communicator.hpp"
#include "comm/handshake.hpp"
#include "device/context.hpp"

namespace switchyard::run {
struct Config;
}

namespace switchyard::cli {

// The command, the program and its libraries, and the instructions that they use: another of them would run
// other collectives or round otherwise. Before anything else that communicates. Collective; ConfigError.
void expect_same_program(comm::Communicator& communicator, std::string_view command);

// On a GPU: that all have one model of it and one library of products. Nothing on a CPU, whose library
// expect_same_program() compares. Collective; ConfigError.
void expect_same_gpus(comm::Communicator& communicator, const device::Context& context);

// Every key and value of `config` that all ranks must have alike, not those that each rank may have of its own;
// `where` goes in front of each: "ARM: ".
std::vector<comm::Compared> compared_configuration(const run::Config& config, std::string_view where = {});

// A thing of the command line, such as the run folder.
comm::Compared compared_argument(std::string_view what, std::string_view value);

}  // namespace switchyard::cli
