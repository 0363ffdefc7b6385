#include "kernels/gemm/x86_gemm.h"

#include <fmt/format.h>

#include "kernels/arguments.h"
#include "kernels/gemm/x86_tile.h"
#include "kernels/launch.h"

namespace rose::kernels {
namespace x86 {

Product::Product(Block& b, const X86GemmSpec& s)
    : spec(s), format(x86_weight_format(s.weights)), form(x86_form(s)), block(b) {
  int64_t row_bytes = form == X86Form::kAsIs ? s.k * s.dtype.bits() / 8 : x86_record_bytes(form, s.k);
  a = b.input("a", u8, shape(dynamic("rows"), row_bytes));
  int64_t padded = (s.k + format.per_word() - 1) / format.per_word() * format.per_word();
  int64_t panel_bytes = format.quantised() ? s.k / format.block_elements * format.cell_bytes()
                                           : padded * kLanes * format.plain.bits() / 8;
  w = b.input("w", u8, shape(panels(), panel_bytes));
  if (s.bias) bias = b.input("bias", f32, shape(s.n));
  Shape strides = shape(s.out_stride ? s.out_stride : s.n, 1);
  if (s.residual) residual = b.input("residual", s.out, shape(dynamic("rows"), s.n), strides);
  out = b.output("out", s.out, shape(dynamic("rows"), s.n), strides);
  block_rows = b.scalar("block_rows", s64);
  rows = b.dimension("rows");
}

Tensor part(const Tensor& bytes, int64_t byte, Type dtype, int64_t length) {
  Tensor t = bytes;
  t.offset += byte, t.dtype = dtype, t.shape = shape(length), t.strides = shape(1);
  return t;
}

Tensor part_at(const Tensor& bytes, const Val& byte, int64_t constant, Type dtype, int64_t length) {
  return part(bytes(byte), constant, dtype, length);
}

std::vector<Tensor> tile_rows(Product& p, const Val& row, const Val& end) {
  std::vector<Tensor> rows;
  bool records = p.form != X86Form::kAsIs;
  Tensor first = p.a(row);
  for (int i = 0; i < p.spec.rows; ++i) {
    rows.push_back(records || i == 0 ? first : p.a(min(row + i, end - 1)));
    if (records) rows.back().offset += i * p.a.strides[0].size;
  }
  return rows;
}

std::vector<std::vector<Var>> accumulators(size_t rows, int panels, Type type) {
  std::vector<std::vector<Var>> all(rows);
  for (auto& row : all) {
    row.reserve(static_cast<size_t>(panels));
    for (int j = 0; j < panels; ++j)
      row.emplace_back(type.with_lanes(kLanes), type.is_float() ? Arg(0.0) : Arg(0));
  }
  return all;
}

Sums read(const std::vector<std::vector<Var>>& accumulators) {
  Sums sums;
  for (const auto& row : accumulators) sums.emplace_back(row.begin(), row.end());
  return sums;
}

Val activation(const Product& p, const Tensor& a_row, const Val& index, int64_t constant) {
  return to(f32, load_pack(part(a_row, 0, p.spec.dtype, 0), index, constant, 1)[0]);
}

namespace {

// Adds bias and residual to `lanes` columns of a row from `column` on, and stores them.
void finish(Product& p, const Val& row, const Val& column, int lanes, Val sum) {
  if (lanes < kLanes)
    sum = shuffle_lanes(sum, sum, [&] {
      std::vector<int64_t> first(static_cast<size_t>(lanes));
      for (size_t i = 0; i < first.size(); ++i) first[i] = static_cast<int64_t>(i);
      return first;
    }());
  if (p.spec.bias) sum = sum + load_pack(p.bias, column, 0, lanes)[0];
  if (p.spec.residual) sum = sum + to(f32, load_pack(p.residual(row), column, 0, lanes)[0]);
  store_pack(p.out(row), column, 0, {to(p.spec.out, sum)});
}

// The same for the columns of a panel, of which the last one may be narrower.
void finish_panel(Product& p, const Val& row, const Val& panel, bool may_be_last, const Val& sum) {
  int rest = static_cast<int>(p.spec.n % kLanes);
  if (rest == 0 || !may_be_last) return finish(p, row, panel * kLanes, kLanes, sum);
  IF (panel < p.panels() - 1) finish(p, row, panel * kLanes, kLanes, sum);
  ELSE finish(p, row, panel * kLanes, rest, sum);
}

// One tile: spec.rows rows from `row` on, `panels` panels from `panel` on. Rows from `end` on are not stored.
// Of several panels all are whole.
void tile(Product& p, const Val& row, const Val& end, const Val& panel, int panels) {
  auto a_rows = tile_rows(p, row, end);
  auto inner = !p.format.quantised() ? plain_sums : p.spec.exact ? expanded_sums : integer_sums;
  Sums sums = inner(p, a_rows, panel, panels);
  for (int i = 0; i < p.spec.rows; ++i)
    IF (row + i < end) {
      for (int j = 0; j < panels; ++j)
        finish_panel(p, row + i, panel + j, panels == 1,
                     sums[static_cast<size_t>(i)][static_cast<size_t>(j)]);
    }
}

// The rows [first, end) in tiles of AMX. The last tile begins early, so that it has 32 rows, and stores what
// is its own; so does the last pair of panels.
void amx_tiles(Product& p, const Val& first, const Val& end, const Val& panel) {
  bool whole = p.format.plain == s8;
  auto sums = p.block.shared("sums", whole ? s32 : f32, shape(kAmxRows, 2 * kLanes), 64);
  Val first_panel = min(panel, literal(s64, p.panels() - 2));
  configure_tiles(p);
  FOR (row, first, end, kAmxRows, Unroll{1}) {
    Val start = min(row, p.rows - kAmxRows);
    amx_sums(p, sums, start, first_panel);
    FOR (i, row - start, literal(s64, kAmxRows), Unroll{1}) {
      for (int j = 0; j < 2; ++j)
        IF (first_panel + j >= panel) {
          Val sum = load_pack(sums(i), {}, j * kLanes, kLanes)[0];
          if (whole)
            sum = to(f32, sum + correction_of(p, first_panel + j)) *
                  (scale_of(p, first_panel + j) * activation_scale(p, p.a(start + i)));
          finish_panel(p, start + i, first_panel + j, j == 1, sum);
        }
    }
  }
  release_tiles();
}

// Rows and panels of a tile. With 32 vector registers 6 × 4 sums leave room for the four panels and one row;
// with 16 of half the width, 6 × 1; with registers of 128 bits, 2 × 1. A quantised panel needs eight
// registers for its words.
struct TileShape {
  int rows, panels;
};

TileShape tile_shape(const ir::Target& target, const X86GemmSpec& spec) {
  bool quantised = x86_weight_format(spec.weights).quantised(), wide = target.x86.avx512;
  if (spec.rows == kAmxRows) return {kAmxRows, 2};
  int rows = spec.rows ? spec.rows : !target.x86.avx2 ? 2 : !quantised ? 6 : wide ? 8 : 4;
  return {rows, quantised || !wide ? 1 : 4};
}

void check(const ir::Target& target, const X86GemmSpec& spec) {
  const auto& format = x86_weight_format(spec.weights);
  check_row_spec("gemm_x86", spec.dtype, spec.k, 1 << 20);
  check_row_spec("gemm_x86", spec.out, spec.n, int64_t{1} << 32);
  require(spec.k % format.block_elements == 0, "gemm_x86", "k", spec.k,
          fmt::format("{} has blocks of {}", format.name, format.block_elements));
  require(format.plain != s8 || spec.k <= 65536, "gemm_x86", "k", spec.k,
          "s8 weights have at most 65536, so that sums fit 32 bits");
  require(spec.out_stride == 0 || spec.out_stride >= spec.n, "gemm_x86", "out_stride", spec.out_stride,
          "use n or more, or 0");
  bool amx = spec.rows == kAmxRows && amx_fits(target, spec);
  require(amx || (spec.rows >= 0 && spec.rows <= 16), "gemm_x86", "rows", spec.rows,
          "use 1 to 16, 0, or 32 where AMX fits");
}

}  // namespace
}  // namespace x86

X86Form x86_form(const X86GemmSpec& spec) {
  const auto& format = x86_weight_format(spec.weights);
  if (format.plain == ir::s8) return X86Form::kBytes;
  if (spec.exact) return X86Form::kAsIs;
  if (format.quantised()) return X86Form::kBlocks;
  return format.plain == ir::bf16 && spec.dtype != ir::bf16 ? X86Form::kBf16 : X86Form::kAsIs;
}

// A block of the grid takes `panels` panels (x) of block_rows rows (y): the panels stay in the second-level
// cache while the rows pass by.
ir::Kernel gemm_x86(const ir::Target& target, const X86GemmSpec& wanted) {
  using namespace x86;
  check(target, wanted);
  auto shape = tile_shape(target, wanted);
  X86GemmSpec spec = wanted;
  spec.rows = shape.rows;
  return dsl::record("gemm_x86", {.target = target}, [&](Block& block) {
    Product p(block, spec);
    Val first = block.index(1) * p.block_rows, end = min(first + p.block_rows, p.rows);
    Val panel = block.index(0) * shape.panels;
    if (spec.rows == kAmxRows) return amx_tiles(p, first, end, panel);
    auto tiles = [&](const Val& panel, int panels) {
      FOR (row, first, end, spec.rows, Unroll{1}) tile(p, row, end, panel, panels);
    };
    int64_t whole = spec.n / kLanes, all = p.panels();
    if (shape.panels == 1 || (all == whole && whole % shape.panels == 0)) {
      tiles(panel, shape.panels);
      return;
    }
    IF (panel <= whole - shape.panels) tiles(panel, shape.panels);
    ELSE FOR (one, panel, literal(s64, all), Unroll{1}) tiles(one, 1);
  });
}

X86Gemm::X86Gemm(runtime::Context& context, const X86GemmSpec& spec)
    : spec_(spec), threads_(context.properties().processors) {
  auto target = runtime::target_of(context.properties());
  if (target.is_gpu()) throw KernelError("gemm_x86: the device is a GPU");
  auto prepare = [&](int rows) {
    X86GemmSpec one = spec;
    one.rows = rows;
    shapes_.push_back(
        {rows, x86::tile_shape(target, one).panels, &program(context, "gemm_x86", one, gemm_x86)});
  };
  int most = x86::tile_shape(target, spec).rows;
  for (int rows : {1, 2, 4})
    if (rows < most) prepare(rows);
  prepare(most);
  if (x86::amx_fits(target, spec)) prepare(x86::kAmxRows);
  auto form = x86_form(spec);
  if (form != X86Form::kAsIs) {
    X86ActivationsSpec activations{.dtype = spec.dtype,
                                   .form = form == X86Form::kBf16    ? "bf16"
                                           : form == X86Form::kBytes ? "bytes"
                                                                     : "blocks",
                                   .k = spec.k};
    activations_ = std::make_unique<X86Activations>(context, activations);
  }
}

int64_t X86Gemm::weight_bytes() const {
  return x86_packed_bytes(x86_weight_format(spec_.weights), spec_.n, spec_.k);
}
int64_t X86Gemm::workspace_bytes(int64_t rows) const {
  constexpr int64_t kMostRows = 16;  // of a tile that reads on beyond the last row
  return (rows + kMostRows - 1) / kMostRows * kMostRows * x86_record_bytes(x86_form(spec_), spec_.k);
}

void X86Gemm::operator()(runtime::Stream& stream, const Operands& o, int64_t rows) const {
  require(rows >= 0, "gemm_x86", "the number of rows", rows, "it must not be negative");
  if (rows == 0) return;
  if (activations_) {
    if (!o.workspace) throw KernelError(fmt::format("gemm_x86: {} weights need a workspace", spec_.weights));
    if (o.a) (*activations_)(stream, o.a, o.workspace, rows);
  }
  // The smallest tile that holds all rows, or the largest that rows fill.
  const Shape* shape = &shapes_.front();
  for (const auto& s : shapes_)
    if (shape->rows < rows && (s.rows != x86::kAmxRows || rows >= s.rows)) shape = &s;
  // Enough blocks to keep all threads busy to the end, of enough rows to make use of the panels in the cache.
  int64_t columns = (spec_.n + kX86PanelColumns * shape->panels - 1) / (kX86PanelColumns * shape->panels),
          tiles = (rows + shape->rows - 1) / shape->rows;
  int64_t parts = std::clamp<int64_t>((8 * threads_ + columns - 1) / columns, 1, tiles);
  int64_t block_rows = std::min<int64_t>((tiles + parts - 1) / parts, 16) * shape->rows;
  LaunchArguments arguments("gemm_x86");
  arguments.add(activations_ ? o.workspace : o.a).add(rows).add(o.weights);
  arguments.optional("bias", spec_.bias, o.bias).optional("residual", spec_.residual, o.residual);
  arguments.add(o.out).add(block_rows);
  runtime::Grid grid = grid_of(columns);
  grid.y = grid_of((rows + block_rows - 1) / block_rows).x;
  stream.launch(*shape->program, grid, arguments.list());
}

}  // namespace rose::kernels
