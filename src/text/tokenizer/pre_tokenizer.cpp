#include "text/tokenizer/pre_tokenizer.h"

#include <algorithm>

#include "text/tokenizer/byte_level.h"
#include "text/unicode/properties.h"
#include "text/unicode/utf8.h"

namespace rose::text {
namespace {

using Piece = Pieces::Piece;

// The parts of one piece: matches of the pattern and what lies between them, in order and without a gap.
struct Part {
  size_t begin;
  size_t end;
  bool match;
};

class PartList {
 public:
  void start(const Piece& piece) {
    parts_.clear();
    piece_ = piece;
    at_ = piece.begin;
  }
  void match(size_t begin, size_t end) {
    if (begin > at_) parts_.push_back({at_, begin, false});
    parts_.push_back({begin, end, true});
    at_ = end;
  }
  void finish(bool invert, SplitBehavior behavior, std::vector<Piece>& out) {
    if (at_ < piece_.end) parts_.push_back({at_, piece_.end, false});
    if (invert)
      for (auto& part : parts_) part.match = !part.match;
    merge(behavior);
    for (const auto& part : parts_) {
      if (part.begin == part.end || (behavior == SplitBehavior::kRemoved && part.match)) continue;
      out.push_back({part.begin, part.end, piece_.first && part.begin == piece_.begin});
    }
  }

 private:
  void merge(SplitBehavior behavior) {
    std::vector<Part> merged;
    bool previous = false;
    auto join = [&](const Part& part, bool joins) {
      if (joins && !merged.empty()) {
        merged.back().begin = std::min(merged.back().begin, part.begin);
        merged.back().end = std::max(merged.back().end, part.end);
      } else {
        merged.push_back(part);
      }
      previous = part.match;
    };
    switch (behavior) {
      case SplitBehavior::kRemoved:
      case SplitBehavior::kIsolated:
        return;
      case SplitBehavior::kContiguous:
        for (const auto& part : parts_) join(part, part.match == previous);
        break;
      case SplitBehavior::kMergedWithPrevious:
        for (const auto& part : parts_) join(part, part.match && !previous);
        break;
      case SplitBehavior::kMergedWithNext:
        for (size_t i = parts_.size(); i-- > 0;) join(parts_[i], parts_[i].match && !previous);
        std::reverse(merged.begin(), merged.end());
        break;
    }
    parts_ = std::move(merged);
  }

  std::vector<Part> parts_;
  Piece piece_{};
  size_t at_ = 0;
};

// Cuts every piece; find(piece, report) calls report(begin, end) for each match in it.
template <typename Find>
void split_pieces(Pieces& pieces, bool invert, SplitBehavior behavior, Find find) {
  std::vector<Piece> out;
  out.reserve(pieces.pieces.size() + pieces.text.size() / 4);
  if (behavior == SplitBehavior::kIsolated) {  // the common case needs no list of parts
    for (const Piece& piece : pieces.pieces) {
      size_t at = piece.begin;
      auto push = [&](size_t begin, size_t end) {
        if (begin < end) out.push_back({begin, end, piece.first && begin == piece.begin});
      };
      find(piece, [&](size_t begin, size_t end) {
        push(at, begin);
        push(begin, end);
        at = end;
      });
      push(at, piece.end);
    }
  } else {
    PartList parts;
    for (const Piece& piece : pieces.pieces) {
      parts.start(piece);
      find(piece, [&](size_t begin, size_t end) { parts.match(begin, end); });
      parts.finish(invert, behavior, out);
    }
  }
  pieces.pieces = std::move(out);
}

void split_by_pattern(Pieces& pieces, const Pattern& pattern, bool invert, SplitBehavior behavior) {
  split_pieces(pieces, invert, behavior, [&](const Piece& piece, auto report) {
    pattern.each_match(pieces.text, piece.begin, piece.end, report);
  });
}

template <typename Predicate>
void split_by_character(Pieces& pieces, SplitBehavior behavior, Predicate predicate) {
  split_pieces(pieces, false, behavior, [&](const Piece& piece, auto report) {
    for (size_t at = piece.begin; at < piece.end;) {
      auto [point, next] = unicode::decode(pieces.text, at);
      if (predicate(point)) report(at, next);
      at = next;
    }
  });
}

// Writes every piece anew: write(out, text of the piece, piece).
template <typename Write>
void rewrite_pieces(Pieces& pieces, Write write) {
  std::string out;
  out.reserve(pieces.text.size() + pieces.pieces.size());
  for (Piece& piece : pieces.pieces) {
    size_t begin = out.size();
    write(out, std::string_view(pieces.text).substr(piece.begin, piece.end - piece.begin), piece);
    piece.begin = begin;
    piece.end = out.size();
    check_growth(out.size(), pieces.limit);
  }
  pieces.text = std::move(out);
}

template <typename Function>
class FunctionPreTokenizer : public PreTokenizer {
 public:
  explicit FunctionPreTokenizer(Function function) : function_(std::move(function)) {}
  void apply(Pieces& pieces) const override { function_(pieces); }

