// The key-value metadata of a GGUF file, typed and checked on access.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "weights/mapped_file.h"

namespace rose::weights {

// Value types by their numbers in GGUF files.
enum class MetaType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64,
};

std::string_view name(MetaType type);

// An array as it lies in the file. Exactly one of the three fields is used, by `element`.
struct MetaArray {
  MetaType element = MetaType::kU8;
  uint64_t count = 0;
  std::span<const std::byte> numbers;     // little-endian, any alignment: all types but strings and arrays
  std::vector<std::string_view> strings;  // kString; any bytes, usually UTF-8
  std::vector<MetaArray> arrays;          // kArray
};

// Integers are widened to 64 bits and F32 to double; `type` keeps what the file said.
struct MetaValue {
  MetaType type = MetaType::kU8;
  std::variant<uint64_t, int64_t, double, bool, std::string_view, MetaArray> value;

  // For people: numbers and texts as they are, long texts and arrays shortened to about `width` characters.
  std::string to_text(size_t width = 60) const;
};

// All keys in file order. Strings are views into the file, which the object keeps mapped; copies share it.
//
// Access comes in three kinds: find_x gives nullopt when the key is absent, x_or a default, x throws. All
// throw WeightsError, naming file and key, when the key is there with a type or value that does not fit:
// integers of any width and sign convert when their value fits, and reals accept integers too.
class MetaData {
 public:
  MetaData() = default;
  MetaData(std::filesystem::path file, std::shared_ptr<const MappedFile> owner)
      : file_(std::move(file)), owner_(std::move(owner)) {}

  // False, and nothing changes, when the key is there already.
  bool add(std::string_view key, MetaValue value);

  std::span<const std::pair<std::string_view, MetaValue>> entries() const { return entries_; }
  size_t size() const { return entries_.size(); }
  const MetaValue* find(std::string_view key) const;
  bool contains(std::string_view key) const { return find(key) != nullptr; }
  const std::filesystem::path& file() const { return file_; }

  std::optional<uint64_t> find_unsigned(std::string_view key) const;
  std::optional<int64_t> find_integer(std::string_view key) const;
  std::optional<double> find_real(std::string_view key) const;
  std::optional<bool> find_boolean(std::string_view key) const;
  std::optional<std::string_view> find_text(std::string_view key) const;

  uint64_t unsigned_or(std::string_view key, uint64_t fallback) const {
    return find_unsigned(key).value_or(fallback);
  }
  double real_or(std::string_view key, double fallback) const { return find_real(key).value_or(fallback); }
  bool boolean_or(std::string_view key, bool fallback) const { return find_boolean(key).value_or(fallback); }
  std::string_view text_or(std::string_view key, std::string_view fallback) const {
    return find_text(key).value_or(fallback);
  }

  uint64_t unsigned_at(std::string_view key) const { return required(key, find_unsigned(key)); }
  int64_t integer_at(std::string_view key) const { return required(key, find_integer(key)); }
  double real_at(std::string_view key) const { return required(key, find_real(key)); }
  bool boolean_at(std::string_view key) const { return required(key, find_boolean(key)); }
  std::string_view text_at(std::string_view key) const { return required(key, find_text(key)); }

  // Arrays; empty when the key is absent. A single number where an array is expected counts as an array of
  // one: GGUF files write "attention.head_count" either way.
  std::vector<int64_t> integers(std::string_view key) const;
  std::vector<float> reals(std::string_view key) const;
  std::vector<bool> booleans(std::string_view key) const;
  std::span<const std::string_view> texts(std::string_view key) const;

 private:
  [[noreturn]] void missing(std::string_view key) const;
  [[noreturn]] void mismatch(std::string_view key, const MetaValue& value, std::string_view expected) const;
  const MetaArray* array(std::string_view key, std::string_view expected) const;

  template <typename T>
  T required(std::string_view key, std::optional<T> value) const {
    if (!value) missing(key);
    return *value;
  }

  std::filesystem::path file_;
  std::shared_ptr<const MappedFile> owner_;
  std::vector<std::pair<std::string_view, MetaValue>> entries_;
  std::map<std::string_view, size_t> index_;
};

}  // namespace rose::weights
