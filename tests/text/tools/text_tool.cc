// A small program over the text room for the Python oracles in tests/text (not part of text_test).
//
//   text_tool tokenize TOKENIZER_JSON          frames in, frames out (see below)
//   text_tool tokenize-gguf VOCABULARY_JSON    the same for the output of gguf_to_json.py
//   text_tool bench TOKENIZER_JSON TEXT_FILE   load time and speed of one thread, as JSON; the
//                                              documents of the file have zero bytes between them
//   text_tool load-gguf MODEL_GGUF             times of loading tokenizer and chat template, in milliseconds
//   text_tool render                           frames in, frames out
//
// A frame is a little-endian uint32 length and that many bytes. For every text frame, tokenize answers with a
// frame of uint32 ids (with special tokens) and a frame of the text decoded from them (special tokens kept).
// For every frame {"template": ..., "variables": ..., "now": seconds} render answers with a frame of 'T' and
// the text, or 'E' and the error.
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "text/jinja/chat_template.h"
#include "text/tokenizer/gguf_vocabulary.h"
#include "text/tokenizer/tokenizer.h"
#include "weights/gguf.h"
#include "weights/gguf_tokenizer.h"

namespace {

std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(fmt::format("cannot open {}", path));
  return {std::istreambuf_iterator<char>(file), {}};
}

bool read_frame(std::string& frame) {
  uint32_t length = 0;
  if (std::fread(&length, 4, 1, stdin) != 1) return false;
  frame.resize(length);
  return length == 0 || std::fread(frame.data(), length, 1, stdin) == 1;
}

void write_frame(const void* data, size_t bytes) {
  auto length = static_cast<uint32_t>(bytes);
  std::fwrite(&length, 4, 1, stdout);
  std::fwrite(data, 1, bytes, stdout);
}

/// Processor time of this program: what wall time would be on a machine with nothing else to do.
double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::unique_ptr<rose::text::Tokenizer> from_gguf_json(const std::string& text) {
  auto json = nlohmann::json::parse(text);
  rose::text::GgufVocabulary vocabulary;
  vocabulary.model = json.value("model", "");
  vocabulary.pre = json.value("pre", "");
  for (const auto& token : json["tokens"]) vocabulary.tokens.push_back(token.get_ref<const std::string&>());
  if (json.contains("merges"))
    for (const auto& merge : json["merges"]) vocabulary.merges.push_back(merge.get_ref<const std::string&>());
  vocabulary.scores = json.value("scores", std::vector<float>());
  vocabulary.token_types = json.value("token_type", std::vector<int32_t>());
  auto id = [&](const char* key) {
    return json.contains(key) ? std::optional(json[key].get<uint32_t>()) : std::nullopt;
  };
  auto flag = [&](const char* key) {
    return json.contains(key) ? std::optional(json[key].get<bool>()) : std::nullopt;
  };
  vocabulary.bos = id("bos_token_id"), vocabulary.eos = id("eos_token_id"),
  vocabulary.unknown = id("unknown_token_id");
  vocabulary.separator = id("seperator_token_id"), vocabulary.cls = id("cls_token_id");
  vocabulary.add_bos = flag("add_bos_token"), vocabulary.add_eos = flag("add_eos_token");
  vocabulary.add_space_prefix = flag("add_space_prefix");
  double cpu = cpu_seconds();
  auto tokenizer = rose::text::tokenizer_from_gguf(vocabulary);
  fmt::print(stderr, "loaded in {:.1f} ms of processor time\n", (cpu_seconds() - cpu) * 1e3);
  return tokenizer;
}

int tokenize(const char* path, bool gguf) {
  auto tokenizer = gguf ? from_gguf_json(read_file(path)) : rose::text::Tokenizer::from_json(read_file(path));
  for (std::string frame; read_frame(frame);) {
    auto ids = tokenizer->encode(frame);
    auto text = tokenizer->decode(ids, false);
    write_frame(ids.data(), ids.size() * sizeof(uint32_t));
    write_frame(text.data(), text.size());
    std::fflush(stdout);
  }
  return 0;
}

