// The mailbox and the operands of wgmma that attention needs: recorded, verified, and assembled by ptxas.
#include "dsl/hopper_attention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assembler.h"
#include "codegen/ptx/emit.h"
#include "run_kernel.h"

namespace rose::dsl::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Launch launch_of(int threads) {
  Launch launch = hopper(threads);
  launch.min_blocks = 1;
  return launch;
}

// S = q·kᵀ, O = P·v with P from S's registers, everything brought by one mailbox.
void product_kernel(Block& block, int words, int posted, int releases, int slots = 1) {
  Val map = block.tensor_map("map");
  Tensor out = block.output("out", f32, shape(128, 34));
  Tensor sQ = block.shared("sQ", bf16, shape(64, 64), 1024),
         sK = block.shared("sK", bf16, shape(64, 64), 1024),
         sV = block.shared("sV", bf16, shape(64, 64), 1024);
  Mailbox mail(block, {.name = "tile",
                       .slots = slots,
                       .words = words,
                       .bytes = 3 * 8192,
                       .consumers = releases,
                       .producer_role = "producer",
                       .consumer_role = "consumer",
                       .copies = {{"q, k, v", 8192, 3, 1}}});
  IF (block.thread32() == 0) {
    mail.init();
  }
  sync_setup(block);
  roles(block, {{"producer", 128, 40,
                 [&](const Val&) {
                   IF ((uniform_warp(block) == 0) & elected()) {
                     PipelineState state;
                     Val full =
                         mail.post(state, std::vector<Val>(static_cast<size_t>(posted), literal(s32, 5)));
                     for (const Tensor* t : {&sQ, &sK, &sV}) tma_load(address_of(*t), map, {0, 0}, full);
                   }
                 }},
                {"consumer", 128, 232, [&](const Val&) {
                   PipelineState state;
                   auto got = mail.receive(state);
                   Accumulator s(1, 64), o(1, 64);
                   Val q = descriptor_k_major_128(address_of(sQ)), k = descriptor_k_major_128(address_of(sK)),
                       v = descriptor_mn_major_128(address_of(sV), 8192);
                   mma_begin();
                   for (int i = 0; i < 4; ++i)
                     mma(s, 0, bf16, q + 2 * i, k + 2 * i, literal(u32, 0) == literal(u32, 0));
                   mma_commit();
                   mma_wait(0);
                   std::vector<Val> p;
                   auto& x = s.fragments[0];
                   for (size_t i = 0; i < x.size(); i += 2)
                     p.push_back(pack2(bf16.with_lanes(2), x[i], x[i + 1]));
                   mma_begin();
                   for (size_t i = 0; i < 4; ++i)
                     mma_from_registers(o, 0, bf16, {p[4 * i], p[4 * i + 1], p[4 * i + 2], p[4 * i + 3]},
                                        v + static_cast<int>(128 * i), true);
                   mma_commit();
                   mma_wait(0);
                   named_sync(1, 128);
                   Val row = block.thread() & 127;
                   for (int i = 0; i < 32; ++i) store_at(out(row), i, o.fragments[0][static_cast<size_t>(i)]);
                   store_at(out(row), 32, quad_sum(quad_max(o.fragments[0][0])));
                   store_at(out(row), 33, to(f32, got[0]));
                   IF (block.lane() == 0) {
                     mail.release(state);
                   }
                 }}});
}

std::string error(int words, int posted, int releases) {
  return error_of(launch_of(256), [&](Block& block) { product_kernel(block, words, posted, releases); });
}

TEST(HopperAttention, ProductsAssembleWithoutRemarks) {
  EXPECT_EQ(error(3, 3, 4), "");
  for (int slots : {1, 2}) {
    auto kernel =
        record("products", launch_of(256), [&](Block& block) { product_kernel(block, 3, 3, 4, slots); });
    ir::optimize(kernel);
    ir::verify(kernel);
    auto result = test::assemble(codegen::ptx::emit(kernel), "sm_90a", true);
    EXPECT_TRUE(result.ok) << result.log;
    EXPECT_THAT(result.log, HasSubstr(" 0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads"));
    EXPECT_EQ(result.log.find("C75"), std::string::npos) << result.log;
  }
}

TEST(HopperAttention, MailboxesKeepTheirPromises) {
  EXPECT_THAT(error(3, 2, 4),
              AllOf(HasSubstr("mailbox 'tile' takes 3 words, not 2"), HasSubstr("hopper_attention_test")));
  EXPECT_THAT(error(3, 3, 200),
              AllOf(HasSubstr("tile.empty"), HasSubstr("200 times"), HasSubstr("128 threads")));
}

}  // namespace
}  // namespace rose::dsl::testing
