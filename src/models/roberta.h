// RoBERTa, XLM-RoBERTa and CamemBERT. See encoder.h for the arguments.
#pragma once

#include "models/encoder.h"

namespace rose::models {

EncoderConfig read_roberta(const Checkpoint& checkpoint);
std::unique_ptr<Encoder> make_roberta(const Build& build, EncoderConfig config);

}  // namespace rose::models
