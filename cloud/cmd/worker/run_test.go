package main

import (
	"path/filepath"
	"testing"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/count/detect/detr"
)

// TestGPUSettings checks that the GPU's options reach the engine, and that TensorRT's engines go into the data folder
// unless the configuration names another one.
func TestGPUSettings(t *testing.T) {
	c := config.Default()
	if g := engineSettings(c).GPU; g != (detr.GPU{}) {
		t.Errorf("on the CPU: %+v", g)
	}
	c.Worker.Device, c.Worker.GPUMemory = 1, 4<<30
	c.Worker.Provider = "cuda"
	if s := engineSettings(c); s.Provider != detr.CUDA || s.GPU != (detr.GPU{Device: 1, MemoryLimit: 4 << 30}) {
		t.Errorf("%+v", s)
	}
	c.Worker.Provider, c.Worker.HalfPrecision = "tensorrt", true
	want := detr.GPU{Device: 1, MemoryLimit: 4 << 30, FP16: true, EngineCache: filepath.Join(c.Data, "engines")}
	if s := engineSettings(c); s.Provider != detr.TensorRT || s.GPU != want {
		t.Errorf("%+v, want %+v", s, want)
	}
	c.Worker.EngineCache = "/elsewhere"
	if g := engineSettings(c).GPU; g.EngineCache != "/elsewhere" {
		t.Errorf("%+v", g)
	}
}
