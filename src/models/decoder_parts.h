// What decoders are built from, between the kernels and the architectures: token embedding, attention with
// its cache, gated feed-forward, output head. Activations are rows of the device's type, one a token.
#pragma once

#include <map>

#include "kernels/activation/activation.h"
#include "kernels/embedding/embedding.h"
#include "kernels/norm/rms_norm.h"
#include "kernels/rope/qk_rope_cache.h"
#include "models/attention.h"
#include "models/step_data.h"

namespace rose::models {

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

/// Rows of the token table. x86: decoded from the file's own format as they are needed; GPUs: the table lies
/// on the device.
class TokenEmbedding {
 public:
  TokenEmbedding(const Build& build, const DecoderConfig& config, double scale);
  /// out: [tokens, hidden].
  void operator()(StepData& step, runtime::DevicePointer out);
  /// GPUs: the table, for an output head that shares it; else null.
  const SharedBuffer& device_table() const { return device_table_; }
  int64_t bytes() const { return device_table_ ? static_cast<int64_t>(device_table_->bytes()) : 0; }

 private:
  Checkpoint checkpoint_;  // keeps the file mapped
  const weights::Tensor* table_;
  float scale_;
  std::vector<float> rows_;
  SharedBuffer device_table_;
  std::unique_ptr<kernels::Embedding> lookup_;
};

/// Weight of a root-mean-square norm in the device's type.
runtime::Buffer norm_weight(const Build& build, const std::string& name, int64_t size, bool add_one);

/// softmax(q·kᵀ)·v of one layer, with its projections: out (+)= Wo·attention(Wqkv·h).
class SelfAttention {
 public:
  struct Options {
    bool adds = true;      // the output is added to `out`
    bool global = true;    // no sliding window
    bool add_one = false;  // norms of heads multiply by 1 + weight
  };
  SelfAttention(const Build& build, const DecoderConfig& config, int64_t layer, const Options& options);
  void operator()(StepData& step, RopeTable& rope, KvCache& cache, runtime::DevicePointer h,
                  runtime::DevicePointer out);
  const PagedAttention& kernel() const { return *attention_; }
  int64_t bytes() const { return qkv_.bytes() + output_.bytes(); }

 private:
  int64_t layer_;
  Linear qkv_, output_;
  runtime::Buffer q_norm_, k_norm_;
  std::unique_ptr<kernels::QkRopeCache> rotate_;
  std::unique_ptr<PagedAttention> attention_;
};

/// out (+)= Wdown·(f(Wgate·h) · Wup·h), f being the config's activation.
class FeedForward {
 public:
  FeedForward(const Build& build, const DecoderConfig& config, int64_t layer, bool adds);
  void operator()(StepData& step, runtime::DevicePointer h, runtime::DevicePointer out);
  int64_t bytes() const { return gate_up_.bytes() + down_.bytes(); }

 private:
  std::unique_ptr<weights::Tensor[]> halves_;  // of one tensor, while they are loaded
  Linear gate_up_, down_;
  std::unique_ptr<kernels::ActivationKernel> activation_;  // null: the product of gate_up_ does it
};

/// Logits of some tokens: cap(W·norm(x)), with W the token table where the checkpoint has none of its own; or
/// norm(x) alone.
class OutputHead {
 public:
  OutputHead(const Build& build, const DecoderConfig& config, bool add_one, const TokenEmbedding& embedding);
  /// x: [tokens, hidden]; out: f32 [logit rows of the step, vocab or hidden]. Throws ModelError for logits
  /// when there is no projection.
  void operator()(StepData& step, runtime::DevicePointer x, runtime::DevicePointer out);
  int64_t bytes() const { return projection_ ? projection_->bytes() : 0; }

 private:
  // Some rows of x, normed.
  struct Rows {
    Rows(const Build& build, const DecoderConfig& config, bool add_one, ir::Type out);
    kernels::Embedding choose;
    kernels::RmsNorm norm;
    runtime::Buffer weight;
  };

  DecoderConfig config_;
  Rows rows_;
  std::unique_ptr<Rows> hidden_;  // where vectors are wanted in another type than activations have
  std::optional<Linear> projection_;
  std::unique_ptr<kernels::ActivationKernel> cap_;
  int64_t cap_width_ = 0;
};

/// "model.layers.7.NAME".
std::string layer_tensor(int64_t layer, std::string_view name);

}  // namespace rose::models
