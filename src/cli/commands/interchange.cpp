// export, import: models as folders that other programs read.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <iterator>
#include <memory>

#include "base/error.hpp"
#include "checkpoint/checkpoint.hpp"
#include "cli/commands/commands.hpp"
#include "cli/options.hpp"
#include "comm/host_data_plane.hpp"
#include "comm/local/local_communicator.hpp"
#include "data/dataset.hpp"
#include "files/regular_file.hpp"
#include "interchange/transfer.hpp"
#include "run/data_arrays.hpp"
#include "run/load_data.hpp"
#include "run/run_checkpoint.hpp"
#include "run/vocabulary.hpp"
#include "train/batch_loader.hpp"

namespace switchyard::cli {
namespace {

// What an exported model has of its run is where its data lie.
constexpr OverrideRule export_rule{
    .allows = [](const config::Field& field) { return field.role == config::Role::source; },
    .why = "a model is exported as it is",
    .try_this = "leave it out"};

std::string out_of(const CommandLine& line, std::string_view try_this) {
  std::string out = line.option("out").value_or("");
  if (out.empty())
    throw ConfigError(
        fmt::format("it was not told where to write (--out is missing or empty); try `{}`", try_this));
  return out;
}

interchange::ElementType type_of(const CommandLine& line) {
  const std::string text = line.option("dtype").value_or("float32");
  if (text == "float32") return interchange::ElementType::float32;
  if (text == "bfloat16") return interchange::ElementType::bfloat16;
  throw ConfigError(
      fmt::format("--dtype={} is no type of numbers here; try --dtype=float32 or --dtype=bfloat16", text));
}

std::string layout_of(const CommandLine& line) {
  std::string layout = line.option("layout").value_or(std::string(interchange::automatic));
  if (layout != interchange::automatic) static_cast<void>(interchange::layout_of(layout));
  return layout;
}

// The model of `config` with the weights of `folder`, as a checkpoint before the first step.
void write_checkpoint(const std::string& file, const run::Config& config, const data::Dataset& dataset,
                      model::Model& model) {
  const data::Identity& data = dataset.identity();
  std::vector<checkpoint::Slice> arrays;
  for (const run::Held& held : run::arrays_of(model)) {
    arrays.push_back({held.path, checkpoint::DType::float32, held.array.shape,
                      checkpoint::all_elements(held.array.shape),
                      reinterpret_cast<std::byte*>(held.array.data)});
  }
  std::ranges::copy(run::data_arrays(dataset), std::back_inserter(arrays));
  checkpoint::Header header{.integers = {{"state/step", 0},
                                         {"data/training_samples", data.training_samples},
                                         {"data/validation_samples", data.validation_samples},
                                         {"data/test_samples", data.test_samples}},
                            .numbers = {},
                            .texts = {{"config", run::schema().to_ini(config)}, {"data/digest", data.digest}}};
  run::add_data_facts(dataset, header);
  checkpoint::write_arrays(file, header, arrays, checkpoint::file_mark);
}

}  // namespace

int export_model(Arguments arguments) {
  constexpr std::string_view usual = "switchyard export runs/latest --out=exported";
  const CommandLine line = parse_command_line(
      arguments, {.schemas = {&run::schema()}, .own = {"out", "layout", "dtype", "checkpoint"}});
  const interchange::ExportOptions options{out_of(line, usual), layout_of(line), type_of(line)};
  const std::string& path = only_positional(line, "export takes one checkpoint or run folder", usual);
  const std::optional<std::string> name = line.option("checkpoint");
  const std::string file = name ? run::named_checkpoint(path, *name) : run::checkpoint_file(path);
  const checkpoint::Reader reader(file);
  const run::Config config = parse_overrides(run::parse_config(reader.text("config"), file), line, export_rule);
  const interchange::Exported exported = interchange::export_model(reader, config, options);
  std::cout << fmt::format("{}: layout {}\n", file, exported.layout->name);
  for (const std::string& remark : exported.remarks) std::cout << "  " << remark << '\n';
  for (const std::string& written : exported.files) std::cout << (options.folder / written).string() << '\n';
  return 0;
}

int import_model(Arguments arguments) {
  constexpr std::string_view usual = "switchyard import exported --out=imported.h5";
  CommandLine line =
      parse_command_line(arguments, {.schemas = {&run::schema()}, .own = {"out", "layout", "config"}});
  const std::string file = out_of(line, usual);
  const std::string layout = layout_of(line);
  const std::filesystem::path folder = only_positional(line, "import takes one folder", usual);
  files::expect_replaceable(file, checkpoint::file_mark, "--out=FILE");
  const std::filesystem::path beside = folder / "switchyard.ini";
  if (!line.option("config") && files::is_there(folder) && !files::is_there(beside))
    throw ConfigError(fmt::format(
        "'{}' has no switchyard.ini (the configuration that `switchyard export` writes beside a model); give that of "
        "a model like it: --config=FILE.ini",
        folder.string()));
  line.positionals = {line.option("config").value_or(beside.string())};
  const run::Config config = parse_run_options(line);
  const data::Dataset dataset = run::load_data(config);
  if (const std::filesystem::path tokens = folder / "tokenizer.model"; files::is_there(tokens))
    run::expect_same_vocabulary(files::read_regular_file(tokens), dataset, config);
  comm::LocalCommunicator alone;
  comm::HostDataPlane plane(alone);
  device::Context context(1);
  const std::unique_ptr<model::Model> model =
      model::make_model(run::model_options(config), train::task_of(dataset), {alone, plane, context});
  const interchange::Layout& found = interchange::import_model(folder, layout, config, *model);
  write_checkpoint(file, config, dataset, *model);
  std::cout << fmt::format("{}: layout {}\n{}\n", folder.string(), found.name, file);
  return 0;
}

std::string export_help() {
  return R"(usage: switchyard export CHECKPOINT|RUN --out=FOLDER [--layout=auto|mixtral|qwen2_moe|llama|plain]
                         [--dtype=float32|bfloat16] [--checkpoint=best|latest|STEP] [--data.file=FILE]

Writes the model of a checkpoint, or of one of a run folder (--checkpoint; without it the newest whole one), to a
folder: model.safetensors, config.json as transformers reads it, switchyard.ini, and tokenizer.model (the vocabulary of
data.file as SentencePiece reads it). --layout=auto takes the first layout that has the same arithmetic: mixtral, where
each layer is a mixture; qwen2_moe, where some are, or there is a shared expert; llama, without mixtures; else plain,
our own arrays, and says why. docs/language_models.md tells more.
)";
}

std::string import_help() {
  return R"(usage: switchyard import FOLDER --out=FILE.h5 [--config=FILE.ini] [--section.key=value ...]
                         [--layout=auto|mixtral|qwen2_moe|llama|plain]

Reads model.safetensors of a folder into the model of a configuration (that of the folder, switchyard.ini, unless
--config names another) and writes a checkpoint: for eval, and for new runs with init.from. The file must hold all of
the model and nothing else, and config.json, if it is there, say the same arithmetic. The data of the configuration are
read, too. docs/language_models.md tells more.
)";
}

}  // namespace switchyard::cli
