// Embeddings, scores and classes of small models against sentence-transformers and transformers
// (tests/models/make_encoder_goldens.py), and what the engine adds: limits, prompts, batches, refusals.
#include "engine/text_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/tokenize_ahead.h"
#include "runtime/compile.h"
#include "source_folder.h"

namespace rose::engine {
namespace {

using testing::HasSubstr;

const std::filesystem::path kData = source_folder() / "tests/models/data/encoders";
// The bound of encoder_golden_test.cpp for four layers.
constexpr double kTolerance = 4e-5;

// One for all tests: models of one shape share their kernels.
runtime::Context& shared_context() {
  static const std::unique_ptr<runtime::Context> context = [] {
    runtime::ContextOptions options;
    const char* device = std::getenv("ROSE_TEST_DEVICE");
    options.device = device ? device : "x86";
    options.cache.disk = false;
    options.log = runtime::log_to_stderr(runtime::LogLevel::kWarning);
    return runtime::open_context(std::move(options));
  }();
  return *context;
}

struct Model {
  explicit Model(const std::string& name, models::Precision precision = models::Precision::kExact)
      : checkpoint(models::Checkpoint::open(kData / name)), vocabulary(checkpoint) {
    encoder = open_text_encoder(shared_context(), checkpoint, vocabulary, precision);
    golden = nlohmann::json::parse(std::ifstream(kData / name / "golden.json"));
  }

  std::vector<TextInput> inputs(const char* key) const {
    std::vector<TextInput> list;
    for (const auto& one : golden[key]) {
      if (one.is_string())
        list.push_back({one.get_ref<const std::string&>(), std::nullopt});
      else
        list.push_back({one[0].get_ref<const std::string&>(), one[1].get_ref<const std::string&>()});
    }
    return list;
  }

  // The limit that the golden results were made with.
  TextOptions options() const {
    TextOptions options;
    options.max_tokens = golden["max_tokens"].get<int64_t>();
    return options;
  }

  models::Checkpoint checkpoint;
  models::Vocabulary vocabulary;
  std::unique_ptr<TextEncoder> encoder;
  nlohmann::json golden;
};

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double dot = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i)
    dot += double{a[i]} * b[i], aa += double{a[i]} * a[i], bb += double{b[i]} * b[i];
  return dot / std::sqrt(aa * bb);
}

bool on_gpu() { return shared_context().properties().kind == runtime::DeviceProperties::Kind::kCuda; }

void expect_near(const std::vector<std::vector<float>>& got, const nlohmann::json& want,
                 const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    auto row =
        want[i].is_array() ? want[i].get<std::vector<double>>() : std::vector<double>{want[i].get<double>()};
    ASSERT_EQ(got[i].size(), row.size()) << what;
    if (on_gpu() && row.size() > 1) {  // bf16: see InBf16PointTheSameWay
      EXPECT_GE(cosine(got[i], {row.begin(), row.end()}), 0.998) << what << " " << i;
      continue;
    }
    for (size_t e = 0; e < row.size(); ++e)
      worst = std::max(worst, std::abs(got[i][e] - row[e]) / std::max(1.0, std::abs(row[e])));
  }
  EXPECT_LE(worst, on_gpu() ? 0.1 : kTolerance) << what;
}

template <typename F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const EngineError& error) {
    return error.what();
  }
  return "";
}

TEST(Embeddings, EqualSentenceTransformers) {
  for (const char* name :
       {"bert", "distilbert", "roberta", "xlm-roberta", "modernbert", "modernbert-biased"}) {
    Model m(name);
    auto texts = m.inputs("texts");
    auto options = m.options();
    auto plain = m.encoder->run(TextTask::kEmbed, texts, options);
    expect_near(plain.rows, m.golden["embeddings"], name);
    EXPECT_EQ(static_cast<size_t>(m.encoder->dimensions()), plain.rows[0].size());
    options.prompt = m.encoder->config().prompts.at("query");
    expect_near(m.encoder->run(TextTask::kEmbed, texts, options).rows, m.golden["with_prompt"],
                std::string(name) + " with a prompt");
    options.prompt.clear(), options.dimensions = 8, options.normalize = true;
    expect_near(m.encoder->run(TextTask::kEmbed, texts, options).rows, m.golden["dimensions_8"],
                std::string(name) + " with 8 dimensions");
  }
}

