// A router by the scores that a network has of a sample, whatever its last layer is.
#pragma once

#include <memory>
#include <string>

#include "moe/router.hpp"

namespace switchyard::moe {

std::unique_ptr<Router> make_score_router(const RouterSetup& setup);
// How it chooses and weighs, in a few words.
std::string describe_scores(const Options& moe, const nn::NetworkShape& network);

}  // namespace switchyard::moe
