// The playground: logits to drag, and what KD, DKD and PCD make of them, on one page that needs nothing else.
// What it computes with is these row kernels, compiled to WebAssembly (playground/kernels.cpp).
#pragma once
#include <string>

namespace retort {

// HTML, about 450 kB, the same bytes every time.
std::string playground_page();

}  // namespace retort
