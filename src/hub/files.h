// Files that are written piece by piece and shown whole: with errors that name the file and say what to do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace rose::hub {

// All of these throw HubError.
void make_folders(const std::filesystem::path& folder);
void remove_file(const std::filesystem::path& path);  // a file that is not there is no error
void rename_file(const std::filesystem::path& from, const std::filesystem::path& to);
// Puts a link at `path` in place of whatever file is there, atomically.
void publish_link(const std::filesystem::path& target, const std::filesystem::path& path);
// Writes a small file whole or not at all.
void publish_text(const std::string& text, const std::filesystem::path& path);
// -1 when there is no such regular file.
int64_t file_size_or(const std::filesystem::path& path);
// Throws when the file system of `folder` has less than `bytes` free.
void need_space(const std::filesystem::path& folder, int64_t bytes);

class OutputFile {
 public:
  // Opens for appending, after making the file empty if `anew`. Never follows a link.
  OutputFile(const std::filesystem::path& path, bool anew);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  void write(std::string_view bytes);
  void sync();  // to the disk, so that a renamed file is whole after a power cut

 private:
  std::filesystem::path path_;
  int file_ = -1;
};

}  // namespace rose::hub
