#include "slopewise/data/rows.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

constexpr std::size_t kReadAtOnce = std::size_t{1} << 20;  // bytes

template <class T>
void convert(NumberType type, const std::uint8_t* from, std::span<T> out) {
  // By value, so that the compiler sees that nothing but the numbers changes, and takes many at once.
  visit_entry(type, [from, to = out.data(), count = out.size()]<class Entry>(Entry) {
    for (std::size_t i = 0; i < count; ++i) {
      Entry entry;
      std::memcpy(&entry, from + i * sizeof entry, sizeof entry);
      to[i] = static_cast<T>(value_of(entry));
    }
  });
}

}  // namespace

template <class T>
Rows::Rows(std::vector<T> values, Index row_size) {
  const auto owner = std::make_shared<const std::vector<T>>(std::move(values));
  hold(owner, reinterpret_cast<const std::uint8_t*>(owner->data()), std::ssize(*owner), number_type<T>(), row_size);
}

Rows::Rows(std::vector<std::uint8_t> entries, NumberType type, Index row_size) {
  const auto owner = std::make_shared<const std::vector<std::uint8_t>>(std::move(entries));
  hold(owner, owner->data(), std::ssize(*owner) / static_cast<Index>(item_size(type)), type, row_size);
}

void Rows::hold(std::shared_ptr<const void> owner, const std::uint8_t* bytes, Index entries, NumberType type,
                Index row_size) {
  count_ = row_size > 0 ? entries / row_size : 0;
  row_size_ = row_size;
  if (count_ * row_size != entries)
    throw ArgumentError(fmt::format("Rows: expected whole rows of {} numbers, found {}", row_size, entries));
  parts_.push_back({.owner = std::move(owner),
                    .bytes = bytes,
                    .stride = static_cast<std::uint64_t>(row_size) * item_size(type),
                    .type = type,
                    .count = count_});
}

Rows::Rows(std::shared_ptr<const InputFile> file, std::uint64_t offset, std::uint64_t stride, NumberType type,
           ByteOrder order, Index count, Index row_size)
    : count_(count), row_size_(row_size) {
  parts_.push_back(
      {.file = std::move(file), .offset = offset, .stride = stride, .type = type, .order = order, .count = count});
}

void Rows::append(const Rows& more) {
  if (parts_.empty()) {
    *this = more;
    return;
  }
  if (more.row_size_ != row_size_) {
    throw ArgumentError(fmt::format("Rows: expected rows of {} numbers, found {}", row_size_, more.row_size_));
  }
  for (Part part : more.parts_) {
    part.first += count_;
    parts_.push_back(std::move(part));
  }
  count_ += more.count_;
}

Index Rows::held_bytes() const {
  Index bytes = 0;
  for (const Part& part : parts_) {
    if (part.bytes) bytes += part.count * static_cast<Index>(part.stride);
  }
  return bytes;
}

template <class T>
void Rows::read(std::span<const Index> indices, std::span<T> out) const {
  if (row_size_ == 0) return;  // and no bytes, in memory or in a file
  const auto size = static_cast<std::size_t>(row_size_);
  std::vector<std::uint8_t> buffer;
  for (std::size_t done = 0; done < indices.size();) {
    const Index index = indices[done];
    const Part& part = *std::prev(std::ranges::upper_bound(parts_, index, {}, &Part::first));
    const std::uint64_t at = part.offset + static_cast<std::uint64_t>(index - part.first) * part.stride;
    const std::size_t row_bytes = size * item_size(part.type);
    if (part.bytes) {
      convert<T>(part.type, part.bytes + at, out.subspan(done * size, size));
      ++done;
      continue;
    }
    // Rows that follow one another are read together.
    std::size_t run = 1;
    while (done + run < indices.size() && indices[done + run] == index + static_cast<Index>(run) &&
           indices[done + run] < part.first + part.count && (run + 1) * part.stride <= kReadAtOnce)
      ++run;
    buffer.resize((run - 1) * part.stride + row_bytes);
    part.file->read(at, buffer);
    for (std::size_t row = 0; row < run; ++row, ++done) {
      const std::span entries = std::span(buffer).subspan(row * part.stride, row_bytes);
      to_native_order(part.type, part.order, entries);
      convert<T>(part.type, entries.data(), out.subspan(done * size, size));
    }
  }
}

