// `rose embed`, `rerank` and `classify` as users run them, on the small models of tests/models/data/encoders.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/cli.h"
#include "command.h"
#include "source_folder.h"

namespace rose::cli::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string model(const char* name) {
  return std::string(ROSE_SOURCE_DIR "/tests/models/data/encoders/") + name;
}

nlohmann::json json_of(std::vector<std::string> arguments) {
  arguments.emplace_back("--json");
  auto result = rose_command(arguments);
  EXPECT_EQ(result.status, kDone) << result.output;
  return nlohmann::json::parse(result.output);
}

void expect_message(const std::vector<std::string>& arguments, const std::string& words) {
  auto result = rose_command(arguments);
  EXPECT_NE(result.status, kDone) << words;
  EXPECT_THAT(result.output, HasSubstr(words));
}

TEST(Embed, GivesVectorsOfTextsAndLines) {
  TemporaryFile file("texts.txt", "the cat\n\na dog\n");
  auto json = json_of({"embed", model("bert"), "--text", "the sea", "--file", file.path(), "--dtype", "f32"});
  ASSERT_EQ(json["embeddings"].size(), 3);  // the empty line is left out
  EXPECT_EQ(json["embeddings"][0].size(), 32);
  EXPECT_EQ(json["usage"]["prompt_tokens"], 3 * 4);
  double length = 0;
  for (double v : json["embeddings"][2]) length += v * v;
  EXPECT_NEAR(length, 1, 1e-5);
  EXPECT_TRUE(json["timings"].contains("load_ms"));
  auto shorter =
      json_of({"embed", model("bert"), "--text", "the sea", "--dimensions", "8", "--no-normalize"});
  EXPECT_EQ(shorter["embeddings"][0].size(), 8);
}

TEST(Embed, UsesPromptsByName) {
  auto with_prompt = json_of({"embed", model("bert"), "--text", "the cat", "--prompt-name", "query"});
  auto written_out = json_of({"embed", model("bert"), "--text", "where is the cat"});
  EXPECT_EQ(with_prompt["embeddings"], written_out["embeddings"]);
  expect_message({"embed", model("bert"), "--text", "a", "--prompt-name", "quest"}, "document, query");
}

TEST(Embed, WarnsOfTextsThatWereCut) {
  std::string lengthy;
  for (int i = 0; i < 60; ++i) lengthy += "cat ";
  auto result = rose_command({"embed", model("bert"), "--text", lengthy});
  EXPECT_EQ(result.status, kDone);
  EXPECT_THAT(result.output, HasSubstr("1 of 1 texts were cut to 40 tokens"));
}

TEST(Rerank, SortsByScore) {
  std::vector<std::string> documents = {"the cat is on the mat.", "", "not blue", "red"};
  std::vector<std::string> arguments = {
      "rerank", model("bert-reranker"), "--query", "where is the cat?", "--dtype", "f32"};
  for (const auto& d : documents) arguments.insert(arguments.end(), {"--document", d});
  auto json = json_of(arguments);
  ASSERT_EQ(json["results"].size(), 4);
  std::vector<bool> seen(4);
  for (size_t i = 0; i < 4; ++i) {
    const auto& one = json["results"][i];
    seen[one["index"].get<size_t>()] = true;
    double score = one["score"], before = i ? json["results"][i - 1]["score"].get<double>() : 1.0;
    EXPECT_LE(score, before);
    EXPECT_GT(score, 0);
    EXPECT_LT(score, 1);
    // The same score alone.
    auto alone = json_of({"rerank", model("bert-reranker"), "--query", "where is the cat?", "--dtype", "f32",
                          "--document", documents[one["index"].get<size_t>()]});
    EXPECT_EQ(alone["results"][0]["score"], one["score"]);
  }
  EXPECT_EQ(seen, std::vector<bool>(4, true));
  arguments.insert(arguments.end(), {"--top", "1", "--raw"});
  auto best = json_of(arguments);
  ASSERT_EQ(best["results"].size(), 1);
  double logit = best["results"][0]["score"], score = json["results"][0]["score"];
  EXPECT_NEAR(1 / (1 + std::exp(-logit)), score, 1e-6);
}

TEST(Classify, NamesLabelsAndScores) {
  auto json = json_of({"classify", model("bert-classifier"), "--text", "a fine day", "--text", "rain"});
  ASSERT_EQ(json["results"].size(), 2);
  double sum = 0, most = 0;
  std::string best;
  for (const auto& [label, score] : json["results"][0]["scores"].items()) {
    sum += score.get<double>();
    if (score > most) most = score, best = label;
  }
  EXPECT_NEAR(sum, 1, 1e-6);
  EXPECT_EQ(json["results"][0]["label"], best);
  auto pair = json_of({"classify", model("bert-classifier"), "--text", "a fine day", "--pair", "rain"});
  EXPECT_NE(pair["results"][0]["scores"], json["results"][0]["scores"]);
  auto text = rose_command({"classify", model("bert-classifier"), "--text", "a fine day"});
  EXPECT_THAT(text.output, AllOf(HasSubstr("a fine day"), HasSubstr("so-so")));
}

TEST(TextCommands, RefuseWhatMeansNothing) {
  expect_message({"embed", model("bert")}, "nothing to embed");
  expect_message({"embed", model("bert"), "--file", "/nonexistent"}, "--file /nonexistent");
  expect_message({"embed", model("bert"), "--text", "a", "--pooling", "median"}, "weightedmean");
  expect_message({"embed", model("bert"), "--text", "a", "--dtype", "f64"}, "bf16");
  expect_message({"embed", model("bert"), "--text", "a", "--dimensions", "99"}, "dimensions 99");
  expect_message({"embed", model("bert-reranker"), "--text", "a"}, "rose rerank");
  expect_message({"rerank", model("bert"), "--query", "a", "--document", "b"}, "rose embed");
  expect_message({"rerank", model("bert-classifier"), "--query", "a", "--document", "b"}, "rose classify");
  expect_message({"rerank", model("bert-reranker"), "--query", "a"}, "nothing to rank");
  expect_message({"rerank", model("bert-reranker"), "--query", "", "--document", "b"}, "--query");
  expect_message({"classify", model("bert"), "--text", "a"}, "rose embed");
  expect_message({"classify", model("bert-classifier"), "--text", "a", "--pair", "b", "--pair", "c"},
                 "--pair");
}

TEST(TextCommands, TeachByExamples) {
  for (const char* command : {"embed", "rerank", "classify"}) {
    auto help = rose_command({command, "--help"});
    EXPECT_EQ(help.status, kDone);
    EXPECT_THAT(help.output, AllOf(HasSubstr("Examples:"), HasSubstr("--json"), HasSubstr("--dtype"),
                                   HasSubstr("--threads"), HasSubstr("--device"), HasSubstr("--file")));
  }
}

TEST(Info, TellsClassifiersFromEmbedders) {
  EXPECT_EQ(json_of({"info", model("modernbert")})["kind"], "embed");
  auto json = json_of({"info", model("roberta-classifier")});
  EXPECT_EQ(json["kind"], "classify");
  EXPECT_EQ(json["labels"], nlohmann::json({"sad", "so-so", "glad"}));
  EXPECT_EQ(json["context_length"], 38);
  EXPECT_EQ(json_of({"info", model("xlm-roberta-reranker")})["kind"], "rerank");
}

}  // namespace
}  // namespace rose::cli::test
