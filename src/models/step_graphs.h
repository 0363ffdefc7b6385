// Steps of generation as graphs: what one step queues, some hundred launches, is recorded once and then
// queued as one.
#pragma once

#include <array>
#include <functional>
#include <map>

#include "models/step_data.h"

namespace rose::models {

/// The graphs of one decoder, by number of sequences and width of the block table. Everything that changes
/// from step to step lies in the lists of StepData, which the graphs read.
class StepGraphs {
 public:
  /// Runs `body`, which queues the launches of the step that `data` holds. On a GPU, when every sequence has
  /// one new token: the first step of a shape runs as it is, the second is recorded, and later ones replay
  /// it, until an address changes. `addresses`: of the buffers outside of `data` that the launches use and
  /// that may move.
  void run(StepData& data, std::span<const uint64_t> addresses, const std::function<void()>& body);

 private:
  struct Entry {
    std::vector<uint64_t> addresses;
    std::unique_ptr<runtime::Graph> graph;
  };
  std::map<std::array<int64_t, 3>, Entry> graphs_;
};

}  // namespace rose::models
