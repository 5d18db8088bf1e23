// StepGraph: runs a training step, eagerly at first, then, where the device can, captured once per key (batch
// size) and replayed as one graph.
#pragma once
#include <cstdint>
#include <functional>
#include <map>

#include "engine/device.h"

namespace retort {

class StepGraph {
 public:
  // What can be done with a step, the most last.
  enum Way { runs, captures, replays };
  // capture: false keeps every step eager. least: of a step that several processes share, what all can do.
  explicit StepGraph(Device& device, bool capture = true, std::function<int(int way)> least = {})
      : device_(device), capture_(capture), least_(std::move(least)) {}
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;
  ~StepGraph() {
    for (auto& [key, entry] : entries_) drop(entry);
  }

  // Rewinds the step arena and runs step(). The step may enqueue work only: no host reads, every address it
  // uses fixed or from the step arena, every changing number a Scalar.
  template <class F>
  void run(int64_t key, const F& step) {
    device_.begin_step();
    if (!capture_ || !device_.backend().can_capture()) return step();
    Entry& entry = entries_[key];
    const int generation = device_.generation();
    // Warm: a step has run whole where the memory lies now, and it will not move any more.
    const bool warm = entry.ran == generation && device_.steady();
    int way = entry.graph >= 0 && entry.generation == generation ? replays : warm ? captures : runs;
    if (least_) way = least_(way);
    if (way == replays) return device_.backend().replay(entry.graph);
    if (way == runs) {
      entry.ran = generation;
      return step();
    }
    drop(entry);  // one that was captured before the arena moved
    device_.backend().begin_capture();
    step();
    entry.graph = device_.backend().end_capture();
    entry.generation = generation;
    device_.backend().replay(entry.graph);
  }

 private:
  struct Entry {
    int ran = -1;  // the memory's generation when a step last ran whole, not captured
    int graph = -1;
    int generation = 0;  // when it was captured
  };
  void drop(Entry& entry) {
    if (entry.graph >= 0) device_.backend().release_graph(entry.graph);
    entry.graph = -1;
  }

  Device& device_;
  bool capture_;
  std::function<int(int way)> least_;
  std::map<int64_t, Entry> entries_;
};

}  // namespace retort
