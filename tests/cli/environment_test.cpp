// The command in a bad environment: Ctrl-C, closed pipes and full disks behind its output, caches that
// cannot be written or are damaged.
#include <pty.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "refusal.h"
#include "source_folder.h"
#include "spoiled_model.h"

namespace rose::cli::test {
namespace {

using weights::Format;

class Environment : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<SpoiledFolder>();
    TinyModel().write_gguf(at("tiny.gguf"));
    TinyEmbedder().write_folder(at("embedder"));
    TinyModel slow(Format::kQ6_K, 16);
    slow.key("llama.context_length") = 100'000u;
    slow.write_gguf(at("slow.gguf"));
  }
  static void TearDownTestSuite() { folder_.reset(); }
  static std::string at(const std::string& name) { return *folder_ / name; }

  // A command that runs until something ends it, and one that is soon done.
  static std::string slow_command() {
    return "$ROSE generate " + at("slow.gguf") +
           " --prompt ab --context 100000 --max-tokens 90000 --ignore-eos --seed 1 --threads 1";
  }
  static std::string tiny_command() {
    return "$ROSE generate " + at("tiny.gguf") +
           " --prompt ab --max-tokens 5 --ignore-eos --temperature 0 --threads 1";
  }
  // Ctrl-C for `command` as soon as the words `until` succeed; a shell's background jobs would ignore it.
  static ProcessResult interrupted(const std::string& command, const std::string& until) {
    return bash_in_time("env --default-signal=INT " + command + " > " + at("out") + " & P=$!; " + until +
                        "; kill -INT $P; wait $P; echo status $?; rm " + at("out"));
  }
  static std::vector<std::filesystem::path> files_in(const std::string& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
      if (entry.is_regular_file()) files.push_back(entry.path());
    return files;
  }
  static std::unique_ptr<SpoiledFolder> folder_;
};
std::unique_ptr<SpoiledFolder> Environment::folder_;

TEST_F(Environment, InterruptedInEachPhase) {
  const std::string ending = "rose: error: interrupted\nstatus 130\n";
  ASSERT_EQ(mkfifo(at("prompt").c_str(), 0600), 0);
  // Before the model is there: the pipe opens when the command begins to read its prompt.
  EXPECT_EQ(interrupted("$ROSE generate " + at("tiny.gguf") + " --prompt-file " + at("prompt"),
                        "exec 3> " + at("prompt"))
                .output,
            ending);
  // While it loads, with kernels to compile: the cache has a folder from the beginning of it.
  const std::string cache = at("new-cache");
  const std::string begun = "until [ -d " + cache + "/v1 ]; do sleep 0.01; done";
  EXPECT_EQ(interrupted("ROSE_CACHE=" + cache + " " + slow_command(), begun).output, ending);
  // While it generates: text has come.
  const std::string written = "until [ -s " + at("out") + " ]; do sleep 0.05; done";
  EXPECT_EQ(interrupted(slow_command(), written).output, ending);
  // What the interrupted one has left in the cache is whole.
  const std::string again = slow_command() + " --max-tokens 5";
  EXPECT_EQ(bash_in_time("ROSE_CACHE=" + cache + " " + again).output, bash_in_time(again).output);
}

