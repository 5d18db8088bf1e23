// The page's section on detectors: average precision by class, pictures with boxes, and what is pushed.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "distill/report/figures.h"
#include "distill/report/html_table.h"
#include "distill/report/page.h"
#include "distill/report/sections.h"
#include "distill/text/markup.h"
#include "distill/text/palette.h"
#include "distill/text/text_format.h"
#include "engine/base/check.h"

namespace retort {

namespace {

constexpr size_t most_drawn_classes = 40, most_drawn_pushes = 60;
constexpr double letter_width = 7;  // of a bold one of 11 pixels, about

std::string percent(double fraction) {
  return fraction < 0 || std::isnan(fraction) ? "–" : fixed(100 * fraction, 1);
}

// A network of the pair: the teacher, or a row's mean.
struct Network {
  std::string label, colour;
  std::vector<double> precision;
};

std::vector<Network> networks_of(const ResultPair& pair, const PairBoxes& boxes) {
  std::vector<Network> networks;
  if (!boxes.teacher.empty()) networks.push_back({"teacher " + pair.teacher, "c-ref", boxes.teacher});
  const std::vector<int> colours = row_colours(pair);
  for (const size_t r : clear_first(pair)) {
    std::vector<double> mean = boxes.mean_of_row(r);
    if (!mean.empty()) networks.push_back({pair.rows[r].label, colour_class(colours[r]), std::move(mean)});
  }
  return networks;
}

std::string mark(const std::string& colour, const std::string& label) {
  return "<span class=\"swatch " + colour + "\" aria-hidden=\"true\"></span>" + escaped_markup(label);
}

bool any_measured(const std::vector<Network>& networks) {
  return std::any_of(networks.begin(), networks.end(), [](const Network& network) {
    return std::any_of(network.precision.begin(), network.precision.end(),
                       [](double fraction) { return fraction >= 0; });
  });
}

// Classes by what the first network, the teacher, finds of them, the best first.
std::vector<size_t> best_first(const std::vector<Network>& networks, size_t classes) {
  std::vector<size_t> order(classes);
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return networks.front().precision[a] > networks.front().precision[b];
  });
  return order;
}

std::string classes_drawing(const std::vector<Network>& networks, const std::vector<std::string>& names,
                            double width) {
  const double line = 19;
  PlotFrame frame;
  frame.left = 130;
  frame.right = width - 12;
  frame.top = 22;
  frame.bottom = frame.top + line * double(names.size());
  for (const Network& network : networks) {
    for (const double value : network.precision) frame.x.add(value < 0 ? 0 : 100 * value);
  }
  frame.x.add(0);
  frame.x.settle(0.03, 0);
  Svg svg(frame.bottom + 36, "Average precision by class", "the values are in the table below", width,
          width == full_figure ? "at-wide" : "at-narrow");
  const std::vector<double> ticks = axis_ticks(frame.x.low, frame.x.high, width == full_figure ? 9 : 5);
  for (const double tick : ticks) {
    svg.line(frame.px(tick), frame.top - 6, frame.px(tick), frame.bottom, "grid");
    svg.label(frame.px(tick), frame.bottom + 16, "middle", PlotFrame::tick_text(tick, ticks, false), "tick");
  }
  svg.label(frame.right, frame.bottom + 32, "end", "AP, %", "tick");
  const std::vector<size_t> order = best_first(networks, names.size());
  for (size_t i = 0; i < order.size(); ++i) {
    const double y = frame.top + line * (double(i) + 0.5);
    svg.label(frame.left - 10, y + 4, "end", names[order[i]], "tick");
    svg.line(frame.left, y, frame.right, y, "grid");
    for (size_t n = networks.size(); n-- > 0;) {
      const double value = networks[n].precision[order[i]];
      if (value < 0) continue;
      svg.begin_group("series " + networks[n].colour);
      svg.dot(frame.px(100 * value), y, n == 0 ? 5.5 : 4.5,
              networks[n].colour == "c-ref" ? "hollow" : "mark soft",
              text(names[order[i]], ", ", networks[n].label, ": ", percent(value)));
      svg.end_group();
    }
  }
  return svg.finish();
}

