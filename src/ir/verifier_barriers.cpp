// Recounts what pipelines promised about their mbarriers (Kernel::barriers).
#include <fmt/format.h>

#include <map>
#include <set>

#include "ir/verifier.h"

namespace rose::ir::verifier {
namespace {

constexpr int64_t kMostCount = (1 << 20) - 1;  // of pending arrivals, and of bytes, in one mbarrier phase

void collect_roles(const Block& block, std::map<std::string, int>& threads) {
  for (const auto& statement : block) {
    if (statement.branch) {
      const Role& role = statement.branch->role;
      if (!role.name.empty()) threads[role.name] = role.threads;
      collect_roles(statement.branch->then, threads);
      collect_roles(statement.branch->otherwise, threads);
    }
    if (statement.loop) collect_roles(statement.loop->body, threads);
  }
}

// The constants that the kernel's own instructions give to its barriers.
struct Written {
  std::set<int64_t> counts;  // of mbarrier.init
  int64_t announced = 0;     // bytes, by all expect_tx together
  bool known = true;         // all of them are constants

  explicit Written(const Kernel& kernel) {
    for_each_instruction(kernel.body, [&](const Instruction& i) {
      const bool init = i.row->name == "mbarrier.init";
      if (!init && i.row->name.find("expect_tx") == std::string::npos) return;
      if (!i.operands[1].is_constant())
        known = false;
      else if (init)
        counts.insert(constant_int(i.operands[1]));
      else
        announced += constant_int(i.operands[1]);
    });
  }
};

class Recount {
 public:
  Recount(const Kernel& kernel, const BarrierFact& fact) : kernel_(kernel), fact_(fact) {}

  void check_arrivals(const std::map<std::string, int>& roles) const {
    const int cluster = kernel_.cluster[0] * kernel_.cluster[1] * kernel_.cluster[2];
    int64_t sum = 0;
    std::string terms;
    for (const auto& part : fact_.arrive) {
      const std::string who = part.role.empty() ? "the block" : "role '" + part.role + "'";
      int available = total_threads(kernel_);
      if (!part.role.empty()) {
        const auto role = roles.find(part.role);
        if (role == roles.end())
          fail(fmt::format("role '{}' shall arrive, but the kernel has no such role", part.role));
        available = role->second;
      }
      if (part.arrivals < 1 || part.arrivals > available)
        fail(fmt::format("{} shall arrive {} times a phase, but has {} threads", who, part.arrivals,
                         available));
      if (part.blocks < 1 || part.blocks > cluster)
        fail(fmt::format("{} blocks shall arrive, but a cluster has {}", part.blocks, cluster));
      sum += int64_t{part.arrivals} * part.blocks;
      terms += fmt::format("{}{} {}{}", terms.empty() ? "" : " + ", who, part.arrivals,
                           part.blocks > 1 ? fmt::format(" x {} blocks", part.blocks) : "");
    }
    if (sum != fact_.arrivals)
      fail(fmt::format("it is initialised for {} arrivals a phase, but {} = {} arrive; its phases would {}",
                       fact_.arrivals, terms.empty() ? "nobody" : terms, sum,
                       sum < fact_.arrivals ? "never end" : "end too early"));
    if (fact_.arrivals < 1 || fact_.arrivals > kMostCount)
      fail(fmt::format("{} arrivals a phase; an mbarrier counts from 1 to {}", fact_.arrivals, kMostCount));
  }

  void check_bytes() const {
    const int cluster = kernel_.cluster[0] * kernel_.cluster[1] * kernel_.cluster[2];
    int64_t sum = 0;
    std::string terms;
    for (const auto& copy : fact_.copies) {
      if (copy.bytes <= 0 || copy.bytes % 16 != 0)
        fail(fmt::format("a copy of '{}' has {} bytes; copies move a multiple of 16 bytes", copy.tensor,
                         copy.bytes));
      if (copy.boxes < 1 || copy.blocks < 1 || copy.blocks > cluster)
        fail(fmt::format("a copy of '{}' comes as {} boxes from {} blocks, but a cluster has {}", copy.tensor,
                         copy.boxes, copy.blocks, cluster));
      sum += copy.bytes * copy.boxes * copy.blocks;
      terms += fmt::format("{}'{}' {}{}{}", terms.empty() ? "" : " + ", copy.tensor, copy.bytes,
                           copy.boxes > 1 ? fmt::format(" x {} boxes", copy.boxes) : "",
                           copy.blocks > 1 ? fmt::format(" x {} blocks", copy.blocks) : "");
    }
    if (sum != fact_.bytes_per_phase)
      fail(fmt::format("{} bytes a phase are announced, but {} = {} bytes arrive; its phases would {}",
                       fact_.bytes_per_phase, terms.empty() ? "no copies" : terms, sum,
                       sum < fact_.bytes_per_phase ? "never end" : "end too early"));
    if (sum > kMostCount) fail(fmt::format("{} bytes a phase; an mbarrier counts up to {}", sum, kMostCount));
  }

  // The promise is kept by an instruction. (One barrier's bytes may be announced in parts.)
  void check_instructions(const Written& written) const {
    if (!written.known) return;
    if (!written.counts.contains(fact_.arrivals))
      fail(fmt::format("{} arrivals a phase are promised, but no mbarrier.init sets that count",
                       fact_.arrivals));
    if (written.announced < fact_.bytes_per_phase)
      fail(fmt::format("{} bytes a phase are promised, but the kernel's expect_tx announce {} altogether",
                       fact_.bytes_per_phase, written.announced));
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw IrError("barrier '" + fact_.name + "': " + what, fact_.where);
  }

  const Kernel& kernel_;
  const BarrierFact& fact_;
};

}  // namespace

void check_barriers(const Kernel& kernel) {
  if (kernel.barriers.empty()) return;
  std::map<std::string, int> roles;
  collect_roles(kernel.body, roles);
  const Written written(kernel);
  for (const auto& fact : kernel.barriers) {
    const Recount recount(kernel, fact);
    recount.check_arrivals(roles);
    recount.check_bytes();
    recount.check_instructions(written);
  }
}

}  // namespace rose::ir::verifier
