// Hashes that name files: sha256, and git's sha1 of a blob.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace rose::hub {

class Digest {
 public:
  static Digest sha256();
  // git's name of a file of `size` bytes: sha1 of "blob SIZE\0" and the content.
  static Digest git_blob(int64_t size);
  // The one that `hex` is a value of: 64 digits are a sha256, 40 are git's. Throws HubError for another
  // length.
  static Digest like(std::string_view hex, int64_t size);

  void update(std::string_view bytes);
  // Lower-case digits. The digest is finished afterwards.
  std::string hex();

 private:
  struct Free {
    void operator()(void* context) const;
  };
  explicit Digest(bool sha256);
  std::unique_ptr<void, Free> context_;
};

bool is_hex(std::string_view text, size_t digits);

// Feeds a whole file; throws HubError when it cannot be read.
void update_from_file(Digest& digest, const std::filesystem::path& path);

}  // namespace rose::hub