// In a terminal, where Ctrl-C is a signal during an answer and a key at the prompt.
TEST_F(Environment, InterruptedAnswersInATerminal) {
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, nullptr);
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::setenv("ROSE_CACHE", ROSE_BINARY_DIR "/test-cache", 1);
    ::alarm(120);  // ends it if it hangs
    const std::string model = at("slow.gguf");
    ::execl(ROSE_BINARY_DIR "/bin/rose", "rose", "run", model.c_str(), "--context", "100000", "--max-tokens",
            "90000", "--ignore-eos", "--threads", "1", nullptr);
    ::_exit(127);
  }
  std::string seen;
  // Reads until `done`, which sees what came since the last call; false at the end of the program.
  auto read_until = [&](const std::function<bool()>& done) {
    for (seen.clear(); !done();) {
      char buffer[4096];
      const ssize_t count = ::read(terminal, buffer, sizeof buffer);
      if (count <= 0) return false;
      seen.append(buffer, static_cast<size_t>(count));
    }
    return true;
  };
  auto type = [&](std::string_view keys) { return ::write(terminal, keys.data(), keys.size()) > 0; };
  auto prompt = [&] { return seen.find("> ") != std::string::npos; };
  EXPECT_TRUE(read_until(prompt)) << seen;
  EXPECT_TRUE(type("hello\r"));
  EXPECT_TRUE(read_until([&] { return seen.size() > 500; })) << seen;  // more than the echo
  EXPECT_TRUE(type("\x03"));
  EXPECT_TRUE(read_until(prompt)) << seen;
  EXPECT_TRUE(type("x\x03"));
  EXPECT_TRUE(read_until([&] {
    const auto hint = seen.find("(Ctrl-D");
    return hint != std::string::npos && seen.find("> ", hint) != std::string::npos;
  })) << seen;
  EXPECT_TRUE(type("\x04"));
  EXPECT_FALSE(read_until([] { return false; }));
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == kDone) << status << seen;
  ::close(terminal);
}

// Whatever a command prints, it says so when it could not.
TEST_F(Environment, OutputThatCannotBeWritten) {
  const std::string encoders = source_folder() / "tests/models/data/encoders/", tiny = at("tiny.gguf");
  const std::string homes = "export ROSE_HOME=" + at("home") + " HF_HOME=" + at("home") + "; ";
  ASSERT_EQ(bash_in_time(homes + "$ROSE pull " + at("embedder") + " --name one").status, kDone);
  std::vector<std::string> commands = {tiny_command(), tiny_command() + " --json", "$ROSE --version",
                                       "$ROSE --help", "$ROSE pull " + at("embedder") + " --name two"};
  for (const std::string& command :
       {"info " + tiny, "embed " + at("embedder") + " --text ab", "score " + tiny + " --text abc",
        "rerank " + encoders + "bert-reranker --query cat --document dog",
        "classify " + encoders + "bert-classifier --text cat", std::string("list"), std::string("devices"),
        std::string("kernels list")})
    for (const char* json : {"", " --json"}) commands.push_back("$ROSE " + command + json);
  commands.emplace_back("$ROSE kernels show rms_norm");
  const std::string message = std::string("rose: error: ") + kUnwritable + "\n";
  for (const auto& command : commands) {
    auto full = bash_in_time(homes + command + " > /dev/full");
    EXPECT_EQ(full.status, kFailed) << command;
    EXPECT_EQ(full.output, message) << command;
    // The command begins when the pipe has lost its reader.
    const std::string gone = at("gone");
    auto closed =
        bash_in_time(homes + "(until [ -e " + gone + " ]; do sleep 0.01; done; exec " + command +
                     ") | { exec <&-; : > " + gone + "; }; S=${PIPESTATUS[0]}; rm " + gone + "; exit $S");
    EXPECT_EQ(closed.status, kFailed) << command;
    EXPECT_EQ(closed.output, message) << command;
  }
  auto cut = bash_in_time(slow_command() + " | head -c 1 > /dev/null; exit ${PIPESTATUS[0]}");
  EXPECT_EQ(cut.status, kFailed);
  EXPECT_EQ(cut.output, message);
}

