#include "distill/lesson/explain.h"

#include <algorithm>
#include <cmath>

#include "distill/methods/loss_probe.h"
#include "distill/report/embedded.h"
#include "distill/report/figures.h"
#include "distill/report/pcd_steps.h"
#include "distill/text/markup.h"
#include "distill/text/text_format.h"
#include "distill/text/text_table.h"
#include "engine/base/check.h"

namespace retort {

namespace {

size_t likeliest_of(const std::vector<double>& logits) {
  return size_t(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

std::string percent(double p) {
  return fixed(100 * p, 1);
}

// The numbers and words that all three forms show.
struct Parts {
  explicit Parts(const Explanation& given)
      : explained(given), tau(given.method.number("temperature")), steps(steps_of(given)) {
    p = softmax(given.image.teacher, tau);
    q = softmax(given.image.student, tau);
  }

  static PcdSteps steps_of(const Explanation& given) {
    check_method(given.method, int64_t(given.image.teacher.size()));
    return pcd_steps(given.method, given.image.teacher, given.image.student);
  }

  std::string name_of(size_t c) const {
    return c < explained.class_names.size() ? explained.class_names[c] : "class " + std::to_string(c);
  }

  std::string answer(const std::vector<double>& logits) const {
    const size_t c = likeliest_of(logits);
    return name_of(c) + " (" + percent(softmax(logits, 1)[c]) + " %)";
  }

  // Which image, and what both say of it.
  std::vector<std::string> sentences() const {
    const ChosenImage& image = explained.image;
    std::string first = explained.image_name;
    if (image.label >= 0) first += " is " + name_of(size_t(image.label));
    std::vector<std::string> all = {first + ". The teacher, " + explained.teacher + ", says " +
                                    answer(image.teacher) + "; the student, " + explained.student + ", " +
                                    answer(image.student) + "."};
    if (!explained.note.empty()) all.push_back(explained.note);
    return all;
  }

  std::string ranking_sentence() const {
    const bool ranked = explained.method.choice("ranking") == "difference";
    return ranked ? "Classes are ranked by the gap between the two logits, the largest first."
                  : "The classes stand in their own order (ranking none).";
  }

  std::string loss_sentence() const {
    return text("Stage k cuts the ranking into k groups. Within a group both nets' softmax at temperature ",
                significant(tau, 3), " is compared: it adds ",
                explained.method.choice("direction") == "both" ? "2 " : "", "tau^2 lambda KL, lambda = ",
                explained.method.choice("weight") == "cosine" ? "1 - cosine of the two" : "1", ". In all ",
                significant(steps.loss, 6), ".");
  }

  double share(const PcdGroup& group) const { return steps.loss > 0 ? 100 * group.loss / steps.loss : 0; }

  std::string classes_of(const PcdGroup& group) const {
    const std::string first = name_of(size_t(steps.order[size_t(group.first)])),
                      last = name_of(size_t(steps.order[size_t(group.first + group.count - 1)]));
    return group.count == 1 ? first : first + " to " + last;
  }

  const Explanation& explained;
  double tau;
  PcdSteps steps;
  std::vector<double> p, q;  // softmax at the temperature
};

// What a drawing needs of the page's style: its colours and the rules of what is inside it.
std::string drawing_style() {
  const std::string all = embedded_style_css;
  std::string kept;
  for (size_t from = 0; from < all.size();) {
    const size_t end = std::min(all.find('\n', from), all.size());
    const std::string line = all.substr(from, end - from);
    if (line.starts_with("svg ")) kept += line + "\n";
    from = end + 1;
  }
  const size_t root = all.find(":root"), body = all.find("* {");
  return all.substr(root, body - root) + kept + "svg { background: var(--card); }\n";
}

std::string cell(const std::string& content, bool number = true) {
  return std::string("<td") + (number ? " class=\"n\">" : ">") + escaped_markup(content) + "</td>";
}

}  // namespace

std::string explanation_text(const Explanation& explained, size_t rows) {
  const Parts parts(explained);
  const auto paragraph = [](const std::string& words) { return wrapped(words, 80) + "\n"; };
  std::string all;
  for (const std::string& sentence : parts.sentences()) all += paragraph(sentence);
  all += "\n" + paragraph(parts.ranking_sentence());
  TextTable classes({"rank", "class", "teacher", "student", "gap",
                     "teacher, % at tau " + significant(parts.tau, 3), "student, %"});
  const auto& order = parts.steps.order;
  for (size_t r = 0; r < std::min(rows, order.size()); ++r) {
    const auto c = size_t(order[r]);
    const double t = explained.image.teacher[c], s = explained.image.student[c];
    classes.add_row({std::to_string(r + 1), parts.name_of(c), fixed(t, 3), fixed(s, 3),
                     fixed(std::abs(t - s), 3), percent(parts.p[c]), percent(parts.q[c])});
  }
  all += "\n" + classes.plain();
  if (rows < order.size()) all += text("... and ", order.size() - rows, " more classes\n");
  all += "\n" + paragraph(parts.loss_sentence());
  TextTable groups({"stage", "group", "classes", "lambda", "KL", "share %", "from - to"});
  for (size_t k = 0; k < parts.steps.stages.size(); ++k) {
    for (size_t g = 0; g < parts.steps.stages[k].size(); ++g) {
      const PcdGroup& group = parts.steps.stages[k][g];
      groups.add_row({std::to_string(k + 1), std::to_string(g + 1), std::to_string(group.count),
                      significant(group.lambda, 3), significant(group.kl, 3), fixed(parts.share(group), 1),
                      parts.classes_of(group)});
    }
  }
  return all + "\n" + groups.plain();
}

std::string explanation_svg(const Explanation& explained) {
  const Parts parts(explained);
  std::string drawing = pcd_figure(parts.steps, explained.image, explained.class_names);
  const size_t inside = drawing.find('>') + 1;
  drawing.insert(inside, "\n<style>\n" + drawing_style() + "</style>");
  drawing.insert(std::string("<svg").size(), " xmlns=\"http://www.w3.org/2000/svg\"");
  return drawing;
}

std::string explanation_html(const Explanation& explained) {
  const Parts parts(explained);
  std::string words, classes, groups;
  for (const std::string& sentence : parts.sentences()) words += "<p>" + escaped_markup(sentence) + "</p>\n";
  for (size_t r = 0; r < parts.steps.order.size(); ++r) {
    const auto c = size_t(parts.steps.order[r]);
    const double t = explained.image.teacher[c], s = explained.image.student[c];
    classes += "<tr>" + cell(std::to_string(r + 1)) + cell(parts.name_of(c), false) + cell(fixed(t, 3)) +
               cell(fixed(s, 3)) + cell(fixed(std::abs(t - s), 3)) + cell(percent(parts.p[c])) +
               cell(percent(parts.q[c])) + "</tr>\n";
  }
  for (size_t k = 0; k < parts.steps.stages.size(); ++k) {
    for (size_t g = 0; g < parts.steps.stages[k].size(); ++g) {
      const PcdGroup& group = parts.steps.stages[k][g];
      groups += "<tr>" + cell(std::to_string(k + 1)) + cell(std::to_string(g + 1)) +
                cell(std::to_string(group.count)) + cell(significant(group.lambda, 3)) +
                cell(significant(group.kl, 3)) + cell(fixed(parts.share(group), 1)) +
                cell(parts.classes_of(group), false) + "</tr>\n";
    }
  }
  const auto table = [](const std::string& title, const std::vector<std::string>& heads,
                        const std::string& rows) {
    std::string row;
    for (const std::string& head : heads)
      row += "<th scope=\"col\" class=\"n\">" + escaped_markup(head) + "</th>";
    return "<h3>" + escaped_markup(title) + "</h3>\n<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>" +
           row + "</tr></thead><tbody>\n" + rows + "</tbody></table></div>\n";
  };
  const std::string title = "PCD at work: " + explained.image_name;
  return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" "
         "content=\"width=device-width, initial-scale=1\">\n<title>" +
         escaped_markup(title) + "</title>\n<style>\n" + std::string(embedded_style_css) +
         "</style></head>\n<body><header><p class=\"kind\">retort explain</p><h1>" + escaped_markup(title) +
         "</h1></header>\n<main><section>" + picture(explained.image, explained.image_name) + words + "<p>" +
         escaped_markup(parts.ranking_sentence() + " " + parts.loss_sentence()) +
         "</p>\n<figure class=\"big\"><div class=\"legend\"><span><span class=\"key disc c1\" "
         "aria-hidden=\"true\"></span> teacher</span><span><span class=\"key ring c2\" "
         "aria-hidden=\"true\"></span> "
         "student</span></div><div class=\"scroll\" tabindex=\"0\">" +
         pcd_figure(parts.steps, explained.image, explained.class_names) + "</div></figure>\n" +
         table("Groups", {"stage", "group", "classes", "λ", "KL", "share of the loss, %", "from, to"},
               groups) +
         table("Classes",
               {"rank", "class", "teacher's logit", "student's", "gap",
                "teacher, % at τ " + significant(parts.tau, 3), "student, %"},
               classes) +
         "</section></main></body></html>\n";
}

}  // namespace retort
