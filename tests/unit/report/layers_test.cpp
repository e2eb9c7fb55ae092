// The page of a model of several mixture layers.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "report/pages.hpp"
#include "report/run_data.hpp"
#include "support/temporary_directory.hpp"
#include "unit/report/fixtures.hpp"
#include "unit/report/markup.hpp"

namespace switchyard::report {
namespace {

using test::count_of;
using test::write_file;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class Layers : public testing::Test {
 protected:
  std::string page() { return page_of(folder_.path(), folder_.path()); }
  std::string page_with_steps(std::string_view layers) {
    write_file(folder_.path() / "metrics.jsonl",
               fmt::format("{{\"kind\":\"step\",\"step\":1,\"loss\":1,\"layers\":{}}}\n", layers));
    return page();
  }
  test::TemporaryDirectory folder_;
};

void expect_whole(const std::string& page) {
  for (const std::string& picture : test::pictures(page)) EXPECT_EQ(test::why_malformed(picture), "");
  EXPECT_THAT(page, Not(HasSubstr("nan")));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
}

TEST_F(Layers, are_read_each_as_a_model_would_be) {
  test::write_text_run(folder_.path());
  const RunData run = read_run(folder_.path());
  ASSERT_EQ(run.layers.size(), 2U);
  const Records& second = run.layers[1];
  EXPECT_EQ(second.name, "blocks/01/mixture");
  EXPECT_EQ(second.experts(), 2);
  EXPECT_EQ(second.steps.points("h_u").at(7).y, 0.0625);
  EXPECT_THAT(second.steps.load.means().at(0).values, ElementsAre(8, 0));
  ASSERT_EQ(second.evaluations.size(), 2U);
  EXPECT_EQ(number_of(second.evaluations[0], "step"), 4);
  EXPECT_EQ(find_evaluation(second, "h_s").of, "test");
  EXPECT_EQ(find_evaluation(second, "importance_share").of, "validation, step 8");
  EXPECT_TRUE(member(run.evaluations[0], "layers").is_null()) << "kept twice";
}

TEST_F(Layers, keep_tables_of_the_last_evaluation_only) {
  test::write_text_run(folder_.path());
  for (const Records& layer : read_run(folder_.path()).layers) {
    EXPECT_TRUE(member(layer.evaluations[0], "domain_by_expert").is_null());
    EXPECT_TRUE(member(layer.evaluations[0], "domains").is_null());
    EXPECT_EQ(strings_of(layer.evaluations[1], "domains").size(), 2U);
  }
}

TEST_F(Layers, have_a_section_each_and_no_classes) {
  test::write_text_run(folder_.path());
  const std::string shown = page();
  expect_whole(shown);
  EXPECT_THAT(shown, HasSubstr("<section id=\"experts-0\">\n<h2>Experts of blocks/00/mixture</h2>"));
  EXPECT_THAT(shown, HasSubstr("<section id=\"experts-1\">\n<h2>Experts of blocks/01/mixture</h2>"));
  EXPECT_THAT(shown, Not(HasSubstr("<section id=\"experts\"")));
  for (const char* title : {"Share of the experts", "Usage of the experts", "Domain by expert (test)",
                            "Entropies of the gate", "Dispatch entropy"}) {
    EXPECT_EQ(count_of(shown, fmt::format("<figcaption>{}</figcaption>", title)), 2U) << title;
  }
  EXPECT_THAT(shown, Not(HasSubstr("class by expert")));
  EXPECT_THAT(shown, Not(HasSubstr("Mutual information")));
  EXPECT_THAT(shown, Not(HasSubstr("Nothing was recorded")));
}

TEST_F(Layers, show_their_numbers_and_the_headline_the_loss_in_both_units) {
  test::write_text_run(folder_.path());
  const std::string shown = page();
  for (const char* number :
       {"id=\"test.loss\" value=\"0.6875\"", "id=\"test.bits_per_byte\" value=\"1\">1<",
        "id=\"test.perplexity\" value=\"2\"", "id=\"test.error\" value=\"0.625\"", "<dt>tokens per second</dt>",
        "id=\"test.blocks/00/mixture.h_s\" value=\"0.5\"", "id=\"test.blocks/01/mixture.h_u\" value=\"0\"",
        "id=\"validation.blocks/01/mixture.largest_share\" value=\"1\">100.00%<",
        "id=\"final.test.blocks/01/mixture.dispatch_entropy\" value=\"0.6875\"", "<td>none</td>",
        "<td>1 of 2 (1)</td>", "ln 2 = 0.693"}) {
    EXPECT_THAT(shown, HasSubstr(number));
  }
  EXPECT_THAT(shown, Not(HasSubstr("id=\"test.h_s\"")));
  EXPECT_EQ(count_of(shown, "Dead experts of"), 1U);
  EXPECT_THAT(shown, HasSubstr("Dead experts of blocks/01/mixture: 1 of 2 (1). They serve less than 1 token"));
}

TEST_F(Layers, may_be_none_of_a_model_of_text) {
  test::write_file(folder_.path() / "config.ini",
                   "[model]\nfamily = transformer\ngate =\n\n[moe]\nexperts = 5\ntop_k = 0\n");
  test::write_file(
      folder_.path() / "summary.json",
      R"({"steps":8,"test":{"error":0.5,"loss":0.25,"perplexity":1.25,"bits_per_byte":0.125,"layers":[]}})");
  const std::string shown = page();
  for (const char* text : {"id=\"test.perplexity\" value=\"1.25\"", "<dt>tokens per second</dt>"})
    EXPECT_THAT(shown, HasSubstr(text));
  for (const char* text : {"of the mixture", "True class"}) EXPECT_THAT(shown, Not(HasSubstr(text)));
}

TEST_F(Layers, name_the_domains) {
  test::write_text_run(folder_.path());
  const std::string shown = page();
  EXPECT_THAT(shown,
              HasSubstr("domain &lt;letters&gt;, expert with the largest weight 1: 2, 66.67% of the row"));
  EXPECT_THAT(shown, HasSubstr(">code</text>"));
}

TEST_F(Layers, of_a_run_without_an_evaluation_are_shown_from_its_steps) {
  const std::string shown =
      page_with_steps(R"([{"name":"a","load":[3,1],"h_s":0.5,"h_u":0.5},{"name":"b","load":[1,3]}])");
  expect_whole(shown);
  EXPECT_EQ(count_of(shown, "share of the batch&#39;s tokens (load)"), 4U) << "label and axis of each layer";
}

TEST_F(Layers, of_a_single_expert_have_no_section) {
  EXPECT_THAT(page_with_steps(R"([{"name":"a","load":[4],"h_s":0},{"name":"b","load":[1,3],"h_s":0.5}])"),
              testing::AllOf(Not(HasSubstr("Experts of a")), HasSubstr("Experts of b")));
}

TEST_F(Layers, without_names_and_domains_without_theirs_are_numbered) {
  write_file(folder_.path() / "metrics.jsonl", "");
  write_file(folder_.path() / "summary.json",
             R"({"test":{"domains":["one name"],"layers":[{},{"h_s":1,"domain_by_expert":[[1,2],[3,4]]}]}})");
  const std::string shown = page();
  EXPECT_THAT(shown, HasSubstr("<h2>Experts of layer 1</h2>"));
  EXPECT_THAT(shown, HasSubstr("domain 1, expert with the largest weight 0: 3,"));
  EXPECT_THAT(shown, Not(HasSubstr("one name")));
}

TEST_F(Layers, of_foreign_files_are_shown_as_far_as_they_are_understood) {
  for (const char* layers :
       {"3", "[]", "[null,[],\"text\"]", R"([{"name":7,"load":"many","h_s":{}},{"load":[null]}])",
        R"([{"name":"same","h_s":1},{"name":"same","h_s":2}])",
        R"([{"name":"\"><script>\u0001","load":[1,2]}])"}) {
    SCOPED_TRACE(layers);
    expect_whole(page_with_steps(layers));
  }
  for (
      const char* evaluation :
      {R"("domains":3,"layers":[{"name":"a","domain_by_expert":[[1,2]]}])",
       R"("domains":["x"],"layers":[{"name":"a","domain_by_expert":[[1,2],[3,4]],"expert_share":[0.5]}])",
       R"("domains":[1,2],"layers":[{"name":"a","domain_by_expert":[[1,2],[3]],"expert_share":[0.5,null]}])",
       R"("domains":["a","b"],"layers":[{"name":"a","domain_by_expert":[[],[]],"split":"test","step":{},"epoch":[]}])"}) {
    SCOPED_TRACE(evaluation);
    write_file(folder_.path() / "metrics.jsonl",
               fmt::format(R"({{"kind":"evaluation","split":"validation","step":1,{}}})", evaluation));
    write_file(folder_.path() / "summary.json",
               fmt::format(R"({{"test":{{{}}},"validation":[1]}})", evaluation));
    expect_whole(page());
  }
}

TEST_F(Layers, are_bounded_in_number_and_domains) {
  std::string layers;
  for (int i = 0; i < 1000; ++i) layers += fmt::format("{}{{\"name\":\"{}\"}}", i == 0 ? "[" : ",", i);
  page_with_steps(layers + "]");
  EXPECT_EQ(read_run(folder_.path()).layers.size(), 128U);
  std::string table;
  for (int i = 0; i < 150; ++i) table += i == 0 ? "[[1,2]" : ",[1,2]";
  write_file(folder_.path() / "metrics.jsonl", "");
  write_file(folder_.path() / "summary.json",
             fmt::format(R"({{"test":{{"layers":[{{"name":"a","domain_by_expert":{}]}}]}}}})", table));
  EXPECT_THAT(page(), HasSubstr(" The first 100 of 150 rows."));
}

}  // namespace
}  // namespace switchyard::report
