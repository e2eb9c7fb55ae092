// Standard output that says when it was lost, and descriptors that are always open.
#pragma once

#include <array>
#include <iostream>
#include <streambuf>
#include <system_error>

namespace switchyard {

// Call first of all. Descriptors 0, 1 and 2 that are closed are opened on nothing, so that no file of ours ever
// becomes one of them; writing to such an output fails as it would have. A reader that goes away and a limit on
// file sizes become errors of the call that meets them, not signals that kill.
void secure_standard_streams();

// Takes the place of std::cout's buffer while it lives, and remembers why a write failed. A flush that finds it
// lost makes std::cout go bad, which then drops what it is given; finish() tells.
class StandardOutput : private std::streambuf {
 public:
  StandardOutput();
  ~StandardOutput() override;
  StandardOutput(const StandardOutput&) = delete;
  StandardOutput& operator=(const StandardOutput&) = delete;

  // Writes what is left. The first failure since the start: no error if all was written.
  std::error_code finish();

 private:
  int_type overflow(int_type character) override;
  int sync() override;
  void write_out();

  std::array<char, 1 << 14> buffer_;
  std::streambuf* previous_;
  std::error_code failure_;
};

// Nobody reads it any more: a closed pipe, a closed descriptor, a terminal that went away. No reason to end a
// run.
bool is_reader_gone(std::error_code failure);

}  // namespace switchyard
