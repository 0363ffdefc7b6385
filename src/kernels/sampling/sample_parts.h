// What the sampling kernels share: settings of a row, the order of logits, steps 1 and 2 of sample.h.
#pragma once

#include <cfloat>

#include "dsl/fragment.h"
#include "kernels/sampling/sample.h"

namespace rose::kernels::sampling {

constexpr const char* kName = "sample";
constexpr double kLog2E = 1.4426950408889634, kInfinity = std::numeric_limits<double>::infinity(),
                 kGreedyBelow = 1e-5;
enum Word {
  kTemperature,
  kTopP,
  kMinP,
  kRepetition,
  kPresence,
  kFrequency,
  kTopK,
  kBiasRow,
  kCountRow,
  kPosition,
  kSeedLow,
  kSeedHigh,
  kWords
};

inline bool adjusts(const SampleSpec& s) { return s.penalties || s.bias; }

// A row's SampleSettings.
struct Settings {
  dsl::Tensor words;
  dsl::Val real(Word w) const { return dsl::bitcast(dsl::f32, dsl::load(words, int{w})); }
  dsl::Val integer(Word w) const { return dsl::bitcast(dsl::s32, dsl::load(words, int{w})); }
  dsl::Val word(Word w) const { return dsl::load(words, int{w}); }
};

dsl::Val is_nan(const dsl::Val& v);
dsl::Frag one_where(const dsl::Frag& v, const std::function<dsl::Val(dsl::Val)>& condition);

// Floats in the order of integers, so that the middle of two is one of them.
dsl::Val key_of(const dsl::Val& v);
dsl::Val value_of(const dsl::Val& key);

// Steps 1 and 2 of sample.h for a row, or a part of one: counts and bias are given as the same part of their
// rows.
dsl::Frag adjusted(const SampleSpec& spec, const Settings& settings, const dsl::Frag& clean,
                   const dsl::RowLayout& lanes, const std::function<dsl::Tensor(const dsl::Val& row)>& counts,
                   const std::function<dsl::Tensor(const dsl::Val& row)>& bias);

// Blocks of a cluster that shares one row on a GPU; 0: this target or vocabulary has one block a row.
int cluster_blocks(const ir::Target& target, const SampleSpec& spec);
ir::Kernel sample_in_cluster(const ir::Target& target, const SampleSpec& spec);

}  // namespace rose::kernels::sampling
