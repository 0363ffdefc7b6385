// ModernBERT. See encoder.h for the arguments.
#pragma once

#include "models/encoder.h"

namespace rose::models {

EncoderConfig read_modernbert(const Checkpoint& checkpoint);
std::unique_ptr<Encoder> make_modernbert(const Build& build, EncoderConfig config);

}  // namespace rose::models
