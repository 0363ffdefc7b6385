// The small sections of a tokenizer.json as the objects they describe.
#pragma once

#include <nlohmann/json.hpp>

#include "text/tokenizer/decoder.h"
#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/post_processor.h"
#include "text/tokenizer/pre_tokenizer.h"

namespace rose::text {

// All throw TextError that names the section and the field. JSON null gives a null pointer, or an empty
// post-processor.
NormalizerPtr normalizer_from_json(const nlohmann::json& section);
/// `raw_bytes`: the last ByteLevel step leaves bytes as they are, for a model that maps them itself.
PreTokenizerPtr pre_tokenizer_from_json(const nlohmann::json& section, bool raw_bytes);
PostProcessor post_processor_from_json(const nlohmann::json& section);
DecoderPtr decoder_from_json(const nlohmann::json& section);

/// Whether the section is ByteLevel, or a sequence that ends in it and has no other.
bool ends_in_byte_level(const nlohmann::json& pre_tokenizer);
/// Whether the section is ByteLevel alone.
bool is_byte_level(const nlohmann::json& decoder);

}  // namespace rose::text
