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

// Of AMX: s8 sums are still to be corrected and scaled.
void finish_amx(Product& p, const Val& row, const Val& panel, int which, Val sum) {
  if (p.format.plain == s8)
    sum = to(f32, sum + correction_of(p, panel)) * (scale_of(p, panel) * activation_scale(p, p.a(row)));
  finish_panel(p, row, panel, which == 1, sum);
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
  if (format.quantised()) return spec.rows == x86::kAmxRows ? X86Form::kBf16 : X86Form::kBlocks;
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
    if (spec.rows == kAmxRows)
      return amx_tiles(p, first, end, panel, [&](const Val& row, const Val& one, int which, const Val& sum) {
        finish_amx(p, row, one, which, sum);
      });
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

namespace {

std::unique_ptr<X86Activations> activations_of(runtime::Context& context, const X86GemmSpec& spec) {
  auto form = x86_form(spec);
  if (form == X86Form::kAsIs) return nullptr;
  const char* name = form == X86Form::kBf16 ? "bf16" : form == X86Form::kBytes ? "bytes" : "blocks";
  return std::make_unique<X86Activations>(context,
                                          X86ActivationsSpec{.dtype = spec.dtype, .form = name, .k = spec.k});
}

X86GemmSpec with_rows(X86GemmSpec spec, int rows) {
  spec.rows = rows;
  return spec;
}

}  // namespace

X86Gemm::X86Gemm(runtime::Context& context, const X86GemmSpec& spec)
    : context_(&context), spec_(spec), threads_(context.properties().processors) {
  auto target = runtime::target_of(context.properties());
  if (target.is_gpu()) throw KernelError("gemm_x86: the device is a GPU");
  x86::check(target, spec);
  int most = x86::tile_shape(target, spec).rows;
  for (int rows : {1, 2, 4})
    if (rows < most) shapes_.push_back({rows, x86::tile_shape(target, with_rows(spec, rows)).panels});
  shapes_.push_back({most, x86::tile_shape(target, spec).panels});
  activations_ = activations_of(context, spec);
  if (!x86::amx_fits(target, spec)) return;
  amx_ = {x86::kAmxRows, 2};
  amx_activations_ = activations_of(context, with_rows(spec, x86::kAmxRows));
}

int64_t X86Gemm::weight_bytes() const {
  return x86_packed_bytes(x86_weight_format(spec_.weights), spec_.n, spec_.k);
}

int64_t X86Gemm::workspace_bytes(int64_t rows) const {
  // Tiles read on beyond the last row.
  auto bytes = [&](const X86GemmSpec& spec, int64_t most_rows) {
    return (rows + most_rows - 1) / most_rows * most_rows * x86_record_bytes(x86_form(spec), spec.k);
  };
  int64_t plain = bytes(spec_, 16);
  return amx_.rows ? std::max(plain, bytes(with_rows(spec_, x86::kAmxRows), x86::kAmxRows)) : plain;
}

bool X86Gemm::shares_records(const X86Gemm& other) const {
  return spec_.k == other.spec_.k && spec_.dtype == other.spec_.dtype && amx_.rows == other.amx_.rows &&
         x86_form(spec_) == x86_form(other.spec_) &&
         x86_form(with_rows(spec_, x86::kAmxRows)) == x86_form(with_rows(other.spec_, x86::kAmxRows)) &&
         activations_ != nullptr;
}

// Tiles of AMX give what the others give only for 8-bit integers; for bf16 they are for prompts. They read
// whole tiles, for which there are records, or else rows.
bool X86Gemm::takes_amx(int64_t rows, bool prompt) const {
  if (!amx_.rows) return false;
  bool records = amx_activations_ != nullptr, integers = spec_.weights == "s8";
  return integers ? rows >= x86::kAmxRows : prompt && (records || rows >= x86::kAmxRows);
}

void X86Gemm::prepare() const {
  program_of(takes_amx(x86::kAmxRows, true) ? amx_ : shapes_.back());
  program_of(shapes_.front());
}

const runtime::Program& X86Gemm::program_of(Shape& shape) const {
  if (!shape.program) shape.program = &program(*context_, "gemm_x86", with_rows(spec_, shape.rows), gemm_x86);
  return *shape.program;
}

void X86Gemm::operator()(runtime::Stream& stream, const Operands& o, int64_t rows) const {
  require(rows >= 0, "gemm_x86", "the number of rows", rows, "it must not be negative");
  if (rows == 0) return;
  // The smallest tile that holds all rows, or the largest that rows fill.
  Shape* shape = &shapes_.front();
  for (auto& s : shapes_)
    if (shape->rows < rows) shape = &s;
  bool amx = takes_amx(rows, o.prompt);
  if (amx) shape = &amx_;
  const auto& activations = amx ? amx_activations_ : activations_;
  if (activations) {
    if (!o.workspace) throw KernelError(fmt::format("gemm_x86: {} weights need a workspace", spec_.weights));
    if (o.a) (*activations)(stream, o.a, o.workspace, rows);
  }
  // Enough blocks to keep all threads busy to the end, of enough rows to make use of the panels in the cache.
  int64_t columns = (spec_.n + kX86PanelColumns * shape->panels - 1) / (kX86PanelColumns * shape->panels),
          tiles = (rows + shape->rows - 1) / shape->rows;
  int64_t parts = std::clamp<int64_t>((8 * threads_ + columns - 1) / columns, 1, tiles);
  int64_t block_rows = std::min<int64_t>((tiles + parts - 1) / parts, 16) * shape->rows;
  LaunchArguments arguments("gemm_x86");
  arguments.add(activations ? o.workspace : o.a).add(rows).add(o.weights);
  arguments.optional("bias", spec_.bias, o.bias).optional("residual", spec_.residual, o.residual);
  arguments.add(o.out).add(block_rows);
  runtime::Grid grid = grid_of(columns);
  grid.y = grid_of((rows + block_rows - 1) / block_rows).x;
  stream.launch(program_of(*shape), grid, arguments.list());
}

}  // namespace rose::kernels
