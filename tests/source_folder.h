// Where tests find files of the source tree: where it was built, or, on another machine, what ROSE_SOURCE_DIR
// names.
#pragma once

#include <cstdlib>
#include <filesystem>

namespace rose {

inline std::filesystem::path source_folder() {
  const char* moved = std::getenv("ROSE_SOURCE_DIR");
  return moved && *moved ? moved : ROSE_SOURCE_DIR;
}

}  // namespace rose
