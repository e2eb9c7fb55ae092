// sample: text of a trained model.
#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>

#include "base/error.hpp"
#include "base/lines.hpp"
#include "base/log.hpp"
#include "base/utf8.hpp"
#include "cli/commands/commands.hpp"
#include "cli/handshake.hpp"
#include "cli/number_option.hpp"
#include "cli/stored_run.hpp"
#include "comm/agreement.hpp"
#include "config/messages.hpp"
#include "config/require.hpp"
#include "console/terminal.hpp"
#include "files/regular_file.hpp"
#include "model/continuation.hpp"
#include "run/run_checkpoint.hpp"
#include "run/vocabulary.hpp"

namespace switchyard::cli {
namespace {

constexpr std::string_view own_options[] = {"checkpoint", "count",  "prompt",      "prompts",
                                            "seed",       "tokens", "temperature", "top-p"};

struct SampleOptions {
  model::ContinuationOptions text;
  index_t count = 1;
  std::vector<std::string> prompts;
};

// Local; whatever is read is read by the root.
SampleOptions options_of(const CommandLine& line) {
  constexpr Range counts{1, 1e9, "a whole number from 1 to 1000000000"};
  SampleOptions options;
  options.text.tokens = number_of<index_t>(line, "tokens", 200, counts);
  options.count = number_of<index_t>(line, "count", 1, counts);
  options.text.choice.temperature = number_of(line, "temperature", 1.0, {0, 1e30, "a number from 0 to 1e30"});
  options.text.choice.top_p =
      number_of(line, "top-p", 1.0, {0, 1, "a number above 0 and up to 1", /*is_open=*/true});
  options.text.seed = number_of<std::uint64_t>(line, "seed", 1, {0, 1.8e19, "a whole number from 0 on"});
  if (line.option("prompt") && line.option("prompts"))
    throw ConfigError(
        "--prompt and --prompts are both given (one is a text, the other a file of many); keep one of them");
  return options;
}

std::vector<std::string> read_prompts(const CommandLine& line) {
  const std::string prompt = line.option("prompt").value_or("");
  if (prompt == "-")
    return {std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>())};
  const std::optional<std::string> file = line.option("prompts");
  if (!file) return {prompt};
  if (const std::string reason = files::why_unreadable(*file); !reason.empty())
    throw DataError(fmt::format("cannot read --prompts={} ({}); give a text file with a prompt on each line",
                                config::in_quotes(*file), reason));
  std::ifstream lines(*file);
  std::vector<std::string> prompts;
  for (std::string one; next_line(lines, one);) prompts.push_back(one);
  if (prompts.empty())
    throw DataError(fmt::format("--prompts={} is empty (each of its lines is a prompt); write some",
                                config::in_quotes(*file)));
  return prompts;
}

// The root's, on every rank: the others have neither its standard input nor, maybe, its files.
void share_prompts(Runtime& runtime, const CommandLine& line, std::vector<std::string>& prompts) {
  comm::Communicator& communicator = runtime.communicator();
  comm::agree(communicator, [&] {
    const comm::WatchedWait wait(&runtime.watchdog(), comm::Operation::read_files, "prompt");
    if (runtime.is_root()) prompts = read_prompts(line);
  });
  std::string count = fmt::format("{}", prompts.size());
  communicator.broadcast(count);
  prompts.resize(std::stoul(count));
  for (std::string& prompt : prompts) communicator.broadcast(prompt);
}

std::vector<std::int32_t> tokens_of(const data::TokenText& text, const std::string& prompt) {
  const std::optional<std::int32_t> end = text.end_of_document();
  if (!prompt.empty()) return text.encode(prompt);
  if (end) return {*end};
  throw ConfigError(
      "there is no prompt, or an empty one (a model of bytes has no token that a text begins with); give "
      "--prompt=TEXT");
}

// Standard output, which is given whole characters as soon as they are.
class GrowingText {
 public:
  explicit GrowingText(const data::TokenText& text) : text_(&text) {}

  // False: it is lost.
  bool add(std::int32_t token) {
    held_ += text_->decode(token);
    write(held_.size() - unfinished_bytes(held_));
    std::cout.flush();
    return std::cout.good();
  }
  // What is left is no character, and stays what it is.
  void end(std::string_view mark) {
    write(held_.size());
    std::cout << mark << std::flush;
  }

 private:
  void write(std::size_t bytes) {
    std::cout << held_.substr(0, bytes);
    held_.erase(0, bytes);
  }

  const data::TokenText* text_;
  std::string held_;
};

class Sampler {
 public:
  Sampler(Runtime& runtime, model::TokenModel& model, index_t window, const data::TokenText& text,
          const SampleOptions& options)
      : runtime_(&runtime),
        reader_(model, runtime.resources(), window, text.end_of_document().value_or(-1)),
        text_(&text),
        options_(&options),
        samples_(std::ssize(options.prompts) * options.count) {}

