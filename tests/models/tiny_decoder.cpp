#include "tiny_decoder.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>

#include "weights/dequantize.h"
#include "weights/names.h"
#include "weights/quantize.h"
#include "weights/writer.h"

namespace rose::models {
namespace {

using Vector = std::vector<double>;

double dot(const float* row, const Vector& x) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += double{row[i]} * x[i];
  return sum;
}

std::string layer_name(int64_t layer, const std::string& part) {
  return fmt::format("model.layers.{}.{}", layer, part);
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "rose-models-XXXXXX").string();
  if (!mkdtemp(name.data())) throw std::runtime_error("cannot make a temporary folder");
  path_ = name;
}
TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void TinyDecoder::add(const std::string& name, std::vector<uint64_t> shape, double scale, double center,
                      uint64_t& state) {
  uint64_t count = 1;
  for (auto extent : shape) count *= extent;
  auto& values = tensors[name];
  for (uint64_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    double uniform = static_cast<double>(state >> 11) / 9007199254740992.0 * 2 - 1;
    values.push_back(static_cast<float>(center + scale * uniform));
  }
  shapes[name] = std::move(shape);
}

void TinyDecoder::randomise(uint64_t seed) {
  uint64_t state = seed * 2 + 1;
  auto u = [](int64_t n) { return static_cast<uint64_t>(n); };
  const double norm = gemma() ? 0 : 1;  // Gemma's norms multiply by 1 + weight
  auto matrix = [&](const std::string& name, int64_t n, int64_t k) {
    add(name, {u(n), u(k)}, std::sqrt(3.0 / static_cast<double>(k)), 0, state);
  };
  auto vector = [&](const std::string& name, int64_t n, double center) {
    add(name, {u(n)}, 0.3, center, state);
  };
  add("model.embed_tokens.weight", {u(vocab), u(hidden)}, 1, 0, state);
  for (int64_t i = 0; i < layers; ++i) {
    auto in = [&](const char* part) { return layer_name(i, part); };
    vector(in("input_layernorm.weight"), hidden, norm),
        vector(in("post_attention_layernorm.weight"), hidden, norm);
    if (gemma())
      vector(in("pre_feedforward_layernorm.weight"), hidden, norm),
          vector(in("post_feedforward_layernorm.weight"), hidden, norm);
    matrix(in("self_attn.q_proj.weight"), q_heads * head_dim, hidden),
        matrix(in("self_attn.k_proj.weight"), kv_heads * head_dim, hidden);
    matrix(in("self_attn.v_proj.weight"), kv_heads * head_dim, hidden),
        matrix(in("self_attn.o_proj.weight"), hidden, q_heads * head_dim);
    if (qkv_bias) {
      vector(in("self_attn.q_proj.bias"), q_heads * head_dim, 0),
          vector(in("self_attn.k_proj.bias"), kv_heads * head_dim, 0);
      vector(in("self_attn.v_proj.bias"), kv_heads * head_dim, 0);
    }
    if (all_biases) {
      vector(in("self_attn.o_proj.bias"), hidden, 0), vector(in("mlp.gate_proj.bias"), intermediate, 0);
      vector(in("mlp.up_proj.bias"), intermediate, 0), vector(in("mlp.down_proj.bias"), hidden, 0);
    }
    if (qk_norm)
      vector(in("self_attn.q_norm.weight"), head_dim, norm),
          vector(in("self_attn.k_norm.weight"), head_dim, norm);
    matrix(in("mlp.gate_proj.weight"), intermediate, hidden),
        matrix(in("mlp.up_proj.weight"), intermediate, hidden);
    matrix(in("mlp.down_proj.weight"), hidden, intermediate);
  }
  vector("model.norm.weight", hidden, norm);
  if (!tied) matrix("lm_head.weight", vocab, hidden);
}

std::filesystem::path TinyDecoder::write_folder(const std::filesystem::path& folder) const {
  nlohmann::json config{{"model_type", type},
                        {"num_hidden_layers", layers},
                        {"hidden_size", hidden},
                        {"intermediate_size", intermediate},
                        {"num_attention_heads", q_heads},
                        {"num_key_value_heads", kv_heads},
                        {"head_dim", head_dim},
                        {"vocab_size", vocab},
                        {"max_position_embeddings", 512},
                        {"rms_norm_eps", epsilon},
                        {"rope_theta", rope_base}};
  if (window) config["sliding_window"] = window;
  if (gemma())
    config["sliding_window_pattern"] = global_every, config["rope_local_base_freq"] = local_rope_base,
    config["query_pre_attn_scalar"] = head_dim;
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "config.json") << config.dump();
  weights::SafetensorsWriter writer;
  for (const auto& [name, values] : tensors)
    writer.add_tensor({name, weights::Format::kF32, shapes.at(name), std::as_bytes(std::span(values))});
  writer.write(folder / "model.safetensors");
  return folder;
}

