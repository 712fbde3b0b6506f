package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// shapes by name. Numbers of objects are those of shapes.rs.
var shapes = map[string]func(threads, operations int){
	"one":        alike("one", one),
	"held":       alike("held", held),
	"overflow":   alike("overflow", overflow),
	"starvation": alike("starvation", starvation),
	"travel":     travel,
	"tick":       tick,
	"expensive":  expensive,
}

const (
	heldCount      = 64
	overflowCount  = 100
	starvingCount  = 100
	starvingReturn = 67
	travelBatch    = 500
	travelBatches  = 4
	expensiveCount = 100
	expensiveBytes = 32 << 10
)

// alike is a shape in which every thread does the same with one pool.
func alike(name string, start func(pool *sync.Pool) work) func(threads, operations int) {
	return func(threads, operations int) {
		pool := &sync.Pool{New: newObject}
		var works []work
		for range threads {
			works = append(works, start(pool))
		}
		nanoseconds, sum := timed(operations, works)
		show(name, threads, nanoseconds, sum)
	}
}

// one in, one out.
func one(pool *sync.Pool) work {
	return func(operations int) uint64 {
		var sum uint64
		for index := range operations {
			taken := pool.Get().(*object)
			taken[0] = uint64(index)
			sum += taken[0]
			pool.Put(taken)
		}
		return sum
	}
}

// held: 64 objects are out at once, then all come back.
func held(pool *sync.Pool) work {
	out := make([]*object, 0, heldCount)
	return func(operations int) uint64 {
		var sum uint64
		for batch := range operations / heldCount {
			for range heldCount {
				taken := pool.Get().(*object)
				taken[0] = uint64(batch)
				sum += taken[0]
				out = append(out, taken)
			}
			for _, taken := range out {
				pool.Put(taken)
			}
			out = out[:0]
		}
		return sum
	}
}

// overflow: 100 objects go in, then 100 come out.
func overflow(pool *sync.Pool) work {
	out := make([]*object, 0, overflowCount)
	for range overflowCount {
		out = append(out, new(object))
	}
	return func(operations int) uint64 {
		var sum uint64
		for batch := range operations / overflowCount {
			for _, taken := range out {
				pool.Put(taken)
			}
			out = out[:0]
			for range overflowCount {
				taken := pool.Get().(*object)
				taken[0] = uint64(batch)
				sum += taken[0]
				out = append(out, taken)
			}
		}
		return sum
	}
}

// starvation: of every 100 objects got, 33 never come back, so that threads look everywhere and
// then make new ones. An operation is one object got, and put back or lost.
func starvation(pool *sync.Pool) work {
	out := make([]*object, 0, starvingCount)
	return func(operations int) uint64 {
		var sum uint64
		for batch := range operations / starvingCount {
			for range starvingCount {
				taken := pool.Get().(*object)
				taken[0] = uint64(batch)
				sum += taken[0]
				out = append(out, taken)
			}
			for _, taken := range out[:starvingReturn] {
				pool.Put(taken)
			}
			clear(out)
			out = out[:0]
		}
		return sum
	}
}

// travel: one goroutine gets objects and another puts them back, 500 at a time through a channel,
// so that the pool and not the channel is measured. Up to four batches are on their way.
func travel(threads, operations int) {
	pool := &sync.Pool{New: newObject}
	full := make(chan []*object, travelBatches)
	empty := make(chan []*object, travelBatches)
	for range travelBatches {
		empty <- make([]*object, 0, travelBatch)
	}
	producer := func(operations int) uint64 {
		for batch := range operations / travelBatch {
			out := <-empty
			for range travelBatch {
				taken := pool.Get().(*object)
				taken[0] = uint64(batch)
				out = append(out, taken)
			}
			full <- out
		}
		return 0
	}
	consumer := func(operations int) uint64 {
		var sum uint64
		for range operations / travelBatch {
			out := <-full
			for _, taken := range out {
				sum += taken[0]
				pool.Put(taken)
			}
			empty <- out[:0]
		}
		return sum
	}
	nanoseconds, sum := timed(operations, []work{producer, consumer})
	show("travel", threads, nanoseconds, sum)
}

// expensive: an object takes a millisecond to make, 100 are out per thread, and each get makes 32
// KiB of garbage, which keeps the collector coming. Without a warm-up: filling the pool is in it.
// Further figures are objects made, and collections, per 1000 gets: the New/op and GCs/op of Go's
// own benchmark (BenchmarkPoolExpensiveNew), whose op is 100 gets.
func expensive(threads, operations int) {
	// So much lives in a small service; without it the collector would come for every few gets.
	ballast := make([]byte, 8<<20)
	var made atomic.Uint64
	pool := &sync.Pool{New: func() any {
		made.Add(1)
		time.Sleep(time.Millisecond)
		return new(object)
	}}
	var sum atomic.Uint64
	var done sync.WaitGroup
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	for range threads {
		done.Add(1)
		go func() {
			defer done.Done()
			sum.Add(expensiveThread(pool, operations))
		}()
	}
	done.Wait()
	elapsed := time.Since(begin)
	runtime.KeepAlive(ballast)
	show("expensive", threads, float64(elapsed.Nanoseconds())/float64(operations), sum.Load())
	runtime.ReadMemStats(&after)
	per1000 := func(count uint64) float64 {
		return float64(count) * 1000 / float64(operations*threads)
	}
	show("expensive-made", threads, per1000(made.Load()), 0)
	show("expensive-ticks", threads, per1000(uint64(after.NumGC-before.NumGC)), 0)
}

func expensiveThread(pool *sync.Pool, operations int) uint64 {
	var sum uint64
	var garbage []byte
	out := make([]*object, 0, expensiveCount)
	for batch := range operations / expensiveCount {
		for range expensiveCount {
			taken := pool.Get().(*object)
			taken[0] = uint64(batch)
			sum += taken[0]
			out = append(out, taken)
			garbage = make([]byte, expensiveBytes)
			garbage[0] = byte(batch)
		}
		for _, taken := range out {
			pool.Put(taken)
		}
		out = out[:0]
	}
	runtime.KeepAlive(garbage)
	return sum
}
