package detr

import (
	"strings"
	"testing"
)

// TestMissingLibrary checks the remedy for each message of the dynamic loader about a missing library.
func TestMissingLibrary(t *testing.T) {
	for message, want := range map[string]string{
		"Failed to load library x with error: libcuda.so.1: cannot open shared object file: No such file":      "driver",
		"Failed to load library x with error: libcudart.so.13: cannot open shared object file: No such file":   "CUDA libraries",
		"Failed to load library x with error: libcublasLt.so.13: cannot open shared object file: No such file": "CUDA libraries",
		"Failed to load library x with error: libnvinfer.so.10: cannot open shared object file: No such file":  "TensorRT",
		"CUDA failure 100: no CUDA-capable device is detected":                                                 "",
	} {
		if got := missingLibrary(message); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q, want %q", message, got, want)
		}
	}
}
