#include "unit/report/fixtures.hpp"

#include <fmt/format.h>

#include <fstream>

namespace switchyard::test {

void write_file(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

std::string step_line(int step, double loss, std::string_view extra) {
  return fmt::format(
      R"({{"kind":"step","step":{},"epoch":{},"samples":100,"loss":{},"task_loss":{},"importance_loss":0.125,"error":0.5,)"
      R"("load":[60,40],"h_s":0.25,"h_u":0.9,"mi_predicted":0.7,"mi_true":0.6,)"
      R"("time":{{"data":0.25,"gate":0.75,"step":1.0,"samples_per_second":100,"sent_rows":3}}{}}})"
      "\n",
      step, (step - 1) / 4 + 1, loss, loss - 0.125, extra);
}

std::string evaluation_line(int step, int epoch, double error) {
  return fmt::format(
      R"({{"kind":"evaluation","split":"validation","step":{},"epoch":{},"error":{},"loss":1.5,"h_s":0.25,"h_u":0.875,)"
      R"("mi_predicted":0.75,"mi_true":0.5,"expert_share":[0.75,0.25],"importance_share":[0.625,0.375],)"
      R"("class_by_expert":[[10,0],[5,5],[0,0]],"class_by_expert_predicted":[[11,0],[4,5],[0,0]],"dead_experts":[]}})"
      "\n",
      step, epoch, error);
}

void write_run(const std::filesystem::path& folder) {
  write_file(folder / "config.ini", "[run]\nseed = 7\ndir = a<b\n\n[moe]\nexperts = 2\ntop_k = 0\n");
  std::string metrics;
  for (int step = 1; step <= 12; ++step) {
    metrics += step_line(step, 3.0 / step, fmt::format(R"(,"dispatch_entropy":{},"new":[1,{{}}])", 2.0 / step));
    if (step % 4 == 0) metrics += evaluation_line(step, step / 4, 0.5 / step);
  }
  write_file(folder / "metrics.jsonl", metrics);
  write_file(
      folder / "summary.json",
      R"({"steps":12,"parameters":123456,"seed":7,"train":{"samples_per_second":1234.5,"dispatch_entropy":0.21},)"
      R"("validation":{"error":0.04,"expert_share":[0.7,0.3],"dead_experts":[]},)"
      R"("test":{"error":0.0425,"loss":0.40625,"h_s":0.0995,"h_u":0.96875,"mi_predicted":0.71,"mi_true":0.61,)"
      R"("expert_share":[1.0,0.0],"dead_experts":[1],"class_by_expert":[[7,3],[1,9],[0,10]],"dispatch_entropy":0.3125},)"
      R"("exit":{"code":0,"reason":"finished all 12 steps"},"build":{"version":"0.1.0","cuda":false}})");
}

namespace {

// {"error": ..., "layers": [...]} without the braces.
std::string text_evaluation(double loss, std::string_view details) {
  return fmt::format(
      R"("error":0.625,"loss":{0},"task_loss":{0},"perplexity":2.0,"bits_per_byte":{1},"domains":["code","<letters>"],"layers":[)"
      R"({{"name":"blocks/00/mixture","h_s":0.5,"h_u":0.96875,"dispatch_entropy":0.25,"largest_share":0.625,)"
      R"("active_experts":2,"expert_share":[0.625,0.375],"load":[5,3],"dead_experts":[],"domain_by_expert":[[4,1],[1,2]]{2}}},)"
      R"({{"name":"blocks/01/mixture","h_s":0.125,"h_u":0.0,"dispatch_entropy":0.6875,"largest_share":1.0,)"
      R"("active_experts":1,"expert_share":[1.0,0.0],"load":[8,0],"dead_experts":[1],"domain_by_expert":[[5,0],[3,0]]{2}}}])",
      loss, loss / 0.6875, details);
}

}  // namespace

void write_text_run(const std::filesystem::path& folder) {
  std::string metrics;
  for (int step = 1; step <= 8; ++step) {
    metrics += fmt::format(
        R"({{"kind":"step","step":{},"epoch":{},"samples":8,"loss":{},"layers":[)"
        R"({{"name":"blocks/00/mixture","load":[5,3],"h_s":0.75,"h_u":0.9375,"dispatch_entropy":0.5}},)"
        R"({{"name":"blocks/01/mixture","load":[8,0],"h_s":0.25,"h_u":0.0625,"dispatch_entropy":0.5}}]}})"
        "\n",
        step, (step + 3) / 4, 5.5 / step);
    if (step % 4 != 0) continue;
    metrics += fmt::format(R"({{"kind":"evaluation","split":"validation","step":{},"epoch":{},{}}})"
                           "\n",
                           step, step / 4, text_evaluation(5.5 / step, R"(,"importance_share":[0.75,0.25])"));
  }
  write_file(folder / "metrics.jsonl", metrics);
  write_file(folder / "summary.json",
             fmt::format(R"({{"steps":8,"parameters":99,"validation":{{{0}}},"test":{{{0}}},)"
                         R"("exit":{{"code":0,"reason":"finished all 8 steps"}}}})",
                         text_evaluation(0.6875, "")));
}

void write_study(const std::filesystem::path& folder) {
  for (int seed = 1; seed <= 2; ++seed) {
    std::string metrics;
    for (int step = 1; step <= 5; ++step) {
      metrics += step_line(step, seed + 1.0 / step, fmt::format(R"(,"dispatch_entropy":{})", 1.0 / step));
    }
    write_file(folder / fmt::format("runs/plain/seed-{}/metrics.jsonl", seed), metrics);
  }
  write_file(folder / "runs/other/seed-2/metrics.jsonl", step_line(1, 99.0));
  write_file(folder / "study.json",
             R"({"name":"small <study>","metrics":["test.error","test.loss"],"baseline":"plain",
"select_by":"validation.error","arms":[
 {"name":"plain","title":"Plain","values":{},
  "runs":[{"seed":1,"folder":"runs/plain/seed-1","status":"finished","metrics":{"test.error":0.125,"test.loss":1.5}},
          {"seed":2,"folder":"runs/plain/seed-2","status":"finished","metrics":{"test.error":0.25,"test.loss":2.5}}],
  "summary":{"test.error":{"n":2,"mean":0.1875,"std":0.0884,"best":0.125}}},
 {"name":"other","title":"Other & <more>","values":{"moe.importance":"0.2"},
  "runs":[{"seed":1,"folder":"runs/other/seed-1","status":"finished","metrics":{"test.error":0.375}},
          {"seed":2,"folder":"runs/other/seed-2","status":"failed","metrics":{}}],
  "summary":{"test.error":{"n":1,"mean":0.375,"std":null,"best":0.375}},
  "selection":[{"values":{"moe.importance":"0.1"},"n":2,"mean":0.4,"std":0.01,"failed":1}]}],
"differences":[{"arm":"other","baseline":"plain","metric":"test.error","n":1,"mean":0.25,"low":0.125,"high":0.375}],
"published":[{"arm":"plain","metric":"test.error","step":null,"value":0.11,"std":0.02},
             {"arm":"plain","metric":"dispatch_entropy","step":3,"value":0.4,"std":null},
             {"arm":"plain","metric":"loss","step":2,"value":2.25,"std":0.125}],"new":1})");
}

}  // namespace switchyard::test
