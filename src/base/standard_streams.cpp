#include "base/standard_streams.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "base/ids.hpp"

namespace switchyard {

void secure_standard_streams() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    // The lowest free number is this one. Opened the other way round, so that its use still fails.
    [[maybe_unused]] const int opened = ::open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
}

StandardOutput::StandardOutput() : previous_(std::cout.rdbuf(this)) {
  setp(buffer_.data(), buffer_.data() + buffer_.size());
}

StandardOutput::~StandardOutput() {
  write_out();
  std::cout.rdbuf(previous_);
}

std::error_code StandardOutput::finish() {
  write_out();
  return failure_;
}

StandardOutput::int_type StandardOutput::overflow(int_type character) {
  write_out();
  if (!traits_type::eq_int_type(character, traits_type::eof())) sputc(traits_type::to_char_type(character));
  return traits_type::not_eof(character);
}

int StandardOutput::sync() {
  write_out();
  return failure_ ? -1 : 0;
}

void StandardOutput::write_out() {
  const char* next = pbase();
  while (!failure_ && next < pptr()) {
    const ssize_t written = ::write(STDOUT_FILENO, next, as_size(pptr() - next));
    if (written >= 0) {
      next += written;
    } else if (errno != EINTR) {
      failure_ = std::error_code(errno, std::generic_category());
    }
  }
  setp(buffer_.data(), buffer_.data() + buffer_.size());
}

bool is_reader_gone(std::error_code failure) {
  return failure == std::errc::broken_pipe || failure == std::errc::bad_file_descriptor ||
         failure == std::errc::io_error;
}

}  // namespace switchyard
