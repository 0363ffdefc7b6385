#include "weights/names.h"

#include <fmt/format.h>

namespace rose::weights {
namespace {

struct Renaming {
  std::string_view hugging_face, gguf;
};

constexpr Renaming kWhole[] = {
    {"model.embed_tokens", "token_embd"},
    {"model.norm", "output_norm"},
    {"lm_head", "output"},
};

// Within "model.layers.N." and "blk.N.".
constexpr Renaming kLayer[] = {
    {"input_layernorm", "attn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.qkv_proj", "attn_qkv"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.gate_up_proj", "ffn_up"},  // phi3: both halves in one tensor, gate first
    {"mlp.down_proj", "ffn_down"},
    {"pre_feedforward_layernorm", "ffn_norm"},
    {"post_feedforward_layernorm", "post_ffw_norm"},
};

// Gemma 2 and 3 normalise the attention's output before it is added; elsewhere the same name means the norm
// before the feed-forward part.
std::string_view post_attention_norm(std::string_view architecture) {
  return architecture.starts_with("gemma") && architecture != "gemma" ? "post_attention_norm" : "ffn_norm";
}

}  // namespace

std::optional<std::string> gguf_name(std::string_view architecture, std::string_view hugging_face_name) {
  const size_t dot = hugging_face_name.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  std::string_view stem = hugging_face_name.substr(0, dot);
  const std::string_view kind = hugging_face_name.substr(dot + 1);
  if (kind != "weight" && kind != "bias") return std::nullopt;

  for (const Renaming& r : kWhole) {
    if (stem == r.hugging_face) return fmt::format("{}.{}", r.gguf, kind);
  }
  constexpr std::string_view kLayers = "model.layers.";
  if (!stem.starts_with(kLayers)) return std::nullopt;
  stem.remove_prefix(kLayers.size());
  const size_t digits = stem.find_first_not_of("0123456789");
  if (digits == 0 || digits == std::string_view::npos || stem[digits] != '.') return std::nullopt;
  const std::string_view layer = stem.substr(0, digits), part = stem.substr(digits + 1);
  if (part == "post_attention_layernorm") {
    return fmt::format("blk.{}.{}.{}", layer, post_attention_norm(architecture), kind);
  }
  for (const Renaming& r : kLayer) {
    if (part == r.hugging_face) return fmt::format("blk.{}.{}.{}", layer, r.gguf, kind);
  }
  return std::nullopt;
}

}  // namespace rose::weights
