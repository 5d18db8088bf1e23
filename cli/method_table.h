// `retort info --methods`: what each method reads, learns and works with.
#pragma once
#include <string>

namespace retort {

std::string method_table();
std::string method_table_json();

}  // namespace retort
