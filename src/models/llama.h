// Llama and the decoders that differ from it in little: each reads its own configuration. See decoder.h for
// the arguments.
#pragma once

#include "models/decoder.h"

namespace rose::models {

DecoderConfig configure_llama(const Checkpoint& checkpoint);
DecoderConfig configure_mistral(const Checkpoint& checkpoint);
DecoderConfig configure_qwen2(const Checkpoint& checkpoint);
DecoderConfig configure_qwen3(const Checkpoint& checkpoint);

std::unique_ptr<Decoder> make_llama(const Build& build, DecoderConfig config);

}  // namespace rose::models
