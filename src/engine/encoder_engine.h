// The text encoder of encoder models: BERT and its kin with pooling, or with a classification head.
#pragma once

#include "engine/text_encoder.h"

namespace rose::engine {

/// See open_text_encoder.
std::unique_ptr<TextEncoder> open_encoder_engine(runtime::Context& context,
                                                 const models::Checkpoint& checkpoint,
                                                 const models::Vocabulary& vocabulary,
                                                 models::Precision precision);

}  // namespace rose::engine
