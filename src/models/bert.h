// BERT. See encoder.h for the arguments.
#pragma once

#include "models/encoder.h"

namespace rose::models {

std::unique_ptr<Encoder> load_bert(runtime::Context& context, const Checkpoint& checkpoint,
                                   Precision precision);

}  // namespace rose::models
