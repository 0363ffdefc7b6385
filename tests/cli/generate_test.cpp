// The commands that let a language model write or score, from outside, on a tiny model: what they print, and
// how they end when something is wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/cli.h"
#include "command.h"
#include "tiny_model.h"

namespace rose::cli::test {
namespace {

using engine::TinyModel;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

const std::string& model() {
  static const TinyModel tiny({});
  static const std::string path = tiny.model().string();
  return path;
}

const std::string& chatty_model() {
  static const TinyModel tiny(
      {.context = 1 << 20, .chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"});
  static const std::string path = tiny.model().string();
  return path;
}

json answer(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"generate", model(), "--raw", "--prompt", "hello", "--json"});
  auto result = rose_command(arguments);
  EXPECT_EQ(result.status, kDone) << result.output;
  return json::parse(result.output);
}

std::vector<std::string> keys(const json& object) {
  std::vector<std::string> names;
  for (const auto& [key, value] : object.items()) names.push_back(key);
  return names;
}

// A script in bash, with $ROSE and $MODEL.
ProcessResult shell(const std::string& script, const std::string& path) {
  return run_process(
      {"/usr/bin/env", "ROSE=" ROSE_BINARY_DIR "/bin/rose", "MODEL=" + path, "bash", "-c", script});
}

TEST(GenerateCommand, PrintsWhatItPromises) {
  auto full = answer({"--max-tokens", "12", "--temperature", "0"});
  EXPECT_THAT(keys(full),
              testing::UnorderedElementsAre("text", "tokens", "finish_reason", "usage", "timings"));
  EXPECT_THAT(keys(full["usage"]), testing::UnorderedElementsAre("prompt_tokens", "completion_tokens"));
  EXPECT_THAT(keys(full["timings"]),
              testing::UnorderedElementsAre("load_ms", "compile_ms", "prompt_ms", "generate_ms"));
  EXPECT_EQ(full["tokens"].size(), 12u);
  EXPECT_EQ(full["usage"]["prompt_tokens"], 5);
  EXPECT_EQ(full["usage"]["completion_tokens"], 12);
  EXPECT_EQ(full["finish_reason"], "length");
  // The same as plain text, streamed.
  auto plain =
      rose_command({"generate", model(), "--raw", "--prompt", "hello", "--max-tokens", "12", "-t", "0"});
  EXPECT_EQ(plain.output, full["text"].get<std::string>() + "\n");
}

TEST(GenerateCommand, StopsSeedsAndBiasesCount) {
  auto full = answer({"--max-tokens", "12", "--temperature", "0"});
  const int third = full["tokens"][2];
  auto stopped = answer({"--max-tokens", "12", "--temperature", "0", "--stop-token", std::to_string(third)});
  EXPECT_LE(stopped["tokens"].size(), 2u);
  EXPECT_EQ(stopped["finish_reason"], "stop");
  const std::string text = full["text"], stop = text.substr(3, 2);
  stopped = answer({"--max-tokens", "12", "--temperature", "0", "--stop", "zzzzzz", "--stop", stop});
  EXPECT_EQ(stopped["text"], text.substr(0, text.find(stop)));
  auto biased =
      answer({"--max-tokens", "4", "--temperature", "0", "--logit-bias", "7=100", "--logit-bias", "8=-100"});
  EXPECT_EQ(biased["tokens"], json({7, 7, 7, 7}));
  std::vector<std::string> drawn = {"--max-tokens",
                                    "20",
                                    "--seed",
                                    "3",
                                    "--top-k",
                                    "20",
                                    "--top-p",
                                    "0.95",
                                    "--min-p",
                                    "0.01",
                                    "--presence-penalty",
                                    "0.1",
                                    "--frequency-penalty",
                                    "0.1",
                                    "--repetition-penalty",
                                    "1.1"};
  auto once = answer(drawn), again = answer(drawn);
  EXPECT_EQ(once["tokens"], again["tokens"]);
  drawn[3] = "4";
  EXPECT_NE(answer(drawn)["tokens"], once["tokens"]);
}

TEST(GenerateCommand, LogprobsAgreeWithScores) {
  auto full = answer({"--max-tokens", "6", "--temperature", "0", "--ignore-eos", "--top-logprobs", "3"});
  ASSERT_EQ(full["logprobs"].size(), 6u);
  auto scored =
      rose_command({"score", model(), "--text", "hello" + full["text"].get<std::string>(), "--json"});
  ASSERT_EQ(scored.status, kDone) << scored.output;
  auto score = json::parse(scored.output)["results"][0];
  auto tokens = score["tokens"];
  ASSERT_EQ(score["logprobs"].size(), tokens.size());
  EXPECT_TRUE(score["logprobs"][0].is_null());
  double sum = 0;
  for (size_t i = 1; i < tokens.size(); ++i) sum += score["logprobs"][i].get<double>();
  EXPECT_NEAR(score["sum"].get<double>(), sum, 1e-4);
  EXPECT_NEAR(score["perplexity"].get<double>(), std::exp(-sum / static_cast<double>(tokens.size() - 1)),
              1e-4);
  for (size_t i = 0; i < 6; ++i) {
    const auto& entry = full["logprobs"][i];
    EXPECT_EQ(entry["token"], full["tokens"][i]);
    ASSERT_EQ(entry["top"].size(), 3u);
    EXPECT_EQ(entry["top"][0]["token"], full["tokens"][i]);  // greedy
    if (tokens.size() == 11u) {                              // the text was cut into the same tokens
      EXPECT_NEAR(entry["logprob"].get<double>(), score["logprobs"][5 + i].get<double>(), 1e-3);
    }
  }
}

void expect_failure(const std::vector<std::string>& arguments, int status, const std::string& words) {
  auto result = rose_command(arguments);
  EXPECT_EQ(result.status, status) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr("rose: error: "), HasSubstr(words)));
}

