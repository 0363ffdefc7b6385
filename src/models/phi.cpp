// Phi-3, Phi-3.5 and Phi-4 (Abdin et al., 2024) are Llama with q, k and v in one tensor and gate and up in
// another, a part of each head that turns, and for long contexts two sets of rotary frequencies (LongRoPE):
// one for sequences within the context of the first training, one for those beyond.
#include "models/phi.h"

#include "models/decoder_config.h"

namespace rose::models {

DecoderConfig configure_phi3(const Checkpoint& checkpoint) {
  DecoderConfig defaults;
  defaults.epsilon = 1e-5;
  auto c = read_common_config(checkpoint, defaults);
  set_window(checkpoint, c, checkpoint.find_integer("sliding_window", "attention.sliding_window").value_or(0),
             [](int64_t) { return true; });
  return c;
}

}  // namespace rose::models
