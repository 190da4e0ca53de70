// main.rs
// ~~~~~~~
// SPDX-License-Identifier: MIT

//! What tokio's semaphore costs, measured as semaphore_benchmark measures FlowGuard's: on one thread, in processor time.
//! Prints a row for each figure: its name, and nanoseconds for one operation. See ../compare.py.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

const ROUNDS: usize = 5;

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

extern "C" {
    fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
}

/// The processor time of this thread, which excludes the time that other programs take.
fn thread_time() -> Duration {
    const CLOCK_THREAD_CPUTIME_ID: i32 = 3; // on Linux
    let mut time = Timespec { seconds: 0, nanoseconds: 0 };
    // SAFETY: the layout is that of timespec on 64-bit Linux.
    assert_eq!(unsafe { clock_gettime(CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    Duration::new(time.seconds as u64, time.nanoseconds as u32)
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// Prints the least time of some rounds, in ns for each operation. A round returns how long it took.
fn print_row(name: &str, operations: usize, mut round: impl FnMut() -> Duration) {
    let least = (0..ROUNDS).map(|_| round()).min().unwrap();
    println!("{} {:.2}", name, least.as_nanos() as f64 / operations as f64);
}

fn time(work: impl FnOnce()) -> Duration {
    let start = thread_time();
    work();
    thread_time() - start
}

/// Runs tasks that do the same, until all of them are done. `work` makes the future of one.
fn run_tasks<F: std::future::Future<Output = ()> + Send + 'static>(tasks: usize, work: impl Fn() -> F) -> Duration {
    let runtime = runtime();
    time(|| {
        runtime.block_on(async {
            let handles: Vec<_> = (0..tasks).map(|_| tokio::spawn(work())).collect();
            for handle in handles {
                handle.await.unwrap();
            }
        })
    })
}

fn try_pair() {
    const PAIRS: usize = 5_000_000;
    let semaphore = Semaphore::new(10);
    print_row("try_pair", PAIRS, || {
        time(|| {
            for _ in 0..PAIRS {
                drop(semaphore.try_acquire().unwrap());
            }
        })
    });
}

const CALLERS: usize = 64;
const TURNS: usize = 10_000;

/// 64 tasks share four permits, and yield while they hold one.
fn hand_off() {
    print_row("hand_off", CALLERS * TURNS, || {
        let semaphore = Arc::new(Semaphore::new(4));
        run_tasks(CALLERS, || {
            let semaphore = semaphore.clone();
            async move {
                for _ in 0..TURNS {
                    let permit = semaphore.acquire().await.unwrap();
                    yield_now().await;
                    drop(permit);
                }
            }
        })
    });
}

/// The same without a semaphore: one yield for the work, and one for the wait.
fn two_yields() {
    print_row("hand_off_floor", CALLERS * TURNS, || {
        run_tasks(CALLERS, || async {
            for _ in 0..TURNS {
                yield_now().await;
                yield_now().await;
            }
        })
    });
}

/// 10,000 tasks wait. They are aborted one after the other, and end.
fn cancel() {
    const WAITERS: usize = 10_000;
    print_row("cancel", WAITERS, || {
        let semaphore = Arc::new(Semaphore::new(0));
        let started = Arc::new(AtomicUsize::new(0));
        runtime().block_on(async {
            let tasks: Vec<_> = (0..WAITERS)
                .map(|_| {
                    let semaphore = semaphore.clone();
                    let started = started.clone();
                    tokio::spawn(async move {
                        started.fetch_add(1, Ordering::Relaxed);
                        let _permit = semaphore.acquire().await.unwrap();
                    })
                })
                .collect();
            while started.load(Ordering::Relaxed) < WAITERS {
                yield_now().await;
            }
            let start = thread_time();
            for task in &tasks {
                task.abort();
            }
            for task in tasks {
                assert!(task.await.unwrap_err().is_cancelled());
            }
            thread_time() - start
        })
    });
}

const AT_ONCE: usize = 1000;
const TIME_OUTS: usize = 200;
const SHORT: Duration = Duration::from_micros(100);

/// 1000 tasks wait and time out, again and again.
fn time_out() {
    print_row("time_out", AT_ONCE * TIME_OUTS, || {
        let semaphore = Arc::new(Semaphore::new(0));
        run_tasks(AT_ONCE, || {
            let semaphore = semaphore.clone();
            async move {
                for _ in 0..TIME_OUTS {
                    assert!(timeout(SHORT, semaphore.acquire()).await.is_err());
                }
            }
        })
    });
}

/// The same without a semaphore.
fn timer() {
    print_row("timer", AT_ONCE * TIME_OUTS, || {
        run_tasks(AT_ONCE, || async {
            for _ in 0..TIME_OUTS {
                sleep(SHORT).await;
            }
        })
    });
}

fn main() {
    try_pair();
    hand_off();
    two_yields();
    cancel();
    time_out();
    timer();
}
