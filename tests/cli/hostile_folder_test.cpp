// Spoiled Hugging Face folders given to the command: one line that names file and field each.
#include <cstring>
#include <functional>

#include "refusal.h"
#include "spoiled_model.h"

namespace rose::cli::test {
namespace {

using nlohmann::json;

std::vector<std::string> generate_words(const std::filesystem::path& model) {
  return {"generate", model, "--prompt", "ab", "--max-tokens", "2", "--temperature", "0", "--threads", "1"};
}

std::vector<std::string> embed_words(const std::filesystem::path& model) {
  return {"embed", model, "--text", "ab", "--threads", "1"};
}

TEST(HostileFolder, TheUnspoiledModelsAnswer) {
  SpoiledFolder folder;
  auto text = rose_in_time(generate_words(TinyModel().write_folder(folder / "good")));
  EXPECT_EQ(text.status, 0) << text.output;
  EXPECT_THAT(text.output, testing::MatchesRegex("[a-z]*\n"));
  auto vector = rose_in_time(embed_words(TinyEmbedder().write_folder(folder / "embedder")));
  EXPECT_EQ(vector.status, 0) << vector.output;
  EXPECT_EQ(std::ranges::count(vector.output, ' '), 31) << vector.output;
}

TEST(HostileFolder, ConfigurationOfALanguageModel) {
  struct Case {
    const char* what;
    std::function<void(TinyModel&)> spoil;
    std::vector<std::string> words;
  };
  const Case cases[] = {
      {"config is a list", [](auto& m) { m.config = json::array({1}); }, {"config.json"}},
      {"no type", [](auto& m) { m.config.erase("model_type"); }, {"config.json", "model_type"}},
      {"type is a number", [](auto& m) { m.config["model_type"] = 4; }, {"config.json", "model_type"}},
      {"unknown type", [](auto& m) { m.config["model_type"] = "mamba"; }, {"mamba"}},
      {"hidden size is text",
       [](auto& m) { m.config["hidden_size"] = "32"; },
       {"config.json", "hidden_size"}},
      {"hidden size is a fraction", [](auto& m) { m.config["hidden_size"] = 32.5; }, {"hidden_size", "32.5"}},
      {"hidden size is huge", [](auto& m) { m.config["hidden_size"] = 1e300; }, {"hidden_size"}},
      {"hidden size is null", [](auto& m) { m.config["hidden_size"] = nullptr; }, {"hidden_size", "missing"}},
      {"negative layers", [](auto& m) { m.config["num_hidden_layers"] = -1; }, {"layers", "-1"}},
      {"heads are a list", [](auto& m) { m.config["num_attention_heads"] = {4}; }, {"num_attention_heads"}},
      {"heads are an object",
       [](auto& m) { m.config["num_attention_heads"] = {{"a", 4}}; },
       {"num_attention_heads"}},
      {"theta is true", [](auto& m) { m.config["rope_theta"] = true; }, {"config.json", "rope_theta"}},
      {"scaling is a number", [](auto& m) { m.config["rope_scaling"] = 2; }, {"config.json", "rope_scaling"}},
      {"scaling of no known kind",
       [](auto& m) { m.config["rope_scaling"] = {{"rope_type", "odd"}}; },
       {"rope_scaling", "odd"}},
      {"kind of scaling is a number",
       [](auto& m) { m.config["rope_scaling"] = {{"rope_type", 3}}; },
       {"config.json", "rope_type"}},
      {"factor is text",
       [](auto& m) { m.config["rope_scaling"] = {{"rope_type", "linear"}, {"factor", "2"}}; },
       {"config.json", "factor"}},
      {"window is text",
       [](auto& m) { m.config["model_type"] = "mistral", m.config["sliding_window"] = "all"; },
       {"sliding_window"}},
      {"a switch is text",
       [](auto& m) { m.config["model_type"] = "qwen2", m.config["use_sliding_window"] = "yes"; },
       {"config.json", "use_sliding_window"}},
      {"vocabulary is too small", [](auto& m) { m.config["vocab_size"] = 5; }, {"embed_tokens"}},
      {"tokenizer is a list", [](auto& m) { m.tokenizer = json::array(); }, {"tokenizer.json"}},
      {"tokenizer of no known kind",
       [](auto& m) { m.tokenizer["model"]["type"] = "Neural"; },
       {"tokenizer.json", "Neural"}},
      {"added token is a number", [](auto& m) { m.tokenizer["added_tokens"] = {1}; }, {"tokenizer.json"}},
      {"tokenizer_config is a list",
       [](auto& m) { m.tokenizer_config = json::array({1}); },
       {"tokenizer_config.json"}},
      {"template is a number",
       [](auto& m) { m.tokenizer_config["chat_template"] = 3; },
       {"tokenizer_config.json", "chat_template"}},
      {"a tensor of another name",
       [](auto& m) { m.tensor("model.norm.weight").name = "norm"; },
       {"model.norm.weight", "missing"}},
  };
  SpoiledFolder folder;
  for (const auto& c : cases) {
    TinyModel model;
    c.spoil(model);
    auto words = c.words;
    words.push_back(folder.path());
    expect_refusal(rose_in_time(generate_words(model.write_folder(folder / "spoiled"))), words, c.what);
    auto info = rose_in_time({"info", folder / "spoiled"});  // may know less, but must not fall over
    if (info.status != 0) expect_refusal(info, c.words, std::string(c.what) + " (info)");
  }
}

TEST(HostileFolder, ConfigurationOfAnEmbedder) {
  struct Case {
    const char* what;
    std::function<void(TinyEmbedder&)> spoil;
    std::vector<std::string> words;
  };
  const Case cases[] = {
      {"no hidden size", [](auto& m) { m.config.erase("hidden_size"); }, {"config.json", "hidden_size"}},
      {"activation is a number", [](auto& m) { m.config["hidden_act"] = 1; }, {"config.json", "hidden_act"}},
      {"unknown activation", [](auto& m) { m.config["hidden_act"] = "sine"; }, {"config.json", "sine"}},
      {"heads that do not divide", [](auto& m) { m.config["num_attention_heads"] = 3; }, {"heads", "3"}},
      {"no positions", [](auto& m) { m.config["max_position_embeddings"] = 0; }, {"max_position_embeddings"}},
      {"modules are an object", [](auto& m) { m.modules = json::object(); }, {"modules.json"}},
      {"a module is a number", [](auto& m) { m.modules = {1}; }, {"modules.json"}},
      {"type of a module is a number", [](auto& m) { m.modules[0]["type"] = 1; }, {"modules.json", "type"}},
      {"unknown module", [](auto& m) { m.modules[1]["type"] = "x.Dance"; }, {"modules.json", "Dance"}},
      {"module outside of the folder",
       [](auto& m) { m.modules[1]["path"] = "../../../etc"; },
       {"modules.json", "path"}},
      {"module at a full path", [](auto& m) { m.modules[1]["path"] = "/etc"; }, {"modules.json", "path"}},
      {"module without its file", [](auto& m) { m.modules[1]["path"] = "2_Pooling"; }, {"2_Pooling"}},
      {"pooling is a list", [](auto& m) { m.pooling = json::array({1}); }, {"1_Pooling/config.json"}},
      {"pooling is text",
       [](auto& m) { m.pooling["pooling_mode_mean_tokens"] = "yes"; },
       {"1_Pooling/config.json", "pooling_mode_mean_tokens"}},
      {"no pooling", [](auto& m) { m.pooling = json::object(); }, {"1_Pooling/config.json", "pooling_mode"}},
      {"case is a number",
       [](auto& m) { m.sentence["do_lower_case"] = 1; },
       {"sentence_bert_config.json", "do_lower_case"}},
      {"settings are a list", [](auto& m) { m.sentence = json::array({1}); }, {"sentence_bert_config.json"}},
      {"no length",
       [](auto& m) { m.sentence["max_seq_length"] = -4; },
       {"sentence_bert_config.json", "max_seq_length"}},
      {"prompts are a list",
       [](auto& m) { m.prompts = json::array({1}); },
       {"config_sentence_transformers.json"}},
      {"unknown token",
       [](auto& m) {
         m.tokenizer["model"]["unk_token"] = "?";
         m.tokenizer["model"]["vocab"].erase("ab"), m.tokenizer["model"]["vocab"].erase("a");
       },
       {"unk_token"}},
  };
  SpoiledFolder folder;
  for (const auto& c : cases) {
    TinyEmbedder model;
    c.spoil(model);
    expect_refusal(rose_in_time(embed_words(model.write_folder(folder / "spoiled"))), c.words, c.what);
  }
}

TEST(HostileFolder, TensorsOfASafetensorsFile) {
  SpoiledFolder folder;
  const auto place = TinyModel().write_folder(folder / "spoiled");
  const auto file = place / "model.safetensors";
  const auto good = read_bytes(file);
  auto spoil = [&](const std::string& what, std::vector<std::string> words, auto change) {
    auto bytes = good;
    change(bytes);
    write_bytes(file, bytes);
    words.emplace_back("model.safetensors");
    expect_refusal(rose_in_time(generate_words(place)), words, what + " (generate)");
    expect_refusal(rose_in_time({"info", place}), words, what + " (info)");
  };
  // Changes the header's text without changing its length.
  auto replace = [](std::vector<std::byte>& bytes, const std::string& from, const std::string& to) {
    std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string_view::npos) << from;
    ASSERT_EQ(from.size(), to.size());
    std::memcpy(bytes.data() + at, to.data(), to.size());
  };
  for (size_t size : {size_t{0}, size_t{7}, size_t{8}, size_t{200}, good.size() - 1})
    spoil("cut to " + std::to_string(size), {}, [&](auto& bytes) { bytes.resize(size); });
  spoil("longer than it says", {"data"}, [](auto& bytes) { bytes.resize(bytes.size() + 8); });
  spoil("header length", {"header length"}, [](auto& bytes) { std::memset(bytes.data(), 255, 8); });
  spoil("header is no JSON", {"header"}, [](auto& bytes) { bytes[9] = std::byte{'x'}; });
  spoil("header is no UTF-8", {"header"}, [](auto& bytes) { bytes[12] = std::byte{0xff}; });
  spoil("unknown type", {"dtype", "F99"}, [&](auto& b) { replace(b, "\"F32\"", "\"F99\""); });
  spoil("shape overflows", {"shape"}, [&](auto& b) { replace(b, "\"shape\":[32,32]", "\"shape\":[9e9999"); });
  spoil("another shape", {"data_offsets"},
        [&](auto& b) { replace(b, "\"shape\":[32,32]", "\"shape\":[32,31]"); });
  spoil("duplicate name", {"twice"}, [&](auto& b) { replace(b, "mlp.gate_proj", "mlp.down_proj"); });
}

TEST(HostileFolder, ShardsOfASafetensorsIndex) {
  SpoiledFolder folder;
  const auto place = TinyModel().write_folder(folder / "spoiled");
  std::filesystem::rename(place / "model.safetensors", place / "part-1.safetensors");
  write_text(folder / "secret.safetensors", "x");
  json all;
  for (const auto& t : TinyModel().tensors) all[t.name] = "part-1.safetensors";
  auto write = [&](const json& map) {
    write_text(place / "model.safetensors.index.json", json{{"weight_map", map}}.dump());
  };
  write(all);
  EXPECT_EQ(rose_in_time(generate_words(place)).status, 0);
  struct Case {
    const char* what;
    std::function<void(json&)> spoil;
    std::vector<std::string> words;
  };
  const Case cases[] = {
      {"outside of the folder",
       [](auto& j) { j["lm_head.weight"] = "../secret.safetensors"; },
       {"lm_head.weight", "../secret"}},
      {"a full path",
       [](auto& j) { j["lm_head.weight"] = "/etc/passwd"; },
       {"lm_head.weight", "/etc/passwd"}},
      {"a missing shard",
       [](auto& j) { j["lm_head.weight"] = "part-2.safetensors"; },
       {"part-2.safetensors", "missing"}},
      {"a tensor that no shard has",
       [](auto& j) { j["model.extra"] = "part-1.safetensors"; },
       {"model.extra"}},
      {"a number", [](auto& j) { j["lm_head.weight"] = 7; }, {"lm_head.weight"}},
      {"a list", [](auto& j) { j = json::array(); }, {"weight_map"}},
  };
  for (const auto& c : cases) {
    json map = all;
    c.spoil(map);
    write(map);
    for (const auto& arguments : {generate_words(place), {"info", place}}) {
      auto words = c.words;
      words.emplace_back("model.safetensors.index.json");
      expect_refusal(rose_in_time(arguments), words, c.what);
    }
  }
}

TEST(HostileFolder, FilesThatAreNoJson) {
  SpoiledFolder folder;
  for (const char* name :
       {"config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"})
    for (const char* content : {"", "{\"a\": \xff}", "{\"a\": 1", "\x01\x02", "[[[[[[", "[1]", "null"}) {
      std::filesystem::remove_all(folder / "spoiled");
      const auto place = TinyModel().write_folder(folder / "spoiled");
      write_text(place / name, content);
      expect_refusal(rose_in_time(generate_words(place)), {name, place},
                     std::string(name) + " of " + content);
    }
  for (const char* name : {"modules.json", "1_Pooling/config.json", "sentence_bert_config.json",
                           "config_sentence_transformers.json"})
    for (const char* content : {"", "{\"a\": \xff}", "{\"a\": 1", "[[[[[[", "null", "3"}) {
      std::filesystem::remove_all(folder / "spoiled");
      const auto place = TinyEmbedder().write_folder(folder / "spoiled");
      write_text(place / name, content);
      expect_refusal(rose_in_time(embed_words(place)), {name, place}, std::string(name) + " of " + content);
    }
}

TEST(HostileFolder, ATemplateInItsOwnFile) {
  SpoiledFolder folder;
  const auto place = TinyModel().write_folder(folder / "spoiled");
  for (const char* content : {"{{", "{% for x in y %}", "{{ 1 / 0 }}", "{{ \xff }}"}) {
    write_text(place / "chat_template.jinja", content);
    expect_refusal(rose_in_time(generate_words(place)), {place / "chat_template.jinja", "line 1"}, content);
  }
}

}  // namespace
}  // namespace rose::cli::test
