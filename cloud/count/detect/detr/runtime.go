package detr

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// Classes of faults of the inference library.
var (
	// ErrRuntime marks an ONNX Runtime library that is missing or too old.
	ErrRuntime = errors.New("ONNX Runtime cannot be used")
	// ErrProvider marks a configured execution provider that cannot be used. The program never falls back to another.
	ErrProvider = errors.New("execution provider cannot be used")
)

// libraryName is the file name of ONNX Runtime in its packages.
const libraryName = "libonnxruntime.so.1"

// environment is the inference environment of the process. ONNX Runtime allows only one. Closing it during a session
// would crash the process, so it stays open until the process ends.
var environment struct {
	sync.Mutex
	library string
}

// FindLibrary returns the library to load: configured, when that is not empty; else the library beside the executable,
// in ../lib or in ../onnxruntime, where the Makefile installs it; else the bare name for the dynamic loader.
func FindLibrary(configured string) string {
	if configured != "" {
		return configured
	}
	if exe, err := os.Executable(); err == nil {
		for _, folder := range []string{".", "../lib", "../onnxruntime"} {
			path := filepath.Join(filepath.Dir(exe), folder, libraryName)
			if _, err := os.Stat(path); err == nil {
				return path
			}
		}
	}
	return libraryName
}

// LoadRuntime loads ONNX Runtime, once per process: the configured library, or the result of FindLibrary. The error
// wraps ErrRuntime.
func LoadRuntime(configured string) error {
	library := FindLibrary(configured)
	environment.Lock()
	defer environment.Unlock()
	if environment.library != "" {
		if library != environment.library {
			return fmt.Errorf("cannot load library %s: %s is loaded already: %w", library, environment.library,
				ErrRuntime)
		}
		return nil
	}
	ort.SetSharedLibraryPath(library)
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return fmt.Errorf("load %s (set ONNXRUNTIME_LIB to the library of onnxruntime 1.24 or newer): %w: %w",
			library, err, ErrRuntime)
	}
	environment.library = library
	return nil
}

// Provider is the execution provider that runs the network.
type Provider string

// Providers.
const (
	CPU      Provider = "cpu"
	CUDA     Provider = "cuda"
	TensorRT Provider = "tensorrt"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Provider) UnmarshalText(b []byte) error {
	switch v := Provider(b); v {
	case CPU, CUDA, TensorRT:
		*p = v
		return nil
	}
	return fmt.Errorf("provider %q, want %s, %s or %s", b, CPU, CUDA, TensorRT)
}

// GPU holds the options of the cuda and tensorrt providers.
type GPU struct {
	Device      int    // number of the device, from 0
	MemoryLimit int64  // bytes of device memory for the arena or engine workspace, 0 for the library's default
	FP16        bool   // tensorrt: build engines in half precision
	EngineCache string // tensorrt: folder for built engines, empty for none; building takes minutes
}

// sessionOptions returns options that the caller destroys. The error wraps
// ErrProvider or ErrRuntime.
func sessionOptions(o Options, library string) (*ort.SessionOptions, error) {
	so, err := ort.NewSessionOptions()
	if err != nil {
		return nil, fmt.Errorf("session options: %w: %w", err, ErrRuntime)
	}
	err = errors.Join(
		so.SetIntraOpNumThreads(o.Threads),
		so.SetInterOpNumThreads(1),
		so.SetLogSeverityLevel(ort.LoggingLevelFatal),
		// Threads that spin while they wait take the cores from decoding.
		so.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
	)
	if err != nil {
		err = fmt.Errorf("session options: %w: %w", err, ErrRuntime)
	} else if o.Provider != CPU {
		err = appendProvider(so, o, library)
	}
	if err != nil {
		so.Destroy()
		return nil, err
	}
	return so, nil
}

// appendProvider adds a GPU. ONNX Runtime loads a provider from a separate library beside the main one. The error names
// a missing library and its source; the message of ONNX Runtime only mentions dlopen.
func appendProvider(so *ort.SessionOptions, o Options, library string) error {
	need := []string{"libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"}
	if o.Provider == TensorRT {
		need = append(need, "libonnxruntime_providers_tensorrt.so")
	}
	if folder := filepath.Dir(library); filepath.IsAbs(library) {
		if real, err := filepath.EvalSymlinks(library); err == nil {
			folder = filepath.Dir(real)
		}
		for _, name := range need {
			if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
				return fmt.Errorf("provider %s needs %s beside %s; install the GPU build of ONNX Runtime: %w: %w",
					o.Provider, name, library, err, ErrProvider)
			}
		}
	}
	var err error
	if o.Provider == TensorRT {
		err = appendTensorRT(so, o.GPU)
	}
	if err == nil { // with TensorRT too: CUDA runs the operators that TensorRT does not support
		err = appendCUDA(so, o.GPU)
	}
	if err != nil {
		return fmt.Errorf("provider %s with %s: %w: %w%s", o.Provider, library, err, ErrProvider,
			missingLibrary(err.Error()))
	}
	return nil
}

// libraryRemedies has a remedy for each library that a provider loads.
var libraryRemedies = map[string]string{
	"libcuda.so":     "install NVIDIA's driver; start a container with --gpus all",
	"libcudart.so":   "install the CUDA libraries, or add them to LD_LIBRARY_PATH",
	"libcublas.so":   "install the CUDA libraries, or add them to LD_LIBRARY_PATH",
	"libcublasLt.so": "install the CUDA libraries, or add them to LD_LIBRARY_PATH",
	"libcudnn.so":    "install cuDNN, or add it to LD_LIBRARY_PATH",
	"libcurand.so":   "install the CUDA libraries, or add them to LD_LIBRARY_PATH",
	"libnvinfer.so":  "install TensorRT, or add it to LD_LIBRARY_PATH",
}

// missingLibrary returns the remedy for a library that a message names as missing, or "".
func missingLibrary(message string) string {
	for name, remedy := range libraryRemedies {
		if strings.Contains(message, name+".") && strings.Contains(message, "cannot open shared object") {
			return "; " + remedy
		}
	}
	return ""
}

func appendCUDA(so *ort.SessionOptions, g GPU) error {
	c, err := ort.NewCUDAProviderOptions()
	if err != nil {
		return err
	}
	defer c.Destroy()
	set := map[string]string{"device_id": strconv.Itoa(g.Device), "arena_extend_strategy": "kSameAsRequested"}
	if g.MemoryLimit > 0 {
		set["gpu_mem_limit"] = strconv.FormatInt(g.MemoryLimit, 10)
	}
	if err := c.Update(set); err != nil {
		return err
	}
	return so.AppendExecutionProviderCUDA(c)
}

func appendTensorRT(so *ort.SessionOptions, g GPU) error {
	t, err := ort.NewTensorRTProviderOptions()
	if err != nil {
		return err
	}
	defer t.Destroy()
	set := map[string]string{"device_id": strconv.Itoa(g.Device)}
	if g.MemoryLimit > 0 {
		set["trt_max_workspace_size"] = strconv.FormatInt(g.MemoryLimit, 10)
	}
	if g.FP16 {
		set["trt_fp16_enable"] = "1"
	}
	if g.EngineCache != "" {
		set["trt_engine_cache_enable"] = "1"
		set["trt_engine_cache_path"] = g.EngineCache
	}
	if err := t.Update(set); err != nil {
		return err
	}
	return so.AppendExecutionProviderTensorRT(t)
}
