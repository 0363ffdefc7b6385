#include "hub/archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <memory>

#include "hub/error.h"

namespace rose::hub {
namespace {

constexpr size_t kBlock = 1 << 20;  // bytes of the file that are read at once

}  // namespace

void read_archive(const std::filesystem::path& path,
                  const std::function<TakePiece(const std::string& name)>& wanted) {
  std::unique_ptr<archive, int (*)(archive*)> reader(archive_read_new(), &archive_read_free);
  auto check = [&](la_ssize_t code) {
    if (code < ARCHIVE_WARN) fail("{}: {}", path.string(), archive_error_string(reader.get()));
  };
  check(archive_read_support_format_zip_seekable(reader.get()));
  check(archive_read_open_filename(reader.get(), path.c_str(), kBlock));
  for (;;) {
    archive_entry* entry = nullptr;
    int code = archive_read_next_header(reader.get(), &entry);
    if (code == ARCHIVE_EOF) return;
    check(code);
    const char* name = archive_entry_pathname(entry);
    if (!name || archive_entry_filetype(entry) != AE_IFREG) continue;
    TakePiece take = wanted(name);
    if (!take) continue;
    for (;;) {
      const void* piece = nullptr;
      size_t bytes = 0;
      la_int64_t offset = 0;
      code = archive_read_data_block(reader.get(), &piece, &bytes, &offset);
      if (code == ARCHIVE_EOF) break;
      check(code);
      take({static_cast<const char*>(piece), bytes});
    }
  }
}

}  // namespace rose::hub
