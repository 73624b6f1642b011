package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/count/video/libav"
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

// TestDecoderSettings checks that the decoder's options reach the engine, and that the defaults of the configuration
// are those of `worker count`.
func TestDecoderSettings(t *testing.T) {
	c := config.Default()
	if got, want := engineSettings(c).Decoder, (libav.Config{Limits: libav.DefaultLimits()}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	c.Worker.Decoder.Hardware, c.Worker.Decoder.Isolation, c.Worker.Decoder.MaxPixels = "cuda", config.IsolationRelaxed, 7
	if got := engineSettings(c).Decoder; got.Hardware != "cuda" || !got.Relaxed || got.Limits.Pixels != 7 {
		t.Errorf("%+v", got)
	}
}

// TestAbsentHardware checks that decoding by hardware that the machine lacks is an error at the start.
func TestAbsentHardware(t *testing.T) {
	if _, err := os.Stat("/dev/nvidia0"); err == nil {
		t.Skip("the machine has the hardware")
	}
	c := config.Default().Worker.Decoder
	c.Hardware = "cuda"
	err := checkDecoder(t.Context(), decoderSettings(c), slog.New(slog.DiscardHandler))
	if !errors.Is(err, libav.ErrHost) || !strings.Contains(err.Error(), "cuda") {
		t.Errorf("got %v", err)
	}
	c.Hardware = ""
	if err := checkDecoder(t.Context(), decoderSettings(c), slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
}
