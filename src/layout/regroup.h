// What divisions and products share (private to the room): both turn a layout into a pair (inner, outer),
// mode by mode where the tiler is a tuple, and then regroup the parts.
#pragma once

#include "layout/algebra.h"

namespace rose::layout {

using ModeOperation = Layout (*)(const Layout& mode, const Tiler& tiler);

// Applies the operation to each mode that the tuple `tiler` names; the others stay. Throws, in the name of
// the operation, where the tuple has more modes than the layout.
Layout by_mode(const char* name, const Layout& layout, const Tiler& tiler, ModeOperation operation);

// ((inner parts), (outer parts and the modes that tiler does not name)). pair_of must give a rank-2 layout
// for layouts and wildcards; tuples, also nested ones, are taken apart here.
Layout zip_parts(const char* name, const Layout& layout, const Tiler& tiler, ModeOperation pair_of);
Layout tiled_parts(const Layout& zipped);  // ((inner parts), outer0, outer1, ...)
Layout flat_parts(const Layout& zipped);   // (inner0, inner1, ..., outer0, outer1, ...)

}  // namespace rose::layout
