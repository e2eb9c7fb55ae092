// A configuration that is right, and what a change makes validate() say.
#pragma once

#include <functional>
#include <string>

#include "run/config.hpp"
#include "run/validate.hpp"
#include "support/config_error.hpp"

namespace switchyard::run::test {

inline Config valid() {
  Config config;
  config.data.dir = "data";
  config.model.gate = "conv:8 batch_norm relu max_pool dense:32 relu dense:experts";
  config.model.expert = "conv:1 relu max_pool dense:32 relu dense:classes";
  return config;
}

inline std::string error_of(const std::function<void(Config&)>& change) {
  Config config = valid();
  change(config);
  return switchyard::test::config_error_of([&] { validate(config); });
}

}  // namespace switchyard::run::test
