#include "kernels/gemm/x86_gemm.h"

#include <fmt/format.h>

#include "kernels/arguments.h"
#include "kernels/gemm/x86_tile.h"
#include "kernels/launch.h"

namespace rose::kernels {
namespace x86 {

Product::Product(Block& b, const X86GemmSpec& s)
    : spec(s), format(x86_weight_format(s.weights)), form(x86_form(s)), record(x86_record(form, s.k)), block(b) {
  int64_t row_bytes = form == X86Form::kAsIs ? s.k * s.dtype.bits() / 8 : record.bytes;
  a = b.input("a", u8, shape(dynamic("rows"), row_bytes));
  int64_t padded = (s.k + format.per_word() - 1) / format.per_word() * format.per_word();
  int64_t panel_bytes = format.quantised() ? s.k / format.block_elements * format.cell_bytes() : padded * kLanes * format.plain.bits() / 8;
  w = b.input("w", u8, shape(panels(), panel_bytes));
  if (s.bias) bias = b.input("bias", f32, shape(s.n));
  if (s.residual) residual = b.input("residual", s.out, shape(dynamic("rows"), s.n));
  out = b.output("out", s.out, shape(dynamic("rows"), s.n));
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

std::vector<std::vector<Var>> accumulators(size_t rows, int panels, Type type) {
  std::vector<std::vector<Var>> all(rows);
  for (auto& row : all) {
    row.reserve(static_cast<size_t>(panels));
    for (int j = 0; j < panels; ++j) row.emplace_back(type.with_lanes(kLanes), type.is_float() ? Arg(0.0) : Arg(0));
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
  if (lanes < kLanes) sum = shuffle_lanes(sum, sum, [&] {
    std::vector<int64_t> first(static_cast<size_t>(lanes));
    for (size_t i = 0; i < first.size(); ++i) first[i] = static_cast<int64_t>(i);
    return first;
  }());
  if (p.spec.bias) sum = sum + load_pack(p.bias, column, 0, lanes)[0];
  if (p.spec.residual) sum = sum + to(f32, load_pack(p.residual(row), column, 0, lanes)[0]);
  store_pack(p.out(row), column, 0, {to(p.spec.out, sum)});
}

// One tile: spec.rows rows from `row` on, `panels` panels from `panel` on. Rows from `end` on do not exist: the last one
// stands in for them while reading, and they are not stored.
void tile(Product& p, const Val& row, const Val& end, const Val& panel, int panels) {
  std::vector<Tensor> a_rows;
  for (int i = 0; i < p.spec.rows; ++i) a_rows.push_back(p.a(i == 0 ? row : min(row + i, end - 1)));
  auto inner = !p.format.quantised() ? plain_sums : p.spec.exact ? expanded_sums : integer_sums;
  Sums sums = inner(p, a_rows, panel, panels);
  int rest = static_cast<int>(p.spec.n % kLanes);
  for (int i = 0; i < p.spec.rows; ++i)
    IF (row + i < end) {
      for (int j = 0; j < panels; ++j) {
        const Val& sum = sums[static_cast<size_t>(i)][static_cast<size_t>(j)];
        Val column = (panel + j) * kLanes;
        if (panels > 1 || rest == 0) {
          finish(p, row + i, column, kLanes, sum);
        } else {  // only single panels may be the last one
          IF (panel < p.panels() - 1) finish(p, row + i, column, kLanes, sum);
          ELSE finish(p, row + i, column, rest, sum);
        }
      }
    }
}

// Rows and panels of a tile. With 32 vector registers 6 × 4 sums leave room for the four panels and one row; with 16 of
// half the width, 6 × 1. A quantised panel needs eight registers for its words.
struct TileShape { int rows, panels; };

TileShape tile_shape(const ir::Target& target, const X86GemmSpec& spec) {
  bool quantised = x86_weight_format(spec.weights).quantised(), wide = target.x86.avx512;
  int rows = spec.rows ? spec.rows : quantised ? (wide ? 8 : 4) : 6;
  return {rows, quantised || !wide ? 1 : 4};
}

void check(const X86GemmSpec& spec) {
  const auto& format = x86_weight_format(spec.weights);
  check_row_spec("gemm_x86", spec.dtype, spec.k, 1 << 20);
  check_row_spec("gemm_x86", spec.out, spec.n, int64_t{1} << 32);
  require(spec.k % format.block_elements == 0, "gemm_x86", "k", spec.k, fmt::format("{} has blocks of {}", format.name, format.block_elements));
  require(format.plain != s8 || spec.k <= 65536, "gemm_x86", "k", spec.k, "s8 weights have at most 65536, so that sums fit 32 bits");
  require(spec.rows >= 0 && spec.rows <= 16, "gemm_x86", "rows", spec.rows, "use 1 to 16, or 0");
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

// A block of the grid takes `panels` panels (x) of block_rows rows (y): the panels stay in the second-level cache while
// the rows pass by.
ir::Kernel gemm_x86(const ir::Target& target, const X86GemmSpec& wanted) {
  using namespace x86;
  check(wanted);
  auto shape = tile_shape(target, wanted);
  X86GemmSpec spec = wanted;
  spec.rows = shape.rows;
  return dsl::record("gemm_x86", {.target = target}, [&](Block& block) {
    Product p(block, spec);
    Val first = block.index(1) * p.block_rows, end = min(first + p.block_rows, p.rows);
    auto tiles = [&](const Val& panel, int panels) {
      FOR (row, first, end, spec.rows, Unroll{1}) tile(p, row, end, panel, panels);
    };
    Val panel = block.index(0) * shape.panels;
    int64_t whole = spec.n / kLanes, all = p.panels();
    if (shape.panels == 1 || (all == whole && whole % shape.panels == 0)) {
      tiles(panel, shape.panels);
      return;
    }
    IF (panel <= whole - shape.panels) tiles(panel, shape.panels);
    ELSE FOR (one, panel, literal(s64, all), Unroll{1}) tiles(one, 1);
  });
}

X86Gemm::X86Gemm(runtime::Context& context, const X86GemmSpec& spec) : spec_(spec), threads_(context.properties().processors) {
  auto target = runtime::target_of(context.properties());
  if (target.is_gpu()) throw KernelError("gemm_x86: the device is a GPU");
  int most = x86::tile_shape(target, spec).rows;
  for (int rows : {1, 2, 4, most}) {
    if (rows > most || (!shapes_.empty() && shapes_.back().rows == rows)) continue;
    X86GemmSpec one = spec;
    one.rows = rows;
    shapes_.push_back({rows, &program(context, "gemm_x86", one, gemm_x86)});
  }
  auto form = x86_form(spec);
  if (form != X86Form::kAsIs) {
    X86ActivationsSpec activations{.dtype = spec.dtype, .form = form == X86Form::kBf16 ? "bf16" : form == X86Form::kBytes ? "bytes" : "blocks", .k = spec.k};
    activations_ = std::make_unique<X86Activations>(context, activations);
  }
  panels_ = x86::tile_shape(target, spec).panels;
}

int64_t X86Gemm::weight_bytes() const { return x86_packed_bytes(x86_weight_format(spec_.weights), spec_.n, spec_.k); }
int64_t X86Gemm::workspace_bytes(int64_t rows) const { return rows * x86_record(x86_form(spec_), spec_.k).bytes; }

void X86Gemm::operator()(runtime::Stream& stream, const Operands& o, int64_t rows) const {
  require(rows >= 0, "gemm_x86", "the number of rows", rows, "it must not be negative");
  if (rows == 0) return;
  if (activations_) {
    if (!o.workspace) throw KernelError(fmt::format("gemm_x86: {} weights need a workspace", spec_.weights));
    if (o.a) (*activations_)(stream, o.a, o.workspace, rows);
  }
  const Shape* shape = &shapes_.back();
  for (const auto& s : shapes_)
    if (rows <= s.rows) { shape = &s; break; }
  // Enough blocks to keep all threads busy to the end, of enough rows to make use of the panels in the cache.
  int64_t columns = (spec_.n + kX86PanelColumns * panels_ - 1) / (kX86PanelColumns * panels_), tiles = (rows + shape->rows - 1) / shape->rows;
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
