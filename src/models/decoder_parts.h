// What decoders are built from, between the kernels and the architectures: token embedding, attention with
// its cache, gated feed-forward, output head. All activations are f32 rows, one a token.
#pragma once

#include <map>

#include "kernels/activation/activation.h"
#include "kernels/attention/x86_attention.h"
#include "kernels/norm/rms_norm.h"
#include "kernels/rope/qk_rope_cache.h"
#include "models/decoder.h"

namespace rose::models {

/// A Step on the device, and workspaces for its activations.
class StepData {
 public:
  StepData(runtime::Context& context, const DecoderConfig& config);
  /// Copies the step's lists and makes room for its activations. `rope_places`: of each token, its row in the
  /// table of angles.
  void load(const Step& step, const kernels::X86Attention& attention,
            const std::vector<int32_t>& rope_places);

  runtime::Context& context;
  runtime::Stream& stream;
  int64_t tokens = 0;
  // Activations: [tokens, hidden] twice, [tokens, q + 2 kv heads, head_dim], [tokens, q heads, head_dim],
  // [tokens, 2 intermediate], [tokens, intermediate].
  Workspace x, h, qkv, attended, gate_up, product;
  Workspace records;  // of matrix products
  Workspace positions, slots, first_tokens, lengths, block_table, several, single;
  int64_t several_count = 0, single_count = 0, sequences = 0, table_width = 0;

  runtime::DevicePointer room(Workspace& workspace, int64_t row) {
    return workspace.at_least(tokens * row * 4);
  }

 private:
  DecoderConfig config_;
};

/// Cosines and sines for as many positions as were needed so far; where a model has other angles for long
/// sequences (rope_switch), those follow.
class RopeTable {
 public:
  RopeTable(runtime::Context& context, const DecoderConfig& config)
      : context_(&context), usual_(config.rope), beyond_(config.long_rope), switch_(config.rope_switch) {}
  /// Makes the table long enough for the sequences of a step.
  void prepare(const Step& step);
  /// The row of each token of a step.
  std::vector<int32_t> places(const Step& step) const;
  runtime::DevicePointer table() const { return table_; }
  int64_t rows() const { return switch_ ? 2 * positions_ : positions_; }

 private:
  runtime::Context* context_;
  kernels::RopeParameters usual_, beyond_;
  int64_t switch_, positions_ = 0;
  runtime::Buffer table_;
};

/// Rows of the token table, decoded from the file's own format as they are needed.
class TokenEmbedding {
 public:
  TokenEmbedding(const Checkpoint& checkpoint, const DecoderConfig& config, float scale);
  /// out: [tokens, hidden].
  void operator()(runtime::Stream& stream, const std::vector<int32_t>& tokens, runtime::DevicePointer out);
  const weights::Tensor& table() const { return *table_; }

 private:
  Checkpoint checkpoint_;  // keeps the file mapped
  const weights::Tensor* table_;
  float scale_;
  std::vector<float> rows_;
};

/// Weight of a root-mean-square norm with the kernel's own precision.
runtime::Buffer norm_weight(runtime::Context& context, const Checkpoint& checkpoint, const std::string& name,
                            int64_t size, bool add_one);

/// softmax(q·kᵀ)·v of one layer, with its projections: out (+)= Wo·attention(Wqkv·h).
class SelfAttention {
 public:
  struct Options {
    bool adds = true;      // the output is added to `out`
    bool global = true;    // no sliding window
    bool add_one = false;  // norms of heads multiply by 1 + weight
  };
  SelfAttention(runtime::Context& context, const Checkpoint& checkpoint, const DecoderConfig& config,
                int64_t layer, Precision precision, const Options& options);
  void operator()(StepData& step, RopeTable& rope, KvCache& cache, runtime::DevicePointer h,
                  runtime::DevicePointer out);
  const kernels::X86Attention& kernel() const { return *attention_; }
  int64_t bytes() const { return qkv_.bytes() + output_.bytes(); }

 private:
  int64_t layer_;
  Linear qkv_, output_;
  runtime::Buffer q_norm_, k_norm_;
  std::unique_ptr<kernels::QkRopeCache> rotate_;
  std::unique_ptr<kernels::X86Attention> attention_;
};

/// out (+)= Wdown·(f(Wgate·h) · Wup·h), f being the config's activation.
class FeedForward {
 public:
  FeedForward(runtime::Context& context, const Checkpoint& checkpoint, const DecoderConfig& config,
              int64_t layer, Precision precision, bool adds);
  void operator()(StepData& step, runtime::DevicePointer h, runtime::DevicePointer out);
  int64_t bytes() const { return gate_up_.bytes() + down_.bytes(); }

 private:
  Linear gate_up_, down_;
  std::unique_ptr<kernels::ActivationKernel> activation_;
};

/// Logits of some tokens: cap(W·norm(x)), with W the token table where the checkpoint has none of its own; or
/// norm(x) alone.
class OutputHead {
 public:
  OutputHead(runtime::Context& context, const Checkpoint& checkpoint, const DecoderConfig& config,
             const DecoderOptions& options, bool add_one);
  /// x: [tokens, hidden]; out: f32 [step.logit_rows, vocab or hidden]. Throws ModelError for logits when
  /// there is no projection.
  void operator()(StepData& data, const Step& step, runtime::DevicePointer x, runtime::DevicePointer out);
  int64_t bytes() const { return projection_ ? projection_->bytes() : 0; }

 private:
  DecoderConfig config_;
  runtime::Buffer norm_weight_;
  kernels::RmsNorm norm_;
  std::optional<Linear> projection_;
  std::unique_ptr<kernels::ActivationKernel> cap_;
  int64_t cap_width_ = 0;
  Workspace chosen_;
};

/// "model.layers.7.NAME".
std::string layer_tensor(int64_t layer, std::string_view name);

}  // namespace rose::models
