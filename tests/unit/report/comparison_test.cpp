// Runs beside each other.
#include "report/comparison.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "report/pages.hpp"
#include "support/temporary_directory.hpp"
#include "unit/report/fixtures.hpp"
#include "unit/report/markup.hpp"

namespace switchyard::report {
namespace {

using test::count_of;
using test::write_file;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using Folders = std::vector<std::filesystem::path>;

class Comparisons : public testing::Test {
 protected:
  // The run of write_run(), with another text in place of a part of its files.
  std::filesystem::path run(const std::string& name, std::string_view file = "", std::string_view text = "") {
    test::write_run(folder_.path() / name);
    if (!file.empty()) write_file(folder_.path() / name / file, text);
    return folder_.path() / name;
  }
  std::string page(const Folders& folders, const std::vector<std::string>& own = {"run.dir"}) {
    return comparison_page(folders, folder_.path(), {{}, own});
  }
  std::string why_refused(const Folders& folders) {
    try {
      page(folders);
    } catch (const Error& error) {
      return fmt::format("{}: {}", name(error.kind()), error.what());
    }
    return "";
  }
  test::TemporaryDirectory folder_;
};

void expect_whole(const std::string& page) {
  for (const std::string& picture : test::pictures(page)) EXPECT_EQ(test::why_malformed(picture), "");
  EXPECT_THAT(page, Not(HasSubstr("nan")));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
}

TEST(TellingNames, are_what_the_paths_do_not_share) {
  EXPECT_THAT(telling_names({"runs/one", "runs/two/"}), ElementsAre("one", "two"));
  EXPECT_THAT(telling_names({"/s/a/seed-1", "/s/b/seed-1"}), ElementsAre("a", "b"));
  EXPECT_THAT(telling_names({"/s/a/x/1", "/s/b/x/2"}), ElementsAre("a/x/1", "b/x/2"));
  EXPECT_THAT(telling_names({"/s/a", "/s/a/b"}), ElementsAre("a", "a/b")) << "something of each is left";
  EXPECT_THAT(telling_names({"/s/a", "/t/a"}), ElementsAre("s", "t"));
}

TEST_F(Comparisons, show_results_with_their_differences_from_the_first) {
  const auto other =
      run("other", "summary.json",
          R"({"steps":10,"parameters":123400,"test":{"error":0.03,"loss":0.40625,"new_score":3},)"
          R"("best":{"step":8,"epoch":2,"error":0.125,"test":{"error":0.25}},)"
          R"("exit":{"code":0,"reason":"finished"}})");
  const std::string shown = page({run("first"), other});
  expect_whole(shown);
  EXPECT_THAT(shown, HasSubstr("id=\"run-1.test.error\" value=\"0.0425\">4.25%</data></td>"));
  EXPECT_THAT(
      shown,
      HasSubstr("id=\"run-2.test.error\" value=\"0.03\">3.00%</data><span class=\"difference\">-1.25 pp<"));
  EXPECT_THAT(
      shown, HasSubstr("id=\"run-2.test.loss\" value=\"0.40625\">0.4062</data><span class=\"difference\">±0<"));
  EXPECT_THAT(shown, HasSubstr("<span class=\"difference\">-2<")) << "steps";
  const std::string alone = shown.substr(shown.find("What one run alone has"));
  EXPECT_THAT(alone, HasSubstr("<td class=\"text\">test new score</td><td>–</td>"));
  EXPECT_THAT(alone, HasSubstr("id=\"run-2.best.validation.error\" value=\"0.125\""));
}

TEST_F(Comparisons, need_neither_error_nor_classes) {
  const auto regression = [&](const std::string& name, double r2) {
    write_file(
        folder_.path() / name / "metrics.jsonl",
        fmt::format(
            R"({{"kind":"step","step":1,"samples":9,"loss":2.5,"task_loss":2.5,"mean_squared_error":2.5,"load":[5,4]}})"
            "\n"
            R"({{"kind":"evaluation","split":"validation","step":1,"mean_squared_error":2,"r2":{},"expert_share":[0.5,0.5]}})"
            "\n",
            r2));
    return folder_.path() / name;
  };
  const std::string shown = page({regression("a", 0.5), regression("b", 0.625)});
  expect_whole(shown);
  EXPECT_THAT(shown, HasSubstr("<td class=\"text\">validation R²</td>"));
  EXPECT_THAT(shown, HasSubstr("<span class=\"difference\">+0.1250<"));
  EXPECT_THAT(shown, HasSubstr("<figcaption>R², validation</figcaption>"));
  EXPECT_THAT(shown, Not(HasSubstr("<figcaption>Error")));
}

TEST_F(Comparisons, say_the_unit_of_their_losses) {
  constexpr std::string_view squared = "[model]\nloss = squared_error\n[data]\nscale_targets = yes\n";
  const auto a = run("a", "config.ini", squared);
  const auto b = run("b", "config.ini", squared);
  EXPECT_THAT(page({a, b}), HasSubstr(">squared error of scaled labels<"));
  EXPECT_THAT(page({a, b}), Not(HasSubstr("different units")));
  EXPECT_THAT(page({run("c"), run("d")}), HasSubstr(">nats<"));
  const std::string mixed = page({a, run("c")});
  EXPECT_THAT(mixed, HasSubstr(">in the unit of each run<"));
  EXPECT_THAT(mixed, HasSubstr("losses of different units"));
}

TEST_F(Comparisons, draw_a_curve_for_each_run_in_its_colour) {
  const std::string shown = page({run("a"), run("b"), run("c")});
  for (const char* title :
       {"Loss, training batches", "Loss, validation", "Error, training batches", "Error, validation",
        "Usage, largest weight", "Usage, mean gate weight", "H_s, validation", "H_u, validation",
        "I(E;Y), true class, validation", "Dispatch entropy, training batches"})
    EXPECT_EQ(count_of(shown, fmt::format("<figcaption>{}</figcaption>", title)), 1U) << title;
  const auto loss = shown.find("<figcaption>Loss, training");
  const std::string chart = shown.substr(loss, shown.find("</figure>", loss) - loss);
  for (const char* curve : {"class=\"curve c0\"", "class=\"curve c1\"", "class=\"curve c2\""})
    EXPECT_EQ(count_of(chart, curve), 2U) << curve << ": the curve and its key";
  EXPECT_EQ(count_of(chart, "<li>"), 3U);
}

TEST_F(Comparisons, list_the_keys_that_differ_alone) {
  const auto a = run("a", "config.ini", "[run]\nseed = 1\ndir = a\n[moe]\ntop_k = 1\nnoise = none\n");
  const auto b = run("b", "config.ini", "[run]\nseed = 1\ndir = b\n[moe]\ntop_k = 2\n");
  const std::string shown = page({a, b});
  EXPECT_THAT(
      shown,
      HasSubstr(
          "<tr><td class=\"text\">moe.top_k</td><td class=\"text\">1</td><td class=\"text\">2</td></tr>"));
  EXPECT_THAT(
      shown,
      HasSubstr("<td class=\"text\">moe.noise</td><td class=\"text\">none</td><td class=\"text\">–</td>"));
  EXPECT_THAT(shown, Not(HasSubstr(">run.seed<")));
  EXPECT_THAT(shown, Not(HasSubstr(">run.dir<")));
  EXPECT_THAT(page({a, run("c", "config.ini", "[run]\nseed = 1\ndir = c\n[moe]\ntop_k = 1\nnoise = none\n")}),
              HasSubstr("No key differs"));
}

TEST_F(Comparisons, show_builds_only_where_they_differ) {
  EXPECT_THAT(page({run("a"), run("b")}), Not(HasSubstr("Builds")));
  const auto other = run("c", "summary.json", R"({"build":{"version":"0.2.0","cuda":false}})");
  const std::string shown = page({run("a"), other});
  EXPECT_THAT(
      shown,
      HasSubstr("<td class=\"text\">version</td><td class=\"text\">0.1.0</td><td class=\"text\">0.2.0</td>"));
  EXPECT_THAT(shown, Not(HasSubstr("<td class=\"text\">cuda</td>")));
}

TEST_F(Comparisons, name_the_run_of_each_warning) {
  std::filesystem::remove(run("b") / "summary.json");
  const std::string shown = page({run("a"), folder_.path() / "b"});
  EXPECT_THAT(shown, HasSubstr("<li>a: Dead experts: 1 of 2 (1)."));
  EXPECT_THAT(shown, HasSubstr("<li>b: The run has not finished"));
}

TEST_F(Comparisons, of_different_kinds_show_what_they_share) {
  test::write_text_run(folder_.path() / "words");
  const std::string shown = page({run("images"), folder_.path() / "words"});
  expect_whole(shown);
  EXPECT_THAT(shown, HasSubstr("models of different kinds"));
  EXPECT_THAT(shown, HasSubstr("id=\"run-2.test.loss\" value=\"0.6875\""));
  EXPECT_THAT(shown.substr(shown.find("What one run alone has")),
              HasSubstr("<td class=\"text\">test perplexity</td><td>–</td>"));
  EXPECT_THAT(shown, HasSubstr("<figcaption>Loss, validation</figcaption>"));
  EXPECT_THAT(shown, Not(HasSubstr("<section id=\"experts")));
}

TEST_F(Comparisons, of_text_have_a_section_for_each_shared_layer) {
  test::write_text_run(folder_.path() / "a");
  test::write_text_run(folder_.path() / "b");
  const std::string shown = page({folder_.path() / "a", folder_.path() / "b"});
  expect_whole(shown);
  EXPECT_THAT(shown, HasSubstr("<h2>Experts of blocks/00/mixture</h2>"));
  EXPECT_THAT(shown, HasSubstr("<h2>Experts of blocks/01/mixture</h2>"));
  EXPECT_EQ(count_of(shown, "<figcaption>Usage, largest weight</figcaption>"), 2U);
}

TEST_F(Comparisons, refuse_what_they_cannot_compare) {
  test::write_study(folder_.path() / "study");
  const auto a = run("a");
  std::filesystem::create_directory_symlink(a, folder_.path() / "link");
  std::filesystem::create_directory(folder_.path() / "empty");
  EXPECT_THAT(why_refused({a, folder_.path() / "." / "a/"}),
              AllOf(HasSubstr("ConfigError"), HasSubstr("are one run")));
  EXPECT_THAT(why_refused({a, folder_.path() / "link"}), HasSubstr("are one run"));
  EXPECT_THAT(why_refused({a, folder_.path() / "study"}),
              AllOf(HasSubstr("ConfigError"), HasSubstr("is a study")));
  EXPECT_THAT(why_refused({a, folder_.path() / "gone"}),
              AllOf(HasSubstr("DataError"), HasSubstr("it does not exist")));
  EXPECT_THAT(why_refused({folder_.path() / "empty", a}), HasSubstr("it holds neither a config.ini nor"));
  EXPECT_THAT(why_refused(Folders(25, a)), HasSubstr("25 runs are too many"));
}

}  // namespace
}  // namespace switchyard::report
