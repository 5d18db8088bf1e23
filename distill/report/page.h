// Sections of the page that report_html() puts together. Each is empty where the page has nothing to show.
#pragma once
#include <string>

#include "distill/report/analysis.h"
#include "distill/report/report.h"

namespace retort {

// The page may be passed on: settings and data without the places on this machine where something lies.
RunSettings without_places(RunSettings settings);
std::string shown_spec(const std::string& data);

// "cifar100", "synthetic": of all pairs, each once.
std::vector<std::string> data_kinds(const Results& results);

// Parts of sentences as people list them: "a, b and c".
std::string listed(const std::vector<std::string>& parts);

// A paragraph that says why there is nothing to see.
std::string not_measured_note(const ResultPair& pair);

// A row's mark in its colour.
std::string swatch(int colour);

std::string results_section(const Report& report);
std::string ablation_section(const Report& report);
std::string published_section(const Report& report);
std::string differences_section(const Report& report);
std::string curves_section(const Report& report);
std::string classes_section(const Report& report);
std::string detectors_section(const Report& report);
std::string judgement_section(const Report& report);
std::string pcd_section(const Report& report);

}  // namespace retort
