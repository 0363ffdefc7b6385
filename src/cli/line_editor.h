// A line typed at the terminal: editing keys, earlier lines with the up arrow, pasted text of several lines.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rose::cli {

// The line while it is typed. Text is UTF-8; the cursor stands before a character or at the end. What the
// keys do, apart from the terminal.
class EditedLine {
 public:
  explicit EditedLine(const std::vector<std::string>& history) : history_(history), place_(history.size()) {}

  // A character, whole; or an escape sequence without its ESC ("[A", "[3~", "OH"). Control characters as they
  // are.
  enum class After { kGoOn, kDone, kEnd, kInterrupted };
  After key(std::string_view key);
  void escape(std::string_view sequence);
  void insert(std::string_view text);

  const std::string& text() const { return text_; }
  size_t cursor() const { return cursor_; }  // in bytes
  // The part that fits into so many columns, around the cursor, with line breaks shown as ⏎; `column`: of the
  // cursor in it.
  std::string shown(int columns, int& column) const;

 private:
  void recall(size_t place);
  size_t before(size_t at) const;
  size_t behind(size_t at) const;

  const std::vector<std::string>& history_;
  size_t place_;  // in history_; behind its end: the line itself
  std::string text_, own_;
  size_t cursor_ = 0;
};

// Reads lines from standard input. Where that is no terminal, lines are read as they come.
class LineEditor {
 public:
  LineEditor();

  enum class Result { kLine, kEnd, kInterrupted };
  Result read(std::string_view prompt, std::string& line);
  bool terminal() const { return terminal_; }

 private:
  bool terminal_;
  std::vector<std::string> history_;
};

}  // namespace rose::cli
