// The text encoder of decoder models that were trained for it: embedders (Qwen3-Embedding), rerankers that
// answer yes or no (Qwen3-Reranker), and decoders with a classification head.
#pragma once

#include "engine/text_encoder.h"

namespace rose::engine {

/// See open_text_encoder. Throws EngineError for a language model that was trained to write.
std::unique_ptr<TextEncoder> open_decoder_text_encoder(runtime::Context& context,
                                                       const models::Checkpoint& checkpoint,
                                                       const models::Vocabulary& vocabulary,
                                                       models::Precision precision);

}  // namespace rose::engine
