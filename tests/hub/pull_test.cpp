// Pulling from a hub that behaves and from ones that do not.
#include "hub/pull.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/cache.h"
#include "hub/digest.h"
#include "hub/error.h"
#include "hub/http.h"
#include "hub/local.h"
#include "hub_server.h"

namespace rose::hub::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

constexpr int64_t kBig = 1 << 20;

class Pull : public testing::Test {
 protected:
  Pull() {
    settings_.endpoint = server_.endpoint();
    settings_.hub = folder_.path() / "hub", settings_.models = folder_.path() / "models";
    settings_.retry_seconds = 0.01;
    events_.note = [this](const std::string& line) { notes_ += line + "\n"; };
    events_.progress = [this](const Transfer& transfer) { progress_.push_back(transfer); };
  }

  PullResult run(const std::string& model, const Selection& selection = {}) {
    PullRequest request;
    request.model = model, request.selection = selection, request.verify = verify_;
    return pull(request, settings_, events_);
  }

  // The message of the error, after its kind was checked; nothing became visible.
  std::string refused(const std::string& model, ErrorKind kind = ErrorKind::kFailed,
                      const Selection& selection = {}) {
    size_t before = list_local(settings_).size();
    try {
      run(model, selection);
    } catch (const HubError& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      EXPECT_EQ(list_local(settings_).size(), before);
      return error.what();
    }
    ADD_FAILURE() << model << " was pulled";
    return "";
  }

  nlohmann::json log() {
    Http http(settings_, {});
    std::string body;
    Request request;
    request.url = settings_.endpoint + "/_log";
    http.get_text(request, 1 << 24, body);
    return nlohmann::json::parse(body);
  }
  // Requests for contents; HEAD requests apart.
  std::vector<nlohmann::json> fetches() {
    std::vector<nlohmann::json> result;
    for (const auto& entry : log())
      if (entry["method"] == "GET" && entry["path"].get<std::string>().starts_with("/cdn/"))
        result.push_back(entry);
    return result;
  }

  std::vector<std::string> names(const PullResult& result) {
    std::vector<std::string> names;
    for (const auto& file : result.files) names.push_back(file.name);
    return names;
  }

  static std::string sha256(const fs::path& path) {
    Digest digest = Digest::sha256();
    update_from_file(digest, path);
    return digest.hex();
  }

  // That the one large file is there, whole, and that nothing else was left behind.
  void expect_whole(const PullResult& result) {
    ASSERT_EQ(result.files.size(), 1U);
    EXPECT_EQ(fs::file_size(result.path / "model.safetensors"), static_cast<uint64_t>(kBig));
    EXPECT_EQ(sha256(result.path / "model.safetensors"), result.files[0].digest);
    int blobs = 0;
    for (const auto& entry : fs::directory_iterator(result.path.parent_path().parent_path() / "blobs")) {
      EXPECT_EQ(entry.path().filename(), result.files[0].digest);
      ++blobs;
    }
    EXPECT_EQ(blobs, 1);
  }

  HubServer server_;
  Folder folder_;
  Settings settings_;
  Events events_;
  std::string notes_;
  std::vector<Transfer> progress_;
  bool verify_ = false;
};

TEST_F(Pull, WholeModelInTheHubsLayout) {
  auto result = run("test/plain");
  EXPECT_THAT(names(result), UnorderedElementsAre("config.json", "tokenizer.json", "1_Pooling/config.json",
                                                  "model.safetensors", "empty.json"));
  EXPECT_EQ(result.commit, kCommit);
  fs::path repo = settings_.hub / "models--test--plain";
  EXPECT_EQ(result.path, repo / "snapshots" / kCommit);
  EXPECT_EQ(read_file(repo / "refs/main"), kCommit);
  for (const auto& file : result.files) {
    fs::path link = result.path / file.name;
    ASSERT_TRUE(fs::is_symlink(link)) << link;
    EXPECT_TRUE(fs::read_symlink(link).is_relative());
    EXPECT_EQ(fs::canonical(link), fs::canonical(repo / "blobs" / file.digest));
    EXPECT_EQ(static_cast<int64_t>(fs::file_size(link)), file.bytes);
    EXPECT_EQ(file.state, "fetched");
    EXPECT_EQ(file.digest.size(), file.bytes > 4000 ? 64U : 40U);
  }
  EXPECT_EQ(result.fetched_bytes, result.bytes);
  ASSERT_FALSE(progress_.empty());
  EXPECT_EQ(progress_.back().done, result.bytes);
  for (size_t i = 1; i < progress_.size(); ++i) EXPECT_GE(progress_[i].done, progress_[i - 1].done);

  size_t requests = log().size();
  auto again = run("test/plain");
  EXPECT_EQ(again.fetched_bytes, 0);
  EXPECT_EQ(log().size(), requests + 1);  // the listing alone
  EXPECT_EQ(find_local("test/plain", settings_), result.path);
}

