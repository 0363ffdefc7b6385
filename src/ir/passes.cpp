// The list of passes, in order.
#include "ir/passes.h"

namespace rose::ir {

const std::vector<Pass>& passes() {
  static const std::vector<Pass> list{
      {"fold", fold_constants},
      {"merge", merge_common_expressions},
      {"strength", reduce_strength},
      {"fold again", fold_constants},
      {"merge again", merge_common_expressions},
      {"dead code", remove_dead_code},
  };
  return list;
}

void optimize(Kernel& kernel, void (*after)(const char*, const Kernel&, void*), void* user) {
  for (const Pass& pass : passes()) {
    pass.run(kernel);
    if (after) after(pass.name, kernel, user);
  }
}

}  // namespace rose::ir
