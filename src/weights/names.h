// Maps the tensor names of Hugging Face checkpoints to those of GGUF files, so that a model is written once,
// with one set of names.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace rose::weights {

// What a GGUF file of this "general.architecture" ("llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3")
// calls the tensor that a Hugging Face decoder calls "model.layers.7.self_attn.q_proj.weight" or the like;
// nullopt for names that decoders do not have. Only names are mapped: GGUF files of architecture "llama" also
// have the rows of attn_q and attn_k permuted (rotary pairs side by side), and gemma's norm weights are
// stored with 1 added.
//
// Source: gguf.get_tensor_name_map of the Python package `gguf` (compared in tests/weights).
std::optional<std::string> gguf_name(std::string_view architecture, std::string_view hugging_face_name);

}  // namespace rose::weights
