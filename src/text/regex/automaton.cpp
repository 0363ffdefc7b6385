#include "text/regex/automaton.h"

#include <map>

#include "text/unicode/utf8.h"

namespace rose::text::regex {
namespace {

constexpr size_t kMaxStates = 4096;
constexpr size_t kMaxTable = 1 << 21;
constexpr size_t kMaxWork =
    50'000'000;  // places looked at while the tables are made; real patterns need below 1 %

/// Program places in order of preference, and the class before them (only if the program looks behind).
struct State {
  std::vector<uint32_t> places;
  uint32_t before;
  bool operator<(const State& other) const {
    return before != other.before ? before < other.before : places < other.places;
  }
};

// Follows everything that consumes nothing from the places of a state, with both neighbours known.
class Closure {
 public:
  Closure(const Program& program, const Alphabet& alphabet) : program_(program), alphabet_(alphabet) {}

  size_t work() const { return work_; }

  /// Returns the kSet places in order; `accepted` tells that a match ends here, which drops all that follow.
  std::vector<uint32_t> run(const State& state, uint32_t after, bool& accepted) {
    seen_.assign(program_.code.size(), false);
    work_ += program_.code.size() / 16 + state.places.size();
    out_.clear();
    accepted = false;
    for (uint32_t place : state.places)
      if (follow(place, state.before, after, accepted)) break;
    return out_;
  }

 private:
  // Depth first with its own stack: patterns may be long chains of splits. Returns true at a match.
  bool follow(uint32_t first, uint32_t before, uint32_t after, bool& accepted) {
    std::vector<uint32_t> stack{first};
    while (!stack.empty()) {
      uint32_t place = stack.back();
      stack.pop_back();
      work_++;
      if (seen_[place]) continue;
      seen_[place] = true;
      const Instruction& code = program_.code[place];
      switch (code.op) {
        case Instruction::Op::kMatch:
          return accepted = true;
        case Instruction::Op::kSet:
          out_.push_back(place);
          break;
        case Instruction::Op::kJump:
          stack.push_back(code.a);
          break;
        case Instruction::Op::kSplit:
          stack.push_back(code.b);
          stack.push_back(code.a);
          break;
        case Instruction::Op::kNeighbour: {
          uint32_t neighbour = code.behind ? before : after;
          bool edge = neighbour == alphabet_.size();
          if (edge ? code.edge : alphabet_.in_set(static_cast<uint16_t>(neighbour), code.a))
            stack.push_back(place + 1);
          break;
        }
        default:
          break;  // simple programs have no others
      }
    }
    return false;
  }

  const Program& program_;
  const Alphabet& alphabet_;
  std::vector<bool> seen_;
  std::vector<uint32_t> out_;
  size_t work_ = 0;
};

}  // namespace

std::unique_ptr<Automaton> Automaton::build(const Program& program) {
  if (!program.simple) return nullptr;
  std::unique_ptr<Automaton> automaton(new Automaton(program));
  return automaton->fill(program) ? std::move(automaton) : nullptr;
}

bool Automaton::fill(const Program& program) {
  const auto edge = static_cast<uint32_t>(alphabet_.size());
  columns_ = alphabet_.size() + 1;
  looks_behind_ = program.looks_behind;

  std::map<State, uint32_t> numbers;
  std::vector<State> states;
  auto number_of = [&](State state) {
    if (state.places.empty()) return kDead;
    auto [it, fresh] = numbers.try_emplace(state, static_cast<uint32_t>(states.size()));
    if (fresh) states.push_back(std::move(state));
    return it->second;
  };
  states.push_back({});  // kDead
  for (uint32_t before = 0; before < columns_; before++)
    starts_.push_back(number_of({{0}, looks_behind_ ? before : edge}));

  Closure closure(program, alphabet_);
  for (uint32_t current = 0; current < states.size(); current++) {
    if (states.size() > kMaxStates || states.size() * columns_ > kMaxTable || closure.work() > kMaxWork)
      return false;
    for (uint32_t after = 0; after < columns_; after++) {
      bool accepted = false;
      State following{{}, looks_behind_ ? after : edge};
      std::vector<bool> added(program.code.size() + 1);
      for (uint32_t place : closure.run(states[current], after, accepted)) {
        bool consumes =
            after != edge && alphabet_.in_set(static_cast<uint16_t>(after), program.code[place].a);
        if (!consumes || added[place + 1]) continue;
        added[place + 1] = true;
        following.places.push_back(place + 1);
      }
      next_.push_back(number_of(std::move(following)) | (accepted ? kAccept : 0));
    }
  }
  return true;
}

size_t Automaton::match(std::string_view text, size_t at, size_t& steps) const {
  size_t before = at == 0 ? columns_ - 1 : 0;
  if (looks_behind_ && at > 0)
    before = alphabet_.class_of(unicode::decode(text, unicode::previous(text, at)).point);
  uint32_t state = starts_[before];
  size_t last = kNoMatch, begin = at;
  const uint32_t* table = next_.data();
  while (at < text.size()) {
    auto byte = static_cast<unsigned char>(text[at]);
    size_t next = at + 1;
    uint16_t symbol;
    if (byte < 128) {
      symbol = alphabet_.ascii(byte);
    } else {
      auto decoded = unicode::decode(text, at);
      symbol = alphabet_.class_of(decoded.point);
      next = decoded.next;
    }
    uint32_t entry = table[state * columns_ + symbol];
    if (entry & kAccept) last = at;
    state = entry & ~kAccept;
    if (state == kDead) {
      steps += at - begin + 1;
      return last;
    }
    at = next;
  }
  if (table[state * columns_ + columns_ - 1] & kAccept) last = at;
  steps += at - begin + 1;
  return last;
}

}  // namespace rose::text::regex
