// The settings of a distillation method: which one, and its keys with defaults, ranges and help.
//
// A method is described by a MethodInfo in its own file (kd.cpp, pcd.cpp, ...) and listed in registry.cpp.
// Settings are set as text, from a recipe's [method] table or from --set KEY=VALUE, and checked as they are
// set.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "distill/methods/key_type.h"
#include "engine/shape.h"

namespace retort {

class Device;
class Distiller;
struct MethodContext;
class MethodSettings;

using MethodKey = KeyType;

struct MethodInfo {
  std::string name;
  std::string title;
  std::string paper;  // "arXiv:1503.02531", or empty
  // What its terms read besides the student's logits.
  struct Reads {
    bool teacher = true;
    bool labels = false;
    bool two_views = false;           // makes use of a second view where there is one
    bool features = false;            // of both networks
    bool indices = false;             // which image of the training set each sample is
    bool class_similarity = false;    // how alike the teacher sees the classes, once before the first step
    bool batch = false;               // its loss is no mean over samples: it relates those of a batch
    bool borrows_classifier = false;  // the student is a network that ends in the teacher's
    bool length = false;              // how many epochs the run has: its terms change up to the last
  } reads;
  std::vector<MethodKey> keys;
  std::unique_ptr<Distiller> (*make)(const MethodSettings& settings, Device& device,
                                     const MethodContext& context);
};

// The keys of every method with a teacher: ce_weight and warmup, with the method's defaults.
std::vector<MethodKey> weight_keys(const std::string& ce_weight, const std::string& warmup);
// The same and standardize, for methods that read logits.
std::vector<MethodKey> common_keys(const std::string& ce_weight, const std::string& warmup);
MethodKey temperature_key(const std::string& fallback);
// A number from 0 to 1.
MethodKey share_key(const std::string& name, const std::string& fallback, const std::string& help);

// How many views of each image the method is set to read (key "views"): 1 or 2.
int views_read(const MethodSettings& settings);

class MethodSettings {
 public:
  // The method's defaults. The method may be one from outside this library; it has to outlive the settings.
  // For one of this library by its name: method_settings().
  explicit MethodSettings(const MethodInfo& method) : method_(&method) {}

  const MethodInfo& method() const { return *method_; }

  // Error(Fault::usage) if the method has no such key (names the nearest) or the value is not allowed.
  void set(const std::string& key, const std::string& value);

  // The same where nobody sets the key: another default, by what the method is used for.
  void settle(const std::string& key, const std::string& value);

  bool has(const std::string& key) const;     // the method has this key
  bool is_set(const std::string& key) const;  // somebody set it

  // The value, set or default. Error(Fault::internal) if the method has no such key of this kind.
  double number(const std::string& key) const;
  int integer(const std::string& key) const;
  bool flag(const std::string& key) const;
  const std::string& choice(const std::string& key) const;

  // Every key's canonical() value, set or default, in the method's order.
  struct Value {
    const MethodKey& key;
    std::string text;
  };
  std::vector<Value> list() const;

 private:
  const std::string& value(const std::string& key, MethodKey::Kind kind) const;

  std::string checked(const std::string& key, const std::string& value) const;

  const MethodInfo* method_;
  std::map<std::string, std::string> values_, usual_;  // set; settled
};

}  // namespace retort
