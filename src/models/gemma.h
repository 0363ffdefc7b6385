// Gemma 2 and 3. See decoder.h for the arguments.
#pragma once

#include "models/decoder.h"

namespace rose::models {

DecoderConfig configure_gemma2(const Checkpoint& checkpoint);
DecoderConfig configure_gemma3(const Checkpoint& checkpoint);

std::unique_ptr<Decoder> make_gemma(const Build& build, DecoderConfig config);

}  // namespace rose::models
