package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"time"
)

// spikeBytes is the size of a buffer of the spike: four pages, as much as a read of a socket.
const spikeBytes = 16 << 10

// spikePause is how long the process sleeps after each tick: the runtime gives memory back to the
// system in the background, and what waits for a second has gone by the tenth tick.
const spikePause = 300 * time.Millisecond

// spike has so many buffers out at once, puts them back and idles: a tick is a collection. Prints
// resident KiB above the start at the spike, after the puts, after 1, 2 and 10 ticks, and after
// all that can be given back was asked for.
func spike(objects int) {
	pool := &sync.Pool{New: func() any { return new([spikeBytes]byte) }}
	out := make([]*[spikeBytes]byte, objects)
	before := resident()
	step := func() { fmt.Printf("%d ", max(0, resident()-before)) }
	for index := range out {
		taken := pool.Get().(*[spikeBytes]byte)
		for at := 0; at < spikeBytes; at += 4096 {
			taken[at] = 1
		}
		out[index] = taken
	}
	step()
	for index, taken := range out {
		pool.Put(taken)
		out[index] = nil
	}
	step()
	for tick := 1; tick <= 10; tick++ {
		runtime.GC()
		time.Sleep(spikePause)
		if tick == 1 || tick == 2 || tick == 10 {
			step()
		}
	}
	debug.FreeOSMemory()
	step()
	fmt.Println()
	runtime.KeepAlive(pool)
}

// resident is the process's resident memory without pages of files, in KiB; 0 where the system
// does not say.
func resident() int {
	text, err := os.ReadFile("/proc/self/statm")
	fields := bytes.Fields(text)
	if err != nil || len(fields) < 3 {
		return 0
	}
	pages, _ := strconv.Atoi(string(fields[1]))
	shared, _ := strconv.Atoi(string(fields[2]))
	return (pages - shared) * os.Getpagesize() / 1024
}
