// Shared by the tests of the room weights: temporary folders, byte helpers, a small generator of random
// numbers.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "weights/error.h"
#include "weights/tensor_store.h"

namespace rose::weights {

inline const std::filesystem::path kDataFolder =
    std::filesystem::path(ROSE_SOURCE_DIR) / "tests/weights/data";

// A folder of its own, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "rose-weights-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline std::vector<std::byte> read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

inline Source in_memory(std::span<const std::byte> bytes) { return {"memory", bytes, nullptr}; }

template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

// The 64-bit generator of Knuth's MMIX; make_golden.py has the same.
struct Lcg {
  uint64_t state;
  uint32_t next() {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state >> 32);
  }
  uint32_t below(uint32_t bound) { return next() % bound; }
};

// Multiples of 2^-22 in [-2, 2).
inline std::vector<float> golden_values(size_t count, uint64_t seed = 77) {
  Lcg lcg{seed};
  std::vector<float> values(count);
  for (float& value : values)
    value = static_cast<float>(static_cast<int>(lcg.next() & 0xffffff) - (1 << 23)) / (1 << 22);
  return values;
}

// Lines of golden.txt that start with `kind`, split at blanks.
inline std::vector<std::vector<std::string>> golden(const std::string& kind) {
  std::ifstream file(kDataFolder / "golden.txt");
  std::vector<std::vector<std::string>> cases;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::vector<std::string> fields;
    for (std::string word; words >> word;) fields.push_back(word);
    if (fields.at(0) == kind) cases.push_back(fields);
  }
  return cases;
}

// Runs `action`, which must throw WeightsError, and gives the message.
template <typename Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const WeightsError& error) {
    return error.what();
  }
  return "no error was thrown";
}

}  // namespace rose::weights
