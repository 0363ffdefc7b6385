// Reading zip archives, which wheels are.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace rose::hub {

// Walks through the regular files of an archive. `wanted(name)` gives a function that takes the content piece
// by piece, or an empty one for files to pass over. Nothing is written. Throws HubError for a broken archive.
using TakePiece = std::function<void(std::string_view)>;
void read_archive(const std::filesystem::path& path,
                  const std::function<TakePiece(const std::string& name)>& wanted);

}  // namespace rose::hub
