// The colours of figures: a method has the same one wherever it is drawn.
#pragma once
#include <string>
#include <vector>

namespace retort {

// Of one hue on a light and on a dark page. They differ in hue and lightness, also to the colour-blind.
struct Colour {
  const char *light, *dark;
};

constexpr int palette_size = 10;
constexpr Colour palette[palette_size] = {
    {"#77716a", "#a39d94"}, {"#2b66c4", "#7fb0ff"}, {"#d1500c", "#ff9350"}, {"#0b7f74", "#4fd0c2"},
    {"#7d3fb8", "#c79bf5"}, {"#a8750a", "#e6b94a"}, {"#b3245f", "#ff86b3"}, {"#3f7d1d", "#93d46c"},
    {"#0e7ea8", "#66cbf0"}, {"#6a5acd", "#b0a6ff"}};

// A number from 0 for each of these methods, all of them different: a well-known method's own, so that kd is
// blue whatever stands beside it; a second row of one method, and others, take the lowest that is left. From
// palette_size on colours repeat, and lines are dashed.
std::vector<int> method_colours(const std::vector<std::string>& methods);

// The class by which a style colours what is inside it: "c2". Any number from 0.
std::string colour_class(int colour);

// Lines of the second half of the palette are dashed, and so tell themselves apart without colour.
bool is_dashed(int colour);

}  // namespace retort