 private:
  Function function_;
};

template <typename Function>
PreTokenizerPtr make(Function function) {
  return std::make_unique<FunctionPreTokenizer<Function>>(std::move(function));
}

}  // namespace

PreTokenizerPtr make_split(Pattern pattern, SplitBehavior behavior, bool invert) {
  return make([=, pattern = std::move(pattern)](Pieces& pieces) {
    split_by_pattern(pieces, pattern, invert, behavior);
  });
}

PreTokenizerPtr make_byte_level(bool add_prefix_space, bool use_regex, bool raw_bytes) {
  // openai/gpt-2, encoder.py.
  constexpr std::string_view kWords =
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
  auto pattern = use_regex ? Pattern::regex(kWords) : Pattern::literal(" ");
  return make([=, pattern = std::move(pattern)](Pieces& pieces) {
    if (add_prefix_space) {
      rewrite_pieces(pieces, [](std::string& out, std::string_view text, const Piece&) {
        if (text.front() != ' ') out.push_back(' ');
        out += text;
      });
    }
    if (use_regex) split_by_pattern(pieces, pattern, false, SplitBehavior::kIsolated);
    if (raw_bytes) return;
    rewrite_pieces(
        pieces, [](std::string& out, std::string_view text, const Piece&) { out += bytes_to_chars(text); });
  });
}

PreTokenizerPtr make_metaspace(char32_t replacement, PrependScheme scheme, bool split) {
  std::string mark = unicode::encode(replacement);
  auto pattern = Pattern::literal(mark);
  return make([=](Pieces& pieces) {
    rewrite_pieces(pieces, [&](std::string& out, std::string_view text, const Piece& piece) {
      bool wanted = scheme == PrependScheme::kAlways || (scheme == PrependScheme::kFirst && piece.first);
      if (wanted && text.front() != ' ' && !text.starts_with(mark)) out += mark;
      for (char c : text) c == ' ' ? void(out += mark) : out.push_back(c);
    });
    if (split) split_by_pattern(pieces, pattern, false, SplitBehavior::kMergedWithNext);
  });
}

PreTokenizerPtr make_whitespace() {
  return make([](Pieces& pieces) {
    // Runs of word characters and runs of what is neither word nor space.
    split_pieces(pieces, true, SplitBehavior::kRemoved, [&](const Piece& piece, auto report) {
      enum { kNothing, kWord, kOther } run = kNothing;
      size_t begin = piece.begin;
      for (size_t at = piece.begin; at < piece.end;) {
        auto [point, next] = unicode::decode(pieces.text, at);
        auto kind = unicode::is_word(point) ? kWord : unicode::is_space(point) ? kNothing : kOther;
        if (kind != run) {
          if (run != kNothing) report(begin, at);
          begin = at, run = kind;
        }
        at = next;
      }
      if (run != kNothing) report(begin, piece.end);
    });
  });
}

PreTokenizerPtr make_whitespace_split() {
  return make([](Pieces& pieces) { split_by_character(pieces, SplitBehavior::kRemoved, unicode::is_space); });
}

PreTokenizerPtr make_bert_pre_tokenizer() {
  return make([](Pieces& pieces) {
    split_by_character(pieces, SplitBehavior::kRemoved, unicode::is_space);
    split_by_character(pieces, SplitBehavior::kIsolated, unicode::is_punctuation);
  });
}

PreTokenizerPtr make_punctuation(SplitBehavior behavior) {
  return make([=](Pieces& pieces) { split_by_character(pieces, behavior, unicode::is_punctuation); });
}

PreTokenizerPtr make_digits(bool individual) {
  auto behavior = individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous;
  return make([=](Pieces& pieces) { split_by_character(pieces, behavior, unicode::is_numeric); });
}

PreTokenizerPtr make_char_delimiter(char32_t delimiter) {
  return make([=](Pieces& pieces) {
    split_by_character(pieces, SplitBehavior::kRemoved, [=](char32_t point) { return point == delimiter; });
  });
}

PreTokenizerPtr make_fixed_length(size_t length) {
  return make([=](Pieces& pieces) {
    split_pieces(pieces, false, SplitBehavior::kIsolated, [&](const Piece& piece, auto report) {
      size_t begin = piece.begin, taken = 0;
      for (size_t at = piece.begin; at < piece.end;) {
        at += unicode::sequence_length(pieces.text[at]);
        if (++taken < length && at < piece.end) continue;
        report(begin, at);
        begin = at, taken = 0;
      }
    });
  });
}

PreTokenizerPtr make_pre_tokenizer_sequence(std::vector<PreTokenizerPtr> parts) {
  auto shared = std::make_shared<std::vector<PreTokenizerPtr>>(std::move(parts));
  return make([shared](Pieces& pieces) {
    for (const auto& part : *shared) part->apply(pieces);
  });
}

}  // namespace rose::text
