// Where what a run names lies now. A run keeps a place as it was typed, and the folder it was typed in,
// relative to the run: it is looked for from there, then from here, so that a run goes on wherever it is
// named from, and where it was moved together with what lies beside it. Whether it is the same is for the
// hashes to say.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "distill/settings/settings.h"

namespace retort {

// The folder the program runs in, relative to a run's: RunSettings::typed_in.
std::string folder_from(const std::filesystem::path& run);

// The places to look at, in order, as this program can open them; the last one is as it was typed.
std::vector<std::string> places_of_data(const RunSettings& settings, const std::filesystem::path& run);
std::vector<std::string> places_of_weights(const std::string& spec, const RunSettings& settings,
                                           const std::filesystem::path& run);

// Whether something lies there; what cannot be asked does not.
bool is_present(const std::filesystem::path& path);

// Whether there is something; drawn images are everywhere.
bool is_there(const std::string& place);

// The first at which there is something, or the last.
std::string first_there(const std::vector<std::string>& places);

// The file of a photo folder's test labels (data.val_labels) as it can be opened from here; empty if there is
// none.
std::string place_of_labels(const RunSettings& settings, const std::filesystem::path& run);

// For a run whose data lie elsewhere now, as --data says. The name of the data: files that the run names in
// coco:DIR ("coco:DIR,test=FILE") are looked for in another DIR too, where --data names none. As given where
// the folder has COCO's own names instead.
std::string data_elsewhere(const std::string& given, const std::string& own);
// And the labels that lie in folder:DIR (`own`, placed), in the other folder; empty where they are not there.
std::string labels_elsewhere(const std::string& given, const DataSettings& own);

// The settings with all places as they can be opened from here.
RunSettings placed(RunSettings settings, const std::filesystem::path& run);

}  // namespace retort
