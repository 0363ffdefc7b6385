// What encoders are built from, between the kernels and the architectures: token tables, norms, attention
// over all tokens, feed-forward parts. All activations are f32 rows, one a token.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/activation/activation.h"
#include "kernels/attention/sm90_attention.h"
#include "kernels/attention/x86_attention.h"
#include "kernels/embedding/embedding.h"
#include "kernels/norm/layer_norm.h"
#include "kernels/rope/frequencies.h"
#include "kernels/rope/rotary.h"
#include "models/encoder.h"
#include "models/step_data.h"

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
  explicit EncoderData(const Build& build);
  /// Copies the step's lists. `several` and `single`: tiles of attention on x86, or of all texts on GPUs;
  /// `places`: see EncoderEmbedding.
  void load(const EncoderStep& step, std::span<const int32_t> several, std::span<const int32_t> single,
            std::span<const int32_t> places);

  runtime::Stream& stream;
  Compute compute;
  int64_t tokens = 0, sequences = 0;  // tokens: rows of activations; those beyond the step's own mean nothing
  // Activations: [tokens, hidden] twice, [tokens, 3 hidden], [tokens, hidden], [tokens, (2) intermediate],
  // [tokens, intermediate].
  Workspace x, h, qkv, attended, inner, product;
  Workspace records;  // of matrix products
  runtime::DevicePointer ids, places, positions, first_tokens, several, single;
  int64_t several_count = 0, single_count = 0;

  /// Room for `row` elements of the activations' type a token.
  runtime::DevicePointer room(Workspace& workspace, int64_t row) {
    return workspace.at_least(tokens * row * compute.bytes());
  }

 private:
  int64_t least_rows_;
  DeviceLists lists_;
};

/// Layer norm with the weights `name`.weight and, where `bias`, `name`.bias.
class EncoderNorm {
 public:
  /// `dtype`: of x and out; nothing: the device's.
  EncoderNorm(const Build& build, const std::string& name, int64_t size, double epsilon, bool bias,
              std::optional<ir::Type> dtype = std::nullopt);
  /// x and out: [rows, size]; out may be x.
  void operator()(runtime::Stream& stream, runtime::DevicePointer x, runtime::DevicePointer out,
                  int64_t rows) const;
  /// The same of x + residual, which becomes the sum.
  void add(runtime::Stream& stream, runtime::DevicePointer x, runtime::DevicePointer residual,
           runtime::DevicePointer out, int64_t rows) const;

 private:
  kernels::LayerNorm norm_;
  std::optional<kernels::LayerNorm> adding_;
  runtime::Buffer weight_, bias_;
};

/// The norm of the sum of a token's row, its position's row and its segment's row. x86: gathered on the host
/// from the file's own format; GPUs: the tables lie on the device, those of positions and segments as one
/// table of all their sums.
class EncoderEmbedding {
 public:
  /// Names of tables, "" where there is none, and of the norm.
  struct Names {
    std::string word, position = {}, segment = {}, norm;
  };
  EncoderEmbedding(const Build& build, const EncoderConfig& config, const Names& names);
  /// Of each token, the row of the table of positions and segments: segment · positions + position. Throws
  /// ModelError for ids, segments and lengths beyond the tables.
  std::vector<int32_t> places(const EncoderStep& step) const;
  /// out: [tokens, hidden].
  void operator()(EncoderData& data, const EncoderStep& step, runtime::DevicePointer out);
  int64_t bytes() const { return device_word_ ? static_cast<int64_t>(device_word_->bytes()) : 0; }

 private:
  void gather(EncoderData& data, const EncoderStep& step, runtime::DevicePointer out);

  Checkpoint checkpoint_;  // keeps the file mapped
  EncoderConfig config_;
  const weights::Tensor* word_;
  std::vector<float> position_, segment_, rows_;
  EncoderNorm norm_;
  SharedBuffer device_word_;
  runtime::Buffer device_places_;
  std::optional<kernels::Embedding> lookup_;
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

/// The matrices `stem`.weight [n, k] of each stem, one below the other, and where `bias` the vectors
/// `stem`.bias [n]. The other fields as in LinearParts.
struct EncoderLinear {
  std::vector<std::string> stems;
  int64_t n = 0, k = 0;
  bool bias = true, adds = false, f32_out = false;
  std::string activation = {};  // GPUs alone
};
Linear encoder_linear(const Build& build, const EncoderLinear& parts);

/// softmax(q·kᵀ)·v of one layer, with its projections: out += Wo·attention(Wqkv·h).
class EncoderAttention {
 public:
  struct Names {
    std::vector<std::string> qkv;  // three matrices, or one of them stacked
    std::string output;
  };
  EncoderAttention(const Build& build, const EncoderConfig& config, int64_t layer, const Names& names);

  /// For EncoderData::load; the same for all layers of a model.
  struct Tiles {
    std::vector<int32_t> several, single;
  };
  Tiles tiles(const EncoderStep& step) const;
  /// h and out: [tokens, hidden]. `rope` is null for models with learnt positions.
  void operator()(EncoderData& data, const EncoderRope* rope, runtime::DevicePointer h,
                  runtime::DevicePointer out) const;
  int64_t bytes() const { return qkv_.bytes() + output_.bytes(); }

 private:
  void attend(EncoderData& data, runtime::DevicePointer qkv, runtime::DevicePointer out) const;

  int64_t hidden_;
  Linear qkv_, output_;
  std::unique_ptr<kernels::Rotary> rotate_;
  std::unique_ptr<kernels::X86Attention> x86_;
  std::unique_ptr<kernels::AttentionSm90> gpu_;
};

/// out += Wdown·f(Wup·h), or, gated, out += Wdown·(f(W1·h) · W2·h) with W1 above W2 in one matrix.
class EncoderFeedForward {
 public:
  EncoderFeedForward(const Build& build, const EncoderConfig& config, const std::string& up,
                     const std::string& down, bool gated);
  void operator()(EncoderData& data, runtime::DevicePointer h, runtime::DevicePointer out) const;
  int64_t bytes() const { return up_.bytes() + down_.bytes(); }

 private:
  Linear make_gated(const Build& build, const EncoderConfig& config, const std::string& up);

  std::unique_ptr<weights::Tensor[]> halves_;  // GPUs, gated: W1 and W2 while they are loaded
  Linear up_, down_;
  std::unique_ptr<kernels::ActivationKernel> activation_;  // x86
  int64_t intermediate_;
};

}  // namespace rose::models
