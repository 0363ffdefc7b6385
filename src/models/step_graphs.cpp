#include "models/step_graphs.h"

namespace rose::models {

void StepGraphs::run(StepData& data, std::span<const uint64_t> others, const std::function<void()>& body) {
  if (!data.compute.gpu || !data.one_token_each) return body();
  auto addresses = [&] {
    auto all = data.addresses();
    all.insert(all.end(), others.begin(), others.end());
    return all;
  };
  auto& entry = graphs_[{data.sequences, data.table_width, static_cast<int64_t>(data.output)}];
  if (entry.addresses != addresses()) {
    // Unknown, or something has moved: run it plainly, which also allocates and compiles what it needs.
    body();
    entry.addresses = addresses();
    entry.graph.reset();
    return;
  }
  if (!entry.graph) {
    data.stream.begin_capture();
    try {
      body();
    } catch (...) {
      try {
        data.stream.end_capture();
      } catch (const runtime::DeviceError&) {  // spoiled by the failure that is reported below
      }
      throw;
    }
    entry.graph = data.stream.end_capture();
  }
  data.stream.launch(*entry.graph);
}

}  // namespace rose::models