std::filesystem::path TinyDecoder::write_gguf(const std::filesystem::path& file, weights::Format usual,
                                              const std::map<std::string, weights::Format>& others) {
  const std::string arch = gemma() ? "gemma3" : type;
  weights::GgufWriter writer;
  writer.add("general.architecture", arch);
  auto number = [&](const char* key, int64_t value) {
    writer.add(arch + "." + key, static_cast<uint32_t>(value));
  };
  number("block_count", layers), number("embedding_length", hidden),
      number("feed_forward_length", intermediate);
  number("attention.head_count", q_heads), number("attention.head_count_kv", kv_heads),
      number("context_length", 512);
  number("attention.key_length", head_dim), number("attention.value_length", head_dim);
  if (window) number("attention.sliding_window", window);
  writer.add(arch + ".attention.layer_norm_rms_epsilon", static_cast<float>(epsilon));
  writer.add(arch + ".rope.freq_base", static_cast<float>(rope_base));
  std::vector<std::vector<std::byte>> kept;
  for (auto& [name, values] : tensors) {
    const auto& shape = shapes.at(name);
    std::vector<float> stored = values;
    auto format = usual;
    for (const auto& [end, other] : others)
      if (name.ends_with(end)) format = other;
    if (gemma() && name.ends_with("norm.weight"))
      for (float& v : stored) v += 1;
    // Rounding comes first: permuting rows does not change it.
    const bool rounded = shape.size() == 2 && format != weights::Format::kF32;
    std::vector<std::byte> blocks;
    if (rounded) {
      blocks = weights::quantize(format, stored);
      weights::dequantize(format, blocks, stored);
      values = stored;
    }
    if (arch == "llama" && (name.ends_with("q_proj.weight") || name.ends_with("k_proj.weight"))) {
      // reshape(heads, 2, head_dim / 2, columns), swap the middle two.
      const auto columns = shape[1], half = static_cast<uint64_t>(head_dim / 2);
      std::vector<float> permuted(stored.size());
      for (uint64_t row = 0; row < shape[0]; ++row) {
        uint64_t head = row / (2 * half), side = row % (2 * half) / half, pair = row % half;
        std::copy_n(&stored[row * columns], columns,
                    &permuted[(head * 2 * half + pair * 2 + side) * columns]);
      }
      stored = permuted;
      if (rounded) blocks = weights::quantize(format, stored);
    }
    if (rounded) {
      kept.push_back(std::move(blocks));
    } else {
      auto bytes = std::as_bytes(std::span(stored));
      kept.emplace_back(bytes.begin(), bytes.end());
    }
    writer.add_tensor(
        {*weights::gguf_name(arch, name), rounded ? format : weights::Format::kF32, shape, kept.back()});
  }
  writer.write(file);
  return file;
}

