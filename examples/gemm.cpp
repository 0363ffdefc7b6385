// out[M, N] = a[M, K] · b[K, N] in f32 from a tile of variables: host loops unroll, the recorded loop stays a
// loop.
#include "dsl/block.h"
#include "example.h"

using namespace rose::dsl;

struct Spec {
  int64_t n = 256, k = 192;
};

constexpr size_t kRows = 4;  // of the tile that one thread computes

// Columns of the tile that one thread computes: two vectors on x86, four values on a GPU.
int tile_columns(const Target& target) { return target.is_gpu() ? 4 : 2 * target.vector_bytes() / 4; }
// Threads of a block along M and along N.
int threads_along(const Target& target) { return target.is_gpu() ? 16 : 1; }

// The tile of out lives in variables, one register (on x86: one vector register) each. Every turn of the loop
// over K reads kRows values of a and one row piece of b, and multiplies each with each. M, N and K are
// multiples of the tile.
rose::ir::Kernel gemm(const Target& target, const Spec& spec) {
  const int columns = tile_columns(target), side = threads_along(target);
  const int access = target.is_gpu() ? 4 : target.vector_bytes() / 4;  // elements that one load moves
  const Type element = f32.with_lanes(target.is_gpu() ? 1 : access);
  const size_t per_access = static_cast<size_t>(access / element.lanes);
  return record("gemm", {.target = target, .threads = side * side}, [&](Block& block) {
    auto a = block.input("a", f32, shape(dynamic("m"), spec.k));       // [m, k]
    auto b = block.input("b", f32, shape(spec.k, spec.n));             // [k, n]
    auto out = block.output("out", f32, shape(dynamic("m"), spec.n));  // [m, n]
    Val row = (block.index(1) * side + block.thread() / side) * kRows;
    Val column = (block.index(0) * side + block.thread() % side) * columns;

    std::vector<std::vector<Var>> tile(kRows);  // (row, column or vector of columns)
    for (auto& line : tile) {
      line.reserve(static_cast<size_t>(columns));
      for (int c = 0; c < columns; c += element.lanes) line.emplace_back(element, 0.0);
    }
    FOR (k, literal(s64, 0), spec.k) {
      Pack piece;  // of row k of b
      for (int c = 0; c < columns; c += access)
        for (const Val& v : load_pack(b(k), column, c, access)) piece.push_back(v);
      for (size_t r = 0; r < kRows; ++r) {
        Val factor = load(a(row + r), k);
        for (size_t c = 0; c < piece.size(); ++c) tile[r][c] = fma(factor, piece[c], tile[r][c]);
      }
    }
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t c = 0; c < tile[r].size(); c += per_access) {
        Pack piece(tile[r].begin() + c, tile[r].begin() + c + per_access);
        store_pack(out(row + r), column, c * element.lanes, piece);
      }
    }
  });
}

int main() {
  auto context = example::open_device();
  auto target = rose::runtime::target_of(context->properties());
  Spec spec;
  auto program = context->device().load(rose::runtime::compile(gemm(target, spec)));

  const int64_t m = 128;
  auto a = example::some_values(static_cast<size_t>(m * spec.k), 4),
       b = example::some_values(static_cast<size_t>(spec.k * spec.n), 5);
  auto a_there = example::to_device(*context, a), b_there = example::to_device(*context, b);
  auto out_there = context->device().allocate(static_cast<size_t>(m * spec.n) * sizeof(float));
  int side = threads_along(target);
  rose::runtime::Grid grid{static_cast<uint32_t>(spec.n / (tile_columns(target) * side)),
                           static_cast<uint32_t>(m / (kRows * side))};
  context->stream().launch(*program, grid, {a_there, m, b_there, out_there});

  std::vector<double> expected(static_cast<size_t>(m * spec.n));
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < spec.n; ++j)
      for (int64_t k = 0; k < spec.k; ++k)
        expected[static_cast<size_t>(i * spec.n + j)] +=
            double{a[static_cast<size_t>(i * spec.k + k)]} * b[static_cast<size_t>(k * spec.n + j)];
  // k fused products, each rounded once; partial sums stay below sqrt(k) here.
  return example::compare(example::to_host(*context, out_there), expected,
                          static_cast<double>(spec.k) * std::sqrt(192.0) * 0x1p-24);
}