TEST(GenerateCommand, RefusesBadInputBeforeItIsTooLate) {
  expect_failure({"generate", model(), "--prompt", ""}, kBadUsage, "--prompt: is empty");
  expect_failure({"generate", model(), "--prompt", "a\xff"}, kBadUsage, "byte 2 is 0xff");
  expect_failure({"generate", model(), "--prompt", "\xe4\xb8"}, kBadUsage, "not valid UTF-8");
  expect_failure({"generate", model(), "--prompt", std::string(300, 'a' + 1)}, kFailed, "300 tokens");
  expect_failure({"generate", model(), "--prompt", "a", "--max-tokens", "0"}, kFailed, "max_tokens is 0");
  expect_failure({"generate", model(), "--prompt", "a", "--temperature", "-1"}, kFailed, "temperature is -1");
  expect_failure({"generate", model(), "--prompt", "a", "--logit-bias", "x=1"}, kBadUsage, "TOKEN=NUMBER");
  expect_failure({"generate", model(), "--prompt", "a", "--logit-bias", "99=1"}, kFailed, "31 tokens");
  expect_failure({"generate", model(), "--prompt-file", "/nonexistent"}, kBadUsage, "cannot be read");
  expect_failure({"generate", model(), "--prompt", "a", "--context", "1000000000000000"}, kFailed,
                 "KV cache");
  expect_failure({"generate", model(), "--prompt", "a", "--context", "-1"}, kBadUsage, "--context -1");
  expect_failure({"generate", model(), "--prompt", "a", "--system", "b"}, kBadUsage, "chat template");
  expect_failure({"score", model(), "--text", ""}, kBadUsage, "empty");
  expect_failure({"score", model(), "--text", "a"}, kFailed, "two are the least");
  expect_failure({"score", model(), "--text", std::string(300, 'b')}, kFailed, "context has 200");
  expect_failure({"run", model()}, kBadUsage, "chat template");
}

TEST(GenerateCommand, BrokenNumbersAreNamed) {
  TinyModel nan({.head_scale = NAN}), huge({.head_scale = 3e38F});
  expect_failure({"generate", nan.model().string(), "--prompt", "hello"}, kFailed, "output.weight");
  expect_failure({"generate", huge.model().string(), "--prompt", "hello", "--dtype", "f32"}, kFailed, "NaN");
  expect_failure({"score", huge.model().string(), "--text", "hello", "--dtype", "f32"}, kFailed, "NaN");
}

TEST(GenerateCommand, AClosedPipeAndCtrlCEndItWithAMessage) {
  auto closed = shell(
      "set -o pipefail; $ROSE generate $MODEL --raw --prompt hello --ignore-eos --max-tokens 900000 "
      "--context 1000000 | head -c 3 > /dev/null",
      chatty_model());
  EXPECT_EQ(closed.status, kFailed);
  EXPECT_THAT(closed.output, HasSubstr("closed pipe"));
  auto interrupted = shell(
      "cd $(mktemp -d); $ROSE generate $MODEL --raw --prompt hello --ignore-eos --max-tokens 900000 "
      "--context 1000000 "
      "> out 2> errors & P=$!; until [ -s out ]; do sleep 0.05; done; kill -INT $P; wait $P; echo status $?; "
      "cat errors; rm -r $PWD",
      chatty_model());
  EXPECT_THAT(interrupted.output, AllOf(HasSubstr("status 130"), HasSubstr("interrupted")));
}

TEST(RunCommand, TalksThroughAPipe) {
  auto talk = shell(
      "printf 'hello\\n\"\"\"\\ntwo\\nlines\"\"\"\\n/set temperature "
      "0\\n/retry\\n/history\\n/nonsense\\n/clear\\n"
      "/history\\n\\xff\\n/exit\\nnever\\n' | $ROSE run $MODEL --max-tokens 4 --seed 2",
      chatty_model());
  EXPECT_EQ(talk.status, kDone) << talk.output;
  EXPECT_THAT(talk.output,
              AllOf(HasSubstr("user: hello\nassistant: "), HasSubstr("user: two\nlines\nassistant: "),
                    HasSubstr("no command /nonsense"), HasSubstr("not valid UTF-8")));
  EXPECT_THAT(talk.output, testing::Not(HasSubstr("never")));
}

TEST(RunCommand, CtrlCEndsAnAnswerAndNotTheConversation) {
  auto talk = shell(
      "cd $(mktemp -d); mkfifo in; $ROSE run $MODEL --ignore-eos --max-tokens 900000 --context 1000000 < in "
      "> out 2>&1 & "
      "P=$!; exec 3> in; echo hello >&3; until [ -s out ]; do sleep 0.05; done; kill -INT $P; "
      "printf '/history\\n/exit\\n' >&3; wait $P; echo status $?; cat out; rm -r $PWD",
      chatty_model());
  EXPECT_THAT(talk.output, AllOf(HasSubstr("status 0"), HasSubstr("user: hello\nassistant: ")));
}

}  // namespace
}  // namespace rose::cli::test
