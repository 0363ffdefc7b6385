#include "cli/line_editor.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <iostream>

#include "text/unicode/utf8.h"

namespace rose::cli {
namespace {

namespace unicode = text::unicode;

constexpr char kEscape = '\x1b';
constexpr char control(char letter) { return static_cast<char>(letter & 31); }

// Columns of a character: two for the scripts and symbols of East Asia, none for marks that join the one
// before.
int width(char32_t c) {
  if ((c >= 0x300 && c <= 0x36F) || c == 0x200D || (c >= 0xFE00 && c <= 0xFE0F)) return 0;
  const bool wide = (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) ||
                    (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0xF900 && c <= 0xFAFF) ||
                    (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
                    (c >= 0x1F300 && c <= 0x1F9FF) || (c >= 0x20000 && c <= 0x3FFFD);
  return wide ? 2 : 1;
}

bool read_byte(char& byte) {
  ssize_t got = 0;
  do got = ::read(STDIN_FILENO, &byte, 1);
  while (got < 0 && errno == EINTR);
  return got == 1;
}

void write_all(std::string_view text) {
  while (!text.empty()) {
    ssize_t put = ::write(STDERR_FILENO, text.data(), text.size());
    if (put < 0 && errno != EINTR) return;
    if (put > 0) text.remove_prefix(static_cast<size_t>(put));
  }
}

// While one lives the terminal hands over keys as they come, and marks what is pasted.
class RawTerminal {
 public:
  RawTerminal() {
    tcgetattr(STDIN_FILENO, &before_);
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON | ISIG | IEXTEN);
    raw.c_iflag &= ~static_cast<tcflag_t>(ICRNL | IXON);
    raw.c_cc[VMIN] = 1, raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    write_all("\x1b[?2004h");
  }
  ~RawTerminal() {
    write_all("\x1b[?2004l");
    tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  termios before_{};
};

int columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// The rest of an escape sequence: "[" or "O", parameters, one final letter.
std::string read_sequence() {
  std::string sequence;
  char byte = 0;
  if (!read_byte(byte)) return sequence;
  sequence += byte;
  if (byte != '[' && byte != 'O') return sequence;
  while (sequence.size() < 16 && read_byte(byte)) {
    sequence += byte;
    if (byte >= '@' && byte <= '~') break;
  }
  return sequence;
}

// Up to the sequence that ends what was pasted.
std::string read_pasted() {
  constexpr std::string_view kEnd = "\x1b[201~";
  std::string text;
  char byte = 0;
  while (!text.ends_with(kEnd) && read_byte(byte)) text += byte == '\r' ? '\n' : byte;
  if (text.ends_with(kEnd)) text.resize(text.size() - kEnd.size());
  return text;
}

}  // namespace

size_t EditedLine::before(size_t at) const { return at == 0 ? 0 : unicode::previous(text_, at); }
size_t EditedLine::behind(size_t at) const {
  return at == text_.size() ? at : unicode::decode(text_, at).next;
}

void EditedLine::insert(std::string_view text) {
  std::string valid = unicode::replace_invalid(text);
  text_.insert(cursor_, valid);
  cursor_ += valid.size();
}

EditedLine::After EditedLine::key(std::string_view key) {
  const char c = key.empty() ? '\0' : key[0];
  if (c == '\r' || c == '\n') return After::kDone;
  if (c == control('C')) return After::kInterrupted;
  if (c == control('D') && text_.empty()) return After::kEnd;
  if (c == control('D')) {
    text_.erase(cursor_, behind(cursor_) - cursor_);
  } else if (c == '\x7f' || c == control('H')) {
    size_t from = before(cursor_);
    text_.erase(from, cursor_ - from), cursor_ = from;
  } else if (c == control('A')) {
    cursor_ = 0;
  } else if (c == control('E')) {
    cursor_ = text_.size();
  } else if (c == control('B')) {
    cursor_ = before(cursor_);
  } else if (c == control('F')) {
    cursor_ = behind(cursor_);
  } else if (c == control('U')) {
    text_.erase(0, cursor_), cursor_ = 0;
  } else if (c == control('K')) {
    text_.erase(cursor_);
  } else if (c == control('W')) {
    size_t from = cursor_;
    while (from > 0 && text_[from - 1] == ' ') --from;
    while (from > 0 && text_[from - 1] != ' ') --from;
    text_.erase(from, cursor_ - from), cursor_ = from;
  } else if (c == control('P')) {
    escape("[A");
  } else if (c == control('N')) {
    escape("[B");
  } else if (static_cast<unsigned char>(c) >= ' ') {
    insert(key);
  }
  return After::kGoOn;
}

void EditedLine::escape(std::string_view sequence) {
  if (sequence == "[A" || sequence == "OA") {
    if (place_ > 0) recall(place_ - 1);
  } else if (sequence == "[B" || sequence == "OB") {
    if (place_ < history_.size()) recall(place_ + 1);
  } else if (sequence == "[C" || sequence == "OC") {
    cursor_ = behind(cursor_);
  } else if (sequence == "[D" || sequence == "OD") {
    cursor_ = before(cursor_);
  } else if (sequence == "[H" || sequence == "OH" || sequence == "[1~") {
    cursor_ = 0;
  } else if (sequence == "[F" || sequence == "OF" || sequence == "[4~") {
    cursor_ = text_.size();
  } else if (sequence == "[3~") {
    text_.erase(cursor_, behind(cursor_) - cursor_);
  }
}

void EditedLine::recall(size_t place) {
  if (place_ == history_.size()) own_ = text_;
  place_ = place;
  text_ = place == history_.size() ? own_ : history_[place];
  cursor_ = text_.size();
}

std::string EditedLine::shown(int columns, int& column) const {
  column = 0;
  // As much as fits ahead of the cursor, then what fits behind it.
  size_t from = cursor_, to = cursor_;
  int used = 0;
  auto columns_at = [&](size_t at) { return width(unicode::decode(text_, at).point); };
  while (from > 0 && used + columns_at(before(from)) < columns) from = before(from), used += columns_at(from);
  column = used;
  while (to < text_.size() && used + columns_at(to) < columns) used += columns_at(to), to = behind(to);
  std::string out;
  for (char c : text_.substr(from, to - from))
    if (c == '\n')
      out += "⏎";
    else
      out += c;
  return out;
}

LineEditor::LineEditor() : terminal_(isatty(STDIN_FILENO) && isatty(STDERR_FILENO)) {}

LineEditor::Result LineEditor::read(std::string_view prompt, std::string& line) {
  line.clear();
  if (!terminal_) return std::getline(std::cin, line) ? Result::kLine : Result::kEnd;
  RawTerminal raw;
  EditedLine edited(history_);
  auto after = EditedLine::After::kGoOn;
  while (after == EditedLine::After::kGoOn) {
    int column = 0, room = std::max(columns() - static_cast<int>(prompt.size()), 8);
    std::string shown = edited.shown(room, column);
    write_all(fmt::format("\r{}{}\x1b[K\r\x1b[{}C", prompt, shown, static_cast<int>(prompt.size()) + column));
    char byte = 0;
    if (!read_byte(byte)) {
      after = EditedLine::After::kEnd;
    } else if (byte == kEscape) {
      auto sequence = read_sequence();
      if (sequence == "[200~")
        edited.insert(read_pasted());
      else
        edited.escape(sequence);
    } else {
      std::string key(1, byte);
      for (size_t left = unicode::sequence_length(byte); key.size() < left && read_byte(byte);) key += byte;
      after = edited.key(key);
    }
  }
  write_all("\r\n");
  if (after == EditedLine::After::kEnd) return Result::kEnd;
  if (after == EditedLine::After::kInterrupted) return Result::kInterrupted;
  line = edited.text();
  if (!line.empty() && (history_.empty() || history_.back() != line)) history_.push_back(line);
  return Result::kLine;
}

}  // namespace rose::cli
