// A Step on the device: its lists in one buffer, and workspaces for its activations.
#pragma once

#include <vector>

#include "models/decoder.h"
#include "models/linear.h"

namespace rose::models {

/// Lists of integers that travel to the device in one copy. Equal lengths give equal addresses, as long as
/// the buffer need not grow: a graph may refer to them.
class DeviceLists {
 public:
  explicit DeviceLists(runtime::Context& context);
  ~DeviceLists();
  /// Begins anew; waits until the last copy has left the host.
  void clear();
  /// Appends a list and returns its number. `room`: elements that it takes up, if that is more.
  size_t add(std::span<const int32_t> values, size_t room = 0) {
    return append(std::as_bytes(values), room * 4);
  }
  size_t add(std::span<const int64_t> values, size_t room = 0) {
    return append(std::as_bytes(values), room * 8);
  }
  /// Copies all lists; afterwards at() tells where they lie.
  void send(runtime::Stream& stream);
  runtime::DevicePointer at(size_t list) const { return device_.pointer() + offsets_[list]; }
  runtime::DevicePointer base() const { return device_; }

 private:
  size_t append(std::span<const std::byte> bytes, size_t room);

  runtime::Context& context_;
  std::vector<std::byte> bytes_;
  std::vector<int64_t> offsets_;
  runtime::HostBuffer host_;
  runtime::Buffer device_;
  std::unique_ptr<runtime::Event> sent_;
};

class StepData {
 public:
  StepData(runtime::Context& context, const DecoderConfig& config);
  /// Copies the step's lists. `rope_places`: of each token, its row in the table of angles. `several` and
  /// `single`: tiles of attention on x86, or of prompts on GPUs.
  void load(const Step& step, std::span<const int32_t> rope_places, std::span<const int32_t> several,
            std::span<const int32_t> single);
  /// Where workspaces and lists lie: what a graph depends on.
  std::vector<uint64_t> addresses();
  /// At least so many bytes, which were zero when they were allocated.
  runtime::DevicePointer zeroed(Workspace& workspace, int64_t bytes);

  runtime::Context& context;
  runtime::Stream& stream;
  Compute compute;
  int64_t tokens = 0, sequences = 0, table_width = 0, longest = 0;
  bool one_token_each = false;  // every sequence has one new token
  std::vector<RowRun> runs;     // of tokens: prompts (several new tokens of a sequence) and others
  // Activations: [tokens, hidden] three times, [tokens, q + 2 kv heads, head_dim], [tokens, q heads,
  // head_dim], [tokens, 2 intermediate], [tokens, intermediate].
  Workspace x, h, part, qkv, attended, gate_up, product;
  Workspace records;    // of matrix products
  Workspace attention;  // of attention
  Workspace chosen;     // [logit rows, hidden]
  struct Plan {         // which pieces of which sequences attention to single tokens goes through
    Workspace memory;
    bool made = false;
  } plans[2];  // of global and of sliding-window layers
  runtime::DevicePointer ids, positions, slots, first_tokens, lengths, block_table, logit_rows, several,
      single;
  int64_t several_count = 0, single_count = 0;
  std::vector<int32_t> host_ids;
  int64_t logit_count = 0;
  StepOutput output = StepOutput::kLogits;

  /// Room for `row` elements of the activations' type a token.
  runtime::DevicePointer room(Workspace& workspace, int64_t row) {
    return workspace.at_least(tokens * row * compute.bytes());
  }

 private:
  DecoderConfig config_;
  DeviceLists lists_;
};

}  // namespace rose::models
