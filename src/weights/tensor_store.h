// One view of the tensors of a model, whatever file format they came from: name, format, shape and bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weights/format.h"
#include "weights/mapped_file.h"

namespace rose::weights {

// One stored tensor, dense and row-major. Quantised blocks run along the innermost dimension.
struct Tensor {
  std::string name;
  Format format = Format::kF32;
  std::vector<uint64_t>
      shape;  // outermost first; empty for a scalar. (GGUF files list it the other way round.)
  std::span<const std::byte> bytes;  // in the mapped file; byte_count(format, shape) long, any alignment
  uint64_t elements = 0;             // product of shape
  size_t source = 0;                 // which of TensorStore::sources() holds it

  uint64_t rank() const { return shape.size(); }
  // Elements and bytes of one innermost row, and how many rows there are. A scalar is one row of one element.
  uint64_t row_elements() const { return shape.empty() ? 1 : shape.back(); }
  uint64_t row_bytes() const {
    return row_elements() / info(format).block_elements * info(format).block_bytes;
  }
  uint64_t rows() const { return row_elements() == 0 ? 0 : elements / row_elements(); }
};

// Rows [first, first + count) as a matrix of their own, under the name of the whole.
Tensor rows_of(const Tensor& tensor, uint64_t first, uint64_t count);

// A file, or anything else in memory, that tensors point into. `owner` keeps the bytes alive.
struct Source {
  std::filesystem::path path;
  std::span<const std::byte> bytes;
  std::shared_ptr<const MappedFile> owner;  // empty when the caller owns the bytes (tests, fuzzing)
};

// The tensors of one model in file order. Copies are independent views that share the mapped files; every
// span stays valid as long as one store (or Source) that shares its file lives.
class TensorStore {
 public:
  TensorStore() = default;

  // Throws WeightsError when two tensors have one name.
  TensorStore(std::vector<Source> sources, std::vector<Tensor> tensors);

  // All tensors of all parts. Throws WeightsError when two parts hold a tensor of the same name.
  static TensorStore merge(std::vector<TensorStore> parts);

  std::span<const Tensor> tensors() const { return tensors_; }
  auto begin() const { return tensors_.begin(); }
  auto end() const { return tensors_.end(); }
  size_t size() const { return tensors_.size(); }
  bool contains(std::string_view name) const { return find(name) != nullptr; }

  // nullptr when there is no such tensor.
  const Tensor* find(std::string_view name) const;

  // Throws WeightsError that names the file and the most similar names when there is no such tensor.
  const Tensor& at(std::string_view name) const;

  // As at(), and also throws when the shape differs from the expected one.
  const Tensor& at(std::string_view name, std::span<const uint64_t> shape) const;

  uint64_t total_bytes() const;
  uint64_t total_elements() const;
  std::map<Format, uint64_t> bytes_by_format() const;

  std::span<const Source> sources() const { return sources_; }
  const std::filesystem::path& path_of(const Tensor& tensor) const { return sources_[tensor.source].path; }

  // Hints to the kernel about the pages of one tensor; see MappedFile.
  void prefetch(const Tensor& tensor) const;
  void release(const Tensor& tensor) const;

 private:
  std::filesystem::path first_path() const {
    return sources_.empty() ? std::filesystem::path{} : sources_[0].path;
  }

  std::vector<Source> sources_;
  std::vector<Tensor> tensors_;
  std::map<std::string, size_t, std::less<>> index_;
};

}  // namespace rose::weights