/// Milliseconds of each step from a GGUF file to a tokenizer, the first and the best of nine.
int load_gguf(const char* path) {
  using namespace rose;
  const char* names[] = {"open", "lists", "tokenizer", "all"};
  double first[4], best[4] = {1e9, 1e9, 1e9, 1e9}, best_cpu = 1e9;
  for (int i = 0; i < 9; i++) {
    double cpu = cpu_seconds(), took[4];
    auto start = std::chrono::steady_clock::now();
    auto gguf = weights::open_gguf(path);
    took[0] = seconds_since(start);
    auto facts = weights::read_tokenizer(gguf.metadata);
    text::GgufVocabulary v;
    v.model = facts.model, v.pre = facts.pre, v.bos = facts.bos, v.eos = facts.eos, v.unknown = facts.unknown;
    v.tokens = std::move(facts.tokens), v.scores = std::move(facts.scores);
    v.token_types = std::move(facts.types), v.merges = std::move(facts.merges);
    took[1] = seconds_since(start) - took[0];
    auto tokenizer = text::tokenizer_from_gguf(v);
    if (!facts.chat_template.empty()) text::ChatTemplate chat_template{std::string(facts.chat_template)};
    took[3] = seconds_since(start), took[2] = took[3] - took[1] - took[0];
    best_cpu = std::min(best_cpu, cpu_seconds() - cpu);
    for (int step = 0; step < 4; step++) {
      if (i == 0) first[step] = took[step];
      best[step] = std::min(best[step], took[step]);
    }
  }
  for (int step = 0; step < 4; step++)
    fmt::print("{} {:.1f} (first {:.1f})  ", names[step], best[step] * 1e3, first[step] * 1e3);
  fmt::print("processor {:.1f} ms\n", best_cpu * 1e3);
  return 0;
}

int render() {
  for (std::string frame; read_frame(frame);) {
    std::string answer;
    try {
      auto request = nlohmann::ordered_json::parse(frame);
      rose::text::ChatTemplate chat_template(request["template"].get<std::string>());
      answer = "T" + chat_template.render(request["variables"], request["now"].get<std::time_t>());
    } catch (const rose::text::TextError& error) {
      answer = std::string("E") + error.what();
    }
    write_frame(answer.data(), answer.size());
    std::fflush(stdout);
  }
  return 0;
}

int bench(const char* path, const char* text_path) {
  std::string json = read_file(path), text = read_file(text_path);
  double load_cpu = 1e9, encode_cpu = 1e9, load = 1e9, best_encode = 1e9, best_decode = 1e9, cold = 0;
  std::unique_ptr<rose::text::Tokenizer> tokenizer;
  for (int i = 0; i < 5; i++) {
    auto start = std::chrono::steady_clock::now();
    double cpu = cpu_seconds();
    tokenizer = rose::text::Tokenizer::from_json(json);
    load_cpu = std::min(load_cpu, cpu_seconds() - cpu);
    load = std::min(load, seconds_since(start));
  }
  std::vector<std::string_view> documents;
  for (std::string_view rest = text; !rest.empty();) {
    documents.push_back(rest.substr(0, rest.find('\0')));
    rest.remove_prefix(std::min(rest.size(), documents.back().size() + 1));
  }
  size_t count = 0;
  for (int i = 0; i < 5; i++) {
    auto start = std::chrono::steady_clock::now();
    double cpu = cpu_seconds();
    std::vector<std::vector<rose::text::TokenId>> all;
    for (auto document : documents) all.push_back(tokenizer->encode(document));
    encode_cpu = std::min(encode_cpu, cpu_seconds() - cpu);
    double time = seconds_since(start);
    if (i == 0) cold = time;
    best_encode = std::min(best_encode, time);
    start = std::chrono::steady_clock::now();
    count = 0;
    for (const auto& ids : all) {
      count += ids.size();
      tokenizer->decode(ids);
    }
    best_decode = std::min(best_decode, seconds_since(start));
  }
  fmt::print(
      "{{\"load_cpu_ms\": {:.2f}, \"encode_cpu_ms\": {:.2f}, \"load_ms\": {:.2f}, \"cold_ms\": {:.2f}, "
      "\"encode_ms\": {:.2f}, \"decode_ms\": {:.2f}, \"tokens\": {}, "
      "\"bytes\": {}}}\n",
      load_cpu * 1e3, encode_cpu * 1e3, load * 1e3, cold * 1e3, best_encode * 1e3, best_decode * 1e3, count,
      text.size());
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "tokenize" && argc == 3) return tokenize(argv[2], false);
  if (command == "tokenize-gguf" && argc == 3) return tokenize(argv[2], true);
  if (command == "bench" && argc == 4) return bench(argv[2], argv[3]);
  if (command == "load-gguf" && argc == 3) return load_gguf(argv[2]);
  if (command == "render" && argc == 2) return render();
  fmt::print(stderr,
             "usage: text_tool render | tokenize TOKENIZER_JSON | tokenize-gguf VOCABULARY_JSON | load-gguf "
             "MODEL_GGUF | "
             "bench "
             "TOKENIZER_JSON TEXT_FILE\n");
  return 2;
} catch (const std::exception& error) {
  fmt::print(stderr, "text_tool: {}\n", error.what());
  return 1;
}
