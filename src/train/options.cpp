#include "train/options.hpp"

#include "config/field_table.hpp"
#include "config/require.hpp"

namespace switchyard::train {
namespace {

constexpr std::array order_words = {config::Word{SampleOrder::shuffled, "shuffled"},
                                    config::Word{SampleOrder::fixed, "fixed"}};
constexpr std::array precision_words = {config::Word{nn::Precision::float32, "float32"},
                                        config::Word{nn::Precision::tf32, "tf32"},
                                        config::Word{nn::Precision::bf16, "bf16"}};

constexpr config::FieldTable<Options> arithmetic{config::Role::arithmetic};
constexpr config::FieldTable<Options> length{config::Role::length};
constexpr config::FieldTable<Options> output{config::Role::output};
constexpr config::FieldTable<Options> placement{config::Role::placement};
constexpr config::FieldTable<Options> training{config::Role::training};
constexpr std::array fields = {
    arithmetic.integer<&Options::shards>(
        "shards", 1, 1'000'000, "parts of the global batch whose sums are kept apart; part of the arithmetic"),
    arithmetic.integer<&Options::parts>(
        "parts", 1, 1'000'000,
        "the batch is computed in so many parts, one after the other, for less memory; part of the arithmetic"),
    in_headline("batch",
                arithmetic.integer<&Options::batch_size>("batch_size", 1, config::largest_count,
                                                         "the global batch, over all ranks", "samples")),
    in_headline("epochs", training.integer<&Options::epochs>("epochs", 1, config::largest_count,
                                                             "passes over the training samples", "epochs")),
    length.integer<&Options::max_steps>("max_steps", 0, config::largest_count,
                                        "stops after these, the schedule unchanged; 0: no limit", "steps"),
    training.choice<&Options::order, order_words>("order", "of the samples in an epoch"),
    training.number<&Options::stop_loss>("stop_loss", config::not_negative,
                                         "ends the run when a batch's loss is at most this; 0: never"),
    training.number<&Options::stop_loss_rise>(
        "stop_loss_rise", config::not_negative,
        "ends the run when a batch's loss is this much above the smallest so far; 0: never"),
    training.integer<&Options::stop_after_steps>("stop_after_steps", 0, config::largest_count,
                                                 "the two above count from here on", "steps"),
    training.text<&Options::freeze>(
        "freeze",
        "what training leaves as it is, by patterns of names of whole networks, such as: gate; experts/*"),
    arithmetic.choice<&Options::precision, precision_words>(
        "precision",
        "of the products, whose sums are float32 in all; tf32: a GPU's library cuts the factors to 10 bits"),
    placement.choice<&Options::recompute, config::yes_no_words>(
        "recompute",
        "yes: a model of tokens keeps the inputs of its layers alone and computes them again on the way back: less "
        "memory, more time, the same bits"),
    training.integer<&Options::evaluate_every_steps>(
        "evaluate_every_steps", 0, config::largest_count,
        "between two evaluations on the validation split, of which the best one's checkpoint is kept; 0: at the end of "
        "every epoch",
        "steps"),
    output.integer<&Options::log_every_steps>("log_every_steps", 1, config::largest_count,
                                              "between two progress lines", "steps"),
};

}  // namespace

config::Section section() { return {"train", "the training loop", fields}; }

void validate(const Options& options) {
  config::require(
      options.stop_after_steps == 0 || options.stop_loss > 0 || options.stop_loss_rise > 0,
      "train.stop_after_steps = {} without train.stop_loss or stop_loss_rise (nothing stops the run "
      "early); set one of them, or remove it",
      options.stop_after_steps);
}

}  // namespace switchyard::train
