// Where what can be computed again is kept between runs: cuDNN's plans, measured convolutions, teachers'
// logits.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

namespace retort {

// RETORT_CACHE, or retort in XDG_CACHE_HOME, or ~/.cache/retort; empty if none of these is set.
std::filesystem::path cache_folder();

// 64 bits of FNV-1a as 16 hexadecimal digits. It names files and notices damage; nobody is kept from forging
// a file in the user's own folder.
std::string digest_of(std::string_view bytes);

// Readers see the old file or the whole new one. A file that cannot be written is left out.
void write_cached(const std::filesystem::path& file, const std::string& bytes);

}  // namespace retort
