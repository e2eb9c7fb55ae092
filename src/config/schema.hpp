// All keys of a configuration: sections, each with the struct that holds its values. From text and back.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/span.hpp"
#include "config/field.hpp"

namespace switchyard::config {

struct Section {
  std::string_view name;
  std::string_view help;
  Span<const Field> fields;
  std::function<void*(void* whole)> object = [](void* whole) { return whole; };  // its struct in the whole
  // Of a section that only some configurations read, such as that of a data source: whether this one does, and
  // what the others would have to say ("data.source = random").
  std::function<bool(const void* whole)> is_in_use = [](const void*) { return true; };
  std::string condition = {};
};

template <class Member>
struct MemberOf;
template <class Whole, class Value>
struct MemberOf<Value Whole::*> {
  using whole = Whole;
};
template <auto member>
using WholeOf = typename MemberOf<decltype(member)>::whole;

// The section whose struct is at whole.*member.
template <auto member>
Section section_at(std::string_view name, std::string_view help, Span<const Field> fields) {
  return {name, help, fields,
          [](void* whole) -> void* { return &(static_cast<WholeOf<member>*>(whole)->*member); }};
}

// The same sections, of a whole that holds theirs at whole.*member.
template <auto member>
std::vector<Section> sections_at(std::vector<Section> sections) {
  for (Section& section : sections) {
    section.object = [inner = std::move(section.object)](void* whole) {
      return inner(&(static_cast<WholeOf<member>*>(whole)->*member));
    };
    section.is_in_use = [inner = std::move(section.is_in_use)](const void* whole) {
      return inner(&(static_cast<const WholeOf<member>*>(whole)->*member));
    };
  }
  return sections;
}

struct Key {
  std::string name;  // "section.key", as on the command line
  const Section* section;
  const Field* field;
};

// What a Schema does for every type of whole; use that.
class SchemaOfAny {
 public:
  SchemaOfAny(const SchemaOfAny&) = delete;
  SchemaOfAny& operator=(const SchemaOfAny&) = delete;

  // In the order of every listing.
  Span<const Section> sections() const { return sections_; }
  Span<const Key> keys() const { return keys_; }
  Span<const Key> keys_of(const Section& section) const;
  std::vector<std::string> names() const;

  // The key called `name`. `where` goes into messages: "run.ini:12", "command line". An unknown name is a
  // ConfigError that names the nearest known key.
  const Key& find(std::string_view name, std::string_view where) const;
  // ConfigError, with the nearest known name, unless there is a section called that.
  void expect_section(std::string_view name, std::string_view where) const;
  // The default of a key as a user would write it; empty: none.
  virtual std::string default_text(const Key& key) const = 0;

 protected:
  SchemaOfAny(std::vector<Section> sections, std::string_view listing);
  ~SchemaOfAny() = default;

  void set(void* whole, std::string_view name, std::string_view text, std::string_view where) const;
  std::string text(const void* whole, const Key& key) const;
  std::string to_ini(const void* whole) const;
  void check(const void* whole, void* copy) const;

 private:
  std::vector<Section> sections_;
  std::vector<Key> keys_;
  std::string_view listing_;
};

template <class Whole>
class Schema final : public SchemaOfAny {
 public:
  // `listing` ends the message about an unknown key: "'switchyard help configuration' lists all keys".
  Schema(std::vector<Section> sections, std::string_view listing) : SchemaOfAny(std::move(sections), listing) {}

  // Sets the key called `name` from `text` as a user wrote it. Unknown key, malformed value, value out of
  // range: ConfigError with key, value, allowed values and `where`; `whole` is then unchanged.
  void set(Whole& whole, std::string_view name, std::string_view text, std::string_view where) const {
    SchemaOfAny::set(&whole, name, text, where);
  }
  // The key's value, as set() reads it and gets the same bits.
  std::string text(const Whole& whole, const Key& key) const { return SchemaOfAny::text(&whole, key); }
  std::string text(const Whole& whole, std::string_view name) const {
    return text(whole, find(name, "program"));
  }
  std::string default_text(const Key& key) const override { return text(Whole{}, key); }
  // The effective configuration as INI text: every section in use, every key, in table order. Reading it gives
  // an equal Whole (doubles in the shortest text that gives the same bits), so two texts are equal when two
  // configurations are. Expects a Whole that check() accepts.
  std::string to_ini(const Whole& whole) const { return SchemaOfAny::to_ini(&whole); }
  // ConfigError for a value out of its range or that to_ini() cannot carry, and for one that was set in a
  // section that this configuration does not read.
  void check(const Whole& whole) const {
    Whole copy;
    SchemaOfAny::check(&whole, &copy);
  }
};

}  // namespace switchyard::config
