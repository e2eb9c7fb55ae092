// Folders of images, one for each class: which file is a sample of which split and class.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.hpp"

namespace switchyard::data::detail {

struct ImageFiles {
  std::string folder;  // for messages
  std::vector<std::filesystem::path> files;
  std::vector<std::int64_t> labels;  // one for each file; none where the images lie in no folders of classes
};

struct ImageFolders {
  std::optional<ImageFiles> train = {}, validation = {}, test = {};
  std::vector<std::string> classes;  // by label
  std::vector<std::string> remarks;  // about what is not read
};

// DIR/SPLIT/CLASS/IMAGE of the splits train, validation (or val) and test. Classes are all names of folders in
// any split, and samples lie class by class, both in the order of the bytes of their names, so are a class's
// images. Names that begin with a dot are passed over; links are followed, and nothing below a class's folder
// is looked into. Where nothing needs labels, images may lie in DIR/SPLIT itself, and there may be none of some
// class or to train on. Blocking and local. Throws DataError, which names the place, for a folder without
// images, images that have no class but need one, and what cannot be looked into.
ImageFolders find_images(const std::filesystem::path& dir, const Reading& reading);

}  // namespace switchyard::data::detail
