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
  int64_t vocab = 0, positions = 0, segments = 0;  // rows of the embedding tables
  double epsilon = 1e-12;
  std::string activation = "gelu_erf";
};

/// Several texts, one after the other.
struct EncoderStep {
  std::vector<int32_t> tokens, types;    // ids and segment numbers of all tokens
  std::vector<int32_t> first_tokens{0};  // texts + 1: where each text begins in `tokens`
};

class Encoder {
 public:
  virtual ~Encoder() = default;
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  const EncoderConfig& config() const { return config_; }
  virtual int64_t weight_bytes() const = 0;
  /// The last layer's vectors, [tokens, hidden]. A text's rows do not depend on the others.
  /// Throws ModelError for ids beyond the tables and texts longer than `positions`.
  virtual std::vector<float> forward(const EncoderStep& step) = 0;

 protected:
  explicit Encoder(EncoderConfig config) : config_(std::move(config)) {}
  EncoderConfig config_;
};

/// Makes the encoder of a checkpoint; `context` and the checkpoint's files must outlive it. Throws ModelError
/// for an architecture that is not in the table (encoder_architectures), WeightsError for wrong tensors.
std::unique_ptr<Encoder> load_encoder(runtime::Context& context, const Checkpoint& checkpoint,
                                      Precision precision);
std::vector<std::string> encoder_architectures();

}  // namespace rose::models
