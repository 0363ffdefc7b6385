// DistilBERT. See encoder.h for the arguments.
#pragma once

#include "models/encoder.h"

namespace rose::models {

EncoderConfig read_distilbert(const Checkpoint& checkpoint);
std::unique_ptr<Encoder> make_distilbert(const Build& build, EncoderConfig config);

}  // namespace rose::models
