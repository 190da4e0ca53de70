// slots.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_SLOTS_HPP
#define LAB_SLOTS_HPP

#include <cstddef>
#include <utility>
#include <vector>

namespace lab {

/// Keeps values under small numbers. The numbers of values that were taken are used again.
template <class T>
class slots {
public:
    std::size_t put(T value) {
        if (free_.empty()) {
            values_.push_back(std::move(value));
            return values_.size() - 1;
        }
        const std::size_t slot = free_.back();
        free_.pop_back();
        values_[slot] = std::move(value);
        return slot;
    }

    T take(std::size_t slot) {
        free_.push_back(slot);
        return std::move(values_[slot]);
    }

    T& operator[](std::size_t slot) { return values_[slot]; }

private:
    std::vector<T> values_;
    std::vector<std::size_t> free_;
};

} // namespace lab

#endif
