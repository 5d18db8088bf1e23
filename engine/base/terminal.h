// What is known of the terminal that a user looks at.
#pragma once
#include <cstddef>

namespace retort {

// Columns of the terminal behind the descriptor, 80 where it does not say; the largest number where there is
// no terminal: lines are not broken then.
size_t line_columns(int descriptor);

}  // namespace retort
