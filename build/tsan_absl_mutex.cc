// SPDX-License-Identifier: Apache-2.0
// Teaches ThreadSanitizer what absl::Mutex, CondVar, Notification and BlockingCounter do.
//
// Debian's Abseil is compiled without TSan, so TSan sees no lock in it and reports a race on every
// guarded member. Suppressing those would hide the real ones. Here instead, in --config=tsan only,
// the program's own definitions of Mutex's methods come before the shared library's (a call finds
// the first definition in load order): each tells TSan what happens and calls the library's.
//
// A condition (Await, LockWhen) may be evaluated by another thread that holds the lock on the
// waiter's behalf, so its reads are hidden from TSan.
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdio>
#include <cstdlib>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
}

namespace absl {
namespace {

// The flag that HasBeenNotified() reads inline: it comes after the mutex.
void* FlagOf(const Notification* notification) {
  return const_cast<Mutex*>(reinterpret_cast<const Mutex*>(notification)) + 1;
}

// The library's definition of a symbol, by its mangled name.
void* Real(const char* symbol) {
  void* const found = dlsym(RTLD_NEXT, symbol);
  if (found == nullptr) {
    std::fprintf(stderr, "tsan_absl_mutex: no %s in Abseil's shared library\n", symbol);
    std::abort();
  }
  return found;
}

template <typename Result, typename... Args>
Result CallReal(void* real, Args... args) {
  return reinterpret_cast<Result (*)(Args...)>(real)(args...);
}

// Statement expressions, so that each symbol is looked up once.
#define HEARTH_REAL_SYMBOL(symbol)                 \
  ({                                               \
    static void* const hearth_real = Real(symbol); \
    hearth_real;                                   \
  })
#define HEARTH_REAL(name) HEARTH_REAL_SYMBOL("_ZN4absl7debian3" name)
#define HEARTH_REAL_CONST(name) HEARTH_REAL_SYMBOL("_ZNK4absl7debian3" name)

constexpr unsigned kWrite = __tsan_mutex_linker_init;
constexpr unsigned kRead = __tsan_mutex_linker_init | __tsan_mutex_read_lock;
constexpr unsigned kTry = __tsan_mutex_try_lock;

class Locking {
 public:
  Locking(Mutex* mutex, unsigned flags) : mutex_(mutex), flags_(flags) {
    __tsan_mutex_pre_lock(mutex_, flags_);
  }
  void Failed() { flags_ |= __tsan_mutex_try_lock_failed; }
  ~Locking() { __tsan_mutex_post_lock(mutex_, flags_, 0); }

 private:
  Mutex* const mutex_;
  unsigned flags_;
};

class Unlocking {
 public:
  Unlocking(Mutex* mutex, unsigned flags) : mutex_(mutex), flags_(flags) {
    __tsan_mutex_pre_unlock(mutex_, flags_);
  }
  ~Unlocking() { __tsan_mutex_post_unlock(mutex_, flags_); }

