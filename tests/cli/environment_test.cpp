// The command in a bad environment: Ctrl-C, closed pipes, full disks, folders that cannot be written, odd
// prompts and odd numbers. And the good one: every format of weights generates.
#include <sys/stat.h>

#include "refusal.h"
#include "spoiled_model.h"

namespace rose::cli::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using weights::Format;

// A command line of bash; $ROSE is the program.
ProcessResult bash(const std::string& script) {
  return run_process({"/usr/bin/timeout", "-s", "KILL", "120", "/usr/bin/env",
                      "ROSE=" ROSE_BINARY_DIR "/bin/rose", "ROSE_CACHE=" ROSE_BINARY_DIR "/test-cache",
                      "/bin/bash", "-c", script});
}

// A model that takes seconds for what is asked of it: only a good ending of the command ends it early.
class Environment : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<SpoiledFolder>();
    TinyModel().write_gguf(*folder_ / "tiny.gguf");
    TinyEmbedder().write_folder(*folder_ / "embedder");
    TinyModel slow(Format::kQ6_K, 16);
    slow.key("llama.context_length") = 100'000u;
    slow.write_gguf(*folder_ / "slow.gguf");
  }
  static void TearDownTestSuite() { folder_.reset(); }
  static std::string at(const std::string& name) { return *folder_ / name; }
  static std::string slow_command() {
    return "$ROSE generate " + at("slow.gguf") +
           " --prompt ab --context 100000 --max-tokens 90000 --ignore-eos --temperature 1 --seed 1 --threads "
           "1";
  }
  static std::string tiny_command() {
    return "$ROSE generate " + at("tiny.gguf") +
           " --prompt ab --max-tokens 5 --ignore-eos --temperature 0 --threads 1";
  }
  static std::unique_ptr<SpoiledFolder> folder_;
};
std::unique_ptr<SpoiledFolder> Environment::folder_;

TEST_F(Environment, InterruptedWhileItGenerates) {
  auto result = bash("exec timeout --preserve-status -s INT 3 " + slow_command());
  EXPECT_TRUE(result.status == 1 || result.status == 130)
      << result.status << " " << result.output.substr(0, 500);
  EXPECT_THAT(result.output, testing::EndsWith("rose: error: interrupted\n"));
}

TEST_F(Environment, InterruptedBeforeTheModelIsThere) {
  ASSERT_EQ(mkfifo(at("prompt").c_str(), 0600), 0);  // nobody will write to it
  auto result = bash("exec timeout --preserve-status -s INT 1 $ROSE generate " + at("tiny.gguf") +
                     " --prompt-file " + at("prompt"));
  EXPECT_EQ(result.status, 130);
  EXPECT_EQ(result.output, "");
}

TEST_F(Environment, ClosedPipe) {
  auto result = bash(slow_command() + " | head -c 1 > /dev/null; echo status ${PIPESTATUS[0]}");
  EXPECT_EQ(result.output, "rose: error: nobody reads standard output any more\nstatus 1\n");
}

TEST_F(Environment, FullStandardOutput) {
  for (const std::string& command :
       {tiny_command(), tiny_command() + " --json", "$ROSE info " + at("tiny.gguf"),
        "$ROSE info --json " + at("tiny.gguf"), "$ROSE embed " + at("embedder") + " --text ab --threads 1",
        std::string("$ROSE kernels list"), std::string("$ROSE devices")}) {
    auto result = bash(command + " 2>&1 > /dev/full");
    EXPECT_EQ(result.status, 1) << command;
    EXPECT_THAT(result.output, testing::StartsWith("rose: error: ")) << command;
    EXPECT_EQ(std::ranges::count(result.output, '\n'), 1) << command << ": " << result.output;
  }
}

TEST_F(Environment, CachesThatCannotBeWritten) {
  const std::string good = bash(tiny_command()).output;
  EXPECT_THAT(good, testing::MatchesRegex("[a-z<>]+\n"));
  const std::string cache = at("cache");
  // Files of 512 bytes at most: no kernel fits.
  auto limited = bash("ulimit -f 1; ROSE_CACHE=" + cache + " " + tiny_command());
  EXPECT_EQ(limited.status, 0) << limited.output;
  EXPECT_EQ(limited.output, good);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(cache))
    EXPECT_FALSE(entry.is_regular_file()) << "a partial file is left: " << entry.path();
  for (const char* place : {"/proc/rose", "/dev/null", "/dev/full"}) {
    auto result = bash("ROSE_CACHE=" + std::string(place) + " " + tiny_command() + " 2>/dev/null");
    EXPECT_EQ(result.output, good) << place;
  }
  // What is in the folder but no kernel is neither run nor believed.
  ASSERT_EQ(bash("ROSE_CACHE=" + cache + " " + tiny_command()).output, good);
  int spoiled = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(cache)) {
    if (!entry.is_regular_file()) continue;
    auto bytes = read_bytes(entry.path());
    if (spoiled++ % 2)
      bytes.resize(bytes.size() / 2);
    else
      bytes[bytes.size() / 2] ^= std::byte{1};
    write_bytes(entry.path(), bytes);
  }
  EXPECT_GT(spoiled, 2);
  EXPECT_EQ(bash("ROSE_CACHE=" + cache + " " + tiny_command() + " 2>/dev/null").output, good);
}

