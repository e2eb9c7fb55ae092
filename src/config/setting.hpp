// One line of a configuration file, or one option, before anybody has looked at its key or value.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace switchyard::config {

struct Setting {
  std::string section;  // "" outside of a section
  std::string key;      // without the section; "" for the line that begins the section
  std::string value;
  std::string where;  // for messages: "run.ini:12", "command line"

  std::string name() const { return section.empty() ? key : section + "." + key; }
};

// `text` without white space at its ends.
std::string_view trimmed(std::string_view text);
// The words of a text, at white space.
std::vector<std::string> words_of(std::string_view text);

}  // namespace switchyard::config