  void sample_all() {
    const auto start = std::chrono::steady_clock::now();
    for (const std::string& prompt : options_->prompts) {
      std::vector<std::int32_t> tokens;
      comm::agree(runtime_->communicator(), [&] { tokens = tokens_of(*text_, prompt); });
      if (std::ssize(tokens) > reader_.window() && runtime_->is_root())
        log::warn("the prompt has {} tokens (the model reads {} at once): it sees the last of them",
                  tokens.size(), reader_.window());
      for (index_t i = 0; i < options_->count && !is_lost_; ++i) sample(tokens);
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (runtime_->is_root())
      log::info("{} tokens in {:.2f} s, {} a second", console::grouped(tokens_), seconds.count(),
                console::rate_text(static_cast<double>(tokens_) / seconds.count()));
  }

 private:
  void sample(Span<const std::int32_t> prompt) {
    const bool is_root = runtime_->is_root();
    if (is_root && samples_ > 1) log::info("sample {} of {}", done_ + 1, samples_);
    GrowingText out(*text_);
    bool goes_on = true;
    const bool ended = model::continue_text(reader_, runtime_->resources(), prompt, options_->text, done_++,
                                            [&](std::int32_t token) {
                                              ++tokens_;
                                              return goes_on = !is_root || out.add(token);
                                            });
    // On all ranks, as on the root, whose output it is.
    is_lost_ = comm::on_any_rank(runtime_->communicator(), !goes_on);
    if (!is_root || is_lost_) return;
    out.end(samples_ > 1 ? std::string_view("\n\0", 2) : "\n");
    if (ended) log::info("the model ended the document");
  }

  Runtime* runtime_;
  model::TokenReader reader_;
  const data::TokenText* text_;
  const SampleOptions* options_;
  index_t samples_, done_ = 0, tokens_ = 0;
  bool is_lost_ = false;
};

void expect_text(const run::Config& config) {
  config::require(
      model::reads_tokens(config.model.family),
      "the run has model.family = mixture (a model of samples, which has no text to go on with); give a run of a "
      "model of text, such as one of configs/text/mixture.ini");
  config::require(
      config.moe.capacity == 0 || config.moe.capacity_when == moe::When::training,
      "moe.capacity = {} (it is of the tokens of a batch, and a text grows by one token after the other); "
      "add --moe.capacity=0",
      config.moe.capacity);
}

}  // namespace

int sample(Runtime& runtime, Arguments arguments) {
  comm::Communicator& communicator = runtime.communicator();
  CommandLine line;
  SampleOptions options;
  const std::string file = checkpoint_of(
      runtime,
      [&] {
        line = parse_command_line(
            arguments, {.schemas = {&run::schema()}, .own = {std::begin(own_options), std::end(own_options)}});
        options = options_of(line);
        return line;
      },
      {"sample takes one checkpoint or run folder", "switchyard sample runs/latest --prompt=TEXT"});
  std::vector<comm::Compared> compared;
  for (const std::string_view name : own_options)
    compared.push_back(compared_argument(fmt::format("--{}", name), line.option(name).value_or("")));
  comm::expect_same(communicator, ErrorKind::config, compared);
  share_prompts(runtime, line, options.prompts);

  const checkpoint::Reader reader(communicator, file);
  const run::Config config = stored_config(runtime, reader, file, line);
  comm::agree(communicator, [&] { expect_text(config); });
  runtime.start_device(config.run, config.comm);
  data::TokenText text;
  std::unique_ptr<model::TokenModel> model;
  const index_t window = run::data_options(config).window;
  comm::agree(communicator, [&] {
    const comm::WatchedWait wait(&runtime.watchdog(), comm::Operation::read_files, "checkpoint");
    text = run::token_text(reader, config);
    options.text.end = text.end_of_document();
    const model::Task task{.sample = {1, 1, window}, .classes = text.size(), .groups = 1, .window = window};
    model = model::make_token_model(run::model_options(config), task, runtime.resources());
    run::load_arrays(reader, runtime.resources().context, *model, nullptr);
    model->values_changed();
  });
  Sampler(runtime, *model, window, text, options).sample_all();
  communicator.barrier();
  return 0;
}

std::string sample_help() {
  return R"(usage: switchyard sample CHECKPOINT|RUN [--prompt=TEXT|--prompts=FILE] [--tokens=200] [--temperature=1] [--top-p=1]
                         [--seed=1] [--count=1] [--checkpoint=best|latest|STEP] [--data.file=FILE] [--run.threads=N]
                         [--run.device=auto|cpu|cuda]

Goes on with a text as a model of text would, and prints what it says, without the prompt, as it grows. --prompt=- reads
the prompt from standard input; --prompts=FILE goes on with each line of a file. Without one, a document begins (a model
of bytes needs one). A sample ends after --tokens tokens or with the document; a line break follows, and behind that a NUL
where there are several. Standard output holds text alone, in whole characters; what else is said goes to standard error.

A token is drawn by its probability, softmax(scores / temperature), among the most probable ones that have --top-p of it
together; --temperature=0 takes the most probable. The same seed gives the same text on any number of ranks and threads.
The model sees the last tokens, from half its window to a whole one. --data.file=FILE names the file of tokens where the
checkpoint does not hold its vocabulary (an older version wrote it). docs/language_models.md tells more.
)";
}

}  // namespace switchyard::cli
