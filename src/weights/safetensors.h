// Reads safetensors files: one file, or many with an index.
//
// Layout (the safetensors format description): 8 bytes little-endian N; N bytes of JSON
// {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, …, "__metadata__": {"key":
// "text"}}; then the data that the offsets, counted from its start, must cover without overlap, gap or
// remainder.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "weights/tensor_store.h"

namespace rose::weights {

// The largest header that is read, as in the reference implementation.
inline constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;

struct Safetensors {
  TensorStore tensors;
  std::map<std::string, std::string> metadata;  // "__metadata__"; usually {"format": "pt"}
};

// Maps and checks one file. Tensors come in the order of their data. Throws WeightsError that names file and
// field.
Safetensors open_safetensors(const std::filesystem::path& file);

// Checks a file that is already in memory; the caller keeps source.bytes (or its owner) alive.
Safetensors parse_safetensors(const Source& source);

// Reads "model.safetensors.index.json" and all the files that its "weight_map" names, which must lie beside
// it. Every tensor must be in the file that the map says; tensors that the map does not mention are left out.
TensorStore open_safetensors_index(const std::filesystem::path& index);

}  // namespace rose::weights
