// Command syncpool measures Go's own sync.Pool, for the runners in benches/src/bin (go and spike).
//
//	syncpool SHAPE THREADS OPERATIONS    one line per figure: ROW THREADS FIGURE CHECKSUM
//	syncpool spike OBJECTS               resident KiB, step by step
//
// What is timed. Every thread is a goroutine and there are as many processors (GOMAXPROCS) as
// threads. Each runs a quarter of its operations as a warm-up; then all run their OPERATIONS, and
// the time is from the first's begin to the last's end. A figure is that time divided by the
// operations of ONE thread: nanoseconds of a thread's time per operation. (The figures that
// `go test -bench` prints for parallel benchmarks are divided by all operations of all threads.)
// An operation is one object got, its first word written and read, and put back; where a shape
// differs its comment says so. An object is 64 bytes. The garbage collector runs when it likes,
// as in any Go program; it is off in none of the shapes.
//
// The shapes one, overflow, starvation, tick and expensive follow the questions that the
// benchmarks of Go's sync package ask; held and travel are ours. benches/src/shapes.rs is the
// twin of this program: same shapes, same counts, same checksums.
package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"
)

// object is what the pools of all shapes keep.
type object [8]uint64

func newObject() any { return new(object) }

func main() {
	switch len(os.Args) {
	case 3:
		if os.Args[1] == "spike" {
			spike(number(os.Args[2]))
			return
		}
	case 4:
		shape, threads, operations := os.Args[1], number(os.Args[2]), number(os.Args[3])
		runtime.GOMAXPROCS(threads)
		if run, known := shapes[shape]; known {
			run(threads, operations)
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: syncpool SHAPE THREADS OPERATIONS | syncpool spike OBJECTS")
	os.Exit(2)
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil || value < 1 {
		fmt.Fprintf(os.Stderr, "syncpool: %q is not a number above 0\n", text)
		os.Exit(2)
	}
	return value
}

// show writes one figure.
func show(row string, threads int, figure float64, checksum uint64) {
	fmt.Printf("%s %d %.4f %d\n", row, threads, figure, checksum)
}

// work is what one thread does so many times; it returns a checksum.
type work func(operations int) uint64

// timed runs one work per thread and returns nanoseconds per operation of a thread: from the moment
// the first begins to the moment the last has ended.
func timed(operations int, works []work) (float64, uint64) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	sums := make([]uint64, len(works))
	begins := make([]time.Time, len(works))
	ends := make([]time.Time, len(works))
	for index, run := range works {
		ready.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			run(operations / 4)
			ready.Done()
			<-start
			begins[index] = time.Now()
			sums[index] = run(operations)
			ends[index] = time.Now()
		}()
	}
	ready.Wait()
	close(start)
	done.Wait()
	var sum uint64
	for _, each := range sums {
		sum += each
	}
	elapsed := slices.MaxFunc(ends, time.Time.Compare).Sub(slices.MinFunc(begins, time.Time.Compare))
	return float64(elapsed.Nanoseconds()) / float64(operations), sum
}
