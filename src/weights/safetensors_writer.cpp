#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "weights/byte_sink.h"
#include "weights/error.h"
#include "weights/writer.h"

namespace rose::weights {

void SafetensorsWriter::add_tensor(TensorToWrite tensor) {
  if (info(tensor.format).safetensors.empty()) {
    throw std::invalid_argument(
        fmt::format("safetensors cannot store {} ({})", name(tensor.format), tensor.name));
  }
  if (byte_count(tensor.format, tensor.shape) != tensor.bytes.size()) {
    throw std::invalid_argument(fmt::format("{}: {} bytes do not fit {} {}", tensor.name, tensor.bytes.size(),
                                            name(tensor.format), shape_text(tensor.shape)));
  }
  tensors_.push_back(std::move(tensor));
}

std::vector<std::byte> SafetensorsWriter::finish() const {
  std::vector<const TensorToWrite*> order;
  for (const TensorToWrite& tensor : tensors_) order.push_back(&tensor);
  std::ranges::sort(order, [](const TensorToWrite* a, const TensorToWrite* b) {
    const auto a_bytes = info(a->format).block_bytes, b_bytes = info(b->format).block_bytes;
    return a_bytes != b_bytes ? a_bytes > b_bytes : a < b;  // otherwise in the order of adding
  });

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata_.empty()) header["__metadata__"] = metadata_;
  uint64_t offset = 0;
  for (const TensorToWrite* tensor : order) {
    const uint64_t end = offset + tensor->bytes.size();
    header[tensor->name] = {{"dtype", info(tensor->format).safetensors},
                            {"shape", tensor->shape},
                            {"data_offsets", {offset, end}}};
    offset = end;
  }

  std::vector<std::byte> text;
  put_text(text, header.dump());
  put_padding(text, 8, std::byte{' '});
  std::vector<std::byte> file;
  put_number<uint64_t>(file, text.size());
  put_bytes(file, text);
  for (const TensorToWrite* tensor : order) put_bytes(file, tensor->bytes);
  return file;
}

void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::string temporary = path.string() + ".XXXXXX";
  const int file = ::mkstemp(temporary.data());
  if (file < 0) fail(path, "", "cannot create a file beside it: {}", std::strerror(errno));
  // Whatever goes wrong, the temporary file goes away again.
  auto give_up = [&](const char* step) {
    const int error = errno;
    ::close(file);
    ::unlink(temporary.c_str());
    fail(path, "", "cannot {}: {}", step, std::strerror(error));
  };
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) give_up("write");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  if (::fchmod(file, 0644) != 0) give_up("set its permissions");
  if (::fsync(file) != 0) give_up("flush it to disk");
  if (::rename(temporary.c_str(), path.c_str()) != 0) give_up("rename the finished file");
  ::close(file);
}

}  // namespace rose::weights
