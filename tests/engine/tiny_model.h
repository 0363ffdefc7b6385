// A language model small enough to be made for each test.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "weights/writer.h"

namespace rose::engine {

// A llama of one layer with random weights and a byte-level vocabulary of letters, in a GGUF file; or the
// same as a Phi-3 whose rotary angles change beyond 40 tokens.
class TinyModel {
 public:
  static constexpr uint32_t kHidden = 32, kInner = 64, kHeads = 4, kKvHeads = 2, kHeadDim = 8, kSwitch = 40;

  struct Options {
    std::string arch = "llama";                 // or phi3
    std::string name = "Tiny";                  // general.name
    std::vector<std::string> more_tokens = {};  // behind the letters, with the merges that make them
    uint32_t pooling = 0;                       // general "pooling_type"; 0: none
    float head_scale = 0.6F;                    // of the output head's values; NaN makes them NaN
    uint32_t context = 200;
    std::string chat_template = {};
  };
  explicit TinyModel(Options options) : options_(std::move(options)), arch_(options_.arch) {
    std::string name = (std::filesystem::temp_directory_path() / "rose-engine-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("cannot make a temporary folder");
    folder_ = name;
    write();
  }
  ~TinyModel() { std::filesystem::remove_all(folder_); }
  std::filesystem::path model() const { return folder_ / "model.gguf"; }

 private:
  void write() {
    std::vector<std::string> tokens = {"<unk>", "<end>"};
    // GPT-2's alphabet writes printable ASCII as itself; the two halves of "é" (c3 a9) are Ã and ©.
    for (char c = 'a'; c <= 'z'; ++c) tokens.emplace_back(1, c);
    tokens.insert(tokens.end(), {"Ã", "©", "ab"});
    tokens.insert(tokens.end(), options_.more_tokens.begin(), options_.more_tokens.end());
    std::vector<std::string> merges = {"a b"};
    for (const auto& t : options_.more_tokens) {  // "yes": y + e, ye + s
      for (size_t i = 1; i + 1 < t.size(); ++i) tokens.push_back(t.substr(0, i + 1));
      for (size_t i = 1; i < t.size(); ++i) merges.push_back(t.substr(0, i) + " " + t.substr(i, 1));
    }
    std::vector<int32_t> types(tokens.size(), 1);
    types[0] = 2, types[1] = 3;
    weights::GgufWriter writer;
    writer.add("general.architecture", arch_), writer.add("general.name", options_.name);
    writer.add(arch_ + ".block_count", 1u), writer.add(arch_ + ".embedding_length", kHidden),
        writer.add(arch_ + ".feed_forward_length", kInner);
    writer.add(arch_ + ".attention.head_count", kHeads),
        writer.add(arch_ + ".attention.head_count_kv", kKvHeads);
    writer.add(arch_ + ".context_length", options_.context);
    if (options_.pooling) writer.add(arch_ + ".pooling_type", options_.pooling);
    writer.add("tokenizer.ggml.model", "gpt2"), writer.add("tokenizer.ggml.pre", "gpt-2");
    writer.add("tokenizer.ggml.tokens", std::span<const std::string>(tokens));
    writer.add("tokenizer.ggml.merges", std::span<const std::string>(merges));
    writer.add("tokenizer.ggml.token_type", std::span<const int32_t>(types));
    writer.add("tokenizer.ggml.eos_token_id", 1u), writer.add("tokenizer.ggml.add_bos_token", false);
    if (!options_.chat_template.empty()) writer.add("tokenizer.chat_template", options_.chat_template);
    std::mt19937_64 engine(4);
    auto add = [&](const std::string& name, std::vector<uint64_t> shape, float scale, float center) {
      std::uniform_real_distribution<float> uniform(-scale, scale);
      uint64_t count = 1;
      for (auto e : shape) count *= e;
      auto& values = data_.emplace_back(count);
      for (float& v : values) v = center + uniform(engine);
      writer.add_tensor({name, weights::Format::kF32, shape, std::as_bytes(std::span(values))});
    };
    data_.reserve(32);
    add("token_embd.weight", {tokens.size(), kHidden}, 1, 0), add("output_norm.weight", {kHidden}, 0.2F, 1);
    add("output.weight", {tokens.size(), kHidden}, options_.head_scale, 0);
    add("blk.0.attn_norm.weight", {kHidden}, 0.2F, 1), add("blk.0.ffn_norm.weight", {kHidden}, 0.2F, 1);
    if (arch_ == "phi3") {
      writer.add("phi3.rope.scaling.original_context_length", kSwitch);
      add("blk.0.attn_qkv.weight", {(kHeads + 2 * kKvHeads) * kHeadDim, kHidden}, 0.5F, 0);
      add("blk.0.ffn_up.weight", {2 * kInner, kHidden}, 0.3F, 0);
      add("rope_factors_short.weight", {kHeadDim / 2}, 0.1F, 1),
          add("rope_factors_long.weight", {kHeadDim / 2}, 1, 3);
    } else {
      add("blk.0.attn_q.weight", {kHeads * kHeadDim, kHidden}, 0.5F, 0),
          add("blk.0.attn_k.weight", {kKvHeads * kHeadDim, kHidden}, 0.5F, 0);
      add("blk.0.attn_v.weight", {kKvHeads * kHeadDim, kHidden}, 0.5F, 0);
      add("blk.0.ffn_gate.weight", {kInner, kHidden}, 0.3F, 0),
          add("blk.0.ffn_up.weight", {kInner, kHidden}, 0.3F, 0);
    }
    add("blk.0.attn_output.weight", {kHidden, kHeads * kHeadDim}, 0.5F, 0);
    add("blk.0.ffn_down.weight", {kHidden, kInner}, 0.3F, 0);
    writer.write(model());
  }

  Options options_;
  std::string arch_;
  std::filesystem::path folder_;
  std::vector<std::vector<float>> data_;
};

}  // namespace rose::engine
