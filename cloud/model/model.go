// Package model finds the detector to use when none is named.
package model

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrNoModel says that there is no detector on this machine, and what to do.
var ErrNoModel = errors.New("no detector found: name one with --model or worker.model; any DETR-family export to ONNX works " +
	"(DEIM, D-FINE, RT-DETR, DETR), see README, section Models")

// network is the file that makes a folder a model.
const network = "model.onnx"

// Find returns the model folder or network file to load: the named one; else
// the project's own, beside the working folder or the program; else the one
// that development machines have beside the project.
func Find(named string) (string, error) {
	if named != "" {
		if _, err := os.Stat(named); err != nil {
			return "", fmt.Errorf("model: %w", err)
		}
		return named, nil
	}
	for _, dir := range places() {
		if _, err := os.Stat(filepath.Join(dir, network)); err == nil {
			return dir, nil
		}
	}
	return "", ErrNoModel
}

func places() []string {
	roots := []string{"."}
	if exe, err := os.Executable(); err == nil {
		up := filepath.Dir(exe)
		for range 3 {
			roots = append(roots, up)
			up = filepath.Dir(up)
		}
	}
	var dirs []string
	for _, r := range roots {
		dirs = append(dirs, filepath.Join(r, "cloud", "model", "default"), filepath.Join(r, "model"))
	}
	for _, r := range roots {
		dirs = append(dirs, filepath.Join(r, "..", "shared", "models", "deimv2-femto-coco"))
	}
	return dirs
}
