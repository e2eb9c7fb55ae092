#include "config/describe.hpp"

#include <fmt/format.h>

#include "config/messages.hpp"
#include "config/parse.hpp"

namespace switchyard::config {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

std::string describe(const Range& range) {
  if (range.min == -infinity && range.max == infinity) return "any number";
  if (range.max == infinity) {
    return range.min_excluded ? fmt::format("number above {}", range.min)
                              : fmt::format("number, at least {}", range.min);
  }
  return fmt::format("number from {}{} to {}{}", range.min_excluded ? "above " : "", range.min,
                     range.max_excluded ? "below " : "", range.max);
}

struct Describer {
  std::string operator()(const Integer& type) const {
    return fmt::format("{}whole number from {} to {}",
                       type.automatic.empty() ? "" : fmt::format("{}, or ", type.automatic), type.min,
                       type.max);
  }
  std::string operator()(const Number& type) const { return describe(type.range); }
  std::string operator()(const Numbers& type) const {
    return describe(type.range) + "; or several, with a space between";
  }
  std::string operator()(const Text&) const { return "text without '#'"; }
  std::string operator()(const Choice& type) const { return one_of(type.names); }
};

// Of a cell: a bar would end it.
std::string escaped(std::string_view text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|') cell += '\\';
    cell += c;
  }
  return cell;
}

std::string code(const std::string& text) { return text.empty() ? "" : fmt::format("`{}`", text); }

}  // namespace

std::string describe_values(const Field& field) {
  std::string values = std::visit(Describer{}, field.type);
  if (!field.unit.empty()) values += fmt::format(" ({})", field.unit);
  return values;
}

std::string describe_default(const Field& field) { return value_text(Config{}, field); }

std::string configuration_markdown() {
  // Raw, so that a line here is a line of the page.
  std::string page = R"(# Configuration

Every key of a configuration file. This page is generated; after a change of the field tables in
`src/config/fields.cpp`, run `switchyard help configuration > docs/configuration.md`.

A file holds `[section]` lines and `key = value` lines; `#` starts a comment. On the command line a key is
written `--section.key=value`. The command line wins over the file, the file over the default. An unknown
key and a key that is set twice are errors.

`model.gate` and `model.expert` are layers in order, with spaces between. A network on images may begin
with `conv:CHANNELS relu max_pool` or `conv:CHANNELS batch_norm relu max_pool` (convolution 3x3 without
padding, pooling 2x2), and go on, or begin, with any number of `padded_conv:CHANNELS` (convolution 3x3 with
a border of zeros), each with or without `batch_norm`, `relu` and `max_pool` after it, in that order; all
other layers are `dense:UNITS`, each with or without a `relu` after it. The gate ends in `dense:experts`,
the expert in `dense:classes`. Convolutions compute in float32, whatever `train.precision` is.

`batch_norm` takes mean and variance over the global batch, in an expert over the samples of the batch that
were sent to it: all of them if the gate is dense, under top-k routing those that chose the expert. A batch
that sends an expert fewer than two samples leaves its running mean and variance, with which evaluation
normalises, as they are. A `padded_conv` before a `batch_norm` has no bias.

A gate may also end in `attention:experts`, a query for the experts' hidden vectors (those of the dense layer before an
expert's last, before its `relu`). Three gates have no layers: `most_certain:experts`, where the most certain expert answers;
`by_label:experts`, where `moe.partition` says whose a label is; and `none` for a single expert.

A network on patches is `patch_filters:N [bias] [ACTIVATION] sum:experts` or `sum:classes` and nothing else: N filters
for every output, each applied to every patch (a row of the sample), an activation among `relu`, `cubic`, `celu`, `gelu`
and `tanh` or none, and the sum over patches and filters.
)";
  for (const Section& section : sections()) {
    page += fmt::format("\n## [{}]: {}\n\n| key | default | values | meaning |\n|---|---|---|---|\n",
                        section.name, section.help);
    for (const Field& field : section.fields) {
      page += fmt::format("| `{}` | {} | {} | {} |\n", field.key, code(describe_default(field)),
                          describe_values(field), escaped(field.help));
    }
  }
  return page;
}

}  // namespace switchyard::config
