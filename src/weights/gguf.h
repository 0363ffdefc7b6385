// Reads GGUF files, versions 2 and 3, whole or split into parts ("NAME-00001-of-00003.gguf").
//
// Layout (the GGUF specification in the ggml repository), little-endian throughout: "GGUF", u32 version, u64
// tensor count, u64 key count; the keys (string name, u32 type, value); the tensor infos (string name, u32
// rank, u64 extents innermost first, u32 type, u64 offset); padding to the alignment; the data that the
// offsets count from. A string is a u64 length and bytes; an array is a u32 element type, a u64 count and the
// elements.
#pragma once

#include <cstdint>
#include <filesystem>

#include "weights/meta_data.h"
#include "weights/tensor_store.h"

namespace rose::weights {

struct Gguf {
  uint32_t version = 0;
  uint64_t alignment = 32;  // of the tensors within the data; a power of two
  MetaData metadata;        // of a split model: the first part's
  TensorStore tensors;      // of a split model: all parts'
};

// Maps and checks a file and, when it is any part of a split model, all the other parts, which must lie
// beside it. Throws WeightsError that names file and field. Tensors with a type that ROSE cannot compute with
// are refused.
Gguf open_gguf(const std::filesystem::path& file);

// Checks one file that is already in memory; the caller keeps source.bytes (or its owner) alive.
Gguf parse_gguf(const Source& source);

// The paths of all parts when the file's name ends in "-00001-of-00003.gguf" or the like; else the file
// alone.
std::vector<std::filesystem::path> gguf_parts(const std::filesystem::path& file);

}  // namespace rose::weights