TEST_F(Pull, RevisionsAreRemembered) {
  auto result = run("test/plain@refs/pr/1");
  EXPECT_EQ(read_file(settings_.hub / "models--test--plain/refs/refs/pr/1"), kCommit);
  EXPECT_EQ(find_local("test/plain@refs/pr/1", settings_), result.path);
  EXPECT_EQ(find_local(std::string("test/plain@") + kCommit, settings_), result.path);
  try {
    find_local("test/plain", settings_);
    ADD_FAILURE() << "main was not pulled";
  } catch (const HubError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("refs/pr/1"), HasSubstr("rose pull test/plain")));
  }
  EXPECT_THAT(refused("test/cut@nowhere", ErrorKind::kBadRequest).substr(), HasSubstr("'nowhere'"));
}

TEST_F(Pull, IncludeAndExclude) {
  auto result =
      run("test/plain", {.include = {"*.json", "onnx/"}, .exclude = {"token*"}, .file = "", .quant = ""});
  EXPECT_THAT(names(result),
              UnorderedElementsAre("config.json", "1_Pooling/config.json", "onnx/model.onnx", "empty.json"));
  EXPECT_THAT(refused("test/cut", ErrorKind::kBadRequest,
                      {.include = {"*.txt"}, .exclude = {}, .file = "", .quant = ""}),
              HasSubstr("--include"));
}

TEST_F(Pull, GgufFilesByQuantisation) {
  auto result = run("test/gguf:q8_0");
  EXPECT_THAT(names(result), UnorderedElementsAre("m-Q8_0.gguf"));
  EXPECT_EQ(result.path.filename(), "m-Q8_0.gguf");
  EXPECT_EQ(find_local("test/gguf", settings_), result.path);
  EXPECT_THAT(run("test/gguf").path.filename(), "m-Q4_K_M.gguf");
  EXPECT_THAT(notes_, HasSubstr("m-Q4_K_M.gguf"));
  EXPECT_EQ(find_local("test/gguf:Q8_0", settings_), result.path);
  EXPECT_THROW(find_local("test/gguf", settings_), HubError);  // which of the two?
  for (const auto& model : list_local(settings_)) EXPECT_EQ(find_local(model.name, settings_), model.path);
  EXPECT_EQ(list_local(settings_)[1].name, "test/gguf:Q8_0");
}

TEST_F(Pull, AListingWithoutSizesIsCompletedFromHeaders) {
  auto result = run("test/unsized");
  EXPECT_EQ(result.files.size(), 5U);
  for (const auto& file : result.files)
    if (file.name == "model.safetensors") {
      EXPECT_EQ(sha256(result.path / file.name), file.digest);
    }
}

TEST_F(Pull, GoesOnAfterACut) {
  expect_whole(run("test/cut"));
  auto requests = fetches();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[1]["headers"]["range"], fmt::format("bytes={}-", kBig / 2));
  EXPECT_EQ(requests[1]["headers"]["if-range"], "\"cdn-etag\"");
  EXPECT_THAT(notes_, HasSubstr("trying again"));
}

