#include "datasets/readers/label_files.h"

#include <algorithm>

#include "engine/base/byte_reader.h"
#include "engine/base/check.h"
#include "engine/base/text.h"

namespace retort {
namespace {

constexpr std::string_view blanks = " \t";

// f(line, number from 1) for every line that holds something; line ends of either kind.
template <class F>
void each_line(std::string_view text, const std::string& name, const F& f) {
  text = without_byte_order_mark(text, name);
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    check(line.find('\r') == line.npos, Fault::input, name, ":", number,
          ": lines that end in \\r alone; expected \\n, or \\r\\n");
    if (!trimmed(line).empty()) f(line, number);
  }
}

// Up to the first of `separators`, which is taken away with it.
std::string_view take_word(std::string_view& rest, std::string_view separators) {
  const size_t end = std::min(rest.find_first_of(separators), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return word;
}

bool is_number(std::string_view word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// The words before the first number, which begins a box; a class may be called by a number.
std::string_view up_to_box(std::string_view text) {
  size_t end = std::min(text.find_first_of(blanks), text.size());
  while (end < text.size()) {
    std::string_view rest = trimmed(text.substr(end));
    const std::string_view word = rest.substr(0, rest.find_first_of(blanks));
    if (word.empty() || is_number(word)) break;
    end = size_t(word.data() - text.data()) + word.size();
  }
  return text.substr(0, end);
}

}  // namespace

std::string_view without_byte_order_mark(std::string_view text, const std::string& name) {
  check(!text.starts_with("\xff\xfe") && !text.starts_with("\xfe\xff"), Fault::input, name,
        ": is UTF-16; save it as UTF-8");
  constexpr std::string_view mark = "\xef\xbb\xbf";
  return text.starts_with(mark) ? text.substr(mark.size()) : text;
}

std::vector<LabelledFile> read_label_lines(std::string_view text, const std::string& name) {
  std::vector<LabelledFile> all;
  bool numbers_alone = true;
  each_line(text, name, [&](std::string_view line, int number) {
    line = trimmed(line);
    const size_t tab = line.find('\t'), end = tab == line.npos ? line.find_last_of(blanks) : tab;
    const bool labelled = end != line.npos;
    all.push_back({std::string(trimmed(line.substr(0, end))),
                   labelled ? std::string(trimmed(line.substr(end + 1))) : std::string(), number,
                   tab == line.npos ? std::string(line) : std::string()});
    numbers_alone = numbers_alone && !labelled && is_number(line);
  });
  check(all.empty() || !numbers_alone, Fault::input, name,
        ": a list of numbers without files. Which image each is of, and in which order the classes are "
        "numbered "
        "(ImageNet's own numbering is not that of sorted folder names), it does not say, and a wrong guess "
        "trains and "
        "tests at chance; write \"file CLASS\" on each line, CLASS being a class folder's name");
  return all;
}

std::vector<LabelledFile> read_solution_csv(std::string_view text, const std::string& name) {
  std::vector<LabelledFile> all;
  each_line(text, name, [&](std::string_view line, int number) {
    if (number == 1 && line.starts_with("ImageId,")) return;
    std::string_view rest = line;
    const std::string_view file = trimmed(take_word(rest, ","));
    rest = trimmed(rest);
    const std::string_view label = up_to_box(rest);
    check(!file.empty() && !label.empty(), Fault::input, name, ":", number, ": ", in_quotes(line),
          ", expected \"file,class x y x y ...\"");
    all.push_back({std::string(file), std::string(label), number});
  });
  return all;
}

std::vector<LabelledFile> read_tab_annotations(std::string_view text, const std::string& name) {
  std::vector<LabelledFile> all;
  each_line(text, name, [&](std::string_view line, int number) {
    std::string_view rest = line;
    const std::string_view file = trimmed(take_word(rest, "\t")), label = trimmed(take_word(rest, "\t"));
    check(!file.empty() && !label.empty(), Fault::input, name, ":", number, ": ", in_quotes(line),
          ", expected a file, a class and a box, between tabs");
    all.push_back({std::string(file), std::string(label), number});
  });
  return all;
}

std::vector<std::string> read_numbered_lines(std::string_view text, const std::string& name) {
  std::vector<std::pair<size_t, std::string>> rows;
  each_line(text, name, [&](std::string_view line, int number) {
    std::string_view rest = trimmed(line);
    const std::string_view first = take_word(rest, blanks);
    size_t place = 0;
    rest = trimmed(rest);
    check(parse(first, place) && place >= 1 && !rest.empty(), Fault::input, name, ":", number, ": ",
          in_quotes(line), ", expected \"number value\"");
    rows.emplace_back(place, rest);
  });
  std::vector<std::string> values(rows.size());
  for (auto& [place, value] : rows) {
    check(place <= values.size() && values[place - 1].empty(), Fault::input, name, ": number ", place, " of ",
          values.size(), " lines stands twice, or a number is missing; expected 1, 2, 3, ...");
    values[place - 1] = std::move(value);
  }
  return values;
}

}  // namespace retort
