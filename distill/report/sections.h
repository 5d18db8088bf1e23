// The page's parts as files of sections/: text with {{NAME}} where something is put in.
#pragma once
#include <map>
#include <string>

namespace retort {

// The file of this name with its names replaced by HTML. Every name of the file is to be given, and none
// besides.
std::string section(const std::string& file, const std::map<std::string, std::string>& values = {});

}  // namespace retort