TEST_F(Pull, GoesOnInAnotherProcess) {
  settings_.attempts = 1;
  refused("test/cut");
  auto blobs = settings_.hub / "models--test--cut/blobs";
  fs::path partial;
  for (const auto& entry : fs::directory_iterator(blobs))
    if (entry.path().extension() == ".incomplete") partial = entry.path();
  ASSERT_FALSE(partial.empty());
  EXPECT_EQ(fs::file_size(partial), static_cast<uint64_t>(kBig / 2));
  auto result = run("test/cut");
  expect_whole(result);
  EXPECT_EQ(result.files[0].state, "resumed");
  EXPECT_EQ(result.fetched_bytes, kBig / 2);
}

TEST_F(Pull, BeginsAnewWhereTheServerKnowsNoRanges) { expect_whole(run("test/no-range")); }

TEST_F(Pull, BeginsAnewWhenTheFileHasChanged) {
  expect_whole(run("test/changed"));
  EXPECT_EQ(fetches().size(), 2U);  // If-Range saved a third one
}

TEST_F(Pull, BeginsAnewAfterAnotherPartThanAskedFor) { expect_whole(run("test/lying-range")); }

TEST_F(Pull, BeginsAnewAfterAPartThatIsWrong) {
  settings_.attempts = 1;
  refused("test/cut");
  for (const auto& entry : fs::directory_iterator(settings_.hub / "models--test--cut/blobs"))
    if (entry.path().extension() == ".incomplete") write_file(entry.path(), std::string(kBig / 2, 'x'));
  expect_whole(run("test/cut"));
  EXPECT_THAT(notes_, HasSubstr("do not fit together"));
}

TEST_F(Pull, GivesUpOnAConnectionThatStalls) {
  settings_.stall_seconds = 1;
  expect_whole(run("test/stall"));
  EXPECT_THAT(notes_, HasSubstr("has sent nothing for 1 s"));
}

TEST_F(Pull, TriesAgainWhatMayHeal) {
  expect_whole(run("test/flaky"));
  EXPECT_EQ(run("test/busy").files.size(), 5U);
  EXPECT_THAT(refused("test/down@main").substr(), HasSubstr("503"));
}

TEST_F(Pull, WrongContentIsThrownAway) {
  EXPECT_THAT(refused("test/wrong-hash"), AllOf(HasSubstr("model.safetensors"), HasSubstr("hash")));
  EXPECT_THAT(refused("test/too-long"), HasSubstr(fmt::format("sends {} bytes", kBig + 4)));
  EXPECT_THAT(refused("test/too-short"), HasSubstr(fmt::format("sends {} bytes", kBig - 4)));
  EXPECT_THAT(refused("test/endless"), HasSubstr("more than"));
  for (const auto& entry : fs::recursive_directory_iterator(settings_.hub))
    EXPECT_TRUE(entry.is_directory() || entry.path().extension() == ".lock") << entry.path();
}

TEST_F(Pull, DamageIsFoundWhenAsked) {
  auto result = run("test/single");
  fs::path blob = fs::canonical(result.path / "model.safetensors");
  fs::permissions(blob, fs::perms::owner_all);
  {
    std::fstream(blob, std::ios::in | std::ios::out | std::ios::binary) << "damage";
  }
  EXPECT_EQ(run("test/single").fetched_bytes, 0);
  verify_ = true;
  EXPECT_EQ(run("test/single").fetched_bytes, kBig);
  expect_whole(result);
}

TEST_F(Pull, TheTokenGoesToTheHubAlone) {
  settings_.token = "hf_right";
  run("test/secret");
  int with = 0, without = 0;
  for (const auto& entry : log()) {
    bool sent = entry["headers"].contains("authorization");
    EXPECT_EQ(sent, entry["server"] == "hub") << entry;
    (sent ? with : without) += 1;
  }
  EXPECT_EQ(with, 6);
  EXPECT_GE(without, 1);
  EXPECT_TRUE(settings_.endpoint.find(std::to_string(server_.cdn_port())) == std::string::npos);
}