std::string classes_part(const std::vector<Network>& networks, const std::vector<std::string>& names) {
  std::string out;
  if (names.size() <= most_drawn_classes) {
    out += "<figure class=\"big\"><div class=\"legend\">";
    for (const Network& network : networks)
      out += "<span><span class=\"key " + std::string(network.colour == "c-ref" ? "ring " : "disc ") +
             network.colour + "\" aria-hidden=\"true\"></span> " + escaped_markup(network.label) + "</span>";
    out += "</div>" + classes_drawing(networks, names, full_figure) +
           classes_drawing(networks, names, phone_figure) + "</figure>\n";
  }
  HtmlTable table("sortable");
  table.column("class", Column::text, true);
  for (const Network& network : networks) table.column(network.label, Column::number, true);
  for (const size_t c : best_first(networks, names.size())) {
    table.row();
    table.head(escaped_markup(names[c]));
    for (const Network& network : networks) table.cell(percent(network.precision[c]));
  }
  return out + "<details><summary>All classes as a table</summary>" + table.finish() + "</details>\n";
}

// A picture once, as all panels of it use it.
std::string picture_panel(const TestPicture& picture, const std::string& place, bool first,
                          const std::vector<ShownBox>& boxes, const std::vector<std::string>& names,
                          const std::string& colour, const std::string& description, bool scores) {
  const double scale = narrow_figure / double(std::max(picture.width, picture.height));
  const double width = scale * double(picture.width), height = scale * double(picture.height);
  Svg svg(height, description, text(boxes.size(), " boxes"), width, "boxes");
  const std::string size = " width=\"" + fixed(width, 1) + "\" height=\"" + fixed(height, 1) + "\"";
  if (picture.pixels.pixels.empty())
    svg.raw("<rect class=\"blank\"" + size + "/>\n");
  else if (first)
    svg.raw("<image id=\"" + place + "\"" + size + " preserveAspectRatio=\"none\" href=\"" +
            picture_uri(picture.pixels) + "\"/>\n");
  else
    svg.raw("<use href=\"#" + place + "\"/>\n");
  svg.begin_group("series " + colour);
  for (const ShownBox& box : boxes) {
    const std::string name = box.label < 0 ? "background" : names[size_t(box.label)];
    const std::string kind = box.object ? "frame" : "frame dashed-frame";
    svg.raw("<rect class=\"" + kind + "\" x=\"" + fixed(scale * box.box.x, 1) + "\" y=\"" +
            fixed(scale * box.box.y, 1) + "\" width=\"" + fixed(scale * box.box.width, 1) + "\" height=\"" +
            fixed(scale * box.box.height, 1) + "\"" +
            (scores ? "" : " stroke-opacity=\"" + fixed(0.08 + 0.92 * box.weight, 2) + "\"") + "><title>" +
            escaped_markup(name + " " + fixed(100 * box.weight, 0) + " %") + "</title></rect>\n");
  }
  svg.end_group();
  for (const ShownBox& box : boxes) {
    if (box.label < 0 || !scores) continue;
    const double x = std::max(2.0, scale * box.box.x + 2), y = scale * box.box.y;
    const std::string sure = box.weight < 1 ? " " + fixed(100 * box.weight, 0) : "";
    const std::string words = names[size_t(box.label)] + sure;
    // Within the picture, beside which there is another one.
    const bool fits = x + letter_width * double(display_width(words)) < width;
    svg.label(fits ? x : width - 2, y > 14 ? y - 4 : y + 13, fits ? "start" : "end", words, "box-name");
  }
  return svg.finish();
}

