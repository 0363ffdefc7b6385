// Pictures of layouts, to look at what an algebraic expression does.
#pragma once

#include "layout/tv_layout.h"

namespace rose::layout {

// An SVG grid with mode 0 downwards and mode 1 to the right. Each cell shows its index, and its colour
// the index modulo 32 (the shared-memory bank, for 4-byte elements). Throws unless the rank is 2 and there
// are at most 65536 cells.
std::string svg(const Layout& layout);
std::string svg(const ComposedLayout& layout);
// An SVG grid of the tile: each cell names the thread (T), which sets the colour, and the value (V) that
// hold it. A cell held several times shows the first holder and "+"; one held by nobody stays white.
std::string svg(const TvLayout& layout);

}  // namespace rose::layout
