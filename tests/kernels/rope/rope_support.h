// Data that the tests of rotary embedding share.
#pragma once

#include "support.h"

namespace rose::kernels {

template <class T>
runtime::Buffer upload_raw(const std::vector<T>& values) {
  auto buffer = test_context().device().allocate(values.size() * sizeof(T));
  test_stream().upload(buffer, values.data(), values.size() * sizeof(T));
  test_stream().synchronize();
  return buffer;
}

// Positions inside the table, and two outside of it, which count as its first and last row.
inline std::vector<int32_t> test_positions(int64_t tokens, int64_t table_rows) {
  std::vector<int32_t> positions;
  for (int64_t t = 0; t < tokens; ++t)
    positions.push_back(t == 1   ? -3
                        : t == 2 ? static_cast<int32_t>(table_rows) + 9
                                 : static_cast<int32_t>((7 * t + 5) % table_rows));
  return positions;
}

}  // namespace rose::kernels
