// Sharded safetensors: the index that says which file holds which tensor.
#include <map>

#include "weights/error.h"
#include "weights/json_sax.h"
#include "weights/mapped_file.h"
#include "weights/safetensors.h"

namespace rose::weights {
namespace {

constexpr size_t kMaxIndex = 64 << 20;  // an index needs about 100 bytes a tensor

class IndexJson final : public StrictJson {
 public:
  bool has_map = false;
  std::map<std::string, std::map<std::string, bool>> tensors_of_file;  // file → tensor → found

 private:
  void on_key(std::string_view key) override {
    if (depth() == 1 && key != "weight_map") return skip_value();
    if (depth() == 2) tensor_ = key;
  }

  void on_open_object() override {
    if (depth() != 1) refuse("an object");
    has_map = true;
  }

  void on_text(std::string_view name) override {
    if (depth() != 2) refuse("a string");
    // A name that could leave the folder would let a downloaded index read any file.
    if (name.empty() || name == "." || name == ".." ||
        name.find_first_of(std::string_view("/\\\0", 3)) != name.npos) {
      fail(file(), where(), "{} is not a plain file name", quote_name(name));
    }
    tensors_of_file[std::string(name)].emplace(tensor_, false);
  }

  std::string where() const override {
    return tensor_.empty() ? "weight_map" : "weight_map: " + quote_name(tensor_);
  }

  std::string tensor_;
};

}  // namespace

TensorStore open_safetensors_index(const std::filesystem::path& index) {
  auto mapped = MappedFile::open(index);
  const auto bytes = mapped->bytes();
  if (bytes.size() > kMaxIndex)
    fail(index, "", "has {} bytes; an index of more than {} is not read", bytes.size(), kMaxIndex);
  IndexJson json;
  json.parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, index, "index");
  if (!json.has_map || json.tensors_of_file.empty()) fail(index, "weight_map", "is missing or names no file");

  std::vector<TensorStore> parts;
  for (auto& [name, wanted] : json.tensors_of_file) {
    const std::filesystem::path shard = index.parent_path() / name;
    if (std::error_code ignored; !std::filesystem::exists(shard, ignored)) {
      fail(index, "weight_map", "names the file {}, which is missing; fetch the model again",
           quote_name(name));
    }
    TensorStore all = open_safetensors(shard).tensors;
    std::vector<Tensor> kept;
    for (const Tensor& tensor : all) {
      auto position = wanted.find(tensor.name);
      if (position == wanted.end()) continue;
      position->second = true;
      kept.push_back(tensor);
    }
    for (const auto& [tensor, found] : wanted) {
      if (!found) fail(index, "weight_map: " + quote_name(tensor), "is not in {}", shard.string());
    }
    parts.emplace_back(std::vector<Source>(all.sources().begin(), all.sources().end()), std::move(kept));
  }
  return TensorStore::merge(std::move(parts));
}

}  // namespace rose::weights
