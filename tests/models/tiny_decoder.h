// Small random decoders for tests: their files, and a forward pass in double precision written as plainly as
// it goes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "weights/format.h"

namespace rose::models {

struct TinyDecoder {
  std::string type = "llama";  // model_type
  int64_t layers = 2, hidden = 64, intermediate = 96, q_heads = 4, kv_heads = 2, head_dim = 16, vocab = 101;
  int64_t window = 0, global_every = 0;  // as DecoderConfig
  double rope_base = 10000, local_rope_base = 10000, epsilon = 1e-5;
  bool qkv_bias = false, all_biases = false, qk_norm = false, tied = true;

  bool gemma() const { return type == "gemma3_text"; }

  std::map<std::string, std::vector<float>> tensors;  // by Hugging Face name
  std::map<std::string, std::vector<uint64_t>> shapes;

  // Fills `tensors` with reproducible values.
  void randomise(uint64_t seed);
  // A Hugging Face folder, or a GGUF file as llama.cpp's converter writes it (of "llama": rows of q and k
  // permuted; norms and biases in F32, matrices in `format`, whose rounding is then also that of `tensors`).
  std::filesystem::path write_folder(const std::filesystem::path& folder) const;
  // Matrices whose names end as a key of `others` says have formats of their own.
  std::filesystem::path write_gguf(const std::filesystem::path& file,
                                   weights::Format format = weights::Format::kF32,
                                   const std::map<std::string, weights::Format>& others = {});

  // Logits of every token, [tokens, vocab].
  std::vector<double> logits(const std::vector<int32_t>& tokens) const;

 private:
  void add(const std::string& name, std::vector<uint64_t> shape, double scale, double center,
           uint64_t& state);
};

// A folder of its own, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace rose::models
