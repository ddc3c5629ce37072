package audit

import (
	"errors"
	"io"
	"os"
)

// File opens an audit file to append to, for New. The path "-" is standard output. A torn last
// line, left by a crash or a full disk, is ended first, so that it does not swallow the next.
func File(path string) func() (io.WriteCloser, error) {
	return func() (io.WriteCloser, error) {
		if path == "-" {
			return stdout{}, nil
		}
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		if torn(path) {
			f.Write([]byte{'\n'}) // when it fails, so will what follows
		}
		return file{f}, nil
	}
}

// torn tells whether a file does not end with the end of a line.
func torn(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var last [1]byte
	_, err = f.ReadAt(last[:], info.Size()-1)
	return err == nil && last[0] != '\n'
}

// file is synced when it is closed.
type file struct{ *os.File }

func (f file) Close() error { return errors.Join(f.Sync(), f.File.Close()) }

// stdout stays open.
type stdout struct{}

func (stdout) Write(b []byte) (int, error) { return os.Stdout.Write(b) }
func (stdout) Close() error                { return nil }
