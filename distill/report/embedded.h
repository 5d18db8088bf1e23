// Files of this folder as text in the program, so that it needs none of them where it runs. CMake writes
// them.
#pragma once

namespace retort {

extern const char* const embedded_published_csv;
extern const char* const embedded_style_css;
extern const char* const embedded_script_js;

// The files of sections/; behind the last one without a name.
struct EmbeddedSection {
  const char *name, *content;
};
extern const EmbeddedSection embedded_sections[];

}  // namespace retort