 private:
  Mutex* const mutex_;
  const unsigned flags_;
};

bool EvalQuietly(const Condition* condition) {
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  const bool result = condition->Eval();
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  return result;
}

// Waiting gives the lock up and takes it again. Await() does not say whether the lock is shared;
// Hearth waits with it held exclusively.
template <typename Wait>
auto Waiting(Mutex* mutex, Wait wait) {
  __tsan_mutex_pre_unlock(mutex, 0);
  __tsan_mutex_post_unlock(mutex, 0);
  const Locking locking(mutex, kWrite);
  return wait();
}

}  // namespace

inline namespace debian3 {

Mutex::~Mutex() {
  CallReal<void>(HEARTH_REAL("5MutexD1Ev"), this);
  __tsan_mutex_destroy(this, __tsan_mutex_linker_init);
}
void Mutex::Lock() {
  const Locking locking(this, kWrite);
  CallReal<void>(HEARTH_REAL("5Mutex4LockEv"), this);
}
void Mutex::Unlock() {
  const Unlocking unlocking(this, 0);
  CallReal<void>(HEARTH_REAL("5Mutex6UnlockEv"), this);
}
bool Mutex::TryLock() {
  Locking locking(this, kWrite | kTry);
  const bool locked = CallReal<bool>(HEARTH_REAL("5Mutex7TryLockEv"), this);
  if (!locked) locking.Failed();
  return locked;
}
void Mutex::ReaderLock() {
  const Locking locking(this, kRead);
  CallReal<void>(HEARTH_REAL("5Mutex10ReaderLockEv"), this);
}
void Mutex::ReaderUnlock() {
  const Unlocking unlocking(this, __tsan_mutex_read_lock);
  CallReal<void>(HEARTH_REAL("5Mutex12ReaderUnlockEv"), this);
}
bool Mutex::ReaderTryLock() {
  Locking locking(this, kRead | kTry);
  const bool locked = CallReal<bool>(HEARTH_REAL("5Mutex13ReaderTryLockEv"), this);
  if (!locked) locking.Failed();
  return locked;
}
void Mutex::LockWhen(const Condition& condition) {
  const Locking locking(this, kWrite);
  const Condition quiet(EvalQuietly, &condition);
  CallReal<void>(HEARTH_REAL("5Mutex8LockWhenERKNS0_9ConditionE"), this, &quiet);
}
bool Mutex::LockWhenWithTimeout(const Condition& condition, Duration timeout) {
  const Locking locking(this, kWrite);
  const Condition quiet(EvalQuietly, &condition);
  return CallReal<bool>(HEARTH_REAL("5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE"),
                        this, &quiet, timeout);
}
bool Mutex::LockWhenWithDeadline(const Condition& condition, Time deadline) {
  const Locking locking(this, kWrite);
  const Condition quiet(EvalQuietly, &condition);
  return CallReal<bool>(HEARTH_REAL("5Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE"),
                        this, &quiet, deadline);
}
void Mutex::Await(const Condition& condition) {
  const Condition quiet(EvalQuietly, &condition);
  Waiting(this,
          [&] { CallReal<void>(HEARTH_REAL("5Mutex5AwaitERKNS0_9ConditionE"), this, &quiet); });
}
bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  const Condition quiet(EvalQuietly, &condition);
  return Waiting(this, [&] {
    return CallReal<bool>(HEARTH_REAL("5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE"),
                          this, &quiet, timeout);
  });
}
bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  const Condition quiet(EvalQuietly, &condition);
  return Waiting(this, [&] {
    return CallReal<bool>(HEARTH_REAL("5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE"),
                          this, &quiet, deadline);
  });
}

void CondVar::Wait(Mutex* mutex) {
  Waiting(mutex, [&] { CallReal<void>(HEARTH_REAL("7CondVar4WaitEPNS0_5MutexE"), this, mutex); });
}
bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  return Waiting(mutex, [&] {
    return CallReal<bool>(HEARTH_REAL("7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE"), this,
                          mutex, timeout);
  });
}
bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  return Waiting(mutex, [&] {
    return CallReal<bool>(HEARTH_REAL("7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE"), this,
                          mutex, deadline);
  });
}

void Notification::Notify() {
  __tsan_release(FlagOf(this));
  CallReal<void>(HEARTH_REAL("12Notification6NotifyEv"), this);
}
void Notification::WaitForNotification() const {
  CallReal<void>(HEARTH_REAL_CONST("12Notification19WaitForNotificationEv"), this);
  __tsan_acquire(FlagOf(this));
}
bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  const bool notified = CallReal<bool>(
      HEARTH_REAL_CONST("12Notification30WaitForNotificationWithTimeoutENS0_8DurationE"), this,
      timeout);
  if (notified) __tsan_acquire(FlagOf(this));
  return notified;
}
bool Notification::WaitForNotificationWithDeadline(Time deadline) const {
  const bool notified = CallReal<bool>(
      HEARTH_REAL_CONST("12Notification31WaitForNotificationWithDeadlineENS0_4TimeE"), this,
      deadline);
  if (notified) __tsan_acquire(FlagOf(this));
  return notified;
}

bool BlockingCounter::DecrementCount() {
  __tsan_release(this);
  return CallReal<bool>(HEARTH_REAL("15BlockingCounter14DecrementCountEv"), this);
}
void BlockingCounter::Wait() {
  CallReal<void>(HEARTH_REAL("15BlockingCounter4WaitEv"), this);
  __tsan_acquire(this);
}

}  // namespace debian3
}  // namespace absl
