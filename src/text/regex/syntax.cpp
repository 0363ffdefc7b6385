#include "text/regex/syntax.h"

#include <fmt/format.h>

#include <optional>

#include "text/error.h"
#include "text/unicode/utf8.h"

namespace rose::text::regex {
namespace {

constexpr size_t kMaxPattern = 1 << 16;
constexpr int kMaxDepth = 200;
constexpr int kMaxRepeat = 1000;

Node set_node(CharSet set) {
  Node node;
  node.kind = Node::Kind::kSet;
  node.set = std::move(set);
  return node;
}

Node neighbour(CharSet set, bool behind, bool edge) {
  Node node = set_node(std::move(set));
  node.kind = Node::Kind::kNeighbour;
  node.behind = behind;
  node.edge = edge;
  return node;
}

Node group(Node::Kind kind, std::vector<Node> children) {
  if (children.size() == 1 && (kind == Node::Kind::kConcat || kind == Node::Kind::kAlternate))
    return std::move(children[0]);
  Node node;
  node.kind = children.empty() ? Node::Kind::kEmpty : kind;
  node.children = std::move(children);
  return node;
}

class Parser {
 public:
  explicit Parser(std::string_view pattern) : pattern_(pattern) {
    if (pattern.size() > kMaxPattern) fail("is longer than 64 KiB");
    if (!unicode::is_valid(pattern)) fail("is not valid UTF-8");
  }

  Node parse_all() {
    Node node = alternation();
    if (at_ < pattern_.size()) fail("has ')' without '('");
    return node;
  }

 private:
  struct Options {
    bool ignore_case = false;
    bool dot_all = false;
    bool extended = false;
  };

  [[noreturn]] void fail(std::string_view what) const {
    throw TextError(
        fmt::format("regular expression at offset {}: {} (pattern: {})", at_, what, pattern_.substr(0, 200)));
  }

  bool done() const { return at_ >= pattern_.size(); }
  bool looking_at(std::string_view text) const { return pattern_.substr(at_, text.size()) == text; }
  bool accept(std::string_view text) {
    if (!looking_at(text)) return false;
    at_ += text.size();
    return true;
  }
  char32_t next_point() {
    if (done()) fail("ends too early");
    auto [point, next] = unicode::decode(pattern_, at_);
    at_ = next;
    return point;
  }

  Node alternation() {
    if (++depth_ > kMaxDepth) fail("is nested too deeply");
    Options saved = options_;
    std::vector<Node> branches;
    do branches.push_back(sequence());
    while (accept("|"));
    options_ = saved;
    depth_--;
    return group(Node::Kind::kAlternate, std::move(branches));
  }

  Node sequence() {
    std::vector<Node> parts;
    while (!done() && !looking_at("|") && !looking_at(")")) {
      if (options_.extended && skip_extended()) continue;
      size_t before = parts.size();
      if (auto node = atom()) parts.push_back(std::move(*node));
      if (parts.size() > before) quantify(parts.back());
    }
    return group(Node::Kind::kConcat, std::move(parts));
  }

  bool skip_extended() {
    if (looking_at("#")) {
      while (!done() && !looking_at("\n")) at_++;
      return true;
    }
    for (auto space : {" ", "\t", "\n", "\r"})
      if (accept(space)) return true;
    return false;
  }

  // Returns nothing for an atom without meaning of its own, such as (?i).
  std::optional<Node> atom() {
    if (accept("(")) return group_atom();
    if (looking_at("[")) return set_node(cased(bracket()));
    if (accept("^")) return neighbour(CharSet::one('\n'), true, true);
    if (accept("$")) return neighbour(CharSet::one('\n'), false, true);
    if (accept("."))
      return set_node(options_.dot_all ? CharSet::range(0, 0x10FFFF) : CharSet::one('\n').negated());
    if (looking_at("*") || looking_at("+") || looking_at("?")) fail("has a quantifier after nothing");
    if (accept("\\")) return escape_atom();
    return set_node(cased(CharSet::one(next_point())));
  }

  std::optional<Node> group_atom() {
    Node node;
    if (!accept("?")) {
      node = alternation();  // a capture; nobody reads it
    } else if (accept(":")) {
      node = alternation();
    } else if (accept("=")) {
      node = look(false, false);
    } else if (accept("!")) {
      node = look(false, true);
    } else if (accept("<=")) {
      node = look(true, false);
    } else if (accept("<!")) {
      node = look(true, true);
    } else if (accept(">")) {
      node = group(Node::Kind::kAtomic, {alternation()});
    } else if (accept("#")) {
      while (!done() && !looking_at(")")) at_++;
      close();
      return std::nullopt;
    } else if (accept("<") || accept("P<")) {
      while (!done() && !accept(">")) at_++;
      node = alternation();
    } else {
      return option_group();
    }
    close();
    return node;
  }

