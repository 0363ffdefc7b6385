#include "cli/line_editor.h"

#include <gtest/gtest.h>

namespace rose::cli::test {
namespace {

// Types characters and, after "^", control characters.
void type(EditedLine& line, std::string_view keys) {
  for (size_t i = 0; i < keys.size(); ++i) {
    if (keys[i] == '^') {
      const char control = static_cast<char>(keys[++i] & 31);
      EXPECT_EQ(line.key(std::string_view(&control, 1)), EditedLine::After::kGoOn);
    } else {
      EXPECT_EQ(line.key(keys.substr(i, 1)), EditedLine::After::kGoOn);
    }
  }
}

TEST(EditedLine, KeysEdit) {
  const std::vector<std::string> none;
  EditedLine line(none);
  type(line, "hello world^A");
  EXPECT_EQ(line.cursor(), 0u);
  type(line, "oh ^E!^B^B^H");
  EXPECT_EQ(line.text(), "oh hello word!");
  type(line, "^W");
  EXPECT_EQ(line.text(), "oh hello d!");
  type(line, "^K");
  EXPECT_EQ(line.text(), "oh hello ");
  type(line, "^U");
  EXPECT_EQ(line.text(), "");
  line.key("é"), line.key("世"), line.escape("[D"), line.key("x"), line.escape("[H"), line.escape("[3~");
  EXPECT_EQ(line.text(), "x世");
  EXPECT_EQ(line.key("\r"), EditedLine::After::kDone);
  EXPECT_EQ(line.key("\x03"), EditedLine::After::kInterrupted);
  EXPECT_EQ(EditedLine(none).key("\x04"), EditedLine::After::kEnd);
}

TEST(EditedLine, RecallsEarlierLinesAndComesBack) {
  const std::vector<std::string> history = {"first", "second"};
  EditedLine line(history);
  type(line, "own");
  line.escape("[A");
  EXPECT_EQ(line.text(), "second");
  line.escape("[A"), line.escape("[A");
  EXPECT_EQ(line.text(), "first");
  line.escape("[B"), line.escape("[B"), line.escape("[B");
  EXPECT_EQ(line.text(), "own");
}

TEST(EditedLine, ShowsWhatFitsAroundTheCursor) {
  const std::vector<std::string> none;
  EditedLine line(none);
  line.insert("0123456789\nab世界");
  int column = 0;
  EXPECT_EQ(line.shown(40, column), "0123456789⏎ab世界");
  EXPECT_EQ(column, 17);
  EXPECT_EQ(line.shown(8, column), "⏎ab世界");
  EXPECT_EQ(column, 7);
  line.escape("[H");
  EXPECT_EQ(line.shown(5, column), "0123");
  EXPECT_EQ(column, 0);
  line.insert("\xff");
  EXPECT_TRUE(line.text().starts_with("\xEF\xBF\xBD"));
}

}  // namespace
}  // namespace rose::cli::test
