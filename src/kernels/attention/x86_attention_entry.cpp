#include "kernels/attention/x86_attention.h"

namespace rose::kernels {

CatalogEntry x86_attention_entry() {
  auto e = catalog_entry<X86AttentionSpec>(
      "x86_attention", "attention over packed sequences or a paged KV cache, on x86", x86_attention,
      {"q_heads=9,kv_heads=3,head_dim=64,block_size=32",
       "q_heads=9,kv_heads=3,head_dim=64,block_size=32,single=1",
       "q_heads=12,kv_heads=12,head_dim=32,mask=full",
       "q_heads=4,kv_heads=1,head_dim=256,window=512,block_size=32,kv_dtype=bf16",
       "q_heads=8,kv_heads=4,head_dim=256,softcap=50,block_size=64"},
      x86_only);
  e.bench_rows = 512;
  // One sequence of `rows` tokens; with single, one query a sequence of `rows` keys.
  e.make_case = [](runtime::Context& context, std::string_view text, int64_t rows) {
    auto spec = parse_spec<X86AttentionSpec>(text);
    struct Data {
      X86Attention op;
      runtime::Buffer q, k, v, out, first, lengths, table, tiles;
    };
    int64_t tokens = spec.single ? 1 : rows, block = spec.block_size ? spec.block_size : 1,
            blocks = (rows + block - 1) / block;
    auto allocate = [&](int64_t bytes) { return context.device().allocate(static_cast<size_t>(bytes)); };
    X86Attention op(context, spec);
    std::vector<int32_t> first{0, static_cast<int32_t>(tokens)}, length{static_cast<int32_t>(rows)},
        table(static_cast<size_t>(blocks));
    for (size_t i = 0; i < table.size(); ++i) table[i] = static_cast<int32_t>(i);
    auto tiles = op.tiles(first);
    auto& list = tokens == 1 ? tiles.single : tiles.several;
    int64_t q_count = tokens * spec.q_heads * spec.head_dim,
            kv_count = blocks * block * spec.kv_heads * spec.head_dim;
    auto data = std::make_shared<Data>(Data{
        std::move(op), random_buffer(context, spec.dtype, q_count, 1),
        random_buffer(context, spec.kv_dtype, kv_count, 2),
        random_buffer(context, spec.kv_dtype, kv_count, 3), allocate(q_count * spec.dtype.bits() / 8),
        allocate(8), allocate(4), allocate(blocks * 4), allocate(static_cast<int64_t>(list.size()) * 4)});
    auto& stream = context.stream();
    stream.upload(data->first, first.data(), 8);
    stream.upload(data->lengths, length.data(), 4);
    stream.upload(data->table, table.data(), table.size() * 4);
    stream.upload(data->tiles, list.data(), list.size() * 4);
    stream.synchronize();
    X86Attention::Arguments arguments;
    arguments.q = data->q, arguments.k = data->k, arguments.v = data->v, arguments.out = data->out;
    arguments.first_queries = data->first, arguments.lengths = data->lengths,
    arguments.block_table = data->table;
    arguments.tokens = tokens, arguments.sequences = 1, arguments.table_width = blocks;
    (tokens == 1 ? arguments.single : arguments.several) = data->tiles;
    (tokens == 1 ? arguments.single_count : arguments.several_count) = static_cast<int64_t>(list.size() / 2);
    Case c;
    c.bytes = static_cast<double>(q_count) * spec.dtype.bits() / 4 +
              2 * static_cast<double>(kv_count) * spec.kv_dtype.bits() / 8;
    double pairs = static_cast<double>(tokens) * static_cast<double>(rows) *
                   (spec.mask == "causal" && tokens > 1 ? 0.5 : 1.0);
    c.operations = 4 * pairs * static_cast<double>(spec.q_heads * spec.head_dim);
    c.launch = [data, arguments](runtime::Stream& s) { data->op(s, arguments); };
    return c;
  };
  return e;
}

}  // namespace rose::kernels