TEST_F(Environment, PromptsAndNumbers) {
  struct Case {
    std::string arguments, words;
  };
  const std::string tiny = at("tiny.gguf"), generate = "$ROSE generate " + tiny + " --threads 1 ";
  write_text(at("long.txt"), std::string(300, 'c'));
  write_text(at("huge.txt"), std::string(3'000'000, 'c'));
  const Case cases[] = {
      {generate + "--prompt ''", "--prompt: is empty"},
      {generate + "--prompt-file " + at("long.txt"), "300 tokens"},
      {generate + "--prompt-file " + at("huge.txt"), "3000000 tokens"},
      {generate + "--prompt-file " + at("absent.txt"), "absent.txt"},
      {generate + "--prompt-file /", "--prompt-file /"},
      {generate + "--prompt-file /dev/zero", "/dev/zero"},
      {generate + "--prompt a --max-tokens 0", "max_tokens"},
      {generate + "--prompt a --max-tokens -5", "max_tokens"},
      {generate + "--prompt a --max-tokens x", "--max-tokens"},
      {generate + "--prompt a --temperature -1", "temperature"},
      {generate + "--prompt a --temperature nan", "temperature"},
      {generate + "--prompt a --top-p 2", "top_p"},
      {generate + "--prompt a --top-k -1", "top_k"},
      {generate + "--prompt a --context -1", "context"},
      {generate + "--prompt a --device tpu", "tpu"},
      {generate + "--prompt a --dtype f12", "f12"},
      {"$ROSE generate " + tiny + " --prompt a --threads -3", "--threads"},
      {"$ROSE embed " + tiny + " --text a", "llama"},
      {"$ROSE embed " + at("embedder") + " --file " + at("absent.txt"), "absent.txt"},
      {"$ROSE embed " + at("embedder") + " --threads 1", "nothing to embed"},
      {"$ROSE embed " + at("embedder") + " --text a --prompt-name odd", "odd"},
      {"$ROSE embed " + at("embedder") + " --text a --pooling odd", "odd"},
      {"$ROSE generate " + at("embedder") + " --prompt a", "bert"},
  };
  for (const auto& c : cases) {
    auto result = bash(c.arguments);
    EXPECT_TRUE(result.status == 1 || result.status == 2) << c.arguments << ": " << result.status;
    EXPECT_THAT(result.output, AllOf(testing::StartsWith("rose: error: "), HasSubstr(c.words)))
        << c.arguments;
    EXPECT_LE(std::ranges::count(result.output, '\n'), 2) << c.arguments << ": " << result.output;
  }
}

// Texts that are no UTF-8 are refused where the user typed them; texts of files are repaired
// (docs/architecture.md).
TEST_F(Environment, TextsThatAreNoUtf8) {
  for (const char* text : {"$'a\\xff\\xfeb'", "$'\\xc3'", "$'\\xed\\xa0\\x80'"}) {
    auto result = bash("$ROSE generate " + at("tiny.gguf") + " --max-tokens 2 --threads 1 --prompt " + text);
    expect_refusal(result, {"--prompt", "UTF-8"}, text);
    result = bash("$ROSE embed " + at("embedder") + " --json --threads 1 --text " + text);
    EXPECT_TRUE(result.status == 0 || result.output.find("UTF-8") != std::string::npos)
        << text << result.output;
  }
}

TEST_F(Environment, EveryFormatOfWeightsGenerates) {
  for (Format format :
       {Format::kF32, Format::kF16, Format::kBF16, Format::kQ4_0, Format::kQ4_1, Format::kQ5_0, Format::kQ5_1,
        Format::kQ8_0, Format::kQ2_K, Format::kQ3_K, Format::kQ4_K, Format::kQ5_K, Format::kQ6_K,
        Format::kIQ4_NL, Format::kIQ4_XS, Format::kMXFP4}) {
    const std::string name(weights::name(format));
    auto file = TinyModel(format).write_gguf(at(name + ".gguf"));
    std::string exact;
    for (const char* dtype : {"f32", "auto"}) {
      auto result =
          bash("$ROSE generate " + file.string() +
               " --prompt ab --max-tokens 3 --ignore-eos --temperature 0 " + "--threads 1 --dtype " + dtype);
      EXPECT_EQ(result.status, 0) << name << " " << dtype << ": " << result.output;
      EXPECT_GE(result.output.size(), 2u) << name << " " << dtype;
      if (exact.empty()) exact = result.output;
    }
    // The first token is decided by sums of all blocks; near ties are too rare in these weights to meet.
    auto again =
        bash("$ROSE generate " + file.string() + " --prompt ab --max-tokens 3 --ignore-eos --temperature 0 " +
             "--threads 2 --dtype f32");
    EXPECT_EQ(again.output, exact) << name;
  }
}

TEST_F(Environment, FormatsThatAreNotSupportedAreNamed) {
  TinyModel model;
  for (auto [format, name] : {std::pair{Format::kF8E4M3, "F8_E4M3"}, {Format::kF8E5M2, "F8_E5M2"}}) {
    for (auto& t : model.tensors)
      if (t.name.ends_with("q_proj.weight")) t.format = format, t.bytes.assign(32 * 32, std::byte{0x30});
    auto place = model.write_folder(at(name));
    auto result =
        bash("$ROSE generate " + place.string() + " --prompt ab --max-tokens 3 --ignore-eos --threads 1");
    if (result.status != 0) EXPECT_THAT(result.output, AllOf(HasSubstr(name), HasSubstr("q_proj")));
    EXPECT_EQ(bash("$ROSE info " + place.string()).status, 0);
  }
}

}  // namespace
}  // namespace rose::cli::test
