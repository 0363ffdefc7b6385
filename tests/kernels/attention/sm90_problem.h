// Problems for the attention kernels of Hopper, with caches whose blocks are shuffled and NaN wherever no key
// lies.
#pragma once

#include "kernels/attention/sm90_attention.h"
#include "support.h"

namespace rose::kernels {

struct Sequence {
  int32_t queries, keys;  // packed: keys are the queries
};

inline bool on_hopper() { return on_gpu() && test_context().properties().capability == 90; }

runtime::Buffer upload_integers(const std::vector<int32_t>& values);

struct AttentionProblem {
  AttentionSm90Spec spec;
  std::vector<Sequence> sequences;
  std::vector<double> q, k, v;    // of all sequences, one after the other; k and v also hold the older keys
  std::vector<int32_t> first{0};  // tokens ahead of each sequence
  int64_t keys = 0, table_width = 0, blocks = 0;
  std::vector<int32_t> lengths, table;
  runtime::Buffer q_device, k_device, v_device;
  int64_t q_stride = 0;

  // `gap`: elements between a token's queries and the next token's.
  AttentionProblem(const AttentionSm90Spec& s, std::vector<Sequence> list, int64_t gap = 0);

  void upload_all();  // again, after q, k or v were changed
  std::vector<double> reference() const;
  // ‖got - want‖ of each row (one head of one query) is at most a few roundings of ‖want‖: weights and the
  // result are rounded once each, and a sum of roundings is no larger than its terms in quadrature. A missing
  // key among a few hundred errs by ten times as much.
  void compare(const std::vector<double>& got, const std::string& what) const;

 private:
  void make_table();
  int64_t gap_;
};

std::string describe(const AttentionProblem& problem);

}  // namespace rose::kernels
