// What the numbers of a report say, and what they do not: differences with intervals, in words.
#pragma once
#include <string>
#include <vector>

#include "distill/study/results.h"
#include "distill/text/statistics.h"

namespace retort {

// What the pairs' networks are judged by, as a sentence's beginning: "Top-1 on the test images".
std::string score_words(const Results& data);
// " in percent", where all of them are; what their differences are: "points".
std::string unit_words(const Results& data);
std::string difference_words(const Results& data);

// What chose the best epochs of the runs that count: "best test epoch", "epoch that held-out images chose",
// or both; of all pairs and their teachers, or of a pair's rows.
std::string best_words(const Results& data);
std::string best_words(const ResultPair& pair);

// What a variant of PCD says about a part of the method: the whole against the one without it.
struct AblationAnswer {
  std::string question;         // "Does ranking the classes help?"
  std::string with, without;    // labels
  PairedDifference best, last;  // with - without
  std::string answer;           // in words, by the last epoch
  std::string remark;           // what to keep in mind; may be empty
};

// For each row that differs from another in one key of pcd alone, and for pcd against pcd-released.
std::vector<AblationAnswer> ablation_answers(const ResultPair& pair);

// Spearman's rank correlation with an interval (Fisher's z, standard error sqrt(1.06 / (n - 3)), Fieller,
// Hartley and Pearson 1957).
struct RankCorrelation {
  size_t n = 0;
  double rho = 0, low = 0, high = 0;  // NaN of fewer than 4 points, all equal, or not finite
};
RankCorrelation rank_correlation(const std::vector<double>& a, const std::vector<double>& b);
std::string correlation_text(const RankCorrelation& correlation);  // "+0.42 (−0.10 to +0.77)", or "–"

// Whether the gain, of so many seeds, goes with the teacher's confidence in a class, in words. The interval is
// over classes: of one seed it is about that network, not about the method.
std::string correlation_verdict(const RankCorrelation& correlation, const std::string& method, size_t seeds);

// What is missing, went wrong or stands apart, a sentence each.
std::vector<std::string> missing_sentences(const Results& data);

}  // namespace retort
