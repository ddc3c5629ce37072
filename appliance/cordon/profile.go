package main

import (
	"errors"
	"os"
	"runtime/pprof"
)

// profileCPU writes a CPU profile to a file until stop is called; "" for none. "cordon bench
// --profile" asks for it.
func profileCPU(path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error { pprof.StopCPUProfile(); return f.Close() }, nil
}