std::vector<double> TinyDecoder::logits(const std::vector<int32_t>& tokens) const {
  const size_t n = tokens.size(), h = static_cast<size_t>(hidden), d = static_cast<size_t>(head_dim);
  auto tensor = [&](const std::string& name) { return tensors.at(name).data(); };
  auto norm = [&](const Vector& x, const std::string& name) {
    double squares = 0;
    for (double v : x) squares += v * v;
    double scale = 1 / std::sqrt(squares / static_cast<double>(x.size()) + epsilon);
    Vector out(x.size());
    for (size_t i = 0; i < x.size(); ++i) out[i] = x[i] * scale * (tensor(name)[i] + (gemma() ? 1.0 : 0.0));
    return out;
  };
  auto project = [&](const Vector& x, const std::string& name) {
    Vector out(shapes.at(name + ".weight")[0]);
    for (size_t i = 0; i < out.size(); ++i) out[i] = dot(tensor(name + ".weight") + i * x.size(), x);
    if (auto bias = tensors.find(name + ".bias"); bias != tensors.end())
      for (size_t i = 0; i < out.size(); ++i) out[i] += bias->second[i];
    return out;
  };
  auto rotate = [&](double* head, size_t position, double base) {
    for (size_t i = 0; i < d / 2; ++i) {
      double angle = static_cast<double>(position) *
                     std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(d));
      double a = head[i], b = head[i + d / 2];
      head[i] = a * std::cos(angle) - b * std::sin(angle);
      head[i + d / 2] = b * std::cos(angle) + a * std::sin(angle);
    }
  };

  std::vector<Vector> x(n);
  for (size_t t = 0; t < n; ++t) {
    const float* row = tensor("model.embed_tokens.weight") + static_cast<size_t>(tokens[t]) * h;
    x[t].assign(row, row + h);
    if (gemma())
      for (double& v : x[t]) v *= static_cast<float>(std::sqrt(static_cast<double>(hidden)));
  }
  for (int64_t layer = 0; layer < layers; ++layer) {
    auto in = [&](const char* part) { return layer_name(layer, part); };
    const bool global = window == 0 || (global_every > 0 && layer % global_every == global_every - 1);
    const double base = gemma() && !global ? local_rope_base : rope_base;
    std::vector<Vector> q(n), k(n), v(n);
    for (size_t t = 0; t < n; ++t) {
      auto y = norm(x[t], in("input_layernorm.weight"));
      q[t] = project(y, in("self_attn.q_proj")), k[t] = project(y, in("self_attn.k_proj")),
      v[t] = project(y, in("self_attn.v_proj"));
      for (auto [rows, name] :
           {std::pair{&q[t], "self_attn.q_norm.weight"}, {&k[t], "self_attn.k_norm.weight"}})
        for (size_t at = 0; at < rows->size(); at += d) {
          if (qk_norm) {
            auto normed = norm(Vector(rows->begin() + static_cast<std::ptrdiff_t>(at),
                                      rows->begin() + static_cast<std::ptrdiff_t>(at + d)),
                               in(name));
            std::ranges::copy(normed, rows->begin() + static_cast<std::ptrdiff_t>(at));
          }
          rotate(rows->data() + at, t, base);
        }
    }
    for (size_t t = 0; t < n; ++t) {
      Vector attended(static_cast<size_t>(q_heads) * d);
      for (size_t head = 0; head < static_cast<size_t>(q_heads); ++head) {
        const size_t kv = head / static_cast<size_t>(q_heads / kv_heads) * d;
        const size_t first =
            global || t + 1 < static_cast<size_t>(window) ? 0 : t + 1 - static_cast<size_t>(window);
        Vector scores;
        for (size_t j = first; j <= t; ++j) {
          double sum = 0;
          for (size_t e = 0; e < d; ++e) sum += q[t][head * d + e] * k[j][kv + e];
          scores.push_back(sum / std::sqrt(static_cast<double>(d)));
        }
        double highest = *std::ranges::max_element(scores), total = 0;
        for (double& s : scores) total += s = std::exp(s - highest);
        for (size_t j = first; j <= t; ++j)
          for (size_t e = 0; e < d; ++e) attended[head * d + e] += scores[j - first] / total * v[j][kv + e];
      }
      auto out = project(attended, in("self_attn.o_proj"));
      if (gemma()) out = norm(out, in("post_attention_layernorm.weight"));
      for (size_t e = 0; e < h; ++e) x[t][e] += out[e];

      auto y =
          norm(x[t], in(gemma() ? "pre_feedforward_layernorm.weight" : "post_attention_layernorm.weight"));
      auto gate = project(y, in("mlp.gate_proj")), up = project(y, in("mlp.up_proj"));
      for (size_t e = 0; e < gate.size(); ++e) {
        double g = gate[e];
        gate[e] = up[e] * (gemma() ? g / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (g + 0.044715 * g * g * g)))
                                   : g / (1 + std::exp(-g)));
      }
      auto down = project(gate, in("mlp.down_proj"));
      if (gemma()) down = norm(down, in("post_feedforward_layernorm.weight"));
      for (size_t e = 0; e < h; ++e) x[t][e] += down[e];
    }
  }
  std::vector<double> result;
  for (size_t t = 0; t < n; ++t) {
    auto row = project(norm(x[t], "model.norm.weight"), tied ? "model.embed_tokens" : "lm_head");
    result.insert(result.end(), row.begin(), row.end());
  }
  return result;
}

}  // namespace rose::models