  void close() {
    if (!accept(")")) fail("lacks a ')'");
  }

  // (?i) holds to the end of the enclosing group, (?i:...) for its own.
  std::optional<Node> option_group() {
    Options outer = options_;
    bool value = true;
    while (true) {
      if (accept("-"))
        value = false;
      else if (accept("i"))
        options_.ignore_case = value;
      else if (accept("m") || accept("s"))
        options_.dot_all = value;
      else if (accept("x"))
        options_.extended = value;
      else
        break;
    }
    if (accept(")")) {
      // Oniguruma's Ruby syntax: the rest of the enclosing group, alternatives included, is the option's
      // scope.
      Node rest = alternation();
      options_ = outer;
      return rest;
    }
    if (!accept(":")) fail("has an unknown group kind after '(?'");
    Node node = alternation();
    options_ = outer;
    close();
    return node;
  }

  Node look(bool behind, bool negated) {
    Node child = alternation();
    if (child.kind == Node::Kind::kSet)
      return neighbour(negated ? child.set.negated() : child.set, behind, negated);
    if (behind) fail("has a look-behind of more than one character, which is not supported");
    Node node = group(Node::Kind::kLook, {std::move(child)});
    node.negated = negated;
    return node;
  }

  void quantify(Node& node) {
    while (!done()) {
      int min = 0, max = -1;
      bool interval = false;
      if (accept("*")) {
      } else if (accept("+")) {
        min = 1;
      } else if (accept("?")) {
        max = 1;
      } else if (looking_at("{") && braces(min, max)) {
        interval = true;
      } else {
        return;
      }
      Node repeat = group(Node::Kind::kRepeat, {std::move(node)});
      repeat.kind = Node::Kind::kRepeat;
      repeat.min = min;
      repeat.max = max;
      if (accept("?"))
        repeat.greedy = false;
      else if (!interval && accept("+"))
        repeat = group(Node::Kind::kAtomic, {std::move(repeat)});
      node = std::move(repeat);
      if (++quantifiers_ > 10000) fail("has too many quantifiers");
    }
  }

  // {n}, {n,}, {n,m}, {,m}; anything else is a literal brace.
  bool braces(int& min, int& max) {
    size_t start = at_++;
    std::optional<int> low = number(), high;
    bool comma = accept(",");
    if (comma) high = number();
    if (!accept("}") || (!low && !high)) {
      at_ = start;
      return false;
    }
    min = low.value_or(0);
    max = comma ? high.value_or(-1) : min;
    if (min > kMaxRepeat || max > kMaxRepeat) fail(fmt::format("repeats more than {} times", kMaxRepeat));
    if (max >= 0 && max < min) fail("has an interval with its ends exchanged");
    return true;
  }

  std::optional<int> number() {
    std::optional<int> value;
    while (!done() && pattern_[at_] >= '0' && pattern_[at_] <= '9') {
      value = value.value_or(0) * 10 + (pattern_[at_++] - '0');
      if (*value > kMaxRepeat * 10) fail("has too large a number");
    }
    return value;
  }

  CharSet cased(CharSet set) const { return options_.ignore_case ? set.case_folded() : set; }

  Node escape_atom() {
    const CharSet word(unicode::kRegexWord);
    if (accept("A")) return neighbour(CharSet(), true, true);
    if (accept("z")) return neighbour(CharSet(), false, true);
    if (looking_at("b") || looking_at("B")) {
      bool boundary = next_point() == 'b';
      auto both = [&](bool before, bool after) {
        return group(Node::Kind::kConcat, {neighbour(before ? word : word.negated(), true, !before),
                                           neighbour(after ? word : word.negated(), false, !after)});
      };
      return boundary ? group(Node::Kind::kAlternate, {both(true, false), both(false, true)})
                      : group(Node::Kind::kAlternate, {both(true, true), both(false, false)});
    }
    if (!done() && ((pattern_[at_] >= '1' && pattern_[at_] <= '9') || looking_at("k") || looking_at("g")))
      fail("has a back reference, which cannot be matched in linear time");
    return set_node(cased(escape_set()));
  }

