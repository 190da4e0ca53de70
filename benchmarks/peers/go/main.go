// main.go
// ~~~~~~~
// SPDX-License-Identifier: MIT

// What the semaphore of golang.org/x/sync costs, measured as semaphore_benchmark measures FlowGuard's: one goroutine
// runs at a time. The figures are of the processor time of the whole process, since goroutines move between threads, and
// garbage is collected by others. Prints a row for each figure: its name, and nanoseconds for one operation. See
// ../compare.py.
package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/semaphore"
)

const rounds = 5

func processTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func timeOf(work func()) time.Duration {
	start := processTime()
	work()
	return processTime() - start
}

// Prints the least time of some rounds, in ns for each operation. A round returns how long it took.
func printRow(name string, operations int, round func() time.Duration) {
	least := round()
	for i := 1; i < rounds; i++ {
		if taken := round(); taken < least {
			least = taken
		}
	}
	fmt.Printf("%s %.2f\n", name, float64(least.Nanoseconds())/float64(operations))
}

// Runs goroutines that do the same, until all of them are done.
func runGoroutines(count int, work func()) time.Duration {
	return timeOf(func() {
		var all sync.WaitGroup
		all.Add(count)
		for i := 0; i < count; i++ {
			go func() {
				defer all.Done()
				work()
			}()
		}
		all.Wait()
	})
}

func acquire(s *semaphore.Weighted) {
	if err := s.Acquire(context.Background(), 1); err != nil {
		panic(err)
	}
}

func tryPair() {
	const pairs = 5_000_000
	s := semaphore.NewWeighted(10)
	printRow("try_pair", pairs, func() time.Duration {
		return timeOf(func() {
			for i := 0; i < pairs; i++ {
				if !s.TryAcquire(1) {
					panic("no permit is free")
				}
				s.Release(1)
			}
		})
	})
}

const callers = 64
const turns = 10_000

// 64 goroutines share four permits, and yield while they hold one.
func handOff() {
	printRow("hand_off", callers*turns, func() time.Duration {
		s := semaphore.NewWeighted(4)
		return runGoroutines(callers, func() {
			for i := 0; i < turns; i++ {
				acquire(s)
				runtime.Gosched()
				s.Release(1)
			}
		})
	})
}

// The same without a semaphore: one yield for the work, and one for the wait.
func twoYields() {
	printRow("hand_off_floor", callers*turns, func() time.Duration {
		return runGoroutines(callers, func() {
			for i := 0; i < turns; i++ {
				runtime.Gosched()
				runtime.Gosched()
			}
		})
	})
}

// 10,000 goroutines wait. They are cancelled one after the other, and end.
func cancel() {
	const waiters = 10_000
	printRow("cancel", waiters, func() time.Duration {
		s := semaphore.NewWeighted(1)
		acquire(s)
		var started int64
		var all sync.WaitGroup
		all.Add(waiters)
		cancels := make([]context.CancelFunc, waiters)
		for i := range cancels {
			ctx, cancel := context.WithCancel(context.Background())
			cancels[i] = cancel
			go func() {
				defer all.Done()
				atomic.AddInt64(&started, 1)
				if s.Acquire(ctx, 1) == nil {
					panic("got a permit")
				}
			}()
		}
		for atomic.LoadInt64(&started) < waiters {
			runtime.Gosched()
		}
		return timeOf(func() {
			for _, cancel := range cancels {
				cancel()
			}
			all.Wait()
		})
	})
}

const atOnce = 1000
const timeOuts = 200
const short = 100 * time.Microsecond

// 1000 goroutines wait and time out, again and again.
func timeOut() {
	printRow("time_out", atOnce*timeOuts, func() time.Duration {
		s := semaphore.NewWeighted(1)
		acquire(s)
		return runGoroutines(atOnce, func() {
			for i := 0; i < timeOuts; i++ {
				ctx, cancel := context.WithTimeout(context.Background(), short)
				if s.Acquire(ctx, 1) == nil {
					panic("got a permit")
				}
				cancel()
			}
		})
	})
}

// The same without a semaphore. A timer is used again.
func timer() {
	printRow("timer", atOnce*timeOuts, func() time.Duration {
		return runGoroutines(atOnce, func() {
			timer := time.NewTimer(short)
			for i := 1; i < timeOuts; i++ {
				<-timer.C
				timer.Reset(short)
			}
			<-timer.C
		})
	})
}

func main() {
	runtime.GOMAXPROCS(1)
	tryPair()
	handOff()
	twoYields()
	cancel()
	timeOut()
	timer()
}
