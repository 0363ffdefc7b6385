// Spoiled GGUF files given to the command. What the reader refuses in detail is tested in tests/weights;
// here, that each kind of wrong reaches the user as one line that names file and field, whichever command
// meets it first.
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "refusal.h"
#include "spoiled_model.h"

namespace rose::cli::test {
namespace {

using weights::Format;

// Which commands must refuse the file: `info` reads the header and the tokenizer, `generate` all of it.
enum class Where { kBoth, kGenerate };

struct Spoiled {
  const char* what;
  std::function<void(TinyModel&)> spoil;
  std::vector<std::string> words;
  Where where = Where::kBoth;
};

std::vector<std::string> generate_words(const std::filesystem::path& model) {
  return {"generate", model, "--prompt", "ab", "--max-tokens", "2", "--temperature", "0", "--threads", "1"};
}

void expect_refused(const std::filesystem::path& file, std::vector<std::string> words,
                    const std::string& what, Where where = Where::kBoth) {
  words.push_back(file.filename());
  expect_refusal(rose_in_time(generate_words(file)), words, what + " (generate)");
  auto info = rose_in_time({"info", file});
  if (where == Where::kBoth)
    expect_refusal(info, words, what + " (info)");
  else
    EXPECT_EQ(info.status, 0) << what << ": " << info.output;
}

TEST(HostileGguf, TheUnspoiledModelAnswers) {
  SpoiledFolder folder;
  for (uint32_t version : {2u, 3u}) {
    auto result = rose_in_time(generate_words(TinyModel().write_gguf(folder / "good.gguf", version)));
    EXPECT_EQ(result.status, 0) << result.output;
    EXPECT_THAT(result.output, testing::MatchesRegex("[a-z]*\n"));
  }
}

TEST(HostileGguf, KeysAndTensors) {
  auto poke = [](const char* tensor, float value) {
    return [=](TinyModel& m) { std::memcpy(m.tensor(tensor).bytes.data() + 8, &value, sizeof value); };
  };
  const Spoiled cases[] = {
      {"no architecture", [](auto& m) { m.erase_key("general.architecture"); }, {"general.architecture"}},
      {"architecture is a number",
       [](auto& m) { m.key("general.architecture") = 3u; },
       {"general.architecture"}},
      {"architecture with control characters",
       [](auto& m) { m.key("general.architecture") = std::string("a\x1b[2J\n"); },
       {"architecture", "\\x1b"},
       Where::kGenerate},
      {"unknown architecture",
       [](auto& m) { m.key("general.architecture") = std::string("rwkv99"); },
       {"architecture 'rwkv99'", "llama"},
       Where::kGenerate},
      {"no layer count", [](auto& m) { m.erase_key("llama.block_count"); }, {"llama.block_count", "missing"}},
      {"layer count is text",
       [](auto& m) { m.key("llama.block_count") = std::string("one"); },
       {"llama.block_count", "'one'"}},
      {"too many layers",
       [](auto& m) { m.key("llama.block_count") = 4'000'000'000u; },
       {"layers", "4000000000"}},
      {"one layer more than there is",
       [](auto& m) { m.key("llama.block_count") = 2u; },
       {"blk.1.", "missing"},
       Where::kGenerate},
      {"no heads", [](auto& m) { m.key("llama.attention.head_count") = 0u; }, {"heads", "0"}},
      {"heads that do not divide",
       [](auto& m) { m.key("llama.attention.head_count_kv") = 3u; },
       {"key heads", "3"}},
      {"odd head size", [](auto& m) { m.key("llama.attention.key_length") = 7u; }, {"head size", "7"}},
      {"hidden size without end",
       [](auto& m) { m.key("llama.embedding_length") = uint64_t{1} << 62; },
       {"llama.embedding_length"}},
      {"context of nothing", [](auto& m) { m.key("llama.context_length") = 0u; }, {"context length", "0"}},
      {"epsilon is not a number",
       [](auto& m) {
         m.key("llama.attention.layer_norm_rms_epsilon") = std::numeric_limits<float>::quiet_NaN();
       },
       {"layer_norm_rms_epsilon", "finite"}},
      {"rope base is infinite",
       [](auto& m) { m.key("llama.rope.freq_base") = std::numeric_limits<float>::infinity(); },
       {"rope.freq_base", "finite"}},
      {"unknown rope scaling",
       [](auto& m) { m.key("llama.rope.scaling.type") = std::string("spiral"); },
       {"rope.scaling.type", "spiral"}},
      {"a tensor is missing",
       [](auto& m) { m.erase_tensor("model.layers.0.mlp.up_proj.weight"); },
       {"blk.0.ffn_up.weight", "missing"},
       Where::kGenerate},
      {"the embedding is missing",
       [](auto& m) { m.erase_tensor("model.embed_tokens.weight"); },
       {"token_embd.weight", "missing"}},
      {"a tensor twice",
       [](auto& m) { m.tensors.push_back(m.tensor("model.norm.weight")); },
       {"output_norm.weight", "second time"}},
      {"a key twice",
       [](auto& m) { m.keys.emplace_back("llama.block_count", 1u); },
       {"llama.block_count", "twice"}},
      {"another shape",
       [](auto& m) { m.tensor("model.layers.0.self_attn.q_proj.weight").shape = {16, 64}; },
       {"blk.0.attn_q.weight", "[16, 64]", "[32, 32]"},
       Where::kGenerate},
      {"NaN in a matrix",
       poke("model.layers.0.mlp.up_proj.weight", std::numeric_limits<float>::quiet_NaN()),
       {"blk.0.ffn_up.weight", "NaN"},
       Where::kGenerate},
      {"infinity in the embedding",
       poke("model.embed_tokens.weight", std::numeric_limits<float>::infinity()),
       {"token_embd.weight"},
       Where::kGenerate},
      {"no tokenizer", [](auto& m) { m.erase_key("tokenizer.ggml.model"); }, {"tokenizer.ggml.model"}},
      {"unknown tokenizer",
       [](auto& m) { m.key("tokenizer.ggml.model") = std::string("words"); },
       {"tokenizer.ggml.model", "words"}},
      {"unknown pre-tokenizer",
       [](auto& m) { m.key("tokenizer.ggml.pre") = std::string("future"); },
       {"tokenizer.ggml.pre", "future"}},
      {"tokens are a number",
       [](auto& m) { m.key("tokenizer.ggml.tokens") = 3u; },
       {"tokenizer.ggml.tokens"}},
      {"a token is no UTF-8",
       [](auto& m) { std::get<std::vector<std::string>>(m.key("tokenizer.ggml.tokens"))[5] = "\xff\xfe"; },
       {"tokenizer.ggml.tokens[5]", "UTF-8"}},
      {"merges of unknown tokens",
       [](auto& m) { m.key("tokenizer.ggml.merges") = std::vector<std::string>{"a 9"}; },
       {"tokenizer.ggml.merges[0]"}},
      {"the end token is none",
       [](auto& m) { m.key("tokenizer.ggml.eos_token_id") = 4000u; },
       {"tokenizer.ggml.eos_token_id", "4000"}},
  };
  SpoiledFolder folder;
  for (const auto& c : cases) {
    TinyModel model;
    c.spoil(model);
    expect_refused(model.write_gguf(folder / "spoiled.gguf"), c.words, c.what, c.where);
  }
}

TEST(HostileGguf, Templates) {
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
       {"line 1", "makes more than"}},
      {"{% for a in range(99999) %}{{ 'x' * 999999 }}{% endfor %}", {"bytes"}},
      {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", {"deep"}},
      {"{{ ''.__class__.__mro__[1].__subclasses__() }}", {"chat template"}},
      {"{{ messages.__init__.__globals__ }}", {"chat template"}},
      {"{% include '/etc/passwd' %}", {"chat template"}},
      {"{{ raise_exception('the roles must\nalternate') }}", {"the roles must"}},
      {"{{ \xff }}", {"line 1"}},
      {"{% if %}", {"line 1"}},
  };
  SpoiledFolder folder;
  for (const auto& [text, words] : cases) {
    TinyModel model;
    model.key("tokenizer.chat_template") = std::string(text);
    auto file = model.write_gguf(folder / "spoiled.gguf");
    expect_refusal(rose_in_time(generate_words(file)), words, text);
  }
}

TEST(HostileGguf, ABrokenTemplateLeavesTheRest) {
  SpoiledFolder folder;
  TinyModel model;
  model.key("tokenizer.chat_template") = std::string("{% if %}");
  auto arguments = generate_words(model.write_gguf(folder / "spoiled.gguf"));
  EXPECT_EQ(rose_in_time({"info", folder / "spoiled.gguf"}).status, 0);
  expect_refusal(rose_in_time(arguments), {"spoiled.gguf", "line 1", "--raw"}, "with the template");
  arguments.emplace_back("--raw");
  EXPECT_EQ(rose_in_time(arguments).status, 0);
}

// A converter may add tokens without adding rows: only a prompt that has one of them is wrong.
TEST(HostileGguf, ATokenWithoutARow) {
  SpoiledFolder folder;
  TinyModel model;
  std::get<std::vector<std::string>>(model.key("tokenizer.ggml.tokens")).emplace_back("<more>");
  std::get<std::vector<int32_t>>(model.key("tokenizer.ggml.token_type")).push_back(3);
  const auto file = model.write_gguf(folder / "more.gguf");
  EXPECT_EQ(rose_in_time(generate_words(file)).status, 0);
  expect_refusal(rose_in_time({"generate", file, "--prompt", "a<more>", "--max-tokens", "2"}), {"29"},
                 "its token");
}

TEST(HostileGguf, BytesOfTheFile) {
  SpoiledFolder folder;
  const auto good = read_bytes(TinyModel().write_gguf(folder / "good.gguf"));
  auto spoil = [&](const std::string& what, std::vector<std::string> words, auto change) {
    auto bytes = good;
    change(bytes);
    write_bytes(folder / "spoiled.gguf", bytes);
    expect_refused(folder / "spoiled.gguf", std::move(words), what);
  };
  // Writes a number of eight bytes at `before` bytes behind the end of a name.
  auto number_behind = [](std::vector<std::byte>& bytes, const std::string& name, size_t behind,
                          uint64_t value) {
    std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    std::memcpy(bytes.data() + text.find(name) + name.size() + behind, &value, sizeof value);
  };
  for (size_t size : {size_t{0}, size_t{3}, size_t{10}, size_t{100}, good.size() / 2, good.size() - 1})
    spoil("cut to " + std::to_string(size), {}, [&](auto& bytes) { bytes.resize(size); });
  spoil("not GGUF", {"magic"}, [](auto& bytes) { std::memcpy(bytes.data(), "PK\3\4", 4); });
  spoil("version", {"version", "77"}, [](auto& bytes) { bytes[4] = std::byte{77}; });
  spoil("tensor count", {"tensor count"}, [](auto& bytes) { std::memset(bytes.data() + 8, 255, 8); });
  spoil("key count", {"key count"}, [](auto& bytes) { std::memset(bytes.data() + 16, 127, 8); });
  spoil("name without end", {"key 0"}, [](auto& bytes) { std::memset(bytes.data() + 24, 127, 8); });
  spoil("shape overflows", {"output_norm.weight", "shape"},
        [&](auto& bytes) { number_behind(bytes, "output_norm.weight", 4, uint64_t{1} << 62); });
  spoil("unknown type", {"output_norm.weight", "type", "4096"},
        [&](auto& bytes) { number_behind(bytes, "output_norm.weight", 12, 4096); });
  spoil("type that ROSE lacks", {"output_norm.weight", "IQ2_XXS"},
        [&](auto& bytes) { number_behind(bytes, "output_norm.weight", 12, 16); });
  spoil("offset beyond", {"output_norm.weight"},
        [&](auto& bytes) { number_behind(bytes, "output_norm.weight", 16, uint64_t{1} << 40); });
  spoil("offset at another tensor", {"overlaps"},
        [&](auto& bytes) { number_behind(bytes, "output_norm.weight", 16, 0); });
  spoil("many layers of arrays", {"general.name", "nested"}, [](auto& bytes) {
    std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    size_t at = text.find("general.name") + 12;
    const uint32_t array = 9;
    std::memcpy(bytes.data() + at, &array, 4);
    at += 4;
    for (int i = 0; i < 40; ++i, at += 12) {
      const uint64_t one = 1;
      std::memcpy(bytes.data() + at, &array, 4), std::memcpy(bytes.data() + at + 4, &one, 8);
    }
  });
}

TEST(HostileGguf, WhatIsNoModel) {
  SpoiledFolder folder;
  std::filesystem::create_directory(folder / "empty");
  write_text(folder / "text.gguf", "hello");
  write_text(folder / "weights.bin", "hello");
  std::filesystem::create_symlink(folder / "nowhere", folder / "dangling.gguf");
  ASSERT_EQ(mkfifo((folder / "pipe.gguf").c_str(), 0600), 0);
  for (const char* name : {"empty", "text.gguf", "weights.bin", "dangling.gguf", "pipe.gguf", "absent.gguf"})
    for (const char* command : {"info", "generate", "embed"}) {
      std::vector<std::string> arguments{command, folder / name};
      if (std::string_view(command) == "generate") arguments.insert(arguments.end(), {"--prompt", "x"});
      if (std::string_view(command) == "embed") arguments.insert(arguments.end(), {"--text", "x"});
      expect_refusal(rose_in_time(arguments), {name}, joined(arguments));
    }
}

}  // namespace
}  // namespace rose::cli::test
