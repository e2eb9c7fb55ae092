#include "run/config.hpp"

#include <algorithm>
#include <iterator>

#include "config/ini.hpp"

namespace switchyard::run {
namespace {

std::vector<config::Section> all_sections() {
  std::vector<config::Section> all;
  const auto add = [&](std::vector<config::Section> sections) {
    std::ranges::move(sections, std::back_inserter(all));
  };
  add(config::sections_at<&Config::run>({run_section()}));
  add(config::sections_at<&Config::comm>({comm::section()}));
  add(config::sections_at<&Config::data>(data::sections()));
  add(config::sections_at<&Config::model>(model::sections()));
  add(config::sections_at<&Config::init>({init_section()}));
  add(config::sections_at<&Config::moe>({moe::section()}));
  add(config::sections_at<&Config::optim>({optim::section()}));
  add(config::sections_at<&Config::train>({train::section()}));
  add(config::sections_at<&Config::checkpoint>({checkpoint_section()}));
  add(config::sections_at<&Config::metrics>({metrics_section()}));
  add(config::sections_at<&Config::output>({output_section()}));
  return all;
}

}  // namespace

const config::Schema<Config>& schema() {
  static const config::Schema<Config> all(all_sections(), "'switchyard help configuration' lists all keys");
  return all;
}

Config parse_config(std::string_view ini, std::string_view origin) {
  return config::parse_ini(schema(), ini, origin);
}

data::Options data_options(const Config& config) {
  data::Options data = config.data;
  if (config.model.family == model::Family::transformer) data.window = config.model.transformer.window;
  return data;
}

model::ModelOptions model_options(const Config& config) {
  return {.networks = config.model,
          .moe = config.moe,
          .precision = config.train.precision,
          .frozen = model::frozen_networks(config.train.freeze, config.moe.experts),
          .batch_size = config.train.batch_size,
          .shards = config.train.shards,
          .seed = config.run.seed,
          .recompute = config.train.recompute,
          .draw = static_cast<std::uint32_t>(config.init.draw)};
}

std::vector<Difference> differences(const Config& then, const Config& now) {
  std::vector<Difference> found;
  for (const config::Key& key : schema().keys()) {
    Difference values{&key, schema().text(then, key), schema().text(now, key)};
    if (values.then != values.now) found.push_back(std::move(values));
  }
  return found;
}

bool may_change_on_resume(const config::Field& field) {
  using config::Role;
  switch (field.role) {
    case Role::source:
    case Role::placement:
    case Role::length:
    case Role::output:
      return true;
    case Role::run:
    case Role::seed:
    case Role::identity:
    case Role::arithmetic:
    case Role::training:
      return false;
  }
  return false;
}

bool may_change_in_evaluation(const config::Field& field) {
  return field.role == config::Role::source || field.role == config::Role::placement ||
         field.free_in_evaluation;
}

void set_capacity(moe::Options& moe, double capacity) {
  const moe::Options defaults;
  if (capacity == 0) moe.drop = defaults.drop;
  moe.capacity_when = capacity == 0 ? defaults.capacity_when : moe::When::always;
  moe.capacity = capacity;
}

Config without_training(Config config) {
  const Config defaults;
  for (const config::Key& key : schema().keys()) {
    if (key.field->role == config::Role::training)
      schema().set(config, key.name, schema().text(defaults, key), "default");
  }
  // Noise that is added in training alone; a gate value that is named after it needs it to be named.
  if (config.moe.noise_when == moe::When::training && config.moe.gate_value == moe::GateValue::softmax) {
    config.moe.noise = defaults.moe.noise;
    config.moe.noise_scale = defaults.moe.noise_scale;
    config.moe.noise_draw = defaults.moe.noise_draw;
  }
  if (config.moe.capacity_when == moe::When::training) set_capacity(config.moe, 0);  // so is such a capacity
  config.moe.replicas = defaults.moe.replicas;  // they share out what is trained
  return config;
}

}  // namespace switchyard::run
