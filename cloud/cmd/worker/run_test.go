package runcmd

import (
	"path/filepath"
	"testing"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/count/detect/detr"
)

// The GPU's options reach the engine, and what TensorRT builds is kept unless
// somebody says where.
func TestGPU(t *testing.T) {
	c := config.Default()
	if g := settings(c).GPU; g != (detr.GPU{}) {
		t.Errorf("on the CPU: %+v", g)
	}
	c.Worker.Device, c.Worker.GPUMemory = 1, 4<<30
	c.Worker.Provider = "cuda"
	if s := settings(c); s.Provider != detr.CUDA || s.GPU != (detr.GPU{Device: 1, MemoryLimit: 4 << 30}) {
		t.Errorf("%+v", s)
	}
	c.Worker.Provider, c.Worker.HalfPrecision = "tensorrt", true
	want := detr.GPU{Device: 1, MemoryLimit: 4 << 30, FP16: true, EngineCache: filepath.Join(c.Data, "engines")}
	if s := settings(c); s.Provider != detr.TensorRT || s.GPU != want {
		t.Errorf("%+v, want %+v", s, want)
	}
	c.Worker.EngineCache = "/elsewhere"
	if g := settings(c).GPU; g.EngineCache != "/elsewhere" {
		t.Errorf("%+v", g)
	}
}
