// Tensor copies by the copy engine (TMA), and the tensor maps that describe their tensors.
#include "ir/row_builder.h"

namespace rose::ir {
namespace {

using namespace rows;

constexpr Effects kIntoShared = synchronizing(access(true, true, Space::kShared, Proxy::kAsync));
constexpr Effects kIntoCluster = synchronizing(access(true, true, Space::kSharedCluster, Proxy::kAsync));
constexpr Effects kIntoGlobal = synchronizing(access(true, true, Space::kGlobal, Proxy::kAsync));
constexpr Effects kPrefetch = synchronizing(access(true, false, Space::kGlobal, Proxy::kAsync));

const std::string kCounted = ".mbarrier::complete_tx::bytes";

// How the coordinates name the elements: a box, a box under a convolution window, or four rows by their
// numbers.
struct Mode {
  std::string name;  // in row names, before the dimension: "", "im2col.", "gather4."
  std::string text;  // "tile", "im2col", …
  int dimensions = 2;
  int coordinates = 2;
  int offsets = 0;  // u16 operands of the window, after the barrier
  Availability available = kGpu;

  std::string stem(const std::string& verb) const {
    if (text == "tile::gather4" || text == "tile::scatter4") return "tma." + verb;
    return "tma." + verb + "." + name + std::to_string(dimensions) + "d";
  }
  std::string dims() const { return std::to_string(dimensions) + "d"; }
};

std::vector<Mode> load_modes() {
  std::vector<Mode> modes;
  for (int d = 1; d <= 5; ++d) modes.push_back({"", "tile", d, d, 0, kGpu});
  for (int d = 3; d <= 5; ++d) modes.push_back({"im2col.", "im2col", d, d, d - 2, kGpu});
  for (int d = 3; d <= 5; ++d) modes.push_back({"im2col.w.", "im2col::w", d, d, 2, kBlackwell});
  modes.push_back({"", "tile::gather4", 2, 5, 0, kBlackwell});
  return modes;
}

// Destination, map, coordinates, barrier [, window offsets] [, mask of blocks] [, cache policy].
// A 2-CTA load (".cta_group2") signals the barrier of the even block of the pair.
void add_loads(std::vector<Row>& rows) {
  for (const auto& mode : load_modes()) {
    const std::string verb = mode.text == "tile::gather4" ? "gather4" : "load";
    for (const std::string group : {"", "1", "2", "cta"}) {
      const bool own = group == "cta";  // the destination is named as the block's own shared memory
      for (const bool multicast : {false, true}) {
        if (own && multicast) continue;
        for (const bool hint : {false, true}) {
          std::string name = mode.stem(verb);
          std::string text = "cp.async.bulk.tensor." + mode.dims() +
                             (own ? ".shared::cta" : ".shared::cluster") + ".global." + mode.text + kCounted;
          std::vector<std::string> operands{"smem", "map", times("s32", mode.coordinates), "smem"};
          const int barrier = 2 + mode.coordinates;
          int next = barrier + 1;
          std::string list =
              " [$0], [$1, " + braced(2, mode.coordinates) + "], [$" + std::to_string(barrier) + "]";
          if (mode.offsets > 0) {
            list += ", " + braced(next, mode.offsets);
            operands.push_back(times("u16", mode.offsets));
            next += mode.offsets;
          }
          if (own) name += ".cta";
          if (group == "1" || group == "2") name += ".cta_group" + group;
          if (multicast) {
            name += ".multicast", text += ".multicast::cluster", list += ", $" + std::to_string(next++);
            operands.push_back("u16");
          }
          if (group == "1" || group == "2") text += ".cta_group::" + group;
          if (hint) {
            name += ".hint", text += ".L2::cache_hint", list += ", $" + std::to_string(next++);
            operands.push_back("u64");
          }
          Availability available = mode.available;
          if (own && available.sm90a != 0) available = gpu_since(86);
          if (group == "1" || group == "2") available = kBlackwell;
          rows.push_back(
              row(name, text + list, {}, operands, available, multicast ? kIntoCluster : kIntoShared));
        }
      }
    }
  }
}

// Map, coordinates, source [, cache policy]; the store ends in a bulk group of the issuing thread.
void add_store(std::vector<Row>& rows, const std::string& stem, const std::string& head, int coordinates,
               const std::string& tail, Availability available) {
  for (const bool hint : {false, true}) {
    std::vector<std::string> operands{"map", times("s32", coordinates), "smem"};
    std::string list = " [$0, " + braced(1, coordinates) + "], [$" + std::to_string(1 + coordinates) + "]";
    if (hint) {
      list += ", $" + std::to_string(2 + coordinates);
      operands.push_back("u64");
    }
    rows.push_back(row(stem + (hint ? ".hint" : ""), head + tail + (hint ? ".L2::cache_hint" : "") + list, {},
                       operands, available, kIntoGlobal));
  }
}

void add_stores(std::vector<Row>& rows) {
  const std::string operations[] = {"add", "min", "max", "inc", "dec", "and", "or", "xor"};
  for (int d = 1; d <= 5; ++d) {
    const std::string dims = std::to_string(d) + "d";
    for (const bool window : {false, true}) {
      if (window && d < 3) continue;
      const std::string stem = window ? "im2col." + dims : dims;
      const std::string tail = window ? ".im2col_no_offs.bulk_group" : ".tile.bulk_group";
      add_store(rows, "tma.store." + stem, "cp.async.bulk.tensor." + dims + ".global.shared::cta", d, tail,
                kGpu);
      for (const auto& op : operations) {
        add_store(rows, "tma.reduce." + op + "." + stem,
                  "cp.reduce.async.bulk.tensor." + dims + ".global.shared::cta." + op, d, tail, kGpu);
      }
    }
  }
  add_store(rows, "tma.scatter4", "cp.async.bulk.tensor.2d.global.shared::cta", 5,
            ".tile::scatter4.bulk_group", kBlackwell);
}

// Into the level-2 cache alone: map, coordinates [, window offsets] [, cache policy].
void add_prefetches(std::vector<Row>& rows) {
  for (const auto& mode : load_modes()) {
    for (const bool hint : {false, true}) {
      std::string name = mode.text == "tile::gather4" ? "tma.prefetch.gather4" : mode.stem("prefetch");
      std::string text = "cp.async.bulk.prefetch.tensor." + mode.dims() + ".L2.global." + mode.text;
      std::string list = " [$0, " + braced(1, mode.coordinates) + "]";
      std::vector<std::string> operands{"map", times("s32", mode.coordinates)};
      int next = 1 + mode.coordinates;
      if (mode.offsets > 0) {
        list += ", " + braced(next, mode.offsets);
        operands.push_back(times("u16", mode.offsets));
        next += mode.offsets;
      }
      if (hint) {
        name += ".hint", text += ".L2::cache_hint", list += ", $" + std::to_string(next);
        operands.push_back("u64");
      }
      rows.push_back(row(name, text + list, {}, operands, mode.available, kPrefetch));
    }
  }
  rows.push_back(row("prefetch.tensormap", "prefetch.tensormap [$0]", {}, {"map"}, kGpu,
                     synchronizing(access(true, false, Space::kGlobal, Proxy::kTensorMap))));
}

// Changing a tensor map on the device: copy it to shared memory, replace fields, publish it with
// cp_fenceproxy, and let readers acquire it. Attribute 0 numbers the dimension (0 = innermost), or is the
// field's coded value.
void add_map_changes(std::vector<Row>& rows) {
  struct Field {
    const char* name;
    const char* width;
    bool ordinal;
    const char* value;  // "" when the new value is attribute 0
    Availability available;
  };
  const auto since = gpu_since(83);
  const Field fields[] = {
      {"global_address", "b64", false, "u64", since}, {"rank", "b32", false, "u32", since},
      {"box_dim", "b32", true, "u32", since},         {"global_dim", "b32", true, "u32", since},
      {"global_stride", "b64", true, "u64", since},   {"element_stride", "b32", true, "u32", since},
      {"elemtype", "b32", false, "", since},          {"interleave_layout", "b32", false, "", since},
      {"swizzle_mode", "b32", false, "", since},      {"swizzle_atomicity", "b32", false, "", kBlackwell},
      {"fill_mode", "b32", false, "", since}};
  for (const auto& field : fields) {
    for (const bool shared : {false, true}) {
      const bool coded = *field.value == '\0';
      std::vector<std::string> operands{shared ? "smem" : "ptr"};
      if (!coded) operands.push_back(field.value);
      rows.push_back(row(std::string("tensormap.replace.") + field.name + (shared ? ".shared" : ".global"),
                         std::string("tensormap.replace.tile.") + field.name +
                             (shared ? ".shared::cta" : ".global") + ".b1024." + field.width + " [$0]" +
                             (field.ordinal || coded ? ", $a0" : "") + (coded ? "" : ", $1"),
                         {}, operands, field.available,
                         synchronizing(access(true, true, shared ? Space::kShared : Space::kGlobal)),
                         Convergence::kThread, field.ordinal || coded ? 1 : 0));
    }
  }
  const Effects map_fence{
      .reads = true, .writes = true, .sync = true, .space = Space::kGlobal, .proxy = Proxy::kTensorMap};
  for (const std::string scope : {"cta", "cluster", "gpu", "sys"}) {
    rows.push_back(row("tensormap.cp_fenceproxy." + scope,
                       "tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release." + scope +
                           ".sync.aligned [$0], [$1], 128",
                       {}, {"ptr", "smem"}, since, map_fence, Convergence::kWarp));
    rows.push_back(row("fence.proxy.tensormap.acquire." + scope,
                       "fence.proxy.tensormap::generic.acquire." + scope + " [$0], 128", {}, {"ptr"}, since,
                       map_fence));
    rows.push_back(row("fence.proxy.tensormap.release." + scope,
                       "fence.proxy.tensormap::generic.release." + scope, {}, {}, since, map_fence));
  }
}

}  // namespace

std::vector<Row> rows::tma_rows() {
  std::vector<Row> rows;
  add_loads(rows);
  add_stores(rows);
  add_prefetches(rows);
  add_map_changes(rows);
  return rows;
}

}  // namespace rose::ir
