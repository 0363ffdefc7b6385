#include "kernels/rope/rotary.h"

#include <fmt/format.h>

#include <numeric>

#include "dsl/grid.h"
#include "kernels/arguments.h"
#include "kernels/rope/frequencies.h"
#include "kernels/row_groups.h"

namespace rose::kernels {

using namespace dsl;

namespace {

// Elements that all heads and their turning parts begin at multiples of.
int64_t head_alignment(const RotarySpec& s) {
  int64_t multiple = std::gcd(s.head_dim, s.rotary_offset);
  return s.style == "interleaved" ? multiple / 2 : multiple;  // where a pair is one unit, count pairs
}

void check(const RotarySpec& s) {
  check_row_spec("rotary", s.dtype, s.head_dim, 1024);
  require(s.heads >= 1 && s.heads <= 65536, "rotary", "heads", s.heads, "use 1 to 65536");
  require(s.rotary_dim >= 2 && s.rotary_dim % 2 == 0, "rotary", "rotary_dim", s.rotary_dim,
          "use an even number from 2 on");
  require(s.rotary_offset >= 0 && s.rotary_offset + s.rotary_dim <= s.head_dim, "rotary", "rotary_offset",
          s.rotary_offset,
          fmt::format("offset and rotary_dim {} must lie within the head of {}", s.rotary_dim, s.head_dim));
  if (parse_rope_style("rotary", s.style) == RopeStyle::kInterleaved)
    require(s.head_dim % 2 == 0 && s.rotary_offset % 2 == 0, "rotary", "head_dim", s.head_dim,
            "interleaved pairs need an even head_dim and rotary_offset");
}

RowGroups groups_of(const ir::Target& target, const RotarySpec& s) {
  return row_groups(target, s.rotary_dim / 2, s.dtype);
}

}  // namespace

RopeStyle parse_rope_style(std::string_view kernel, std::string_view style) {
  if (style == "half") return RopeStyle::kHalf;
  if (style == "interleaved") return RopeStyle::kInterleaved;
  throw KernelError(fmt::format("{}: style is '{}'; use half or interleaved", kernel, style));
}

// One row is one head of one token.
ir::Kernel rotary(const ir::Target& target, const RotarySpec& spec) {
  check(spec);
  auto style = parse_rope_style("rotary", spec.style);
  auto groups = groups_of(target, spec);
  return record(
      "rotary",
      {.target = target, .threads = groups.threads, .min_blocks = target.is_gpu() ? 4 : 0, .pdl = spec.pdl},
      [&](Block& block) {
        Shape heads = shape(dynamic("tokens"), spec.heads, spec.head_dim);
        Shape strides = shape(dynamic("x_stride"), spec.head_dim, 1);
        auto x = spec.in_place ? block.inout("x", spec.dtype, heads, strides)
                               : block.input("x", spec.dtype, heads, strides);
        auto positions = block.input("positions", s32, shape(dynamic("tokens")));
        auto table = block.input("table", f32, shape(dynamic("table_rows"), spec.rotary_dim));
        auto out = spec.in_place ? x : block.output("out", spec.dtype, heads);

        let_next_kernel_start(block);
        wait_for_previous_kernel(block);
        auto group = row_group(block, block.dimension("tokens") * spec.heads, groups.size);
        auto [token, head] = split_row(group.row, spec.heads);
        auto half = rope_layout(block, group, spec.rotary_dim, x.element_bytes(), head_alignment(spec));
        auto angles = angles_of(table, positions, token, block.dimension("table_rows"));
        auto cosine = load(angles.slice(0, half.length), half),
             sine = load(angles.slice(half.length, half.length), half);

        Tensor from = x(token, head), into = out(token, head);
        auto pair = load_pair(style, from.slice(spec.rotary_offset, spec.rotary_dim), half);
        store_pair(style, into.slice(spec.rotary_offset, spec.rotary_dim), rotate(pair, cosine, sine));
        if (spec.in_place) return;
        auto copy = [&](int64_t begin, int64_t length) {
          if (length == 0) return;
          auto lanes = row_layout(block, group, length, x.element_bytes(),
                                  std::gcd(std::gcd(spec.head_dim, spec.rotary_offset), begin));
          store(into.slice(begin, length), load(from.slice(begin, length), lanes));
        };
        copy(0, spec.rotary_offset);
        copy(spec.rotary_offset + spec.rotary_dim, spec.head_dim - spec.rotary_offset - spec.rotary_dim);
      });
}

Rotary::Rotary(runtime::Context& context, const RotarySpec& spec)
    : program_(&program(context, "rotary", spec, rotary)),
      spec_(spec),
      target_(runtime::target_of(context.properties())) {}

int64_t Rotary::alignment() const {
  return target_.is_gpu() ? std::gcd(std::gcd(spec_.head_dim, spec_.rotary_offset), 128 / spec_.dtype.bits())
                          : 1;
}

void Rotary::operator()(runtime::Stream& stream, const Arguments& a) const {
  int64_t rows = a.tokens * spec_.heads, x_stride = a.x_stride ? a.x_stride : spec_.heads * spec_.head_dim;
  require(a.tokens >= 0 && rows <= INT32_MAX, "rotary", "the number of heads of all tokens", rows,
          "use at most 2^31 - 1");
  require(x_stride % alignment() == 0, "rotary", "x_stride", x_stride,
          fmt::format("use a multiple of {}", alignment()));
  require(a.table_rows > 0, "rotary", "table_rows", a.table_rows, "the table needs a row");
  LaunchArguments list("rotary");
  list.add(a.x)
      .add(a.tokens)
      .add(x_stride)
      .add(a.positions)
      .add(a.table)
      .add(a.table_rows)
      .optional("out", !spec_.in_place, a.out);
  stream.launch(*program_, groups_of(target_, spec_).grid(rows), list.list());
}

CatalogEntry rotary_entry() {
  auto e = catalog_entry<RotarySpec>(
      "rotary", "rotary position embedding of heads, half or interleaved, whole or partial", rotary,
      {"heads=32", "heads=32,style=interleaved", "heads=16,head_dim=256,rotary_dim=64", "heads=32,in_place=0",
       "heads=128,head_dim=192,rotary_dim=64,rotary_offset=128,style=interleaved",
       "heads=9,head_dim=64,rotary_dim=64,dtype=f32"});
  e.bench_rows = 16384;
  e.make_case = [](runtime::Context& context, std::string_view text, int64_t rows) {
    auto spec = parse_spec<RotarySpec>(text);
    struct Data {
      Rotary op;
      runtime::Buffer x, positions, table, out;
      int64_t table_rows;
    };
    constexpr int64_t kPositions = 4096;
    int64_t count = rows * spec.heads * spec.head_dim, bytes = count * spec.dtype.bits() / 8;
    auto data =
        std::make_shared<Data>(Data{Rotary(context, spec),
                                    random_buffer(context, spec.dtype, count, 1),
                                    context.device().allocate(static_cast<size_t>(rows * 4)),
                                    {},
                                    context.device().allocate(static_cast<size_t>(spec.in_place ? 0 : bytes)),
                                    kPositions});
    std::vector<int32_t> positions(static_cast<size_t>(rows));
    for (size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<int32_t>(i % kPositions);
    auto table = rope_table({.rotary_dim = spec.rotary_dim}, kPositions);
    data->table = context.device().allocate(table.size() * 4);
    context.stream().upload(data->positions, positions.data(), positions.size() * 4);
    context.stream().upload(data->table, table.data(), table.size() * 4);
    context.stream().synchronize();
    Case c;
    c.bytes = 2.0 *
              static_cast<double>(rows * spec.heads * (spec.in_place ? spec.rotary_dim : spec.head_dim)) *
              spec.dtype.bits() / 8;
    c.launch = [data, rows](runtime::Stream& stream) {
      data->op(stream, {.x = data->x,
                        .out = data->out,
                        .positions = data->positions,
                        .table = data->table,
                        .tokens = rows,
                        .table_rows = data->table_rows});
    };
    return c;
  };
  return e;
}

}  // namespace rose::kernels
