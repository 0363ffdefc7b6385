// tcgen05.mma: matrix products of one thread's asking, with the accumulator in tensor memory.
#include "ir/row_builder.h"

namespace rose::ir {
namespace {

using namespace rows;

constexpr Effects kProduct = synchronizing(access(true, true, Space::kTensor, Proxy::kAsync));

// Operands in the order of the text: D (tensor memory), A (descriptor in ".ss", tensor memory in ".ts"), B
// (descriptor) [, sparsity metadata], instruction descriptor [, scales of A, scales of B] [, lanes to leave
// out], predicate (true adds to D) [, zero-column mask].
struct Form {
  std::string name = "tcgen05.mma", text = "tcgen05.mma";
  std::string list;
  std::vector<std::string> operands;
  int attributes = 0;
  int count = 0;

  void add(const std::string& kind, int n = 1, bool address = false) {
    if (!list.empty()) list += ", ";
    if (n > 1)
      list += braced(count, n);
    else
      list += (address ? "[$" : "$") + std::to_string(count) + (address ? "]" : "");
    operands.push_back(n > 1 ? times(kind, n) : kind);
    count += n;
  }
  Row finish(Availability available) const {
    return row(name, text + " " + list, {}, operands, available, kProduct, Convergence::kThread, attributes);
  }
};

struct Choice {
  std::string kind;  // f16, tf32, …, or mxf4nvf4.block16
  Availability available = kBlackwell;
  bool block_scaled = false;
  bool scales_input = false;  // D may be multiplied by 2^-n first (f16 and tf32)
};

const std::vector<Choice>& choices() {
  static const std::vector<Choice> all{{"f16", kBlackwell, false, true},
                                       {"tf32", kBlackwell, false, true},
                                       {"f8f6f4"},
                                       {"i8", kBlackwellBase},
                                       {"mxf8f6f4.block32", {0, 88, 88}, true},
                                       {"mxf4.block32", {0, 88, 88}, true},
                                       {"mxf4nvf4.block32", {0, 88, 88}, true},
                                       {"mxf4nvf4.block16", {0, 88, 88}, true}};
  return all;
}

enum class Extra { kNone, kMask, kScale, kMaskScale, kCollector };

void add_form(std::vector<Row>& rows, const Choice& choice, bool tensor_a, int group, bool sparse,
              Extra extra, const std::string& collector = "") {
  Form form;
  if (sparse) form.name += ".sp", form.text += ".sp";
  const auto block = choice.kind.find('.');
  const std::string kind = choice.kind.substr(0, block);
  form.name += "." + choice.kind + (tensor_a ? ".ts" : ".ss") + (group == 2 ? ".cta_group2" : "");
  form.text += ".cta_group::" + std::to_string(group) + ".kind::" + kind;
  if (choice.block_scaled) form.text += ".block_scale" + choice.kind.substr(block);
  if (extra == Extra::kCollector) form.name += ".a_" + collector, form.text += ".collector::a::" + collector;

  form.add("u32", 1, true);
  form.add(tensor_a ? "u32" : "u64", 1, tensor_a);
  form.add("u64");
  if (sparse) form.add("u32", 1, true);
  form.add("u32");
  if (choice.block_scaled) form.add("u32", 1, true), form.add("u32", 1, true);
  if (extra == Extra::kMask || extra == Extra::kMaskScale) {
    form.add("u32", group == 2 ? 8 : 4);  // one bit for each lane of D that is not written
    form.name += ".mask";
  }
  form.add("pred");
  if (extra == Extra::kScale || extra == Extra::kMaskScale) {
    form.list += ", $a0";
    form.attributes = 1;
    form.name += ".scale_d";
  }
  rows.push_back(form.finish(choice.available));
}

void add_products(std::vector<Row>& rows) {
  for (const auto& choice : choices()) {
    for (const bool sparse : {false, true}) {
      for (const bool tensor_a : {false, true}) {
        for (const int group : {1, 2}) {
          add_form(rows, choice, tensor_a, group, sparse, Extra::kNone);
          // Keeps A in the collector buffer for the next product, or uses what was kept.
          for (const std::string use : {"fill", "use", "lastuse", "discard"})
            add_form(rows, choice, tensor_a, group, sparse, Extra::kCollector, use);
          if (!choice.block_scaled) add_form(rows, choice, tensor_a, group, sparse, Extra::kMask);
          if (!choice.scales_input) continue;
          add_form(rows, choice, tensor_a, group, sparse, Extra::kScale);
          add_form(rows, choice, tensor_a, group, sparse, Extra::kMaskScale);
        }
      }
    }
  }
}

// Weight-stationary products (M of 32, 64 or 128, one block): B stays in one of four collector buffers.
void add_weight_stationary(std::vector<Row>& rows) {
  for (const auto& choice : choices()) {
    if (choice.block_scaled) continue;
    for (const bool sparse : {false, true}) {
      for (const bool tensor_a : {false, true}) {
        for (const bool zero_columns : {false, true}) {
          for (int buffer = -1; buffer < 4; ++buffer) {
            for (const std::string use : {"discard", "fill", "use", "lastuse"}) {
              if (buffer < 0 && use != "discard") continue;  // no buffer named: buffer 0, discarded
              Form form;
              form.name +=
                  std::string(".ws") + (sparse ? ".sp" : "") + "." + choice.kind + (tensor_a ? ".ts" : ".ss");
              form.text += std::string(".ws") + (sparse ? ".sp" : "") + ".cta_group::1.kind::" + choice.kind;
              if (buffer >= 0) {
                const std::string collector = "b" + std::to_string(buffer);
                form.name += "." + collector + "_" + use;
                form.text += ".collector::" + collector + "::" + use;
              }
              form.add("u32", 1, true);
              form.add(tensor_a ? "u32" : "u64", 1, tensor_a);
              form.add("u64");
              if (sparse) form.add("u32", 1, true);
              form.add("u32");
              form.add("pred");
              if (zero_columns) form.add("u64"), form.name += ".zero_columns";
              rows.push_back(form.finish(choice.available));
            }
          }
        }
      }
    }
  }
}

}  // namespace

std::vector<Row> rows::tensor_core_rows() {
  std::vector<Row> rows;
  add_products(rows);
  add_weight_stationary(rows);
  return rows;
}

}  // namespace rose::ir
