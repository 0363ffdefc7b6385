#include "weights/tensor_store.h"

#include <algorithm>

#include "weights/error.h"

namespace rose::weights {
namespace {

// Number of edits (insert, delete, replace) between two names; for suggestions only.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row[b.size()];
}

// Up to three names of the store that look most like `name`.
std::string suggestions(std::span<const Tensor> tensors, std::string_view name) {
  constexpr size_t kMost = 3, kLongestName = 200, kMostCompared = 20000;
  std::vector<std::pair<size_t, const Tensor*>> ranked;
  for (const Tensor& tensor : tensors.first(std::min(tensors.size(), kMostCompared))) {
    if (tensor.name.size() <= kLongestName) ranked.emplace_back(edit_distance(name, tensor.name), &tensor);
  }
  const size_t count = std::min(kMost, ranked.size());
  std::partial_sort(ranked.begin(), ranked.begin() + count, ranked.end(),
                    [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string text;
  for (size_t i = 0; i < count; ++i) text += (i ? ", " : "") + quote_name(ranked[i].second->name);
  return text.empty() ? "there are no tensors" : "similar names are " + text;
}

}  // namespace

TensorStore::TensorStore(std::vector<Source> sources, std::vector<Tensor> tensors)
    : sources_(std::move(sources)), tensors_(std::move(tensors)) {
  for (size_t i = 0; i < tensors_.size(); ++i) {
    auto [position, inserted] = index_.emplace(tensors_[i].name, i);
    if (inserted) continue;
    const Tensor& first = tensors_[position->second];
    fail(path_of(tensors_[i]), "tensor " + quote_name(tensors_[i].name),
         "is defined a second time (first in {})", path_of(first).string());
  }
}

TensorStore TensorStore::merge(std::vector<TensorStore> parts) {
  std::vector<Source> sources;
  std::vector<Tensor> tensors;
  for (TensorStore& part : parts) {
    for (Tensor& tensor : part.tensors_) {
      tensor.source += sources.size();
      tensors.push_back(std::move(tensor));
    }
    for (Source& source : part.sources_) sources.push_back(std::move(source));
  }
  return TensorStore(std::move(sources), std::move(tensors));
}

const Tensor* TensorStore::find(std::string_view name) const {
  auto position = index_.find(name);
  return position == index_.end() ? nullptr : &tensors_[position->second];
}

const Tensor& TensorStore::at(std::string_view name) const {
  if (const Tensor* tensor = find(name)) return *tensor;
  fail(first_path(), "tensor " + quote_name(name), "is missing; {}", suggestions(tensors_, name));
}

const Tensor& TensorStore::at(std::string_view name, std::span<const uint64_t> shape) const {
  const Tensor& tensor = at(name);
  if (!std::ranges::equal(tensor.shape, shape)) {
    fail(path_of(tensor), "tensor " + quote_name(name), "has shape {} where {} was expected",
         shape_text(tensor.shape), shape_text(shape));
  }
  return tensor;
}

uint64_t TensorStore::total_bytes() const {
  uint64_t sum = 0;  // cannot overflow: the spans are disjoint parts of mapped files
  for (const Tensor& tensor : tensors_) sum += tensor.bytes.size();
  return sum;
}

uint64_t TensorStore::total_elements() const {
  uint64_t sum = 0;
  for (const Tensor& tensor : tensors_) sum += tensor.elements;
  return sum;
}

std::map<Format, uint64_t> TensorStore::bytes_by_format() const {
  std::map<Format, uint64_t> sums;
  for (const Tensor& tensor : tensors_) sums[tensor.format] += tensor.bytes.size();
  return sums;
}

void TensorStore::prefetch(const Tensor& tensor) const {
  if (const auto& owner = sources_[tensor.source].owner) owner->prefetch(tensor.bytes);
}

Tensor rows_of(const Tensor& tensor, uint64_t first, uint64_t count) {
  Tensor part;
  part.name = tensor.name, part.format = tensor.format, part.source = tensor.source;
  part.shape = {count, tensor.row_elements()};
  part.elements = count * tensor.row_elements();
  part.bytes = tensor.bytes.subspan(first * tensor.row_bytes(), count * tensor.row_bytes());
  return part;
}

void TensorStore::release(const Tensor& tensor) const {
  if (const auto& owner = sources_[tensor.source].owner) owner->release(tensor.bytes);
}

}  // namespace rose::weights
