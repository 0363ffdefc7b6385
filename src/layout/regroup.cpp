#include "layout/regroup.h"

namespace rose::layout {

namespace {

int named_modes(const char* name, const Layout& layout, const Tiler& tiler) {
  int count = static_cast<int>(tiler.modes().size());
  if (count > layout.rank()) {
    fail(fmt::format("{}: {} has more modes than {}", name, to_string(tiler), to_string(layout)));
  }
  return count;
}

void append_modes(std::vector<Layout>& out, const Layout& layout) {
  for (int i = 0; i < layout.rank(); ++i) out.push_back(layout[i]);
}

}  // namespace

Layout by_mode(const char* name, const Layout& layout, const Tiler& tiler, ModeOperation operation) {
  const int named = named_modes(name, layout, tiler);
  std::vector<Layout> modes;
  for (int i = 0; i < layout.rank(); ++i) {
    modes.push_back(i < named ? operation(layout[i], tiler.modes()[i]) : layout[i]);
  }
  return make_layout(modes);
}

Layout zip_parts(const char* name, const Layout& layout, const Tiler& tiler, ModeOperation pair_of) {
  if (!tiler.is_tuple()) return pair_of(layout, tiler);
  const int named = named_modes(name, layout, tiler);
  std::vector<Layout> inner, outer;
  for (int i = 0; i < named; ++i) {
    Layout pair = zip_parts(name, layout[i], tiler.modes()[i], pair_of);
    inner.push_back(pair[0]);
    outer.push_back(pair[1]);
  }
  for (int i = named; i < layout.rank(); ++i) outer.push_back(layout[i]);
  return make_layout({make_layout(inner), make_layout(outer)});
}

Layout tiled_parts(const Layout& zipped) {
  std::vector<Layout> modes = {zipped[0]};
  append_modes(modes, zipped[1]);
  return make_layout(modes);
}

Layout flat_parts(const Layout& zipped) {
  std::vector<Layout> modes;
  append_modes(modes, zipped[0]);
  append_modes(modes, zipped[1]);
  return make_layout(modes);
}

}  // namespace rose::layout
