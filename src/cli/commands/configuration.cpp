// help configuration: the text of docs/configuration.md.
#include "cli/commands/commands.hpp"
#include "config/describe.hpp"
#include "run/config.hpp"

namespace switchyard::cli {

std::string configuration_page() {
  // Raw, so that a line here is a line of the page.
  return R"(# Configuration

Every key of a configuration file. This page is generated; after a change of a table in a room's
`options.cpp`, run `switchyard help configuration > docs/configuration.md`.

A file holds `[section]` lines and `key = value` lines; `#` starts a comment. On the command line a key is
written `--section.key=value`. The command line wins over the file, the file over the default. An unknown
key and a key that is set twice are errors, and so is a value other than the default in a section that the
configuration does not read: a section may belong to one `data.source`.

`model.gate` and `model.expert` are layers in order, with spaces between. A network on images may begin
with `conv:CHANNELS relu max_pool` or `conv:CHANNELS batch_norm relu max_pool` (convolution 3x3 without
padding, pooling 2x2), and go on, or begin, with any number of `padded_conv:CHANNELS` (convolution 3x3 with
a border of zeros), each with or without `batch_norm`, `relu` (or `relu6`, at most 6) and `max_pool` after it, in that
order; all other layers are `dense:UNITS`, each with or without a `relu` after it. The gate ends in `dense:experts`,
the expert in `dense:classes`. Convolutions compute in float32 where
`train.precision` is bf16.

| instead of `padded_conv:CHANNELS` | |
|---|---|
| `padded_conv:CHANNELS/STRIDE` | of every STRIDE-th row and column |
| `pointwise_conv:CHANNELS[/STRIDE]` | convolution 1x1 |
| `depthwise_conv[/STRIDE]` | convolution 3x3 with a border of zeros, a kernel for each channel |
| `residual:CHANNELS[/STRIDE]` | the basic block of He et al. 2016: two convolutions 3x3 with batch norm, the first with a ReLU and the stride; what the block was given is added, through a convolution 1x1 with batch norm where the block changes its size; a ReLU |
| `inverted_residual:CHANNELS[/STRIDE][*EXPANSION]` | the block of Sandler et al. 2018: EXPANSION times as many channels by a convolution 1x1 (none where that is 1), a depthwise one with the stride, a convolution 1x1 to CHANNELS, all with batch norm and the first two with `relu6`; what the block was given is added where its size stays |
| `global_average_pool` | the mean of each channel, before the first dense layer |

A block stands behind a convolution. Two whole networks have names: `resnet18:classes` (or `:experts`) is ResNet18 (of 10 classes
11,173,962 parameters and 555,422,720 multiply-adds of a sample), and `mobilenet_v2:classes` MobileNetV2 (2,236,682 and 87,976,448),
both as they are built for images of 32 x 32: the first convolution is 3x3, without a stride or pooling. `plan` says both of any
model.

`batch_norm` takes mean and variance over the global batch, in an expert over the samples of the batch that
were sent to it: all of them if the gate is dense, under top-k routing those that chose the expert. A batch
that sends an expert fewer than two samples leaves its running mean and variance, with which evaluation
normalises, as they are. A `padded_conv` before a `batch_norm` has no bias.

A gate may also end in `cosine:experts`, cosines of a projection of what the layers before it make of the sample (there may be
none) and a vector of each expert, in float32; or in `attention:experts`, a query for the experts' hidden vectors (those of the
dense layer before an expert's last, before its `relu`). Three gates have no layers: `most_certain:experts`, where the most certain expert answers;
`by_label:experts`, where `moe.partition` says whose a label is; and `none` for a single expert.

A network on patches is `[patches:S] patch_filters:N [bias] [ACTIVATION] sum:experts` or `sum:classes` and nothing else: N
filters for every output, each applied to every patch (a row of the sample, or a square of S x S pixels), an
activation among `relu`, `cubic`, `celu`, `gelu` and `tanh` or none, and the sum over patches and filters.
)" + config::markdown_tables(run::schema());
}

std::string run_options_help() {
  return "Settings: section.key of the file, written --section.key=value here.\n" +
         config::options_help(run::schema());
}

}  // namespace switchyard::cli
