#include "base/wall_clock.hpp"

namespace switchyard {
namespace {

// `digits` digits of `value` that end at `end`.
void put(char* end, std::int64_t value, int digits) {
  for (; digits > 0; --digits, value /= 10) *--end = static_cast<char>('0' + value % 10);
}

}  // namespace

IsoTime::IsoTime(std::int64_t milliseconds) : text_{} {
  using std::chrono::days;
  const std::chrono::sys_time<std::chrono::milliseconds> moment{std::chrono::milliseconds(milliseconds)};
  const auto day = std::chrono::floor<days>(moment);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(moment - day);
  char* const text = text_.data();
  constexpr std::string_view form = "0000-00-00T00:00:00.000Z";
  form.copy(text, form.size());
  put(text + 4, static_cast<int>(date.year()), 4);
  put(text + 7, static_cast<unsigned>(date.month()), 2);
  put(text + 10, static_cast<unsigned>(date.day()), 2);
  put(text + 13, time.hours().count(), 2);
  put(text + 16, time.minutes().count(), 2);
  put(text + 19, time.seconds().count(), 2);
  put(text + 23, time.subseconds().count(), 3);
}

}  // namespace switchyard