  // The set of the escape whose backslash has been read.
  CharSet escape_set() {
    char32_t point = next_point();
    switch (point) {
      case 's':
        return CharSet(unicode::kRegexSpace);
      case 'S':
        return CharSet(unicode::kRegexSpace).negated();
      case 'd':
        return CharSet::property("Nd");
      case 'D':
        return CharSet::property("Nd").negated();
      case 'w':
        return CharSet(unicode::kRegexWord);
      case 'W':
        return CharSet(unicode::kRegexWord).negated();
      case 'h':
        return hex_digits();
      case 'H':
        return hex_digits().negated();
      case 'p':
        return property(false);
      case 'P':
        return property(true);
      case 'n':
        return CharSet::one('\n');
      case 'r':
        return CharSet::one('\r');
      case 't':
        return CharSet::one('\t');
      case 'f':
        return CharSet::one('\f');
      case 'v':
        return CharSet::one('\v');
      case 'a':
        return CharSet::one('\a');
      case 'e':
        return CharSet::one(0x1B);
      case '0':
        return CharSet::one(0);
      case 'u':
        return CharSet::one(hex(4, 4));
      case 'x': {
        if (!accept("{")) return CharSet::one(hex(1, 2));
        char32_t value = hex(1, 8);
        if (!accept("}")) fail("lacks a '}' after \\x{");
        return CharSet::one(value);
      }
      default:
        if ((point >= 'a' && point <= 'z') || (point >= 'A' && point <= 'Z'))
          fail(fmt::format("has the escape \\{}, which is not supported", static_cast<char>(point)));
        return CharSet::one(point);
    }
  }

  static CharSet hex_digits() {
    CharSet set = CharSet::range('0', '9');
    set.add('a', 'f');
    set.add('A', 'F');
    return set;
  }

  char32_t hex(int at_least, int at_most) {
    uint32_t value = 0;
    int digits = 0;
    for (; digits < at_most && !done(); digits++, at_++) {
      char c = pattern_[at_];
      int digit = c >= '0' && c <= '9'                 ? c - '0'
                  : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                       : -1;
      if (digit < 0) break;
      value = value * 16 + static_cast<uint32_t>(digit);
    }
    if (digits < at_least || value > 0x10FFFF) fail("has a wrong hexadecimal code point");
    return value;
  }

  CharSet property(bool negated) {
    std::string name;
    if (accept("{")) {
      if (accept("^")) negated = !negated;
      while (!done() && !looking_at("}")) name.push_back(pattern_[at_++]);
      if (!accept("}")) fail("lacks a '}' after \\p{");
    } else {
      unicode::append(name, next_point());
    }
    CharSet set = CharSet::property(name);
    return negated ? set.negated() : set;
  }

  // [...], with ranges, nested sets, [:posix:] classes and && intersections.
  CharSet bracket() {
    if (++depth_ > kMaxDepth) fail("is nested too deeply");
    accept("[");
    bool negated = accept("^");
    std::optional<CharSet> intersection;
    CharSet set;
    for (bool first = true; first || !looking_at("]"); first = false) {
      if (done()) fail("lacks a ']'");
      if (accept("&&")) {
        intersection = intersection ? intersection->intersected(set) : set;
        set = CharSet();
        continue;
      }
      if (looking_at("[:")) {
        size_t end = pattern_.find(":]", at_);
        if (end != std::string_view::npos) {
          at_ += 2;
          bool inverted = accept("^");
          CharSet named = CharSet::property(pattern_.substr(at_, end - at_));
          at_ = end + 2;
          set.add(inverted ? named.negated() : named);
          continue;
        }
      }
      if (looking_at("[")) {
        set.add(bracket());
        continue;
      }
      set.add(range_item());
    }
    accept("]");
    if (intersection) set = intersection->intersected(set);
    // With (?i) a negated set excludes every case variant of its members.
    if (negated) set = cased(std::move(set)).negated();
    depth_--;
    return set;
  }

  CharSet range_item() {
    CharSet low = item();
    bool single = low.ranges().size() == 1 && low.ranges()[0].first == low.ranges()[0].last;
    if (!single || !looking_at("-") || at_ + 1 >= pattern_.size() || pattern_[at_ + 1] == ']') return low;
    size_t dash = at_++;
    if (looking_at("[") || looking_at("&&")) {
      at_ = dash;
      return low;
    }
    CharSet high = item();
    if (high.ranges().size() != 1 || high.ranges()[0].first != high.ranges()[0].last) {
      low.add('-', '-');
      low.add(high);
      return low;
    }
    if (high.ranges()[0].first < low.ranges()[0].first) fail("has a range with its ends exchanged");
    return CharSet::range(low.ranges()[0].first, high.ranges()[0].first);
  }

  CharSet item() {
    if (accept("\\")) return accept("b") ? CharSet::one('\b') : escape_set();
    return CharSet::one(next_point());
  }

  std::string_view pattern_;
  size_t at_ = 0;
  int depth_ = 0;
  int quantifiers_ = 0;
  Options options_;
};

}  // namespace

Node parse(std::string_view pattern) { return Parser(pattern).parse_all(); }

}  // namespace rose::text::regex
