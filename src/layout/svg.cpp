#include "layout/svg.h"

namespace rose::layout {

namespace {

constexpr int64_t kLargestPicture = 65536;  // cells

struct Cell {
  std::string text = "";
  int64_t colour = -1;  // -1 is white
};

// Hues far apart for neighbouring numbers: multiples of the golden angle; lighter by turns.
std::string fill_of(int64_t colour) {
  if (colour < 0) return "white";
  return fmt::format("hsl({},70%,{}%)", colour * 137 % 360, 72 + 8 * (colour % 3));
}

template <class CellAt>
std::string draw_grid(int64_t rows, int64_t columns, int width, const CellAt& cell_at) {
  constexpr int kHeight = 28, kMargin = 36;
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" font-family=\"sans-serif\" "
      "font-size=\"11\" text-anchor=\"middle\">\n",
      columns * width + kMargin + 1, rows * kHeight + kMargin + 1);
  auto text = [&](int64_t x, int64_t y, const std::string& what) {
    out += fmt::format("<text x=\"{}\" y=\"{}\">{}</text>\n", x, y, what);
  };
  for (int64_t n = 0; n < columns; ++n) text(kMargin + n * width + width / 2, kMargin - 8, fmt::to_string(n));
  for (int64_t m = 0; m < rows; ++m) {
    const int64_t top = kMargin + m * kHeight, baseline = top + kHeight / 2 + 4;
    text(kMargin / 2, baseline, fmt::to_string(m));
    for (int64_t n = 0; n < columns; ++n) {
      const Cell cell = cell_at(m, n);
      out +=
          fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\" stroke=\"black\"/>\n",
                      kMargin + n * width, top, width, kHeight, fill_of(cell.colour));
      text(kMargin + n * width + width / 2, baseline, cell.text);
    }
  }
  return out + "</svg>\n";
}

void check_drawable(const IntTuple& shape) {
  if (!shape.is_tuple() || shape.rank() != 2) {
    fail(fmt::format("svg: shape {} has no two modes to draw as rows and columns", to_string(shape)));
  }
  if (product(shape) > kLargestPicture) {
    fail(fmt::format("svg: {} has {} cells; at most {} are drawn", to_string(shape), product(shape),
                     kLargestPicture));
  }
}

std::string draw_indices(const ComposedLayout& layout) {
  check_drawable(layout.shape());
  return draw_grid(product(layout.shape()[0]), product(layout.shape()[1]), 40, [&](int64_t m, int64_t n) {
    int64_t index = layout(m, n);
    return Cell{fmt::to_string(index), (index % 32 + 32) % 32};
  });
}

}  // namespace

std::string svg(const Layout& layout) { return draw_indices({Swizzle(), 0, layout}); }

std::string svg(const ComposedLayout& layout) { return draw_indices(layout); }

std::string svg(const TvLayout& layout) {
  check_drawable(layout.tile());
  std::vector<Cell> cells(product(layout.tile()));
  for (int64_t value = 0; value < layout.values(); ++value) {
    for (int64_t thread = 0; thread < layout.threads(); ++thread) {
      Cell& cell = cells[layout.layout()(thread, value)];
      if (cell.colour < 0) {
        cell = {fmt::format("T{} V{}", thread, value), thread};
      } else if (!cell.text.ends_with('+')) {
        cell.text += '+';
      }
    }
  }
  int64_t rows = layout.tile()[0].value();
  return draw_grid(rows, layout.tile()[1].value(), 64,
                   [&](int64_t m, int64_t n) { return cells[m + rows * n]; });
}

}  // namespace rose::layout