std::string pictures_part(const ResultPair& pair, const PairBoxes& boxes, size_t p) {
  const std::vector<int> colours = row_colours(pair);
  std::string out;
  for (const TestPicture& picture : boxes.pictures) {
    const std::string place = text("picture-", p, "-", picture.id);
    out += text("<h3>Test picture ", picture.id, "</h3>\n<div class=\"panels\">\n");
    for (size_t s = 0; s < picture.seen.size(); ++s) {
      const SeenPicture& seen = picture.seen[s];
      const std::string colour = s == 0         ? "c-truth"
                                 : seen.row < 0 ? "c-ref"
                                                : colour_class(colours[size_t(seen.row)]);
      out += "<figure><figcaption><b>" + mark(colour, seen.label) + "</b></figcaption>" +
             picture_panel(picture, place, s == 0, seen.boxes, boxes.class_names, colour,
                           text("Test picture ", picture.id, ", ", seen.label), true) +
             "</figure>\n";
    }
    out += "</div>\n";
  }
  if (!boxes.pictures.empty() && boxes.pictures.front().pixels.pixels.empty())
    out +=
        "<p class=\"about small\">The pictures themselves are left out: they are photos (--images shows "
        "them).</p>\n";
  return out;
}

std::string pushes_part(const ResultPair& pair, const PairBoxes& boxes, size_t p) {
  if (boxes.pushes.empty()) return "";
  const std::vector<int> colours = row_colours(pair);
  HtmlTable table("stack");
  table.column("method");
  for (const char* name : {"boxes of objects", "boxes of background", "of the push on objects, %",
                           "an object against a background box"})
    table.column(name, Column::number);
  std::string panels;
  for (const Push& push : boxes.pushes) {
    const std::string colour = colour_class(colours[push.row]);
    const double object = push.on_objects / double(push.objects),
                 background = push.on_background / double(push.background);
    table.row();
    table.head(mark(colour, text(pair.rows[push.row].label, ", seed ", push.seed)));
    table.cell(std::to_string(push.objects));
    table.cell(std::to_string(push.background));
    table.cell(percent(push.object_share()));
    table.cell(push.objects > 0 && push.on_background > 0 ? fixed(object / background, 1) + " times" : "–");
    for (const TestPicture& picture : boxes.pictures) {
      for (const auto& [id, own] : push.boxes) {
        if (id != picture.id) continue;
        std::vector<ShownBox> hardest = own;
        std::stable_sort(hardest.begin(), hardest.end(),
                         [](const ShownBox& a, const ShownBox& b) { return a.weight > b.weight; });
        hardest.resize(std::min(hardest.size(), most_drawn_pushes));
        std::reverse(hardest.begin(), hardest.end());
        panels +=
            "<figure><figcaption><b>" + mark(colour, pair.rows[push.row].label) + "</b>, picture " +
            std::to_string(id) + "</figcaption>" +
            picture_panel(picture, text("picture-", p, "-", id), false, hardest, boxes.class_names, colour,
                          text("Boxes that ", pair.rows[push.row].label, " pushes, picture ", id), false) +
            "</figure>\n";
      }
    }
  }
  return section("push.html", {{"pictures", std::to_string(boxes.pushes.front().pictures)},
                               {"content", table.finish() + "<div class=\"panels\">\n" + panels + "</div>"}});
}

}  // namespace

std::string detectors_section(const Report& report) {
  std::string content;
  for (size_t p = 0; p < report.detectors.pairs.size(); ++p) {
    const ResultPair& pair = report.data.pairs[p];
    const PairBoxes& boxes = report.detectors.pairs[p];
    if (boxes.empty()) continue;
    if (report.data.pairs.size() > 1) content += "<h3>" + escaped_markup(pair.name) + "</h3>\n";
    const std::vector<Network> networks = networks_of(pair, boxes);
    if (!networks.empty()) content += classes_part(networks, boxes.class_names);
    if (!networks.empty() && !any_measured(networks)) content += not_measured_note(pair);
    content += pictures_part(pair, boxes, p) + pushes_part(pair, boxes, p);
  }
  return content.empty() ? "" : section("detectors.html", {{"content", content}});
}

}  // namespace retort
