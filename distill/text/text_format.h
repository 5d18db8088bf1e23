// Text for people: widths on a terminal, numbers, durations. Independent of the locale.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/shape.h"

namespace retort {

// Columns that UTF-8 text takes on a terminal: 0 for combining marks, 2 for East Asian wide characters and
// emoji, 1 for others and for each byte that is not UTF-8.
size_t display_width(std::string_view text);

// `text` cut to at most `width` columns, the last of which is then an ellipsis.
std::string cut_to_width(std::string_view text, size_t width);

// `text` broken at spaces into lines of at most `width` columns, those behind the first indented; a word that
// is longer than a line stays whole. Spaces within a line stay, those at a break go.
std::string wrapped(std::string_view text, size_t width, size_t indent = 0);

// "64x3x3x64"
std::string extents(const Shape& shape);

// "1 epoch", "3 epochs", "0 images", "2 classes".
std::string counted(int64_t count, std::string_view noun);

// 3.14159 with 2 decimals is "3.14"; NaN is "-".
std::string fixed(double value, int decimals);

// A number with its sign: "+0.42", "−1.30" (a minus, not a hyphen), "0.00"; NaN is "–".
std::string signed_number(double value, int decimals);

// "70.12 ± 0.31", without a deviation for one value; not for none.
std::string mean_and_deviation(std::span<const double> values, int decimals = 2);

// At most `digits` significant digits, without trailing zeros: 0.05, 1.5e-07; NaN is "-".
std::string significant(double value, int digits);

// Of an estimate, as one says it: "40 seconds", "12 minutes", "5.3 hours", "308 days"; NaN is "-".
std::string rough_duration(double seconds);

// 75 is "1:15", 3723 is "1:02:03"; rounded to the second; NaN is "-".
std::string duration(double seconds);

}  // namespace retort
