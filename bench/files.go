package bench

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// WriteFiles writes the report to a directory: report.html, report.md and report.json.
func (r *Report) WriteFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(
		writeTo(filepath.Join(dir, "report.html"), r.WriteHTML),
		writeTo(filepath.Join(dir, "report.md"), r.WriteMarkdown),
		writeTo(filepath.Join(dir, "report.json"), func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			return e.Encode(r)
		}),
	)
}

func writeTo(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
