// `rose pull`, `list` and `rm` from outside, against the hub of tests/hub.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "cli/cli.h"
#include "cli/progress.h"
#include "command.h"
#include "hub/http.h"
#include "hub_server.h"

namespace rose::cli::test {
namespace {

namespace fs = std::filesystem;
using hub::test::Folder;
using hub::test::HubServer;
using hub::test::Program;
using testing::AllOf;
using testing::HasSubstr;

class PullCommand : public testing::Test {
 protected:
  std::vector<std::string> environment() {
    return {"-uHF_TOKEN",
            "-uHF_HUB_CACHE",
            "-uHUGGINGFACE_HUB_CACHE",
            "-uHF_HUB_OFFLINE",
            "HF_ENDPOINT=" + server_.endpoint(),
            "HF_HOME=" + (folder_.path() / "hf").string(),
            "ROSE_HOME=" + (folder_.path() / "rose").string()};
  }
  ProcessResult rose(const std::vector<std::string>& arguments) {
    return rose_command(arguments, environment());
  }
  std::unique_ptr<Program> start(const std::vector<std::string>& arguments, const std::string& errors) {
    std::vector<std::string> command{"/usr/bin/env"};
    for (const auto& setting : environment()) command.push_back(setting);
    command.emplace_back(ROSE_BINARY_DIR "/bin/rose");
    command.insert(command.end(), arguments.begin(), arguments.end());
    return std::make_unique<Program>(command, (folder_.path() / errors).string());
  }
  fs::path repo(const std::string& model) { return folder_.path() / "hf/hub" / ("models--test--" + model); }
  // Waits until a file of the model has begun to arrive.
  void wait_for_bytes(const std::string& model) {
    for (int i = 0; i < 1000; ++i) {
      std::error_code ignored;
      for (const auto& entry : fs::directory_iterator(repo(model) / "blobs", ignored))
        if (entry.path().extension() == ".incomplete" && entry.file_size(ignored) > 0) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    FAIL() << "nothing arrives";
  }

  // Waits until a program has written these words to its file of errors.
  void wait_for_words(const std::string& errors, const std::string& words) {
    for (int i = 0; i < 1000; ++i) {
      if (hub::test::read_file(folder_.path() / errors).find(words) != std::string::npos) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    FAIL() << "it does not say '" << words << "'";
  }
  // Lets the rest of test/held arrive.
  void release() {
    hub::Http http({}, {});
    std::string body;
    hub::Request request;
    request.url = server_.endpoint() + "/_release";
    http.get_text(request, 1, body);
  }

  HubServer server_;
  Folder folder_;
};

TEST_F(PullCommand, PullsListsAndRemoves) {
  auto result = rose({"pull", "test/plain", "--json", "--quiet"});
  ASSERT_EQ(result.status, kDone) << result.output;
  auto model = nlohmann::json::parse(result.output)["models"][0];
  EXPECT_EQ(model["name"], "test/plain");
  EXPECT_EQ(model["commit"], hub::test::kCommit);
  EXPECT_EQ(model["files"].size(), 5U);
  EXPECT_EQ(model["bytes"], model["fetched_bytes"]);

  auto list = nlohmann::json::parse(rose({"list", "--json"}).output);
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0]["path"], model["path"]);

  result = rose({"pull", "test/plain", "test/gguf:Q8_0"});
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("all there already"), HasSubstr("rose: m-Q8_0.gguf (7.00 KB)\n")));
  EXPECT_THAT(rose({"list"}).output, AllOf(HasSubstr("test/plain"), HasSubstr("test/gguf")));

  result = rose({"rm", "test/plain"});
  EXPECT_EQ(result.status, kDone);
  EXPECT_FALSE(fs::exists(repo("plain")));
  EXPECT_EQ(rose({"rm", "test/plain"}).status, kBadUsage);
}

TEST_F(PullCommand, InterruptedItKeepsWhatHasArrived) {
  auto first = start({"pull", "test/held"}, "first");
  wait_for_bytes("held");
  first->signal(SIGINT);
  EXPECT_EQ(first->wait(), 130);
  EXPECT_THAT(hub::test::read_file(folder_.path() / "first"), HasSubstr("interrupted"));
  EXPECT_FALSE(fs::exists(repo("held") / "snapshots"));
  for (const auto& entry : fs::directory_iterator(repo("held") / "blobs"))
    EXPECT_THAT(entry.path().filename().string(), HasSubstr(".incomplete"));
  release();
  auto result = rose({"pull", "test/held", "--json", "--quiet"});
  ASSERT_EQ(result.status, kDone) << result.output;
  EXPECT_EQ(nlohmann::json::parse(result.output)["models"][0]["files"][0]["state"], "resumed");
}

TEST_F(PullCommand, TwoAtOnceFetchOnce) {
  auto first = start({"pull", "test/held"}, "first");
  wait_for_bytes("held");
  auto second = start({"pull", "test/held"}, "second");
  wait_for_words("second", "another process is fetching model.safetensors");
  release();
  EXPECT_EQ(first->wait(), kDone);
  EXPECT_EQ(second->wait(), kDone);
  EXPECT_THAT(second->read_line(), HasSubstr("all there already"));
}

// Files and connections that are opened must not take the places of closed streams and be written to.
TEST_F(PullCommand, WithoutAnyStreams) {
  std::vector<std::string> command{"/usr/bin/env"};
  for (const auto& setting : environment()) command.push_back(setting);
  command.insert(command.end(),
                 {"/bin/sh", "-c", "exec " ROSE_BINARY_DIR "/bin/rose pull test/plain <&- >&- 2>&-"});
  EXPECT_EQ(run_process(command).status, kFailed);  // its result could not be written
  auto result = rose({"pull", "test/plain", "--verify"});
  EXPECT_EQ(result.status, kDone);
  EXPECT_THAT(result.output, HasSubstr("all there already"));
}

TEST_F(PullCommand, RefusalsAndExitCodes) {
  EXPECT_EQ(rose({"pull"}).status, kBadUsage);
  EXPECT_EQ(rose({"pull", "nonsense"}).status, kBadUsage);
  EXPECT_EQ(rose({"pull", "test/nothing"}).status, kBadUsage);
  EXPECT_EQ(rose({"pull", "test/gated"}).status, kFailed);
  for (std::vector<std::string> command :
       {std::vector<std::string>{"info", "minilm"}, {"info", "test/plain"}}) {
    auto result = rose(command);
    EXPECT_EQ(result.status, kBadUsage);
    EXPECT_THAT(result.output, HasSubstr("rose pull " + command[1]));
  }
}

TEST(ProgressLine, FitsAndTells) {
  hub::Transfer transfer{"model-00001-of-00002.safetensors", 5, 10, 120'000'000, 240'000'000};
  EXPECT_EQ(progress_line(transfer, 60e6, 100),
            "model-00001-of-00002.safetensors  50 %  120 MB of 240 MB  60.0 MB/s  2 s left");
  for (size_t columns = 1; columns < 90; ++columns) {
    std::string line = progress_line(transfer, 60e6, columns);
    size_t width =
        static_cast<size_t>(std::ranges::count_if(line, [](char c) { return (c & 0xC0) != 0x80; }));
    EXPECT_LT(width, columns) << line;
  }
  transfer.size = 0;
  EXPECT_THAT(progress_line(transfer, 0, 100), HasSubstr("100 %"));
}

}  // namespace
}  // namespace rose::cli::test