TEST_F(Pull, RefusalsSayWhatToDo) {
  EXPECT_THAT(refused("test/gated"),
              AllOf(HasSubstr("accept the terms"), HasSubstr("HF_TOKEN"), HasSubstr("is restricted")));
  EXPECT_THAT(refused("test/secret"), AllOf(HasSubstr("HF_TOKEN"), HasSubstr("spelling")));
  EXPECT_THAT(refused("test/nothing", ErrorKind::kBadRequest), HasSubstr("no such model"));
  EXPECT_THAT(refused("test/pickle", ErrorKind::kBadRequest), HasSubstr("pickles"));
  EXPECT_THAT(refused("test/babble"), HasSubstr("HF_ENDPOINT"));
  EXPECT_THAT(refused("test/circle"), HasSubstr("circles"));
  EXPECT_THAT(refused("test/big"), AllOf(HasSubstr("GB free"), HasSubstr("HF_HOME")));
  settings_.token = "hf_wrong";
  EXPECT_THAT(refused("test/secret"), HasSubstr("refuses the token"));
  EXPECT_THAT(refused("nonsense", ErrorKind::kBadRequest), HasSubstr("org/model"));
  EXPECT_THAT(refused("test/../x", ErrorKind::kBadRequest), HasSubstr("org/model"));
}

TEST_F(Pull, ARenamedModelIsFollowed) { EXPECT_EQ(run("test/renamed").commit, kCommit); }

TEST_F(Pull, NobodyListens) {
  settings_.attempts = 2;
  settings_.endpoint = "http://127.0.0.1:1";
  EXPECT_THAT(refused("test/plain"),
              AllOf(HasSubstr("cannot connect to 127.0.0.1"), HasSubstr("tried 2 times")));
  settings_.endpoint = "http://host.invalid";
  EXPECT_THAT(refused("test/plain"), AllOf(HasSubstr("host.invalid"), HasSubstr("network")));
  settings_.offline = true;
  EXPECT_THAT(refused("test/plain"), HasSubstr("HF_HUB_OFFLINE"));
}

TEST_F(Pull, HostileNamesAreRefused) {
  for (int i = 0; i < 10; ++i)
    EXPECT_THAT(refused(fmt::format("test/hostile@{}", i)), HasSubstr("nothing was fetched")) << i;
  for (const auto& entry : fs::recursive_directory_iterator(folder_.path()))
    EXPECT_EQ(entry.path().string().find("evil"), std::string::npos) << entry.path();
}

TEST_F(Pull, ALinkedFolderInASnapshotIsNotFollowed) {
  fs::path outside = folder_.path() / "outside",
           snapshot = settings_.hub / "models--test--plain/snapshots" / kCommit;
  fs::create_directories(outside);
  fs::create_directories(snapshot);
  fs::create_directory_symlink(outside, snapshot / "1_Pooling");
  try {
    run("test/plain");
    ADD_FAILURE() << "the link was followed";
  } catch (const HubError& error) {
    EXPECT_THAT(error.what(), HasSubstr("1_Pooling is a link"));
  }
  EXPECT_TRUE(fs::is_empty(outside));
}

TEST_F(Pull, CancellingKeepsWhatHasArrived) {
  bool stop = false;
  events_.progress = [&](const Transfer& transfer) { stop = stop || transfer.file_done > kBig / 4; };
  events_.cancelled = [&] { return stop; };
  refused("test/slow", ErrorKind::kInterrupted);
  stop = false;
  events_.progress = nullptr;
  auto result = run("test/slow");
  EXPECT_EQ(result.files[0].state, "resumed");
  EXPECT_LT(result.fetched_bytes, kBig);
  expect_whole(result);
}

TEST_F(Pull, RemovingAndListing) {
  run("test/plain");
  auto models = list_local(settings_);
  ASSERT_EQ(models.size(), 1U);
  EXPECT_EQ(models[0].name, "test/plain");
  EXPECT_TRUE(models[0].has_weights);
  EXPECT_EQ(remove_local("test/plain", settings_),
            models[0].bytes + static_cast<int64_t>(std::string(kCommit).size()));
  EXPECT_TRUE(list_local(settings_).empty());
  EXPECT_THROW(remove_local("test/plain", settings_), HubError);
  EXPECT_THROW(remove_local("..", settings_), HubError);
}

}  // namespace
}  // namespace rose::hub::test
