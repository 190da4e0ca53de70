// post_attempt.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_ASIO_POST_ATTEMPT_HPP
#define FLOWGUARD_DETAIL_ASIO_POST_ATTEMPT_HPP

#include <utility>

namespace flowguard::detail {

// Tells whether an operation still exists after an attempt to post it has thrown.
//
// Most executors destroy a function that they cannot take, and the operation with it. Asio's strand does not: it queues
// the function first, and then asks its inner executor to run the queue. If that fails, for lack of memory, the
// function stays in the queue for as long as the strand exists. The operation cannot hold the answer, since it may be
// gone; neither can the function, which may outlive the attempt. So the attempt holds the answer, and each thread has a
// list of its attempts.
class post_attempt {
public:
    explicit post_attempt(const void* operation) noexcept
        : operation_(operation), outer_(std::exchange(innermost_, this)) {}
    post_attempt(const post_attempt&) = delete;
    post_attempt& operator=(const post_attempt&) = delete;
    ~post_attempt() { innermost_ = outer_; }

    bool operation_exists() const noexcept { return operation_ != nullptr; }

    // Called when the operation is about to be destroyed.
    static void gone(const void* operation) noexcept {
        for (post_attempt* a = innermost_; a != nullptr; a = a->outer_)
            if (a->operation_ == operation)
                a->operation_ = nullptr;
    }

private:
    // A list: a handler that is called inside an attempt may start another one.
    static inline constinit thread_local post_attempt* innermost_ = nullptr;

    const void* operation_;
    post_attempt* const outer_;
};

} // namespace flowguard::detail

#endif
