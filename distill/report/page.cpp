// The report as a page: its head, its sections, and how the runs were made. Sections are page_*.cpp and the
// files of sections/.
#include "distill/report/page.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "distill/report/embedded.h"
#include "distill/report/headline.h"
#include "distill/report/sections.h"
#include "distill/settings/setting_keys.h"
#include "distill/text/markup.h"
#include "distill/text/palette.h"
#include "engine/base/check.h"

namespace retort {

namespace {

std::string how_section(const Report& report) {
  std::string settings;
  for (const ResultPair& pair : report.data.pairs) {
    for (const ResultRow& row : pair.rows) {
      if (!row.settings) continue;
      settings += "<details class=\"long\"><summary>Settings of " +
                  escaped_markup(pair.name + ", " + row.label) + "</summary><pre>" +
                  escaped_lines(settings_toml(without_places(*row.settings))) + "</pre></details>\n";
    }
  }
  return section("how.html", {{"settings", settings}});
}

std::string subtitle(const Results& data) {
  std::set<int> epochs;
  std::set<uint64_t> seeds;
  std::vector<std::string> names;
  std::set<std::filesystem::path> places;
  size_t runs = 0, finished = 0, copies = 0;
  for (const ResultPair& pair : data.pairs) {
    const std::string name = pair.data_name();
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    for (const ResultRow& row : pair.rows) {
      if (row.settings) epochs.insert(row.settings->epochs);
      for (const std::vector<ResultRun>* list : {&row.runs, &row.extra}) {
        for (const ResultRun& run : *list) {
          // A student without a teacher stands in several tables.
          if (!run.folder.empty() && !places.insert(run.folder).second) continue;
          seeds.insert(run.seed);
          ++runs;
          finished += run.finished();
          copies += run.left_out.starts_with("the weights");
        }
      }
    }
  }
  std::string line = listed(names);
  if (line.starts_with("images ") || line.starts_with("scenes ")) line[0] = char(line[0] - 'a' + 'A');
  if (!epochs.empty()) {
    line += text(", ", *epochs.begin());
    if (epochs.size() > 1) line += text(" to ", *epochs.rbegin());
    line += *epochs.rbegin() == 1 ? " epoch" : " epochs";
  }
  line += text(line.empty() ? "" : ", ", seeds.size(), seeds.size() == 1 ? " seed" : " seeds", ", ", finished,
               " of ", runs, " runs finished");
  if (copies > 0) line += text(", ", copies, copies == 1 ? " a copy of another" : " copies of others");
  line += ".";
  if (seeds.size() == 1) line += " One seed says little about small differences.";
  return line;
}

// By the program: nothing of it lies anywhere.
bool is_drawn(const std::string& data) {
  return data.starts_with("synthetic") || data.starts_with("scenes");
}

}  // namespace

RunSettings without_places(RunSettings settings) {
  const auto name_of = [](const std::string& place) {
    return std::filesystem::path(place).filename().string();
  };
  const size_t colon = settings.data.spec.find(':');
  if (!is_drawn(settings.data.spec) && colon != std::string::npos)
    settings.data.spec = settings.data.spec.substr(0, colon) + ":DIR";
  for (std::string* place : {&settings.teacher, &settings.init, &settings.data.val_labels,
                             &settings.data.train_json, &settings.data.test_json, &settings.data.images})
    *place = name_of(*place);
  settings.teacher_table.folder.clear();
  settings.typed_in.clear();
  return settings;
}

std::string shown_spec(const std::string& data) {
  return is_drawn(data) ? data : data.substr(0, data.find(':'));
}

std::vector<std::string> data_kinds(const Results& results) {
  std::vector<std::string> kinds;
  for (const ResultPair& pair : results.pairs) {
    const std::string kind = pair.data.substr(0, pair.data.find(':'));
    if (!kind.empty() && std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(kind);
  }
  return kinds;
}

std::string not_measured_note(const ResultPair& pair) {
  return "<p class=\"about\">" + escaped_markup(pair.metric().not_measured()) + "</p>\n";
}

std::string listed(const std::vector<std::string>& parts) {
  std::string all;
  for (size_t i = 0; i < parts.size(); ++i)
    all += (i == 0 ? "" : i + 1 < parts.size() ? ", " : " and ") + parts[i];
  return all;
}

std::string swatch(int colour) {
  return "<span class=\"swatch " + colour_class(colour) + "\" aria-hidden=\"true\"></span>";
}

std::string report_html(const Report& report) {
  const struct {
    const char *id, *name;
    std::string content;
  } parts[] = {{"results", "Results", results_section(report)},
               {"differences", "Against KD", differences_section(report)},
               {"ablation", "Parts of PCD", ablation_section(report)},
               {"curves", "Curves", curves_section(report)},
               {"classes", "Classes", classes_section(report)},
               {"detectors", "Boxes", detectors_section(report)},
               {"judgement", "Calibration", judgement_section(report)},
               {"pcd", "PCD at work", pcd_section(report)},
               {"published", "Published", published_section(report)},
               {"how", "Method", how_section(report)}};
  std::string sections, navigation;
  for (const auto& part : parts) {
    if (part.content.empty()) continue;
    sections += part.content;
    navigation += text("<a href=\"#", part.id, "\">", part.name, "</a>");
  }
  const std::string title = escaped_markup(report.data.title), lead = escaped_markup(subtitle(report.data));
  std::string preview;
  if (const std::optional<Sketch> picture = headline(report.data))
    preview = section("preview.html", {{"title", title},
                                       {"lead", lead},
                                       {"width", std::to_string(picture->width)},
                                       {"height", std::to_string(picture->height)}});
  return section("page.html", {{"title", title},
                               {"preview", preview},
                               {"style", embedded_style_css},
                               {"lead", lead},
                               {"navigation", navigation},
                               {"sections", sections},
                               {"version", RETORT_VERSION},
                               {"script", embedded_script_js}});
}

}  // namespace retort
