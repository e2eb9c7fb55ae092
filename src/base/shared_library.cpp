#include "base/shared_library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace switchyard {
namespace {

std::vector<std::string> files_to_try(const LibrarySearch& search) {
  std::vector<std::string> files;
  const char* const given = search.folders_variable == nullptr ? nullptr : std::getenv(search.folders_variable);
  std::string_view folders = given == nullptr ? "" : given;
  while (!folders.empty()) {
    const std::string_view folder = folders.substr(0, folders.find(':'));
    if (!folder.empty()) files.push_back(fmt::format("{}/{}", folder, search.soname));
    folders.remove_prefix(std::min(folder.size() + 1, folders.size()));
  }
  files.push_back(search.soname);
  if (!search.last_folder.empty()) files.push_back(fmt::format("{}/{}", search.last_folder, search.soname));
  return files;
}

// The loader's words begin with the file's name where it knows one.
std::string refusal(const std::string& file) {
  const char* const words = dlerror();
  const std::string_view said = words == nullptr ? "no reason given" : words;
  return said.starts_with(file) ? std::string(said) : fmt::format("{}: {}", file, said);
}

std::string path_of(void* library, const std::string& file) {
  const link_map* map = nullptr;
  if (dlinfo(library, RTLD_DI_LINKMAP, &map) != 0 || map == nullptr || map->l_name == nullptr) return file;
  return map->l_name;
}

}  // namespace

SharedLibrary::SharedLibrary(const LibrarySearch& search) {
  for (const std::string& file : files_to_try(search)) {
    library_ = UniqueHandle<Traits>(dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL));
    if (library_) {
      path_ = path_of(library_.get(), file);
      why_none_.clear();
      return;
    }
    why_none_ += fmt::format("{}{}", why_none_.empty() ? "" : "; ", refusal(file));
  }
}

void* SharedLibrary::address(const char* name) const {
  return library_ ? dlsym(library_.get(), name) : nullptr;
}

void SharedLibrary::Traits::close(Handle library) noexcept { dlclose(library); }

}  // namespace switchyard