TEST(Embeddings, InBf16PointTheSameWay) {
  if (on_gpu()) GTEST_SKIP() << "there all is bf16";
  // Each product rounds both factors to 8 bits, an error of about 2^-9 of the result's spread; the products
  // of the layers add in quadrature and grow about fourfold through the norms: 0.02, which turns by 2e-4.
  for (const char* name : {"bert", "xlm-roberta", "modernbert"}) {
    Model exact(name), rounded(name, models::Precision::kBf16);
    auto want = exact.encoder->run(TextTask::kEmbed, exact.inputs("texts"), exact.options()).rows;
    auto got = rounded.encoder->run(TextTask::kEmbed, rounded.inputs("texts"), rounded.options()).rows;
    for (size_t i = 0; i < want.size(); ++i)
      EXPECT_GE(cosine(want[i], got[i]), 0.999) << name << " text " << i;
    EXPECT_NE(want, got) << name << ": bf16 must not be f32";
  }
}

class Company : public testing::TestWithParam<models::Precision> {};

TEST_P(Company, DoesNotChangeEmbeddings) {
  Model m("modernbert", GetParam());
  auto texts = m.inputs("texts");
  std::vector<TextInput> many;  // several steps of the model, and threads that tokenize
  for (int i = 0; i < 400; ++i) many.insert(many.end(), texts.begin(), texts.end());
  auto all = m.encoder->run(TextTask::kEmbed, many).rows;
  for (size_t i = 0; i < texts.size(); ++i) {
    auto alone = m.encoder->run(TextTask::kEmbed, std::span(texts).subspan(i, 1)).rows[0];
    EXPECT_EQ(all[i], alone) << i;
    EXPECT_EQ(all[all.size() - texts.size() + i], alone) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Embeddings, Company,
                         testing::Values(models::Precision::kExact, models::Precision::kFast,
                                         models::Precision::kBf16));

TEST(Embeddings, TakeOtherPoolingsAndKeepTheirLength) {
  Model m("bert");
  TextInput text{"the cat sat", std::nullopt};
  auto run = [&](const TextOptions& options) {
    return m.encoder->run(TextTask::kEmbed, {&text, 1}, options).rows[0];
  };
  auto length = [](const std::vector<float>& v) {
    return std::sqrt(std::inner_product(v.begin(), v.end(), v.begin(), 0.0));
  };
  auto mean = run({}), cls = run({.pooling = models::Pooling::kCls}), loose = run({.normalize = false});
  EXPECT_NEAR(length(mean), 1, 1e-6);
  EXPECT_NE(mean, cls);
  EXPECT_GT(std::abs(length(loose) - 1), 0.01);
  EXPECT_NEAR(cosine(mean, loose), 1, 1e-6);
}

TEST(Embeddings, CountTokensAndCutTexts) {
  Model m("bert");
  auto texts = m.inputs("texts");
  auto result = m.encoder->run(TextTask::kEmbed, texts, {.max_tokens = 6});
  EXPECT_EQ(result.prompt_tokens, 6 + 3 + 2 + 6 + 6 + 6 + 6);
  EXPECT_EQ(result.truncated, 5);
  EXPECT_EQ(m.encoder->run(TextTask::kEmbed, texts, {.max_tokens = 1'000'000}).truncated,
            1);  // the model's own limit
  EXPECT_THAT(message_of([&] { m.encoder->run(TextTask::kEmbed, texts, {.max_tokens = 1}); }),
              HasSubstr("max_tokens 1"));
  EXPECT_THAT(message_of([&] { m.encoder->run(TextTask::kEmbed, texts, {.max_tokens = -1}); }),
              HasSubstr("max_tokens -1"));
  EXPECT_THAT(message_of([&] { m.encoder->run(TextTask::kEmbed, texts, {.dimensions = 33}); }),
              HasSubstr("dimensions 33"));
}

TEST(Embeddings, RepairInvalidUtf8) {
  Model m("xlm-roberta");
  TextInput broken{"the \xff\xc3 cat", std::nullopt},
      repaired{"the \xef\xbf\xbd\xef\xbf\xbd cat", std::nullopt};
  EXPECT_EQ(m.encoder->run(TextTask::kEmbed, {&broken, 1}).rows,
            m.encoder->run(TextTask::kEmbed, {&repaired, 1}).rows);
}

TEST(Classes, EqualTransformers) {
  for (const char* name : {"bert-classifier", "distilbert-classifier", "roberta-classifier",
                           "modernbert-classifier", "bert-reranker", "xlm-roberta-reranker"}) {
    Model m(name);
    auto options = m.options();
    options.raw = true;
    expect_near(m.encoder->run(TextTask::kClassify, m.inputs("texts"), options).rows, m.golden["logits"],
                name);
    expect_near(m.encoder->run(TextTask::kClassify, m.inputs("pairs"), options).rows, m.golden["pair_logits"],
                name);
    options.raw = false;
    if (m.golden.contains("probabilities"))
      expect_near(m.encoder->run(TextTask::kClassify, m.inputs("texts"), options).rows,
                  m.golden["probabilities"], name);
    if (m.golden.contains("scores"))
      expect_near(m.encoder->run(TextTask::kScore, m.inputs("pairs"), options).rows, m.golden["scores"],
                  name);
  }
}

TEST(Classes, OfARegressionAreItsLogits) {
  Model m("modernbert-classifier");
  EXPECT_EQ(m.encoder->run(TextTask::kClassify, m.inputs("texts")).rows,
            m.encoder->run(TextTask::kClassify, m.inputs("texts"), {.raw = true}).rows);
  EXPECT_EQ(m.encoder->labels(), (std::vector<std::string>{"sad", "so-so", "glad"}));
}

TEST(Tasks, OfAnotherKindOfModelAreRefusedByName) {
  Model embedder("bert"), classifier("bert-classifier"), reranker("bert-reranker");
  TextInput text{"a", std::nullopt};
  auto refusal = [&](Model& m, TextTask task) {
    return message_of([&] { m.encoder->run(task, {&text, 1}); });
  };
  EXPECT_THAT(refusal(embedder, TextTask::kScore),
              testing::AllOf(HasSubstr("an embedding model"), HasSubstr("rose embed")));
  EXPECT_THAT(refusal(embedder, TextTask::kClassify), HasSubstr("rose embed"));
  EXPECT_THAT(refusal(classifier, TextTask::kScore),
              testing::AllOf(HasSubstr("3 labels"), HasSubstr("rose classify")));
  EXPECT_THAT(refusal(classifier, TextTask::kEmbed), HasSubstr("rose classify"));
  EXPECT_THAT(refusal(reranker, TextTask::kEmbed), HasSubstr("rose rerank"));
  EXPECT_EQ(refusal(reranker, TextTask::kClassify), "");
}

TEST(Tokenizing, AheadGivesTheInputsInOrderAndPassesFailuresOn) {
  std::atomic<int> calls = 0;
  auto encode = [&](size_t i) {
    ++calls;
    if (i == 900) throw std::runtime_error("input 900");
    return text::Encoding{{static_cast<text::TokenId>(i)}, {0}};
  };
  for (size_t bytes : {size_t{0}, size_t{10'000'000}}) {  // on the calling thread, and on four others
    calls = 0;
    TokenizeAhead ahead(1000, bytes, 4, encode);
    size_t done = 0;
    try {
      for (; done < 1000; ++done) ASSERT_EQ(ahead.take(done).ids[0], done);
      ADD_FAILURE() << "the failure was lost";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "input 900");
    }
    EXPECT_LE(done, 900u);
    EXPECT_GE(calls, 1);
  }
}

}  // namespace
}  // namespace rose::engine
