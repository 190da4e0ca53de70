// mutexes.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TESTS_MEMORY_MODEL_RUNTIME_MUTEXES_HPP
#define FLOWGUARD_TESTS_MEMORY_MODEL_RUNTIME_MUTEXES_HPP

// The mutexes of the code under test. A lock acquires what the last unlock has released.
namespace memory_model {

// Forgets all mutexes, at the beginning of an execution.
void reset_mutexes();

void lock(const void* mutex);
bool try_lock(const void* mutex);
void unlock(const void* mutex);

} // namespace memory_model

#endif
