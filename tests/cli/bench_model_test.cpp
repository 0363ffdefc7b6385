// `rose bench model`: the floors that it counts, what it reports of a small random model, and what it
// refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/cli.h"
#include "cli/floor.h"
#include "command.h"

namespace rose::cli::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

models::DecoderConfig small_decoder() {
  models::DecoderConfig c;
  c.layers = 2, c.hidden = 8, c.intermediate = 16, c.q_heads = 4, c.kv_heads = 2, c.head_dim = 4,
  c.vocab = 10;
  return c;
}

// By hand: a layer has 8·(16 + 8 + 8 + 16) + 3·8·16 = 768 weights; a pair of query and key costs 4·4·4 = 64
// operations a layer.
TEST(Floor, OfOneStep) {
  const auto c = small_decoder();
  EXPECT_EQ(multiplied_elements(c), 2 * 768 + 8 * 10);
  const auto one = decode_work(c, 1000, 40, 1, 7), three = decode_work(c, 1000, 40, 3, 7);
  EXPECT_EQ(one.bytes, 1000 + 7 * 40);
  EXPECT_EQ(one.operations, 2 * 2 * 768 + 2 * 8 * 10 + 2 * 7 * 64);
  EXPECT_EQ(three.bytes, 1000 + 3 * 7 * 40);
  EXPECT_EQ(three.operations, 3 * one.operations);
}

TEST(Floor, OfAPromptAndOfWindows) {
  auto c = small_decoder();
  EXPECT_EQ(prompt_work(c, 1000, 1, 5).operations, 5 * 2 * 2 * 768 + 2 * 8 * 10 + 2 * (5 * 6 / 2) * 64);
  c.window = 2, c.sliding = {true, false};
  // The sliding layer's queries see 1, 2, 2, 2, 2 keys.
  EXPECT_EQ(prompt_work(c, 1000, 1, 5).operations, 5 * 2 * 2 * 768 + 2 * 8 * 10 + (9 + 15) * 64);
  EXPECT_EQ(decode_work(c, 1000, 40, 1, 7).bytes, 1000 + (2 + 7) * 20);
}

TEST(Floor, OfTexts) {
  models::EncoderConfig c;
  c.layers = 3, c.hidden = 8, c.intermediate = 16, c.heads = 2, c.positions = 64;
  const double layer = 4 * 64 + 2 * 8 * 16;
  EXPECT_EQ(encoder_work(c, 1000, 2, 5).operations, 2 * (5 * 2 * 3 * layer + 3 * 25 * 4 * 8));
}

TEST(Floor, IsTheLongerTime) {
  const Ceilings ceilings{100, 1000};
  EXPECT_EQ(floor_seconds({200, 1000}, ceilings), 2);
  EXPECT_STREQ(bound_of({200, 1000}, ceilings), "memory");
  EXPECT_EQ(floor_seconds({200, 5000}, ceilings), 5);
  EXPECT_STREQ(bound_of({200, 5000}, ceilings), "matrix");
}

// A configuration file of its own.
class Config {
 public:
  explicit Config(const std::string& text) : file_("config.json", text) {}
  const std::string& path() const { return file_.path(); }

 private:
  TemporaryFile file_;
};

const char* kDecoder =
    R"({"model_type": "qwen3", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
  "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 101, "max_position_embeddings": 128,
  "rms_norm_eps": 1e-6})";
const char* kEncoder =
    R"({"model_type": "bert", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
  "num_attention_heads": 4, "vocab_size": 101, "max_position_embeddings": 32})";

