#include "distill/report/stroke_font.h"

#include <algorithm>
#include <map>
#include <string>

namespace retort {

namespace {

// Each letter as paths of points, two digits each: x, and y from 0 (descender) over 2 (baseline) and 7
// (height of x) to 9 (height of capitals). "~" begins a path whose inner corners are rounded, "(" a closed
// round one.
const std::map<std::string_view, const char*>& letters() {
  static const std::map<std::string_view, const char*> all = {{"A", "023962 1454"},
                                                              {"B", "0209 ~093959563606 ~063666623202"},
                                                              {"C", "~676909026264"},
                                                              {"D", "0209 ~093969623202"},
                                                              {"E", "59090252 0646"},
                                                              {"F", "590902 0646"},
                                                              {"G", "~676909026265 6535"},
                                                              {"H", "0209 6269 0666"},
                                                              {"I", "0209"},
                                                              {"J", "~49420204"},
                                                              {"K", "0209 5905 1652"},
                                                              {"L", "090252"},
                                                              {"M", "0209346962"},
                                                              {"N", "02096269"},
                                                              {"O", "(09696202"},
                                                              {"P", "0209 ~093969653505"},
                                                              {"Q", "(09696202 4462"},
                                                              {"R", "0209 ~093969653505 3562"},
                                                              {"S", "~5759090655520204"},
                                                              {"T", "0969 3932"},
                                                              {"U", "~09026269"},
                                                              {"V", "093269"},
                                                              {"W", "0922486289"},
                                                              {"X", "0269 0962"},
                                                              {"Y", "0936 6936 3632"},
                                                              {"Z", "09690262"},
                                                              {"a", "(07474202 4742"},
                                                              {"b", "0902 (07474202"},
                                                              {"c", "~464707024243"},
                                                              {"d", "(07474202 4942"},
                                                              {"e", "0545 ~454707024243"},
                                                              {"f", "~391917 1712 0737"},
                                                              {"g", "(07474202 4742 ~42400001"},
                                                              {"h", "0902 ~05074742"},
                                                              {"i", "0702 0909"},
                                                              {"j", "1919 ~171000"},
                                                              {"k", "0902 3704 1542"},
                                                              {"l", "0902"},
                                                              {"m", "0702 ~05073732 ~35376762"},
                                                              {"n", "0702 ~05074742"},
                                                              {"o", "(07474202"},
                                                              {"p", "0700 (07474202"},
                                                              {"q", "4740 (07474202"},
                                                              {"r", "0702 ~050737"},
                                                              {"s", "~4647070544420203"},
                                                              {"t", "~191232 0737"},
                                                              {"u", "~07024245 4742"},
                                                              {"v", "072247"},
                                                              {"w", "0712375267"},
                                                              {"x", "0742 0247"},
                                                              {"y", "0722 4710"},
                                                              {"z", "07470242"},
                                                              {"0", "(09595202"},
                                                              {"1", "072922"},
                                                              {"2", "~0709595602 0252"},
                                                              {"3", "~0809595626 ~2656520203"},
                                                              {"4", "42490454"},
                                                              {"5", "490906 ~0657520203"},
                                                              {"6", "(06565202 ~490904"},
                                                              {"7", "095922"},
                                                              {"8", "(09595606 (06565202"},
                                                              {"9", "(09595505 ~575212"},
                                                              {".", "0202"},
                                                              {",", "0201"},
                                                              {":", "0202 0606"},
                                                              {";", "0201 0606"},
                                                              {"-", "0535"},
                                                              {"–", "0545"},
                                                              {"−", "0545"},
                                                              {"+", "0545 2723"},
                                                              {"±", "0646 2824 0242"},
                                                              {"=", "0646 0444"},
                                                              {"(", "~29070321"},
                                                              {")", "~09272301"},
                                                              {"[", "29090121"},
                                                              {"]", "09292101"},
                                                              {"<", "370533"},
                                                              {">", "073503"},
                                                              {"/", "0149"},
                                                              {"|", "0900"},
                                                              {"%", "(09292707 (44646242 0269"},
                                                              {"&", "~620709393705024265"},
                                                              {"*", "2723 0446 0644"},
                                                              {"#", "1218 3238 0444 0646"},
                                                              {"_", "0151"},
                                                              {"'", "0907"},
                                                              {"\"", "0907 2927"},
                                                              {"!", "0904 0202"},
                                                              {"?", "~070949462524 2222"},
                                                              {"~", "~05163445"},
                                                              {"^", "072947"},
                                                              {"×", "0743 0347"},
                                                              {"→", "0565 476543"},
                                                              {"λ", "091942 2602"}};
  return all;
}

constexpr const char* unknown = "0209595202";
constexpr double unit = 1.0 / 12, between = 2.2, space = 3.4;

// Chaikin's corner cutting, three times: near the curve that it tends to. The ends of an open path stay.
StrokePath rounded(StrokePath path, bool closed) {
  for (int round = 0; round < 3; ++round) {
    StrokePath cut;
    if (!closed) cut.push_back(path.front());
    for (size_t i = 0; i + 1 < path.size() + closed; ++i) {
      const auto &a = path[i], &b = path[(i + 1) % path.size()];
      if (closed || i > 0)
        cut.emplace_back(0.75 * a.first + 0.25 * b.first, 0.75 * a.second + 0.25 * b.second);
      if (closed || i + 2 < path.size())
        cut.emplace_back(0.25 * a.first + 0.75 * b.first, 0.25 * a.second + 0.75 * b.second);
    }
    if (!closed) cut.push_back(path.back());
    path = std::move(cut);
  }
  if (closed) path.push_back(path.front());
  return path;
}

size_t bytes_of(unsigned char first) {
  return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

}  // namespace

StrokedText stroked(std::string_view text) {
  StrokedText all;
  for (size_t at = 0; at < text.size();) {
    const std::string_view letter = text.substr(at, bytes_of(static_cast<unsigned char>(text[at])));
    at += letter.size();
    if (letter == " ") {
      all.width += space * unit;
      continue;
    }
    const auto known = letters().find(letter);
    const std::string_view code = known == letters().end() ? unknown : known->second;
    double right = 0;
    for (size_t from = 0; from < code.size();) {
      const size_t end = std::min(code.find(' ', from), code.size());
      const bool closed = code[from] == '(', smooth = closed || code[from] == '~';
      StrokePath path;
      for (size_t i = from + smooth; i + 1 < end; i += 2) {
        path.emplace_back(code[i] - '0', code[i + 1] - '2');
        right = std::max(right, path.back().first);
      }
      if (smooth) path = rounded(std::move(path), closed);
      for (auto& [x, y] : path) x = all.width + x * unit, y *= unit;
      all.paths.push_back(std::move(path));
      from = end + 1;
    }
    all.width += (right + between) * unit;
  }
  if (!all.paths.empty()) all.width -= between * unit;
  return all;
}

}  // namespace retort
