// Every format of weights, from a file to an answer: the tokens and their probabilities are those of the same
// weights written out as F32.
#include <nlohmann/json.hpp>

#include "cli/cli.h"
#include "refusal.h"
#include "spoiled_model.h"
#include "weights/dequantize.h"
#include "weights/quantize.h"

namespace rose::cli::test {
namespace {

using weights::Format;

std::vector<float> values_of(const TinyTensor& t) {
  uint64_t count = 1;
  for (auto extent : t.shape) count *= extent;
  std::vector<float> values(count);
  weights::dequantize(t.format, t.bytes, values);
  return values;
}

void store_as(TinyTensor& t, Format format) {
  t.bytes = weights::quantize(format, values_of(t)), t.format = format;
}

TinyModel written_out(TinyModel model) {
  for (auto& t : model.tensors) store_as(t, Format::kF32);
  return model;
}

// Eight greedy tokens with their logarithms of probabilities and the next likeliest of each.
nlohmann::json answer(const std::filesystem::path& model, const char* dtype) {
  auto result =
      rose_in_time({"generate", model, "--prompt", "ab", "--max-tokens", "8", "--json", "--dtype", dtype,
                    "--temperature", "0", "--ignore-eos", "--threads", "1", "--top-logprobs", "2"});
  EXPECT_EQ(result.status, kDone) << model << " " << dtype << ": " << result.output;
  return result.status == kDone ? nlohmann::json::parse(result.output)["logprobs"] : nlohmann::json::array();
}

// Up to a near tie, behind which answers may part.
void expect_same(const nlohmann::json& answer, const nlohmann::json& truth, double tolerance,
                 const std::string& what) {
  ASSERT_EQ(truth.size(), 8u) << what;
  ASSERT_EQ(answer.size(), 8u) << what;
  for (size_t i = 0; i < 8; ++i) {
    auto logprob = [&](const nlohmann::json& from, size_t rank) {
      return from[i]["top"][rank]["logprob"].get<double>();
    };
    EXPECT_NEAR(logprob(answer, 0), logprob(truth, 0), tolerance) << what << ", token " << i;
    if (answer[i]["token"] == truth[i]["token"]) continue;
    EXPECT_LT(logprob(truth, 0) - logprob(truth, 1), 2 * tolerance) << what << ", token " << i;
    EXPECT_GT(i, 0u) << what;
    break;
  }
}

// `write` makes a file or a folder of a model.
template <typename Write>
void expect_exact(const TinyModel& model, const std::string& name, const Write& write) {
  const auto file = write(model, name);
  const auto truth = answer(write(written_out(model), name + "-f32"), "f32");
  expect_same(answer(file, "f32"), truth, 1e-3, name);
  // With bf16 or 8-bit activations the first distribution is about the same.
  const auto fast = answer(file, "auto");
  ASSERT_EQ(fast.size(), 8u) << name;
  EXPECT_NEAR(fast[0]["logprob"].template get<double>(), truth[0]["logprob"].template get<double>(), 0.1)
      << name;
}

auto gguf_in(const SpoiledFolder& folder) {
  return [&](const TinyModel& m, const std::string& name) { return m.write_gguf(folder / (name + ".gguf")); };
}

TEST(Formats, EachGeneratesAsItsNumbersSay) {
  SpoiledFolder folder;
  for (Format format :
       {Format::kF32, Format::kF16, Format::kBF16, Format::kQ4_0, Format::kQ4_1, Format::kQ5_0, Format::kQ5_1,
        Format::kQ8_0, Format::kQ2_K, Format::kQ3_K, Format::kQ4_K, Format::kQ5_K, Format::kQ6_K,
        Format::kIQ4_NL, Format::kIQ4_XS, Format::kMXFP4})
    expect_exact(TinyModel(format), std::string(weights::name(format)), gguf_in(folder));
}

// As the popular files have it: more bits where errors hurt more, in the same layer.
TEST(Formats, MixedInOneLayer) {
  SpoiledFolder folder;
  TinyModel model(Format::kQ4_K, 2);
  for (auto& t : model.tensors)
    for (const char* finer : {"layers.0.self_attn.v_proj", "layers.0.mlp.down_proj", "lm_head"})
      if (t.name.find(finer) != std::string::npos) store_as(t, Format::kQ6_K);
  expect_exact(model, "Q4_K_M", gguf_in(folder));
  // All that a layer joins differs: q from k from v, gate from up.
  store_as(model.tensor("model.layers.1.self_attn.q_proj.weight"), Format::kQ8_0);
  store_as(model.tensor("model.layers.1.self_attn.k_proj.weight"), Format::kF16);
  store_as(model.tensor("model.layers.1.mlp.gate_proj.weight"), Format::kQ5_1);
  store_as(model.tensor("model.layers.1.mlp.up_proj.weight"), Format::kF32);
  expect_exact(model, "odd", gguf_in(folder));
}

TEST(Formats, EightBitFloats) {
  SpoiledFolder folder;
  for (Format format : {Format::kF8E4M3, Format::kF8E5M2}) {
    TinyModel model;
    for (auto& t : model.tensors)
      if (t.shape.size() == 2) store_as(t, format);
    expect_exact(model, std::string(weights::name(format)),
                 [&](const TinyModel& m, const std::string& name) { return m.write_folder(folder / name); });
  }
}

}  // namespace
}  // namespace rose::cli::test
