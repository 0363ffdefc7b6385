// What encoders are built from, between the kernels and the architectures: token tables, norms, attention
// over all tokens, feed-forward parts. All activations are f32 rows, one a token.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/activation/activation.h"
#include "kernels/attention/x86_attention.h"
#include "kernels/norm/layer_norm.h"
#include "kernels/rope/frequencies.h"
#include "kernels/rope/rotary.h"
#include "models/encoder.h"

namespace rose::models {

/// Reads config.json of an encoder: a number with its range, an activation, a flag. Throws ModelError naming
/// file and field.
class EncoderFields {
 public:
  explicit EncoderFields(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}
  int64_t integer(const char* key, int64_t least, int64_t most) const;
  int64_t integer_or(const char* key, int64_t otherwise, int64_t least, int64_t most) const;
  double positive(const char* key, double otherwise) const;
  bool flag(const char* key, bool otherwise) const;
  std::string text(const char* key, const std::string& otherwise) const;
  /// Hugging Face's name of an activation as kernels/activation calls it.
  std::string activation(const char* key, const std::string& otherwise) const;
  [[noreturn]] void fail(const char* key, const std::string& what) const;

 private:
  const Checkpoint& checkpoint_;
};

/// A step on the device, and workspaces for its activations.
class EncoderData {
 public:
  explicit EncoderData(runtime::Context& context);

  runtime::Stream& stream;
  int64_t tokens = 0, sequences = 0;
  // Activations: [tokens, hidden] twice, [tokens, 3 hidden], [tokens, hidden], [tokens, (2) intermediate],
  // [tokens, intermediate].
  Workspace x, h, qkv, attended, inner, product;
  Workspace records;  // of matrix products
  Workspace positions, first_tokens, several, single;
  int64_t several_count = 0, single_count = 0;

  runtime::DevicePointer room(Workspace& workspace, int64_t row) {
    return workspace.at_least(tokens * row * 4);
  }
  runtime::DevicePointer put(Workspace& workspace, const std::vector<int32_t>& values);
};

/// Layer norm with the weights `name`.weight and, where `bias`, `name`.bias.
class EncoderNorm {
 public:
  EncoderNorm(runtime::Context& context, const Checkpoint& checkpoint, const std::string& name, int64_t size,
              double epsilon, bool bias);
  /// x and out: [rows, size]; out may be x.
  void operator()(runtime::Stream& stream, runtime::DevicePointer x, runtime::DevicePointer out,
                  int64_t rows) const;

 private:
  kernels::LayerNorm norm_;
  runtime::Buffer weight_, bias_;
};

/// The sum of a token's row, its position's row and its segment's row, gathered on the host from the file's
/// own format.
class EncoderEmbedding {
 public:
  /// An empty name: no such table.
  EncoderEmbedding(const Checkpoint& checkpoint, const EncoderConfig& config, const std::string& word,
                   const std::string& position, const std::string& segment);
  /// out: [tokens, hidden]. Throws ModelError for what lies beyond the tables.
  void operator()(runtime::Stream& stream, const EncoderStep& step, runtime::DevicePointer out);

 private:
  Checkpoint checkpoint_;  // keeps the file mapped
  EncoderConfig config_;
  const weights::Tensor* word_;
  std::vector<float> position_, segment_;
  std::vector<float> rows_;
};

/// Cosines and sines for as many positions as were needed so far.
class EncoderRope {
 public:
  EncoderRope(runtime::Context& context, int64_t head_dim, double base)
      : context_(&context), parameters_{.rotary_dim = head_dim, .base = base} {}
  void prepare(int64_t positions);
  runtime::DevicePointer table() const { return table_; }
  int64_t rows() const { return rows_; }

 private:
  runtime::Context* context_;
  kernels::RopeParameters parameters_;
  runtime::Buffer table_;
  int64_t rows_ = 0;
};

/// The names `stem`.weight [n, k] and, where `bias`, `stem`.bias [n] of each stem, one below the other.
Linear encoder_linear(runtime::Context& context, const Checkpoint& checkpoint,
                      const std::vector<std::string>& stems, int64_t n, int64_t k, Precision precision,
                      bool adds, bool bias);

/// softmax(q·kᵀ)·v of one layer, with its projections: out += Wo·attention(Wqkv·h).
class EncoderAttention {
 public:
  struct Names {
    std::vector<std::string> qkv;  // three matrices, or one of them stacked
    std::string output;
  };
  EncoderAttention(runtime::Context& context, const Checkpoint& checkpoint, const EncoderConfig& config,
                   int64_t layer, const Names& names, Precision precision);

  /// Copies the step's lists to the device; all layers of a model share them.
  void prepare(EncoderData& data, const EncoderStep& step) const;
  /// h and out: [tokens, hidden]. `rope` is null for models with learnt positions.
  void operator()(EncoderData& data, const EncoderRope* rope, runtime::DevicePointer h,
                  runtime::DevicePointer out) const;
  int64_t bytes() const { return qkv_.bytes() + output_.bytes(); }

 private:
  int64_t hidden_;
  Linear qkv_, output_;
  std::unique_ptr<kernels::Rotary> rotate_;
  std::unique_ptr<kernels::X86Attention> attention_;
};

/// out += Wdown·f(Wup·h), or, gated, out += Wdown·(f(W1·h) · W2·h) with W1 above W2 in one matrix.
class EncoderFeedForward {
 public:
  EncoderFeedForward(runtime::Context& context, const Checkpoint& checkpoint, const EncoderConfig& config,
                     const std::string& up, const std::string& down, bool gated, Precision precision);
  void operator()(EncoderData& data, runtime::DevicePointer h, runtime::DevicePointer out) const;
  int64_t bytes() const { return up_.bytes() + down_.bytes(); }

 private:
  bool gated_;
  Linear up_, down_;
  std::unique_ptr<kernels::ActivationKernel> activation_;
};

}  // namespace rose::models
