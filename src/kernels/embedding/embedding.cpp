#include "kernels/embedding/embedding.h"

#include "dsl/fragment.h"
#include "dsl/grid.h"
#include "kernels/launch.h"

namespace rose::kernels {

using namespace dsl;

// One block per token.
ir::Kernel embedding(const ir::Target& target, const EmbeddingSpec& spec) {
  check_row_spec("embedding", spec.dtype, spec.hidden);
  check_row_spec("embedding", spec.out_dtype, spec.hidden);
  Launch launch{.target = target,
                .threads = row_threads(target, spec.hidden, spec.dtype, spec.threads),
                .pdl = spec.pdl};
  return record("embedding", launch, [&](Block& block) {
    auto ids = block.input("ids", s32, shape(dynamic("tokens")));
    auto table = block.input("table", spec.dtype, shape(dynamic("table_rows"), spec.hidden));
    auto first_id = block.scalar("first_id", s64);
    auto out = block.output("out", spec.out_dtype, shape(dynamic("tokens"), spec.hidden));

    let_next_kernel_start(block);
    wait_for_previous_kernel(block);
    auto group = row_group(block, block.dimension("tokens"));
    auto lanes = row_layout(block, group, spec.hidden, std::max(table.element_bytes(), out.element_bytes()));
    Val id = to(s64, load(ids, group.row)) - first_id;
    Val known = (id >= 0) & (id < block.dimension("table_rows"));
    // An empty table has no row 0 to read instead: an unknown id is not read at all.
    IF (known) {
      Frag row = load(table(id), lanes);
      if (spec.scale != 1)
        row = to(f32, row) * spec.scale;
      else if (spec.out_dtype != spec.dtype)
        row = to(f32, row);
      store(out(group.row), row);
    }
    ELSE { store(out(group.row), constant(spec.out_dtype, lanes, 0)); }
  });
}

Embedding::Embedding(runtime::Context& context, const EmbeddingSpec& spec)
    : program_(&program(context, "embedding", spec, embedding)) {}

void Embedding::operator()(runtime::Stream& stream, runtime::DevicePointer ids, runtime::DevicePointer table,
                           runtime::DevicePointer out, int64_t tokens, int64_t table_rows,
                           int64_t first_id) const {
  stream.launch(*program_, grid_of(tokens), {ids, tokens, table, table_rows, first_id, out});
}

CatalogEntry embedding_entry() {
  auto e =
      catalog_entry<EmbeddingSpec>("embedding", "gather of embedding rows, with an optional scale", embedding,
                                   {"hidden=4096", "hidden=384,dtype=f32,out_dtype=f32",
                                    "hidden=2560,scale=50.59644256269407", "hidden=576,dtype=f32"});
  e.bench_rows = 65536;
  e.make_case = [](runtime::Context& context, std::string_view text, int64_t tokens) {
    auto spec = parse_spec<EmbeddingSpec>(text);
    constexpr int64_t kVocabulary = 32000;
    struct Data {
      Embedding op;
      runtime::Buffer ids, table, out;
    };
    int64_t count = tokens * spec.hidden;
    auto data = std::make_shared<Data>(
        Data{Embedding(context, spec), context.device().allocate(static_cast<size_t>(tokens * 4)),
             random_buffer(context, spec.dtype, kVocabulary * spec.hidden, 1),
             context.device().allocate(static_cast<size_t>(count * spec.out_dtype.bits() / 8))});
    std::vector<int32_t> ids(static_cast<size_t>(tokens));
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i * 7919 % kVocabulary);
    context.stream().upload(data->ids, ids.data(), ids.size() * 4);
    context.stream().synchronize();
    Case c;
    c.bytes = static_cast<double>(count) * (spec.dtype.bits() + spec.out_dtype.bits()) / 8;
    c.launch = [data, tokens](runtime::Stream& stream) {
      data->op(stream, data->ids, data->table, data->out, tokens, kVocabulary);
    };
    return c;
  };
  return e;
}

}  // namespace rose::kernels
