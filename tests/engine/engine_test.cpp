// The step loop on a small random model: batches, stops, limits, and that nothing of a request depends on its
// company.
#include <gtest/gtest.h>

#include <cstdlib>

#include <algorithm>
#include <random>

#include "engine/block_pool.h"
#include "engine/generation.h"
#include "engine/prompt_pass.h"
#include "runtime/compile.h"
#include "tiny_model.h"

namespace rose::engine {
namespace {

struct World {
  explicit World(bool phi = false) : files({.arch = phi ? "phi3" : "llama"}) {}

  TinyModel files;
  models::Checkpoint checkpoint = models::Checkpoint::open(files.model());
  models::Vocabulary vocabulary{checkpoint};
  std::unique_ptr<runtime::Context> context = [] {
    runtime::ContextOptions options;
    const char* device = std::getenv("ROSE_TEST_DEVICE");
    options.device = device ? device : "x86";
    options.cache.disk = false;
    options.log = runtime::log_to_stderr(runtime::LogLevel::kWarning);
    return runtime::open_context(std::move(options));
  }();
  std::unique_ptr<models::Decoder> decoder =
      models::load_decoder(*context, checkpoint, models::Precision::kExact);

  GenerationEngine engine(EngineOptions options = {}) {
    return GenerationEngine(*context, *decoder, vocabulary, options);
  }
};

World& world() {
  static World made;
  return made;
}

GenerationRequest request(const std::string& prompt, int64_t tokens, float temperature = 0,
                          uint64_t seed = 1) {
  GenerationRequest r;
  r.prompt = world().vocabulary.encode(prompt);
  r.max_tokens = tokens, r.sampling.temperature = temperature, r.sampling.seed = seed;
  return r;
}

TEST(Generation, TheSameRequestGivesTheSameTokensWhateverSharesItsBatch) {
  std::vector<GenerationRequest> requests;
  std::string text;
  for (int i = 0; i < 12; ++i) {
    text += std::string(static_cast<size_t>(1 + i * 5 % 13), static_cast<char>('a' + i * 7 % 26));
    auto r = request(text, 5 + 3 * i, i % 3 ? 0.9F : 0.0F, static_cast<uint64_t>(i));
    if (i % 4 == 1) r.sampling.repetition = 1.3F, r.sampling.presence = 0.4F;
    if (i % 4 == 2) r.sampling.top_k = 5, r.sampling.top_p = 0.9F;
    if (i % 4 == 3) r.sampling.logit_bias = {{5, 3.0F}}, r.logprobs = true;
    requests.push_back(std::move(r));
  }
  std::vector<GenerationResult> alone;
  for (auto& r : requests) alone.push_back(world().engine().generate(r));
  // Together, in another order, with chunks of prompts, too few blocks for all at once and late comers.
  EngineOptions options;
  options.cache_tokens = 512, options.batch = 7, options.prompt_chunk = 512;
  auto engine = world().engine(options);
  std::vector<int64_t> ids(requests.size());
  for (size_t i = requests.size(); i-- > 0;) {
    ids[i] = engine.submit(requests[i]);
    if (i % 3 == 0) engine.step();
  }
  while (engine.step()) {
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    auto result = engine.take(ids[i]);
    ASSERT_TRUE(result) << i;
    EXPECT_EQ(result->tokens, alone[i].tokens) << i;
    EXPECT_EQ(result->text, alone[i].text) << i;
    EXPECT_EQ(result->logprobs, alone[i].logprobs) << i;
    EXPECT_EQ(static_cast<int64_t>(result->tokens.size()), requests[i].max_tokens) << i;
    EXPECT_EQ(result->finish, FinishReason::kLength);
  }
}

TEST(Generation, SeedsReproduceAndDiffer) {
  auto engine = world().engine();
  auto first = engine.generate(request("abcabc", 40, 1, 5)),
       again = engine.generate(request("abcabc", 40, 1, 5)),
       other = engine.generate(request("abcabc", 40, 1, 6));
  EXPECT_EQ(first.tokens, again.tokens);
  EXPECT_NE(first.tokens, other.tokens);
  auto unseeded = request("abcabc", 40, 1);
  unseeded.sampling.seed.reset();
  auto drawn = engine.generate(unseeded);
  EXPECT_EQ(engine.generate(request("abcabc", 40, 1, drawn.seed)).tokens, drawn.tokens);
}

TEST(Generation, LongPromptsInChunksAnswerAsInOnePiece) {
  std::string text;
  for (int i = 0; i < 150; ++i) text += static_cast<char>('a' + i * i % 26);
  auto whole = world().engine().generate(request(text, 20));
  EngineOptions options;
  options.prompt_chunk = 37;
  EXPECT_EQ(world().engine(options).generate(request(text, 20)).tokens, whole.tokens);
}

// A conversation: each prompt is the one before, its answer, and more.
TEST(Generation, KeptPrefixesChangeNothingButTheWork) {
  EngineOptions options;
  options.keep_prefix = true, options.cache_tokens = 200;
  auto keeping = world().engine(options);
  std::string text = "once upon a time there was a little house in the deep dark woods of the north";
  const auto block = models::compute_on(world().context->properties()).block_size;
  int64_t reused = 0, before = 0;
  for (int turn = 0; turn < 5; ++turn) {
    auto r = request(text, 12, 0.8F, 3);
    r.logprobs = true;
    auto fresh = world().engine().generate(r), kept = keeping.generate(r);
    EXPECT_EQ(kept.tokens, fresh.tokens) << turn;
    EXPECT_EQ(kept.logprobs, fresh.logprobs) << turn;
    EXPECT_EQ(kept.reused_tokens % block, 0);
    EXPECT_EQ(kept.reused_tokens >= block, before >= block);
    before = kept.prompt_tokens;
    reused += kept.reused_tokens;
    text += kept.text + (turn % 2 ? "a" : "and then they lived");
  }
  EXPECT_GT(reused, 2 * block);
  // Another beginning, and a full cache: nothing is reused, nothing is lost.
  auto other = request("b" + text.substr(0, 100), 30);
  EXPECT_EQ(keeping.generate(other).tokens, world().engine().generate(other).tokens);
  EXPECT_EQ(keeping.generate(request(text.substr(0, 190), 5)).reused_tokens, 0);
}

// An answer that grows over the boundary goes on as a prompt of the same tokens would.
TEST(Generation, LongSequencesTurnByTheirOwnAngles) {
  World phi(true);
  ASSERT_EQ(phi.decoder->config().rope_switch, TinyModel::kSwitch);
  std::string text = "abcdefghijklmnopqrstuvwxyzabcdefg";
  GenerationRequest r;
  r.prompt = phi.vocabulary.encode(text);
  ASSERT_LT(r.prompt.size(), TinyModel::kSwitch - 4);
  r.max_tokens = 30, r.sampling.temperature = 0;
  EngineOptions options;
  options.keep_prefix = true;
  auto engine = phi.engine(options);
  auto whole = engine.generate(r);
  auto tokens = r.prompt;
  for (size_t i = 0; i < whole.tokens.size(); ++i) {
    GenerationRequest one = r;
    one.prompt = tokens, one.max_tokens = 1;
    EXPECT_EQ(phi.engine().generate(one).tokens.at(0), whole.tokens[i]) << i;
    EXPECT_EQ(engine.generate(one).tokens.at(0), whole.tokens[i]) << i << " with kept prefixes";
    tokens.push_back(whole.tokens[i]);
  }
}

TEST(Generation, TopLogprobsAreTheModelsOwn) {
  auto r = request("hello", 8);
  r.logprobs = true, r.top_logprobs = 31;
  r.sampling.logit_bias = {{4, 50.0F}};  // always token 4, whatever the model thinks
  auto result = world().engine().generate(r);
  ASSERT_EQ(result.top_logprobs.size(), 8u);
  bool other = false;
  for (size_t i = 0; i < 8; ++i) {
    const auto& top = result.top_logprobs[i];
    ASSERT_EQ(top.size(), 31u);
    double sum = 0;
    for (size_t k = 0; k < top.size(); ++k) {
      sum += std::exp(top[k].logprob);
      EXPECT_GE(top[k ? k - 1 : 0].logprob, top[k].logprob);
      if (top[k].token == result.tokens[i]) {
        EXPECT_NEAR(top[k].logprob, result.logprobs[i], 1e-5);
      }
    }
    EXPECT_NEAR(sum, 1, 1e-5);
    EXPECT_EQ(result.tokens[i], 4);
    other |= top[0].token != 4;
  }
  EXPECT_TRUE(other);
  r.top_logprobs = 1001;
  EXPECT_THROW(world().engine().submit(r), EngineError);
}

TEST(Generation, StopsAtTokensStringsAndTheContext) {
  auto engine = world().engine();
  auto free = engine.generate(request("hello", 30));
  ASSERT_GE(free.text.size(), 10u);

  auto r = request("hello", 30);
  r.stop_tokens = {free.tokens[6]};
  auto stopped = engine.generate(r);
  auto end = std::ranges::find(free.tokens, free.tokens[6]);
  EXPECT_EQ(stopped.tokens, std::vector<int32_t>(free.tokens.begin(), end));
  EXPECT_EQ(stopped.finish, FinishReason::kStop);

  r = request("hello", 30);
  std::string stop = free.text.substr(4, 3), streamed;
  r.stop_strings = {"never", stop};
  r.on_text = [&](std::string_view part) { return streamed += part, true; };
  stopped = engine.generate(r);
  EXPECT_EQ(stopped.text, free.text.substr(0, free.text.find(stop)));
  EXPECT_EQ(streamed, stopped.text);
  EXPECT_EQ(stopped.finish, FinishReason::kStop);

  auto full = engine.generate(request("hello", 1000));  // 200 tokens of context
  EXPECT_EQ(full.tokens.size(), 195u);
  EXPECT_EQ(full.finish, FinishReason::kLength);
}

TEST(Generation, CancelledRequestsGiveTheirBlocksBack) {
  EngineOptions options;
  options.cache_tokens = 64;
  auto engine = world().engine(options);
  for (int i = 0; i < 20; ++i) {
    auto r = request("hello", 50);
    r.on_text = [](std::string_view) { return false; };
    EXPECT_EQ(engine.generate(r).finish, FinishReason::kCancelled);
  }
  EXPECT_EQ(engine.generate(request("hello", 20)).tokens.size(), 20u);
}

TEST(Generation, CancelEndsWaitingAndRunningRequests) {
  EngineOptions options;
  options.cache_tokens = 64, options.keep_prefix = true;
  auto engine = world().engine(options);
  auto alone = world().engine().generate(request("hello", 50));
  auto first = engine.submit(request("hello", 50)), second = engine.submit(request("hello", 50)),
       third = engine.submit(request("hello", 50));
  for (int i = 0; i < 5; ++i) engine.step();
  engine.cancel(second), engine.cancel(first), engine.cancel(12345);
  auto result = engine.take(first);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->finish, FinishReason::kCancelled);
  EXPECT_EQ(result->tokens, std::vector<int32_t>(alone.tokens.begin(), alone.tokens.begin() + 5));
  EXPECT_EQ(engine.take(second)->tokens.size(), 0u);
  while (engine.step()) {
  }
  EXPECT_EQ(engine.take(third)->tokens, alone.tokens);
}

TEST(Generation, RefusesWhatItCannotServe) {
  auto engine = world().engine();
  auto refused = [&](const std::function<void(GenerationRequest&)>& change) {
    auto r = request("hello", 10);
    change(r);
    EXPECT_THROW(engine.submit(r), EngineError);
  };
  refused([](auto& r) { r.prompt.clear(); });
  refused([](auto& r) { r.prompt.assign(200, 5); });
  refused([](auto& r) { r.prompt[0] = 31; });
  refused([](auto& r) { r.prompt[0] = -1; });
  refused([](auto& r) { r.max_tokens = 0; });
  refused([](auto& r) { r.sampling.temperature = -1; });
  refused([](auto& r) { r.sampling.top_p = 0; });
  refused([](auto& r) { r.sampling.min_p = 1; });
  refused([](auto& r) { r.sampling.repetition = 0; });
  refused([](auto& r) { r.sampling.logit_bias[31] = 1; });
  EXPECT_FALSE(engine.step());
}

// The answer's own log-probabilities are what scoring the whole text gives its tokens.
TEST(Scores, AgreeWithGeneration) {
  auto r = request("helloworld", 150);
  r.logprobs = true;
  auto result = world().engine().generate(r);
  auto tokens = r.prompt;
  tokens.insert(tokens.end(), result.tokens.begin(), result.tokens.end());
  PromptPass pass(*world().context, *world().decoder);
  auto score = score_text(pass, world().decoder->config(), tokens);
  ASSERT_EQ(score.logprobs.size(), tokens.size() - 1);
  double sum = 0;
  for (float l : score.logprobs) sum += l;
  EXPECT_NEAR(score.sum, sum, 1e-3);
  EXPECT_NEAR(score.perplexity, std::exp(-sum / static_cast<double>(tokens.size() - 1)), 1e-3);
  // Steps of one token round otherwise than chunks; logits here are of size 10 and sums of some hundred
  // terms; on a GPU some ten roundings to bf16 (half a unit: 2^-9 of that size) lie between them.
  const double allowed =
      models::compute_on(world().context->properties()).gpu ? 10 * std::sqrt(10.0) * 0x1p-9 : 1e-3;
  for (size_t i = 0; i < result.tokens.size(); ++i)
    EXPECT_NEAR(score.logprobs[r.prompt.size() - 1 + i], result.logprobs[i], allowed) << i;
  EXPECT_THROW(score_text(pass, world().decoder->config(), {3}), EngineError);
  EXPECT_THROW(score_text(pass, world().decoder->config(), std::vector<int32_t>(201, 3)), EngineError);
  EXPECT_THROW(score_text(pass, world().decoder->config(), {3, 31}), EngineError);
}

TEST(Scores, TextsInOneCallDoNotMeet) {
  std::vector<std::vector<int32_t>> texts;
  for (int i = 0; i < 30; ++i)
    texts.push_back(world().vocabulary.encode(
        std::string(static_cast<size_t>(1 + i * 37 % 190), static_cast<char>('a' + i % 26))));
  using Vectors = std::map<size_t, std::vector<float>>;
  auto last = [&](PromptPass& pass, std::span<const std::vector<int32_t>> some) {
    Vectors rows;
    pass.run(some, models::StepOutput::kHidden, PromptPass::Rows::kLast,
             [&](size_t text, size_t token, auto row) {
               EXPECT_EQ(token + 1, some[text].size());
               rows[text] = {row.begin(), row.end()};
             });
    return rows;
  };
  PromptPass pass(*world().context, *world().decoder);
  auto together = last(pass, texts);
  ASSERT_EQ(together.size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    PromptPass fresh(*world().context, *world().decoder);
    EXPECT_EQ(last(fresh, std::span(texts).subspan(i, 1)).at(0), together.at(i)) << i;
  }
}

TEST(TextStream, NeverGivesHalfACharacterOrTheBeginningOfAStop) {
  const auto& tokenizer = world().vocabulary.tokenizer();
  auto id = [&](const char* token) { return static_cast<int32_t>(*tokenizer.token_to_id(token)); };
  TextStream stream(tokenizer, {"xyz"});
  EXPECT_EQ(stream.push(id("Ã")), "");
  EXPECT_EQ(stream.push(id("©")), "é");
  EXPECT_EQ(stream.push(id("x")), "");
  EXPECT_EQ(stream.push(id("y")), "");
  EXPECT_EQ(stream.push(id("ab")), "xyab");
  EXPECT_EQ(stream.push(id("x")), "");
  EXPECT_EQ(stream.push(id("y")), "");
  EXPECT_EQ(stream.push(id("z")), "");
  EXPECT_TRUE(stream.stopped());
  EXPECT_EQ(stream.push(id("a")), "");
  EXPECT_EQ(stream.finish(), "");

  TextStream open(tokenizer, {"xyz"});
  EXPECT_EQ(open.push(id("a")), "a");
  EXPECT_EQ(open.push(id("x")), "");
  EXPECT_EQ(open.push(id("Ã")), "");
  EXPECT_EQ(open.finish(), "x\xEF\xBF\xBD");
}

TEST(BlockPool, HandsOutEachBlockOnce) {
  BlockPool pool(5);
  auto a = pool.take(3);
  EXPECT_EQ(a.size(), 3u);
  EXPECT_TRUE(pool.take(3).empty());
  auto b = pool.take(2);
  EXPECT_EQ(pool.free(), 0);
  for (int32_t block : b) EXPECT_EQ(std::ranges::count(a, block), 0);
  pool.give_back(a);
  EXPECT_EQ(pool.take(3).size(), 3u);
}

TEST(Generation, WithoutAVocabularyGivesTheSameTokensAndNoText) {
  auto with = world().engine();
  GenerationEngine without(*world().context, *world().decoder, nullptr, {});
  auto expected = with.generate(request("abc", 9)), got = without.generate(request("abc", 9));
  EXPECT_EQ(got.tokens, expected.tokens);
  EXPECT_EQ(got.tokens.size(), 9u);
  EXPECT_FALSE(expected.text.empty());
  EXPECT_TRUE(got.text.empty());
  auto stops = request("abc", 9);
  stops.stop_strings = {"x"};
  EXPECT_THROW(without.submit(std::move(stops)), EngineError);
}

}  // namespace
}  // namespace rose::engine
