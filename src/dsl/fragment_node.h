// What a fragment is made of (private to the dsl room).
#pragma once

#include "dsl/fragment.h"

namespace rose::dsl {

struct Frag::Node {
  Type type;
  RowLayout layout;
  std::function<Pack(const Chunk&)> compute;
  std::vector<Pack> values;   // resident: by chunk number
  int64_t cached_serial = 0;  // streamed: the access computed last
  Pack cached;
  std::vector<std::pair<int, int>> sources;  // tensor source and its store version when this was made
  SourceLine where;
};

// Makes a fragment; a resident one computes its values now.
Frag make_fragment(Type type, const RowLayout& layout, std::vector<std::pair<int, int>> sources,
                   SourceLine where, std::function<Pack(const Chunk&)> compute);

// Values of f32 (or the types of `type`) converted, keeping the order of elements.
Pack convert_pack(Type type, const Pack& pack, SourceLine where);

}  // namespace rose::dsl