TEST(BenchModel, MeasuresARandomDecoder) {
  Config config(kDecoder);
  auto result = rose_command({"bench", "model", "--random-weights", config.path(), "--device", "x86",
                              "--prompt", "5,40", "--batch", "1,3", "--generate", "4", "--json"});
  ASSERT_EQ(result.status, kDone) << result.output;
  auto json = nlohmann::json::parse(result.output);
  EXPECT_EQ(json["architecture"], "qwen3");
  EXPECT_EQ(json["random_weights"], true);
  EXPECT_EQ(json["target"], "x86");
  EXPECT_GT(json["ceilings"]["read_bytes_per_second"], 0);
  EXPECT_GT(json["ceilings"]["matrix_operations_per_second"], 0);
  EXPECT_GE(json["memory"]["cache_tokens"].get<int>(), 3 * 44);
  ASSERT_EQ(json["rows"].size(), 4u);
  for (const auto& row : json["rows"]) {
    EXPECT_GT(row["first_token_seconds"], 0);
    EXPECT_GT(row["step_seconds"], 0);
    EXPECT_DOUBLE_EQ(row["tokens_per_second"].get<double>(),
                     row["batch"].get<double>() / row["step_seconds"].get<double>());
    const auto& work = row["step_work"];
    EXPECT_DOUBLE_EQ(work["share"].get<double>(),
                     work["floor_seconds"].get<double>() / row["step_seconds"].get<double>());
  }
  EXPECT_EQ(json["rows"][3]["prompt"], 40);
  EXPECT_EQ(json["rows"][3]["batch"], 3);
}

TEST(BenchModel, MeasuresARandomEncoderAndPromptsAlone) {
  Config encoder(kEncoder), decoder(kDecoder);
  auto result = rose_command({"bench", "model", "--random-weights", encoder.path(), "--device", "x86",
                              "--prompt", "16", "--batch", "2"});
  EXPECT_EQ(result.status, kDone);
  EXPECT_THAT(result.output, AllOf(HasSubstr("(bert, "), HasSubstr("texts/s"), HasSubstr("% of floor")));
  result = rose_command({"bench", "model", "--random-weights", decoder.path(), "--device", "x86", "--prompt",
                         "16", "--generate", "0"});
  EXPECT_EQ(result.status, kDone);
  EXPECT_THAT(result.output, AllOf(HasSubstr("prompt tok/s"), HasSubstr("cache ")));
}

TEST(BenchModel, RefusesWhatMakesNoSense) {
  Config decoder(kDecoder), encoder(kEncoder), unknown(R"({"model_type": "resnet"})");
  auto refused = [](std::vector<std::string> arguments, const std::string& words) {
    arguments.insert(arguments.begin(), {"bench", "model"});
    auto result = rose_command(arguments);
    EXPECT_NE(result.status, kDone) << result.output;
    EXPECT_THAT(result.output, AllOf(HasSubstr("rose: error: "), HasSubstr(words)));
  };
  refused({}, "name a MODEL, or a configuration with --random-weights");
  refused({"smollm2", "--random-weights", "Qwen3-8B"}, "name a MODEL, or");
  refused({"--random-weights", "Qwen9"}, "Llama-3.1-8B, Qwen3-0.6B");
  refused({"--random-weights", unknown.path()}, "model_type: the tensors of 'resnet' are not known");
  const std::vector<std::string> some = {"--random-weights", decoder.path(), "--device", "x86"};
  auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), some.begin(), some.end());
    return more;
  };
  refused(with({"--prompt", "0"}), "--prompt 0: use 1");
  refused(with({"--batch", "-1"}), "--batch -1: use 1");
  refused(with({"--generate", "-1"}), "--generate -1");
  refused(with({"--prompt", "120", "--generate", "20"}), "beyond the model's context of 128 tokens");
  refused(with({"--prompt", "16", "--generate", "4", "--context", "10"}),
          "--context 10: prompts and answers of the largest row need");
  refused(with({"--prompt", "16", "--generate", "4", "--context", "100000000000"}),
          "needs 0.0 GB of weights + ");
  refused({"--random-weights", encoder.path(), "--device", "x86", "--prompt", "33"}, "has at most 32 tokens");
  refused({"--random-weights", decoder.path(), "--device", "cuda:99"}, "");
}

}  // namespace
}  // namespace rose::cli::test
