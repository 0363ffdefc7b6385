// The list of kernels: what `rose kernels` shows, checks and measures. One entry a kernel; catalog.cpp names
// them all.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ir/kernel.h"
#include "kernels/spec.h"
#include "runtime/compile.h"

namespace rose::kernels {

// A problem with its data on a device, ready to be launched again and again: what benchmarks time.
struct Case {
  std::function<void(runtime::Stream&)> launch;  // owns its buffers
  double bytes = 0;       // that any implementation must move: inputs once, outputs once
  double operations = 0;  // that it must do (a multiply-add counts two)
};

struct CatalogEntry {
  std::string name, summary;
  std::vector<FieldInfo> fields;      // with default values
  std::vector<std::string> standard;  // spec texts that `check` and `bench` go through
  std::function<bool(const ir::Target&)> runs_on;
  std::function<std::string(std::string_view spec)> canonical;  // full spec text; throws KernelError
  std::function<ir::Kernel(const ir::Target&, std::string_view spec)>
      record;  // checks the Spec, then records
  std::function<Case(runtime::Context&, std::string_view spec, int64_t rows)> make_case;  // may be empty
  int64_t bench_rows = 4096;
};

inline bool any_target(const ir::Target&) { return true; }
inline bool x86_only(const ir::Target& t) { return !t.is_gpu(); }
inline bool sm90_only(const ir::Target& t) { return t.arch == ir::Arch::kSm90a; }
inline bool gpu_only(const ir::Target& t) { return t.is_gpu(); }

template <class Spec>
CatalogEntry catalog_entry(std::string name, std::string summary,
                           ir::Kernel (*record)(const ir::Target&, const Spec&),
                           std::vector<std::string> standard,
                           std::function<bool(const ir::Target&)> runs_on = any_target) {
  CatalogEntry e;
  e.name = std::move(name), e.summary = std::move(summary), e.standard = std::move(standard),
  e.runs_on = std::move(runs_on);
  Fields fields;
  Spec defaults;
  defaults.fields(fields);
  e.fields = fields.list();
  e.canonical = [](std::string_view text) { return spec_text(parse_spec<Spec>(text)); };
  e.record = [record](const ir::Target& target, std::string_view text) {
    return record(target, parse_spec<Spec>(text));
  };
  return e;
}

std::span<const CatalogEntry> catalog();
const CatalogEntry& catalog_entry(std::string_view name);  // throws KernelError that lists near names

// The program of a kernel for a Spec on the context's device, from the cache or recorded now. Operations call
// this once, when they are constructed. Valid as long as the context.
const runtime::Program& program(runtime::Context& context, std::string_view kernel, const std::string& spec,
                                const std::function<ir::Kernel(const ir::Target&)>& record);

template <class Spec>
const runtime::Program& program(runtime::Context& context, std::string_view kernel, const Spec& spec,
                                ir::Kernel (*record)(const ir::Target&, const Spec&)) {
  return program(context, kernel, spec_text(spec),
                 [&](const ir::Target& target) { return record(target, spec); });
}

// A buffer of `count` elements of dtype filled with reproducible values, uniform in [-1, 1) (integers: their
// range).
runtime::Buffer random_buffer(runtime::Context& context, ir::Type dtype, int64_t count, uint64_t seed);

}  // namespace rose::kernels
