package main

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	tickIdle = 100_000
	tickOut  = 200
)

// tick: a collection with 100,000 idle objects in the pool, operations times over; the pool is
// filled up again before each. Meanwhile a user gets 200 objects and puts them back, over and
// over, and looks at the clock after each. Figures:
//
//	tick        the longest time between two looks, of those that touch the collection
//	tick-call   how long runtime.GC took
//	tick-stop   how long the collector says that it stopped the world: what Go's own benchmark
//	            (BenchmarkPoolSTW) reports, as its mean, p50 and p95
func tick(threads, operations int) {
	pool := &sync.Pool{New: newObject}
	user := &tickUser{pool: pool}
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		defer done.Done()
		user.run()
	}()
	var waits, calls, stops []float64
	filler := make([]*object, 0, tickIdle)
	var before, after runtime.MemStats
	for range operations {
		// What is there comes out first, so that it is 100,000 in the end.
		for range tickIdle {
			filler = append(filler, pool.Get().(*object))
		}
		for _, each := range filler {
			pool.Put(each)
		}
		clear(filler)
		filler = filler[:0]
		runtime.ReadMemStats(&before)
		user.enter()
		// What the user waited until it knew was the scheduler's doing.
		user.longest.Store(0)
		begin := time.Now()
		runtime.GC()
		call := time.Since(begin)
		user.enter()
		runtime.ReadMemStats(&after)
		collections := float64(after.NumGC - before.NumGC)
		waits = append(waits, float64(user.longest.Load()))
		calls = append(calls, float64(call.Nanoseconds()))
		stops = append(stops, float64(after.PauseTotalNs-before.PauseTotalNs)/collections)
	}
	user.ended.Store(true)
	done.Wait()
	spread("tick", threads, waits)
	spread("tick-call", threads, calls)
	spread("tick-stop", threads, stops)
}

// spread shows the lowest figure, as a busy machine only adds to them, and under the row's name with
// an ending the mean, the median and the 95th percentile, picked as Go's own benchmark does.
func spread(row string, threads int, figures []float64) {
	slices.Sort(figures)
	var sum float64
	for _, figure := range figures {
		sum += figure
	}
	show(row, threads, figures[0], 0)
	show(row+"-mean", threads, sum/float64(len(figures)), 0)
	show(row+"-p50", threads, figures[len(figures)*50/100], 0)
	show(row+"-p95", threads, figures[len(figures)*95/100], 0)
}

// tickUser is who uses the pool while the collector runs.
type tickUser struct {
	pool *sync.Pool
	// phase is odd during a collection; known is the one that the user knows of.
	phase, known atomic.Int64
	ended        atomic.Bool
	longest      atomic.Int64
}

// enter begins the next phase, and waits until the user knows.
func (user *tickUser) enter() {
	phase := user.phase.Add(1)
	for user.known.Load() != phase {
		runtime.Gosched()
	}
}

func (user *tickUser) run() {
	out := make([]*object, 0, tickOut)
	last := time.Now()
	var seen, known int64
	look := func() {
		now := time.Now()
		gap := now.Sub(last).Nanoseconds()
		last = now
		phase := user.phase.Load()
		if phase%2 == 1 || phase != known {
			user.longest.Store(max(gap, user.longest.Load()))
		}
		// Known from the second look on: this thread may have slept through the collection
		// between the clock and the phase, which only the next gap shows.
		if phase == seen && phase != known {
			known = phase
			user.known.Store(phase)
		}
		seen = phase
	}
	for !user.ended.Load() {
		for index := range tickOut {
			taken := user.pool.Get().(*object)
			taken[0] = uint64(index)
			out = append(out, taken)
			look()
		}
		for _, taken := range out {
			user.pool.Put(taken)
			look()
		}
		out = out[:0]
	}
}
