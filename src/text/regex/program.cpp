#include "text/regex/program.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <unordered_map>

#include "text/error.h"

namespace rose::text::regex {
namespace {

constexpr size_t kMaxInstructions = 20000;

class Compiler {
 public:
  Program take(const Node& pattern) {
    emit(pattern);
    add({Instruction::Op::kMatch});
    return std::move(program_);
  }

 private:
  using Op = Instruction::Op;

  uint32_t add(Instruction instruction) {
    if (program_.code.size() >= kMaxInstructions)
      throw TextError("regular expression: too large once its repetitions are written out");
    program_.code.push_back(instruction);
    return here() - 1;
  }
  uint32_t here() const { return static_cast<uint32_t>(program_.code.size()); }

  uint32_t set_index(const CharSet& set) {
    auto found = std::find(program_.sets.begin(), program_.sets.end(), set);
    if (found == program_.sets.end()) found = program_.sets.insert(found, set);
    return static_cast<uint32_t>(found - program_.sets.begin());
  }

  void emit(const Node& node) {
    // Repeated groups of nothing add no instruction, but each round of theirs takes time.
    if (++emitted_ > 4 * kMaxInstructions)
      throw TextError("regular expression: too large once its repetitions are written out");
    switch (node.kind) {
      case Node::Kind::kEmpty:
        break;
      case Node::Kind::kSet:
        add({.op = Op::kSet, .a = set_index(node.set)});
        break;
      case Node::Kind::kConcat:
        for (const auto& child : node.children) emit(child);
        break;
      case Node::Kind::kAlternate:
        alternate(node);
        break;
      case Node::Kind::kRepeat:
        repeat(node);
        break;
      case Node::Kind::kNeighbour:
        add({.op = Op::kNeighbour, .behind = node.behind, .edge = node.edge, .a = set_index(node.set)});
        program_.looks_behind |= node.behind;
        break;
      case Node::Kind::kLook:
      case Node::Kind::kAtomic: {
        auto op = node.kind == Node::Kind::kLook ? Op::kLook : Op::kAtomic;
        uint32_t at = add({.op = op, .negated = node.negated});
        program_.code[at].a = here();
        emit(node.children[0]);
        add({Op::kMatch});
        program_.code[at].b = here();
        program_.simple = false;
        break;
      }
    }
  }

  void alternate(const Node& node) {
    std::vector<uint32_t> ends;
    for (size_t i = 0; i < node.children.size(); i++) {
      bool last = i + 1 == node.children.size();
      uint32_t split = 0;
      if (!last) {
        split = add({.op = Op::kSplit});
        program_.code[split].a = here();
      }
      emit(node.children[i]);
      if (last) break;
      ends.push_back(add({.op = Op::kJump}));
      program_.code[split].b = here();
    }
    for (uint32_t end : ends) program_.code[end].a = here();
  }

  void repeat(const Node& node) {
    const Node& child = node.children[0];
    for (int i = 0; i < node.min; i++) emit(child);
    auto choose = [&](uint32_t split, uint32_t inside, uint32_t outside) {
      program_.code[split].a = node.greedy ? inside : outside;
      program_.code[split].b = node.greedy ? outside : inside;
    };
    if (node.max < 0) {
      uint32_t split = add({.op = Op::kSplit});
      emit(child);
      add({.op = Op::kJump, .a = split});
      choose(split, split + 1, here());
      return;
    }
    std::vector<uint32_t> splits;
    for (int i = node.min; i < node.max; i++) {
      splits.push_back(add({.op = Op::kSplit}));
      emit(child);
    }
    for (uint32_t split : splits) choose(split, split + 1, here());
  }

  Program program_;
  size_t emitted_ = 0;
};

}  // namespace

Program compile(const Node& pattern) { return Compiler().take(pattern); }

Alphabet::Alphabet(const std::vector<CharSet>& sets) {
  // Cut the code points wherever some set begins or ends; pieces with equal membership are one class.
  std::vector<uint32_t> cuts{0, 0x110000};
  for (const auto& set : sets)
    for (const auto& range : set.ranges()) cuts.insert(cuts.end(), {range.first, range.last + 1});
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());

  std::map<std::vector<bool>, uint16_t> classes;
  std::vector<uint16_t> flat(0x110000);
  for (size_t i = 0; i + 1 < cuts.size(); i++) {
    std::vector<bool> member(sets.size());
    for (size_t s = 0; s < sets.size(); s++) member[s] = sets[s].contains(cuts[i]);
    auto [it, fresh] = classes.try_emplace(member, static_cast<uint16_t>(classes.size()));
    if (fresh) {
      if (members_.size() >= 4096)
        throw TextError("regular expression: too many different character classes");
      members_.push_back(member);
    }
    std::fill(flat.begin() + cuts[i], flat.begin() + cuts[i + 1], it->second);
  }
  std::copy(flat.begin(), flat.begin() + 128, ascii_.begin());

  // Most pages of 256 code points are alike; each kind is kept once.
  std::unordered_map<std::string_view, uint16_t> known;
  for (size_t page = 0; page < 0x1100; page++) {
    const uint16_t* content = flat.data() + page * 256;
    std::string_view bytes(reinterpret_cast<const char*>(content), 256 * sizeof *content);
    auto [it, fresh] = known.try_emplace(bytes, static_cast<uint16_t>(known.size()));
    if (fresh) pages_.insert(pages_.end(), content, content + 256);
    page_of_.push_back(it->second);
  }
}

}  // namespace rose::text::regex
