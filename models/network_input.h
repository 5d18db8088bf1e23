// What a network's weights say of its pictures and answers: it goes with them into every file that is
// written.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace retort {

struct NetworkInput {
  int64_t size = 0;  // height and width of an image
  // A picture of another size is resized until its shorter side has so many pixels, then its centre is cut
  // out.
  int64_t test_resize = 0;
  std::vector<std::string> class_names;  // in the order of the logits; empty: nobody knows
  // Of a detector: the numbers that its data has for the classes, ascending; empty: 1 to the last.
  std::vector<int64_t> category_ids = {};
};

// The side of the images that an architecture was made for: 224 for those of ImageNet, else 32.
int64_t own_side(const std::string& name);

// The images a network can be made for.
inline constexpr int64_t least_side = 8, most_side = 4096;

using Metadata = std::map<std::string, std::string>;

// Of a file's metadata "size", "test_resize", "class_names" and "category_ids" (JSON arrays). What it does
// not say: the size that the architecture was made for, and usual_test_resize(). Fault::input, naming the
// file, for what is no such number or list, or has another number of entries than classes (0: not known).
NetworkInput input_from(const Metadata& metadata, const std::string& architecture, int64_t classes,
                        const std::string& file);

// 256 for 224, as ImageNet's networks are tested; else the size itself.
int64_t usual_test_resize(int64_t size);

// As metadata; without names and ids where there are none.
void put_input(const NetworkInput& input, Metadata& metadata);

// Takes the place of what the metadata say. 0: nothing.
void set_input(Metadata& metadata, int64_t size, int64_t test_resize);

// A line for the user where the images' classes are known by other names, or in another order, than the
// network's; empty where they agree or one side is not known.
std::string other_classes_note(const std::string& network, const std::vector<std::string>& own,
                               const std::vector<std::string>& of_images);

}  // namespace retort
