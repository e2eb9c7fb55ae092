// What data.derive and data.prepare make of the images of a table source, before anybody sees them.
#pragma once

#include "data/detail/table_source.hpp"

namespace switchyard::data::detail {

// Whether the options ask for it.
bool are_prepared(const Options& options);

// Tables of the images that options.derive and options.prepare make of those of `tables`, all in memory.
// Derived ones stand side by side: row 2i is image i as it was, with label 0, and row 2i + 1 is it turned, with
// label 1; both have its class, if it has one, as their cluster, and its id twice, and once more than that.
// Throws ConfigError for tables without images of pixels, for a step that does not fit them, and for labels
// that are real numbers where others are derived; DataError as make_table_source().
Tables prepared(Tables tables, const Options& options, const Reading& reading);

// ConfigError, which names the key, unless the table holds images of pixels.
void expect_images(const NumberArray& samples, std::string_view key, std::string_view value);

}  // namespace switchyard::data::detail
