// A key of settings, of a run's and of a method's alike: what it may be set to, what it is if nobody sets it,
// and whether another value changes a result. What errors expect, files hold and lists show follows from it.
#pragma once
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace retort {

// What another value of a key does to a run's numbers.
enum class KeyEffect {
  result,  // other numbers
  place,   // names where something lies, whose hash says whether it is the same
  none,    // the same numbers
};

struct KeyType {
  // words: any text. epochs: ascending integers from 1 on.
  enum Kind { number, integer, flag, choice, words, epochs };

  std::string name;
  Kind kind;
  std::string fallback;  // the value if nobody sets one, as canonical() gives it
  std::string help;
  double minimum = 0;                     // of a number or integer
  bool exclusive = false;                 // the value must be more than minimum, not equal
  std::vector<std::string> choices = {};  // of a choice
  // Losses are f32: the square of any number, which temperatures become, has to fit.
  double maximum = 1e6;
  KeyEffect effect = KeyEffect::result;
};

inline constexpr double below_one = 0.9999999999999999;  // the largest double less than 1

// The value that `given` says, always written alike: "0.5" for ".5" and "5e-1", "3" for "03", "[1, 2]" for
// "1,2". Nothing if the key does not take it.
std::optional<std::string> canonical(const KeyType& key, const std::string& given);

// What the key takes, for messages: "a number more than 0 and at most 1000000", "one of both, none".
std::string expected(const KeyType& key);

// "number", "text", "list", for lists of keys.
const char* name_of(KeyType::Kind kind);

// "150, 180,210", in brackets or not, as ascending integers from 1 on; false if it is none. Empty for an
// empty list.
bool parse_epochs(const std::string& given, std::vector<int>& epochs);

}  // namespace retort
