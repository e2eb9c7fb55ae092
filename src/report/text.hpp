// Text of a report's page: escaping, and numbers with few digits.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.hpp"

namespace switchyard::report {

// For the content of an element and for an attribute's value. Control characters, which XML forbids, become
// U+FFFD; so do bytes that are no UTF-8.
std::string escape(std::string_view text);
// A relative path as a link: every byte but letters, digits and - . _ ~ / becomes %XX.
std::string link_text(std::string_view path);

// How a quantity is written.
enum class NumberStyle {
  plain,    // 0.4076, 12.5, 36,527
  percent,  // of 1: 0.1126 is 11.26%
};
// Four digits that matter; thousands are set apart. What is no number is a dash.
std::string number_text(double value, NumberStyle style = NumberStyle::plain);
// A label of an axis whose ticks are `step` apart: as many decimals as the step needs. 12000 is "12k".
std::string tick_text(double value, double step, NumberStyle style = NumberStyle::plain);
// <data value="0.11260000000000001">11.26%</data>: the number as shown, and as it is.
std::string data_element(double value, NumberStyle style, std::string_view id = "");

// "+0.31 pp" (percentage points), "-12.5", "±0".
std::string difference_text(double difference, NumberStyle style);

// The style and the readable name of a metric: "test.error" is a percentage, "h_s" is called "H_s".
NumberStyle style_of(std::string_view metric);
std::string metric_label(std::string_view metric);

}  // namespace switchyard::report
