// A read-only memory-mapped file: weights are computed on where the page cache holds them, never copied.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

namespace rose::weights {

// Owns one mapping; bytes() stays valid as long as the object lives. Pages are read from disk when first
// touched and can be dropped again by the kernel, so a file larger than memory can be mapped. The file must
// not be truncated while it is mapped: the operating system then kills the reader with SIGBUS, which no check
// here can prevent.
class MappedFile {
 public:
  // Maps a whole regular file. An empty file has an empty span. Throws WeightsError when the path does not
  // exist, is not a regular file, cannot be read or cannot be mapped.
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);

  // Memory in place of a file: `pattern`, which is copied, over and over on `bytes` bytes of addresses. It
  // takes the memory of one pattern (of whole pages, unless it is as long as `bytes`). `path` is what
  // messages call it.
  static std::shared_ptr<const MappedFile> repeat(const std::filesystem::path& path,
                                                  std::span<const std::byte> pattern, size_t bytes);

  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  const std::filesystem::path& path() const { return path_; }
  std::span<const std::byte> bytes() const { return bytes_; }

  // Asks the kernel to start reading the pages of `part` (a part of bytes()) in the background. Only a hint.
  void prefetch(std::span<const std::byte> part) const;

  // Tells the kernel that the pages of `part` are not needed soon, for example after a tensor was copied to a
  // GPU. They stay readable. Only a hint.
  void release(std::span<const std::byte> part) const;

 private:
  MappedFile(std::filesystem::path path, std::span<const std::byte> bytes)
      : path_(std::move(path)), bytes_(bytes) {}

  std::filesystem::path path_;
  std::span<const std::byte> bytes_;
};

}  // namespace rose::weights