// Messages that cannot be written change nothing but that.
TEST_F(Environment, ErrorsThatCannotBeWritten) {
  std::string lengthy;
  for (int i = 0; i < 60; ++i) lengthy += "cat ";
  const std::string embed = "$ROSE embed " + at("embedder") + " --text '" + lengthy + "'";
  const auto vector = bash_in_time(embed + " 2> " + at("errors"));
  EXPECT_THAT(read_file(at("errors")), testing::HasSubstr("were cut to 16 tokens"));
  for (const char* errors : {" 2> /dev/full", " 2>&-"}) {
    auto result = bash_in_time(embed + errors);
    EXPECT_EQ(result.status, kDone) << errors;
    EXPECT_EQ(result.output, vector.output) << errors;
    EXPECT_EQ(bash_in_time("$ROSE kernels list > /dev/full" + std::string(errors)).status, kFailed) << errors;
    EXPECT_EQ(bash_in_time("$ROSE info /absent" + std::string(errors)).status, kBadUsage) << errors;
  }
}

TEST_F(Environment, CachesThatCannotBeWritten) {
  const std::string good = bash_in_time(tiny_command()).output;
  EXPECT_THAT(good, testing::MatchesRegex("[a-z<>]+\n"));
  for (const char* place : {"/proc/rose", "/dev/null/rose"}) {
    auto result = bash_in_time("ROSE_CACHE=" + std::string(place) + " " + tiny_command());
    EXPECT_EQ(result.output, good) << place;
    EXPECT_EQ(result.status, kDone) << place;
  }
  auto result = bash_in_time("ROSE_CACHE=/dev/null " + tiny_command());
  EXPECT_EQ(result.output,
            "rose: warning: compiled kernels are not kept in /dev/null: it is not a folder\n" + good);
  // A folder that others may not write (root may: then it is used), and files of one block at most.
  std::filesystem::create_directory(at("locked"));
  ::chmod(at("locked").c_str(), 0500);
  EXPECT_EQ(bash_in_time("ROSE_CACHE=" + at("locked") + " " + tiny_command()).output, good);
  const std::string full = at("full");
  EXPECT_EQ(bash_in_time("ulimit -f 1; ROSE_CACHE=" + full + " " + tiny_command()).output, good);
  ASSERT_TRUE(std::filesystem::exists(full + "/v1"));
  EXPECT_THAT(files_in(full), testing::IsEmpty());  // not even a part of one
}

TEST_F(Environment, DamagedCaches) {
  const std::string cache = at("damaged"), command = "ROSE_CACHE=" + cache + " " + tiny_command(),
                    good = bash_in_time(command).output;
  const auto files = files_in(cache);
  ASSERT_GT(files.size(), 3u);
  for (size_t i = 0; i < files.size(); ++i) {
    auto bytes = read_bytes(files[i]);
    if (i % 3 == 0) bytes[bytes.size() / 2] ^= std::byte{1};
    if (i % 3 == 1) bytes.resize(bytes.size() / 2);
    if (i % 3 == 2) bytes.clear();
    write_bytes(files[i], bytes);
  }
  auto healed = bash_in_time(command + " 2> " + at("warnings"));
  EXPECT_EQ(healed.output, good);
  const std::string warnings = read_file(at("warnings"));
  EXPECT_EQ(std::ranges::count(warnings, '\n'), static_cast<ptrdiff_t>(files.size())) << warnings;
  for (const auto& file : files) EXPECT_THAT(warnings, testing::HasSubstr(file.string()));
  // All are whole again: nothing is left to warn of, and nothing lies about.
  EXPECT_EQ(bash_in_time(command).output, good);
  EXPECT_THAT(files_in(cache), testing::UnorderedElementsAreArray(files));
}

// A container that grants fewer threads than there are processors; here, fewer stacks.
TEST_F(Environment, ThreadsThatAreNotGranted) {
  if (kSanitized) GTEST_SKIP() << "sanitizers need more address space";
  auto result = bash_in_time("ulimit -v 8000000 -s 2000000 || exit 77; $ROSE generate " + at("tiny.gguf") +
                             " --prompt ab --threads 30");
  if (result.status == 77) GTEST_SKIP() << "limits of this machine stand against it: " << result.output;
  expect_refusal(result, {"of 30 threads", "use fewer"}, "few stacks");
}

}  // namespace
}  // namespace rose::cli::test
