// The table for a paper: the numbers of the report, the best row that is better for sure in bold, and text
// that is safe in LaTeX.
#include "distill/report/latex.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "distill/study/collect.h"
#include "tests/support/expect_error.h"
#include "tests/support/fake_runs.h"
#include "tests/support/program.h"

namespace retort {
namespace {

using testing::expect_contains;
using testing::FakeRuns;

// Three seeds of a row, with these last accuracies.
void add_seeds(FakeRuns& runs, const std::string& label, const RunSettings& settings,
               std::vector<double> last) {
  for (size_t i = 0; i < last.size(); ++i)
    runs.add(label + "/seed-" + std::to_string(i + 1), settings,
             {.best = last[i], .last = last[i], .seed = i + 1, .teacher_hash = "aa", .data_hash = "bb"});
}

TEST(ReportLatex, BoldIsTheBestThatIsBetterForSure) {
  FakeRuns runs;
  add_seeds(runs, "ce", FakeRuns::settings("ce"), {40, 41, 42});
  add_seeds(runs, "kd", FakeRuns::settings("kd"), {50, 51, 52});
  add_seeds(runs, "dkd", FakeRuns::settings("dkd"), {52, 53.1, 53.9});
  add_seeds(runs, "pcd", FakeRuns::settings("pcd"), {50, 60, 55});  // a higher mean, and no telling
  const std::string table = report_latex({.data = collect_results({runs.folder()}), .evaluations = {}});
  expect_contains(table, "\\textbf{dkd} & $\\mathbf{53.00 \\pm 0.95}$ & $+2.00$ (");
  expect_contains(table, "    pcd & $55.00 \\pm 5.00$ & $+4.00$ ($-");
  expect_contains(table, "    kd & $51.00 \\pm 1.00$ &  & 3 \\\\");
  expect_contains(table, "    ce & $41.00 \\pm 1.00$ & $-10.00$");
  EXPECT_EQ(table.find("textbf"), table.rfind("textbf"));
  for (const char* part : {"\\toprule", "\\bottomrule", "\\end{tabular}", "\\end{table}"})
    expect_contains(table, part);
  // The same by the command, which writes its page too.
  const auto outcome = testing::run({"report", "s", "--no-eval", "--quiet", "--to", "latex"}, runs.work());
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  expect_contains(outcome.out, "\\textbf{dkd}");
  EXPECT_TRUE(std::filesystem::exists(runs.folder() / "report.html"));
  const std::string markdown =
      testing::run({"report", "s", "--no-eval", "--quiet", "--to", "markdown"}, runs.work()).out;
  EXPECT_EQ(markdown, testing::content_of(runs.folder() / "report.md"));
  EXPECT_EQ(testing::run({"report", "s", "--no-eval", "--quiet", "--to", "csv"}, runs.work()).out,
            testing::content_of(runs.folder() / "report.csv"));
  expect_contains(testing::failure(2, {"report", "s", "--to", "word"}, runs.work()),
                  "expected one of markdown, latex");
}

TEST(ReportLatex, OneSeedHasNeitherDeviationNorIntervalNorBold) {
  FakeRuns runs;
  add_seeds(runs, "kd", FakeRuns::settings("kd"), {50});
  add_seeds(runs, "pcd", FakeRuns::settings("pcd"), {60});
  const std::string table = report_latex({.data = collect_results({runs.folder()}), .evaluations = {}});
  expect_contains(table, "    pcd & $60.00$ & $+10.00$ & 1 \\\\");
  EXPECT_EQ(table.find("textbf"), std::string::npos);
}

TEST(ReportLatex, TextIsSafe) {
  EXPECT_EQ(escaped_latex("a_b & 50% {x}^2 ~ #1 $ \\x"),
            "a\\_b \\& 50\\% \\{x\\}\\textasciicircum{}2 \\textasciitilde{} \\#1 \\$ \\textbackslash{}x");
  EXPECT_EQ(escaped_latex("a\nb<c"), "a b$<$c");
  EXPECT_EQ(escaped_latex("[1] *best*"), "{[}1] {*}best{*}");
}

// Whatever a study and its rows are called, LaTeX takes the table as it is.
TEST(ReportLatex, Compiles) {
  if (std::system("pdflatex --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "there is no pdflatex here";
  FakeRuns runs;
  add_seeds(runs, "kd", FakeRuns::settings("kd"), {50, 51, 52});
  add_seeds(runs, "dkd", FakeRuns::settings("dkd"), {52, 53.1, 53.9});
  RunSettings plain = FakeRuns::settings("pcd");
  plain.method.set("ranking", "none");
  add_seeds(runs, "pcd", plain, {50});
  Results results = collect_results({runs.folder()});
  results.title = "50 % of #1: {a_b} & ~c^2 $x$ \\d <e|f>, ± é";
  results.pairs.at(0).rows.at(0).label = "[2pt] a";  // after the \\ of the row before
  results.pairs.at(0).rows.at(1).label = "* b";
  runs.work().write("paper.tex", "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n" +
                                     report_latex({.data = results, .evaluations = {}}) +
                                     "\\end{document}\n");
  const std::string command = "cd '" + runs.work().path().string() +
                              "' && pdflatex -halt-on-error -interaction=nonstopmode paper.tex >out.txt 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0) << testing::content_of(runs.work() / "out.txt");
}

}  // namespace
}  // namespace retort
