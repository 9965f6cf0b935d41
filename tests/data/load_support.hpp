// What tests of load_dataset share.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>

#include "slopewise/base/error.hpp"
#include "slopewise/data/load.hpp"
#include "support.hpp"

namespace slopewise {

class LoadTest : public FileTest {
 protected:
  std::filesystem::path set_ = directory_ / "set";

  std::filesystem::path put_text(const std::string& name, std::string_view text) const {
    return put(name, Bytes(text.begin(), text.end()));
  }
  std::string load_error(const std::filesystem::path& path, const LoadOptions& options = {}) const {
    return file_error([&] { load_dataset(path, options); });
  }
  // What is asked for where a data set can be read in more than one way.
  std::string question(const std::filesystem::path& path, const LoadOptions& options = {}) const {
    try {
      load_dataset(path, options);
    } catch (const ArgumentError& error) {
      return error.what();
    }
    return "";
  }

  // What is asked for is refused as well.
  static DataSplit loaded(const std::filesystem::path& path) {
    try {
      return load_dataset(path);
    } catch (const ArgumentError& error) {
      throw FileError(path.string() + "/: " + error.what());
    }
  }
  // Loads `path` with `file` cut at every `stride`-th length; what is not an error goes to `check`.
  void truncate_everywhere(const std::filesystem::path& path, const std::filesystem::path& file, std::size_t stride,
                           const std::function<void(const DataSplit&)>& check) const {
    const Bytes whole = file_bytes(file);
    for (std::size_t length = 0; length < whole.size(); length += stride) {
      std::filesystem::resize_file(file, length);
      const std::string error = file_error([&] { check(loaded(path)); });
      EXPECT_TRUE(error.empty() || error.find(file.string()) != std::string::npos ||
                  error.find(path.string() + "/") != std::string::npos)
          << length << ": " << error;
      std::ofstream(file, std::ios::binary)
          .write(reinterpret_cast<const char*>(whole.data()), static_cast<std::streamsize>(whole.size()));
    }
  }

  // Loads `path` with bits of `file` flipped; returns how often that was an error.
  int damage(const std::filesystem::path& path, const std::filesystem::path& file, int times) const {
    const Bytes whole = file_bytes(file);
    RandomStream random(7);
    int errors = 0;
    for (int i = 0; i < times; ++i) {
      put(std::filesystem::relative(file, directory_).string(), damaged(whole, random));
      errors += !file_error([&] {
                   const DataSplit split = loaded(path);
                   for (const Dataset* set : {&split.train, &split.test}) {
                     EXPECT_EQ(std::ssize(stored(*set)), set->count() * set->image_shape.size());
                     for (const std::int32_t label : set->labels) EXPECT_TRUE(label >= 0 && label < set->classes);
                   }
                 }).empty();
    }
    return errors;
  }
};

}  // namespace slopewise
