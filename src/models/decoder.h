// Decoder language models: what one forward step takes and gives, whatever the architecture.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/rope/frequencies.h"
#include "models/checkpoint.h"
#include "models/linear.h"
#include "runtime/context.h"

namespace rose::models {

/// The numbers of a decoder, in the words of its config.json.
struct DecoderConfig {
  std::string architecture;
  int64_t layers = 0, hidden = 0, intermediate = 0;
  int64_t q_heads = 0, kv_heads = 0, head_dim = 0;
  int64_t vocab = 0;
  int64_t context_length = 0;             // tokens of a prompt and its answer together
  double epsilon = 1e-5;                  // of all norms
  kernels::RopeParameters rope;           // of global layers
  std::string rope_style = "half";        // pairs of elements that turn together
  std::vector<float> rope_divisors;       // of each frequency; empty: none (Llama 3's "rope_freqs")
  double local_rope_base = 0;             // of sliding-window layers; 0: the same
  int64_t window = 0;                     // tokens that a sliding-window layer sees; 0: all
  int64_t global_every = 1;               // of so many layers the last is global, when window > 0; 0: none is
  double attention_scale = 0;             // 0: one over the root of head_dim
  double softcap = 0, final_softcap = 0;  // of scores and of logits; 0: off
  bool qk_norm = false;                   // heads of q and k are normed before they turn

  bool is_global(int64_t layer) const {
    return window == 0 || (global_every > 0 && layer % global_every == global_every - 1);
  }
};

/// What all decoders have in common in config.json or GGUF metadata, checked.
DecoderConfig read_decoder_config(const Checkpoint& checkpoint);

/// The paged cache of keys and values: for each layer [blocks, block_size, kv_heads, head_dim], f32.
struct KvCache {
  KvCache(runtime::Context& context, const DecoderConfig& config, int64_t blocks, int64_t block_size);
  static int64_t bytes_per_token(const DecoderConfig& config);

  int64_t blocks, block_size;
  std::vector<runtime::Buffer> k, v;  // of each layer
};

/// The new tokens of several sequences, one sequence after the other.
struct Step {
  std::vector<int32_t> tokens;        // all new tokens
  std::vector<int32_t> positions;     // of each token in its sequence
  std::vector<int64_t> slots;         // where each token's key and value go: block · block_size + place
  std::vector<int32_t> first_tokens;  // sequences + 1: where each sequence begins in `tokens`
  std::vector<int32_t> lengths;       // of each sequence: keys, the new ones included
  std::vector<int32_t> block_table;   // [sequences, table_width]: blocks of each sequence
  int64_t table_width = 0;
  std::vector<int32_t> logit_rows;  // tokens whose logits are wanted

  int64_t count() const { return static_cast<int64_t>(tokens.size()); }
  int64_t sequences() const { return static_cast<int64_t>(lengths.size()); }
};

class Decoder {
 public:
  virtual ~Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  const DecoderConfig& config() const { return config_; }
  /// Bytes of the weights as they are kept.
  virtual int64_t weight_bytes() const = 0;
  /// Runs all tokens through the model: writes their keys and values to `cache` and the logits of logit_rows,
  /// f32 [logit_rows, vocab], to `logits`. Rows do not depend on what else the step holds.
  virtual void forward(const Step& step, KvCache& cache, runtime::DevicePointer logits) = 0;

 protected:
  explicit Decoder(DecoderConfig config) : config_(std::move(config)) {}
  DecoderConfig config_;
};

/// Makes the decoder of a checkpoint; `context` and the checkpoint's files must outlive it. Throws ModelError
/// for an architecture that is not in the table (decoder_architectures), WeightsError for wrong tensors.
std::unique_ptr<Decoder> load_decoder(runtime::Context& context, const Checkpoint& checkpoint,
                                      Precision precision);
std::vector<std::string> decoder_architectures();

}  // namespace rose::models
