// Opening GGUF models from disk: one file, or all parts of a split one.
#include <charconv>

#include "weights/error.h"
#include "weights/gguf.h"

namespace rose::weights {
namespace {

constexpr uint64_t kMaxParts = 10'000;

Gguf open_part(const std::filesystem::path& file) {
  auto mapped = MappedFile::open(file);
  return parse_gguf({file, mapped->bytes(), mapped});
}

// Five decimal digits at `text`.
std::optional<uint64_t> five_digits(std::string_view text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + 5, value);
  if (error != std::errc() || end != text.data() + 5) return std::nullopt;
  return value;
}

void expect(const Gguf& part, std::string_view key, uint64_t expected) {
  const uint64_t found = part.metadata.unsigned_at(key);
  if (found != expected) {
    fail(part.metadata.file(), "key " + quote_name(key),
         "is {} where {} was expected; do all parts belong to one model?", found, expected);
  }
}

}  // namespace

std::vector<std::filesystem::path> gguf_parts(const std::filesystem::path& file) {
  constexpr std::string_view kSuffix = "-00001-of-00003.gguf";
  const std::string name = file.filename().string();
  if (name.size() <= kSuffix.size()) return {file};
  const std::string_view suffix = std::string_view(name).substr(name.size() - kSuffix.size());
  const auto number = five_digits(suffix.substr(1)), count = five_digits(suffix.substr(10));
  const bool is_part = suffix[0] == '-' && suffix.substr(6, 4) == "-of-" && suffix.substr(15) == ".gguf" &&
                       number && count && *number >= 1 && *number <= *count && *count <= kMaxParts;
  if (!is_part) return {file};
  std::vector<std::filesystem::path> parts;
  const std::string stem = name.substr(0, name.size() - kSuffix.size());
  for (uint64_t i = 1; i <= *count; ++i) {
    parts.push_back(file.parent_path() / fmt::format("{}-{:05}-of-{:05}.gguf", stem, i, *count));
  }
  return parts;
}

Gguf open_gguf(const std::filesystem::path& file) {
  const auto paths = gguf_parts(file);
  if (paths.size() == 1) {
    Gguf gguf = open_part(file);
    if (const uint64_t count = gguf.metadata.unsigned_or("split.count", 1); count > 1) {
      fail(file, "key 'split.count'",
           "says that this is one of {} parts, but the file's name does not end in "
           "-00001-of-{:05}.gguf, so the others cannot be found",
           count, count);
    }
    return gguf;
  }

  Gguf whole;
  std::vector<TensorStore> stores;
  for (size_t i = 0; i < paths.size(); ++i) {
    if (std::error_code ignored; !std::filesystem::exists(paths[i], ignored)) {
      fail(file, "", "part {} of {} is missing: {}", i + 1, paths.size(), paths[i].string());
    }
    Gguf part = open_part(paths[i]);
    expect(part, "split.no", i);
    expect(part, "split.count", paths.size());
    stores.push_back(std::move(part.tensors));
    part.tensors = {};
    if (i == 0) whole = std::move(part);
  }
  whole.tensors = TensorStore::merge(std::move(stores));
  if (whole.metadata.contains("split.tensors.count"))
    expect(whole, "split.tensors.count", whole.tensors.size());
  return whole;
}

}  // namespace rose::weights
