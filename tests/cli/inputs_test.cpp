// Odd prompts, texts and numbers: one line each that names the option and what is wrong with its value.
#include "refusal.h"
#include "source_folder.h"
#include "spoiled_model.h"

namespace rose::cli::test {
namespace {

struct Case {
  std::string arguments;
  std::vector<std::string> words;
};

class Inputs : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<SpoiledFolder>();
    TinyModel().write_gguf(at("tiny.gguf"));
    TinyEmbedder().write_folder(at("embedder"));
  }
  static void TearDownTestSuite() { folder_.reset(); }
  static std::string at(const std::string& name) { return *folder_ / name; }
  // Of each command with a model that it can work with.
  static std::string command(const std::string& name) {
    const std::string encoders = source_folder() / "tests/models/data/encoders/";
    const std::string model = name == "embed"      ? at("embedder")
                              : name == "rerank"   ? encoders + "bert-reranker"
                              : name == "classify" ? encoders + "bert-classifier"
                                                   : at("tiny.gguf");
    return "$ROSE " + name + " " + model + " ";
  }
  static void expect_refused(const Case& c) {
    // A device without an end must not fill this machine's memory.
    const bool endless = c.arguments.find("/dev/zero") != std::string::npos && !kSanitized;
    auto result = bash_in_time((endless ? "ulimit -v 4000000; " : "") + c.arguments);
    const std::string hint = "Try `rose --help`, or --help after the subcommand.\n";
    if (result.output.ends_with(hint)) result.output.resize(result.output.size() - hint.size());
    expect_refusal(result, c.words, c.arguments);
  }
  static std::unique_ptr<SpoiledFolder> folder_;
};
std::unique_ptr<SpoiledFolder> Inputs::folder_;

TEST_F(Inputs, Texts) {
  write_text(at("300.txt"), std::string(300, 'c'));
  write_text(at("huge.txt"), std::string(3'000'000, 'c'));
  const std::string generate = command("generate"), embed = command("embed"), score = command("score"),
                    rerank = command("rerank"), classify = command("classify");
  for (const Case& c : std::initializer_list<Case>{
           {generate + "--prompt ''", {"--prompt", "empty"}},
           {generate + "--prompt-file " + at("300.txt"), {"300 tokens", "context of 200"}},
           {generate + "--prompt-file " + at("huge.txt"), {"3000000 tokens", "context of 200"}},
           {generate + "--prompt-file /absent.txt", {"--prompt-file /absent.txt", "cannot be read"}},
           {generate + "--prompt-file /", {"--prompt-file /:", "cannot be read"}},
           {generate + "--prompt-file /dev/null", {"--prompt-file /dev/null", "empty"}},
           {generate + "--prompt-file /dev/zero", {"--prompt-file /dev/zero", "64 MB"}},
           {generate + "--prompt-file - < /dev/null", {"--prompt-file -", "empty"}},
           {embed, {"nothing to embed", "--text"}},
           {embed + "--text ''", {"no tokens"}},
           {embed + "--file /absent.txt", {"--file /absent.txt", "cannot be read"}},
           {embed + "--file /", {"--file /:", "cannot be read"}},
           {embed + "--file /dev/zero", {"--file /dev/zero", "line 1", "16 MB"}},
           {embed + "--file - < /dev/zero", {"--file -", "line 1", "16 MB"}},
           {embed + "--file /dev/null", {"nothing to embed"}},
           {score + "--text ''", {"empty"}},
           {score + "--file " + at("huge.txt"), {"3000000 tokens", "200"}},
           {score + "--file /dev/zero", {"--file /dev/zero", "64 MB"}},
           {rerank + "--query '' --document dog", {"--query", "empty"}},
           {rerank + "--query cat", {"nothing to rank", "--document"}},
           {rerank + "--query cat --file /dev/zero", {"--file /dev/zero", "line 1", "16 MB"}},
           {classify, {"nothing to classify", "--text"}},
           {classify + "--text cat --pair dog --pair sea", {"--pair", "2", "1"}},
       })
    expect_refused(c);
}

