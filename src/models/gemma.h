// Gemma 3, text only. See decoder.h for the arguments.
#pragma once

#include "models/decoder.h"

namespace rose::models {

std::unique_ptr<Decoder> load_gemma3(runtime::Context& context, const Checkpoint& checkpoint,
                                     Precision precision);

}  // namespace rose::models
