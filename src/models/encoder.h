// Encoders (BERT and its kin): all tokens of a text see each other; the result is one vector a token.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/checkpoint.h"
#include "models/linear.h"
#include "runtime/context.h"

namespace rose::models {

struct EncoderConfig {
  std::string architecture;
  int64_t layers = 0, hidden = 0, intermediate = 0, heads = 0;
  int64_t vocab = 0;
  int64_t max_tokens = 0;  // of a text
  // Learnt positions: rows of the table, the row of the first token, and the token that takes no place of its
  // own (-1: none). 0 rows: positions are rotations.
  int64_t positions = 0, first_position = 0, padding = -1;
  int64_t segments = 0;  // rows of the segment table; 0: there is none
  double epsilon = 1e-12;
  std::string activation = "gelu_erf";  // a name of kernels/activation
  // Rotations (ModernBERT): local layers see the tokens up to window / 2 away and turn by other angles.
  double rope_base = 0, local_rope_base = 0;
  int64_t window = 0;
  std::vector<bool> local_layers;  // of each layer; empty: none is
  bool attention_bias = true, feed_forward_bias = true, norm_bias = true;

  int64_t head_dim() const { return hidden / heads; }
  bool is_local(int64_t layer) const {
    return !local_layers.empty() && local_layers[static_cast<size_t>(layer)];
  }
};

/// Several texts, one after the other.
struct EncoderStep {
  std::vector<int32_t> tokens, types;    // ids and segment numbers of all tokens
  std::vector<int32_t> first_tokens{0};  // texts + 1: where each text begins in `tokens`

  int64_t count() const { return static_cast<int64_t>(tokens.size()); }
  int64_t texts() const { return static_cast<int64_t>(first_tokens.size()) - 1; }
};

class Encoder {
 public:
  virtual ~Encoder() = default;
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  const EncoderConfig& config() const { return config_; }
  virtual int64_t weight_bytes() const = 0;
  /// The last layer's vectors on the device in its type (Compute::dtype), [tokens, hidden], valid until the
  /// next call. A text's rows do not depend on the others. Throws ModelError for ids beyond the tables and
  /// texts longer than max_tokens.
  virtual runtime::DevicePointer run(const EncoderStep& step) = 0;
  /// The same on the host, as f32.
  std::vector<float> forward(const EncoderStep& step);

 protected:
  Encoder(runtime::Context& context, EncoderConfig config) : context_(context), config_(std::move(config)) {}
  runtime::Context& context_;
  EncoderConfig config_;
};

/// The numbers of config.json, checked. Throws ModelError naming file and field, and for an architecture that
/// is not in the table (encoder_architectures).
EncoderConfig read_encoder_config(const Checkpoint& checkpoint);
/// Makes the encoder of a checkpoint; `context` and the checkpoint's files must outlive it. Throws as
/// read_encoder_config does, and WeightsError for wrong tensors.
std::unique_ptr<Encoder> load_encoder(runtime::Context& context, const Checkpoint& checkpoint,
                                      Precision precision);
std::vector<std::string> encoder_architectures();  // model_type of config.json
bool is_encoder(const Checkpoint& checkpoint);

}  // namespace rose::models
