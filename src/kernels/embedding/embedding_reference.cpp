#include "kernels/embedding/embedding.h"

namespace rose::kernels {

void embedding_reference(const EmbeddingSpec& spec, const int32_t* ids, const double* table, double* out,
                         int64_t tokens, int64_t table_rows, int64_t first_id) {
  for (int64_t t = 0; t < tokens; ++t) {
    int64_t id = ids[t] - first_id;
    for (int64_t i = 0; i < spec.hidden; ++i)
      out[t * spec.hidden + i] = id >= 0 && id < table_rows ? table[id * spec.hidden + i] * spec.scale : 0;
  }
}

}  // namespace rose::kernels
