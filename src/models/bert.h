// BERT. See encoder.h for the arguments.
#pragma once

#include "models/encoder.h"

namespace rose::models {

EncoderConfig read_bert(const Checkpoint& checkpoint);
std::unique_ptr<Encoder> load_bert(runtime::Context& context, const Checkpoint& checkpoint,
                                   EncoderConfig config, Precision precision);

}  // namespace rose::models