TEST_F(Inputs, TextsThatAreNoUtf8) {
  // A byte that begins nothing, half a letter, half of a pair of surrogates.
  for (const char* text : {"$'a\\xff\\xfeb'", "$'a\\xc3'", "$'a\\xed\\xa0\\x80'"}) {
    const std::string words = " " + std::string(text), in_file = "printf %s" + words + " > " + at("f") + "; ";
    for (const auto& c : std::initializer_list<Case>{
             {command("generate") + "--prompt" + words, {"--prompt"}},
             {command("generate") + "--prompt a --system" + words, {"--system"}},
             {in_file + command("generate") + "--prompt-file " + at("f"), {"--prompt-file " + at("f")}},
             {command("score") + "--text" + words, {"--text"}},
             {in_file + command("score") + "--file " + at("f"), {"--file " + at("f")}},
             {command("embed") + "--text" + words, {"--text"}},
             {command("embed") + "--text a --prompt" + words, {"--prompt"}},
             {"(echo; cat " + at("f") + ") | " + command("embed") + "--file -", {"--file -: line 2"}},
             {command("rerank") + "--document a --query" + words, {"--query"}},
             {command("rerank") + "--query a --document" + words, {"--document"}},
             {command("rerank") + "--query a --document a --instruction" + words, {"--instruction"}},
             {command("classify") + "--text" + words, {"--text"}},
             {command("classify") + "--text a --pair" + words, {"--pair"}}}) {
      Case with_place = c;
      with_place.words.insert(with_place.words.end(), {"not valid UTF-8", "byte 2 is 0x"});
      expect_refused(with_place);
    }
  }
}

TEST_F(Inputs, Numbers) {
  const std::string generate = command("generate") + "--prompt a ", embed = command("embed") + "--text a ";
  for (const Case& c : std::initializer_list<Case>{
           {generate + "--max-tokens 0", {"max_tokens", "0"}},
           {generate + "--max-tokens -5", {"max_tokens", "-5"}},
           {generate + "--max-tokens x", {"--max-tokens", "x"}},
           {generate + "--max-tokens 1.5", {"--max-tokens", "1.5"}},
           {generate + "--temperature -1", {"temperature", "-1"}},
           {generate + "--temperature nan", {"temperature", "nan"}},
           {generate + "--temperature inf", {"temperature", "inf"}},
           {generate + "--temperature warm", {"--temperature", "warm"}},
           {generate + "--top-p 2", {"top_p", "2"}},
           {generate + "--top-p 0", {"top_p", "0"}},
           {generate + "--top-p nan", {"top_p", "nan"}},
           {generate + "--top-k -1", {"top_k", "-1"}},
           {generate + "--top-k 99999999999", {"--top-k", "99999999999"}},
           {generate + "--min-p 1", {"min_p", "1"}},
           {generate + "--min-p nan", {"min_p", "nan"}},
           {generate + "--repetition-penalty 0", {"repetition penalty", "0"}},
           {generate + "--repetition-penalty nan", {"repetition penalty", "nan"}},
           {generate + "--presence-penalty inf", {"presence penalty", "inf"}},
           {generate + "--frequency-penalty nan", {"frequency penalty", "nan"}},
           {generate + "--logit-bias 3=nan", {"--logit-bias 3=nan"}},
           {generate + "--logit-bias 3=inf", {"logit bias", "inf"}},
           {generate + "--logit-bias 3", {"--logit-bias 3", "TOKEN=NUMBER"}},
           {generate + "--logit-bias 99=1", {"logit bias", "99", "29 tokens"}},
           {generate + "--json --top-logprobs -1", {"top log-probabilities", "-1"}},
           {generate + "--top-logprobs 2", {"--top-logprobs", "--json"}},
           {generate + "--context -1", {"--context", "-1"}},
           {generate + "--seed x", {"--seed", "x"}},
           {generate + "--threads -3", {"--threads", "-3"}},
           {generate + "--threads 999999999", {"--threads", "999999999", "4096"}},
           {generate + "--device tpu", {"device", "tpu", "x86"}},
           {generate + "--device cuda:x", {"device", "cuda:x"}},
           {generate + "--dtype f12", {"--dtype f12", "f32"}},
           {embed + "--pooling odd", {"--pooling odd", "mean"}},
           {embed + "--prompt-name odd", {"--prompt-name odd", "query"}},
           {embed + "--dimensions 99", {"dimensions", "99", "32"}},
           {embed + "--dimensions -1", {"dimensions", "-1"}},
           {embed + "--max-tokens -1", {"max_tokens", "-1"}},
           {command("rerank") + "--query a --document b --top -1", {"--top", "-1"}},
           {"$ROSE kernels bench rms_norm --threads 999999999", {"--threads", "999999999", "4096"}},
           {"$ROSE kernels check rms_norm --threads 0", {"--threads", "0"}},
           {"$ROSE embed " + at("tiny.gguf") + " --text a", {"tiny", "llama", "rose generate"}},
           {"$ROSE generate " + at("embedder") + " --prompt a", {"embedder", "bert"}},
       })
    expect_refused(c);
}

}  // namespace
}  // namespace rose::cli::test
