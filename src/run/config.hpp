// The configuration of a run: the options of all rooms, joined.
#pragma once

#include "comm/options.hpp"
#include "data/options.hpp"
#include "model/options.hpp"
#include "moe/options.hpp"
#include "optim/options.hpp"
#include "run/options.hpp"
#include "train/options.hpp"

namespace switchyard::run {

struct Config {
  Options run;
  comm::Options comm;
  data::Options data;
  model::Options model;
  InitOptions init;
  moe::Options moe;
  optim::Options optim;
  train::Options train;
  CheckpointOptions checkpoint;
  MetricsOptions metrics;
  OutputOptions output;
};

// All keys, in the order of Config, which is the order of every listing.
const config::Schema<Config>& schema();

// The configuration that INI text says; `origin` names the text in messages. Not validated: the command line
// may still change it.
Config parse_config(std::string_view ini, std::string_view origin);

// The data of such a run, in windows of the model's where that says how long they are.
data::Options data_options(const Config& config);
// What the model of such a run is made from.
model::ModelOptions model_options(const Config& config);

// A key whose values differ.
struct Difference {
  const config::Key* key;
  std::string then, now;
};
std::vector<Difference> differences(const Config& then, const Config& now);

// Questions that are asked of a field's role. Whether a run that goes on may have another value than it began
// with: it must compute what the whole run would have.
bool may_change_on_resume(const config::Field& field);
// Whether a trained model may be asked with another value than it was trained with.
bool may_change_in_evaluation(const config::Field& field);

// What an evaluation is asked to limit: in every pass, and with 0 there is nothing to say of it.
void set_capacity(moe::Options& moe, double capacity);
// Every key that training alone reads at its default: what is left is valid for any such model.
Config without_training(Config config);

}  // namespace switchyard::run