Array read_array(ByteReader bytes, const ArrayHeader& header, std::string where, std::optional<std::uint32_t> crc,
                 std::uint32_t crc_so_far) {
  if (header.shape.rank() == 0) throw FileError(fmt::format("{}: expected an array, found a scalar", where));
  const Index count = header.shape[0], row_size = count > 0 ? header.shape.size() / count : 0;
  const std::size_t item = item_size(header.type);
  const std::uint64_t expected = static_cast<std::uint64_t>(header.shape.size()) * item;
  const bool stays = bytes.coding() == Coding::kStored && !header.fortran && expected > kHeldBytes;
  const std::uint64_t offset = bytes.offset();
  const auto checked = [&](std::uint64_t found) {
    if (found < expected) {
      throw FileError(fmt::format("{}: expected {} bytes of entries for shape {}, found {}", where, expected,
                                  header.shape.to_string(), found));
    }
    if (!bytes.at_end()) {
      throw FileError(fmt::format("{}: expected {} bytes of entries for shape {}, found more", where, expected,
                                  header.shape.to_string()));
    }
    if (crc && crc_so_far != *crc)
      throw FileError(fmt::format("{}: the checksum is {:08x}, expected {:08x}", where, crc_so_far, *crc));
  };
  if (stays) {
    if (crc) {  // nothing checks the entries later
      std::vector<std::uint8_t> buffer(kReadAtOnce);
      std::uint64_t found = 0;
      while (const std::size_t more = bytes.read(buffer)) {
        crc_so_far = static_cast<std::uint32_t>(crc32_z(crc_so_far, buffer.data(), more));
        found += more;
      }
      checked(found);
    } else if (bytes.remaining() != expected) {
      throw FileError(fmt::format("{}: expected {} bytes of entries for shape {}, found {}", where, expected,
                                  header.shape.to_string(), bytes.remaining()));
    }
    const std::uint64_t stride = static_cast<std::uint64_t>(row_size) * item;
    return {std::move(where), header.shape,
            Rows(bytes.file(), offset, stride, header.type, header.order, count, row_size)};
  }
  std::vector<std::uint8_t> entries = bytes.read_up_to(expected);
  if (crc && !entries.empty())  // a null pointer would start the sum anew
    crc_so_far = static_cast<std::uint32_t>(crc32_z(crc_so_far, entries.data(), entries.size()));
  checked(entries.size());
  to_native_order(header.type, header.order, entries);
  if (header.fortran) to_c_order(entries, header.shape, item);
  return {std::move(where), header.shape, Rows(std::move(entries), header.type, row_size)};
}

void to_c_order(std::span<std::uint8_t> entries, const Shape& shape, std::size_t item) {
  const std::vector<std::uint8_t> fortran(entries.begin(), entries.end());
  const auto rank = static_cast<std::size_t>(shape.rank());
  std::vector<std::size_t> stride(rank, 1), index(rank, 0);
  for (std::size_t axis = 1; axis < rank; ++axis)
    stride[axis] = stride[axis - 1] * static_cast<std::size_t>(shape.extents()[axis - 1]);
  std::size_t from = 0;
  for (std::size_t to = 0; to < entries.size(); to += item) {
    std::memcpy(&entries[to], &fortran[from * item], item);
    for (std::size_t axis = rank; axis-- > 0;) {
      from += stride[axis];
      if (++index[axis] < static_cast<std::size_t>(shape.extents()[axis])) break;
      from -= stride[axis] * index[axis];
      index[axis] = 0;
    }
  }
}

template Rows::Rows(std::vector<double>, Index);
template Rows::Rows(std::vector<float>, Index);
template Rows::Rows(std::vector<std::int64_t>, Index);
template Rows::Rows(std::vector<std::int32_t>, Index);
template Rows::Rows(std::vector<std::uint8_t>, Index);
template void Rows::read(std::span<const Index>, std::span<float>) const;
template void Rows::read(std::span<const Index>, std::span<double>) const;

}  // namespace slopewise
