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
  double epsilon = 1e-6;                  // of all norms
  std::string activation = "silu";        // of the feed-forward part, as kernels/activation names it
  kernels::RopeParameters rope;           // of global layers
  kernels::RopeParameters long_rope;      // the same in sequences of more than rope_switch tokens (Phi-3)
  int64_t rope_switch = 0;                // 0: there are no others
  std::string rope_style = "half";        // pairs of elements that turn together
  double local_rope_base = 0;             // of sliding-window layers; 0: they turn as global ones
  int64_t window = 0;                     // tokens that a sliding-window layer sees; 0: all
  std::vector<bool> sliding;              // of each layer, when window > 0
  double attention_scale = 0;             // 0: one over the root of head_dim
  double softcap = 0, final_softcap = 0;  // of scores and of logits; 0: off
  bool qk_norm = false;                   // heads of q and k are normed before they turn
  bool tied = false;                      // the output head is the token table, whatever else is stored

  bool is_global(int64_t layer) const { return window == 0 || !sliding.at(static_cast<size_t>(layer)); }
};

/// All of a decoder's config.json or GGUF metadata, checked. Throws ModelError naming file and field for an
/// architecture that is not in the table (decoder_architectures) and for what is not supported.
DecoderConfig read_decoder_config(const Checkpoint& checkpoint);

/// The paged cache of keys and values: for each layer [blocks, block_size, kv_heads, head_dim] in the
/// device's type (Compute::dtype).
struct KvCache {
  KvCache(runtime::Context& context, const DecoderConfig& config, int64_t blocks, int64_t block_size);
  static int64_t bytes_per_token(const DecoderConfig& config, const Compute& compute = {});

  int64_t blocks, block_size;
  uint64_t id;  // of this cache alone: a later one may get some of its addresses, and others not
  std::vector<runtime::Buffer> k, v;  // of each layer
};

/// What a step gives for a token: logits [vocab], or the last layer's normed vector [hidden].
enum class StepOutput { kLogits, kHidden };

/// The new tokens of several sequences, one sequence after the other.
struct Step {
  std::vector<int32_t> tokens;        // all new tokens
  std::vector<int32_t> positions;     // of each token in its sequence
  std::vector<int64_t> slots;         // where each token's key and value go: block · block_size + place
  std::vector<int32_t> first_tokens;  // sequences + 1: where each sequence begins in `tokens`
  std::vector<int32_t> lengths;       // of each sequence: keys, the new ones included
  std::vector<int32_t> known;         // of each sequence: tokens known so far, those of later steps included;
                                      // empty: as lengths. Only rope_switch asks
  std::vector<int32_t> block_table;   // [sequences, table_width]: blocks of each sequence
  int64_t table_width = 0;
  std::vector<int32_t> logit_rows;  // tokens whose output is wanted, ascending
  StepOutput output = StepOutput::kLogits;

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
  /// Runs all tokens through the model: writes their keys and values to `cache` and the output of logit_rows,
  /// f32 [logit_rows, vocab or hidden], to `out`. Rows do not depend on what else the step holds.
  virtual void forward(const Step& step, KvCache& cache, runtime::DevicePointer out) = 0;

 protected:
  explicit Decoder(DecoderConfig config) : config_(std::move(config)) {}
  DecoderConfig config_;
};

struct DecoderOptions {
  Precision precision = Precision::kExact;
  bool head = true;  // false: there will be no logits, so the output head is not loaded
};

/// Makes the decoder of a checkpoint; `context` and the checkpoint's files must outlive it. Throws as
/// read_decoder_config, and WeightsError for wrong tensors.
std::unique_ptr<Decoder> load_decoder(runtime::Context& context, const Checkpoint& checkpoint,
                                      const DecoderOptions& options);
std::unique_ptr<Decoder> load_decoder(runtime::Context& context, const Checkpoint& checkpoint,
                                      Precision precision);
std::vector<std::string> decoder_architectures();

}  // namespace rose::models
