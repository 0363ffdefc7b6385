// Reading of a decoder's numbers: what all architectures have in common in config.json or GGUF metadata. Each
// adds what is its own.
#pragma once

#include "models/decoder.h"

namespace rose::models {

/// Sizes, activation, rotary embedding. Fields of `defaults` that are set stand in for missing ones. Throws
/// ModelError for values out of range and for features that are not supported.
DecoderConfig read_common_config(const Checkpoint& checkpoint, DecoderConfig defaults = {});

/// Part of it: base, scaling and partial rotation.
void read_rope(const Checkpoint& checkpoint, DecoderConfig& config);

/// A sliding window of `window` tokens (0: none) in the layers that "layer_types" of config.json lists;
/// without the list, in those that `slides` tells.
void set_window(const Checkpoint& checkpoint, DecoderConfig& config, int64_t window,
                bool (*slides)(int64_t layer));

/// "ARCHITECTURE.key" or "key" with the file's name ahead, for messages.
std::string field(const Checkpoint& checkpoint, std::string_view key, std::string_view gguf_key);

}  // namespace rose::models
