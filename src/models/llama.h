// Llama and the decoders that differ from it in little: each reads its own configuration. See decoder.h for
// the arguments.
#pragma once

#include "models/decoder.h"

namespace rose::models {

std::unique_ptr<Decoder> load_llama(runtime::Context& context, const Checkpoint& checkpoint,
                                    Precision precision);
std::unique_ptr<Decoder> load_qwen2(runtime::Context& context, const Checkpoint& checkpoint,
                                    Precision precision);
std::unique_ptr<Decoder> load_qwen3(runtime::Context& context, const Checkpoint& checkpoint,
                                    Precision precision);

}  // namespace rose::models
