package calibrate

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"cattlecounter/cloud/count/detect"
)

// answer is what the network found in the pixels of one region. Boxes are relative to the region.
type answer struct {
	Key   [16]byte
	Boxes []detect.Box
}

// answers is a detect.Model that remembers on disk what the network found, by the pixels of the region. So a second run
// costs only what stands around the network. A file belongs to one process at a time.
type answers struct {
	net    detect.Model
	digest string // of the network

	mu          sync.Mutex
	known       map[[16]byte][]detect.Box
	file        *os.File
	out         *bufio.Writer
	encoder     *gob.Encoder
	asked, hits int
}

// openAnswers reads the answers in a file and appends the new ones to it. An incomplete last answer is dropped: the run
// that wrote it was ended.
func openAnswers(path, digest string, net detect.Model) (*answers, error) {
	a := &answers{net: net, digest: digest, known: map[[16]byte][]detect.Box{}}
	if err := a.read(path); err != nil {
		return nil, err
	}
	// Each run writes a file of its own: a gob stream cannot be continued.
	f, err := os.CreateTemp(path, "answers-*.gob")
	if err != nil {
		return nil, fmt.Errorf("answers of the network: %w", err)
	}
	a.file, a.out = f, bufio.NewWriter(f)
	a.encoder = gob.NewEncoder(a.out)
	return a, nil
}

// read reads all files of the folder.
func (a *answers) read(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("answers of the network: %w", err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("answers of the network: %w", err)
	}
	for _, e := range entries {
		if err := a.readFile(folder + "/" + e.Name()); err != nil {
			return err
		}
	}
	return nil
}

func (a *answers) readFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("answers of the network: %w", err)
	}
	defer f.Close()
	in := gob.NewDecoder(bufio.NewReader(f))
	for {
		var one answer
		err := in.Decode(&one)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("answers of the network %s: %w; remove the file", path, err)
		}
		a.known[one.Key] = one.Boxes
	}
}

// DetectRegions implements detect.Model.
func (a *answers) DetectRegions(ctx context.Context, dst [][]detect.Box, regions []detect.Region, threshold float32) ([][]detect.Box, error) {
	keys := make([][16]byte, len(regions))
	var todo []detect.Region
	var which []int
	found := make([][]detect.Box, len(regions))
	for i, r := range regions {
		keys[i] = a.key(r, threshold)
	}
	a.mu.Lock()
	for i, k := range keys {
		boxes, ok := a.known[k]
		a.asked++
		if ok {
			a.hits++
			found[i] = moved(boxes, regions[i].X, regions[i].Y)
			continue
		}
		todo, which = append(todo, regions[i]), append(which, i)
	}
	a.mu.Unlock()
	fresh, err := a.net.DetectRegions(ctx, nil, todo, threshold)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for j, i := range which {
		found[i] = fresh[j]
		boxes := moved(fresh[j], -regions[i].X, -regions[i].Y)
		a.known[keys[i]] = boxes
		if err := a.encoder.Encode(answer{keys[i], boxes}); err != nil {
			return nil, fmt.Errorf("answers of the network: %w", err)
		}
	}
	return append(dst, found...), nil
}

// key is the digest of all that the answer depends on.
func (a *answers) key(r detect.Region, threshold float32) [16]byte {
	h := sha256.New()
	fmt.Fprint(h, a.digest, r.Width, r.Height, threshold)
	// What reaches beyond the frame is black.
	for y := max(r.Y, 0); y < min(r.Y+r.Height, r.Frame.Height); y++ {
		row := r.Frame.Pix[(y*r.Frame.Width+max(r.X, 0))*3 : (y*r.Frame.Width+min(r.X+r.Width, r.Frame.Width))*3]
		h.Write(row) // never fails
	}
	fmt.Fprint(h, min(r.X, 0), min(r.Y, 0), max(r.X+r.Width-r.Frame.Width, 0), max(r.Y+r.Height-r.Frame.Height, 0))
	return [16]byte(h.Sum(nil)[:16])
}

func moved(boxes []detect.Box, x, y int) []detect.Box {
	out := make([]detect.Box, len(boxes))
	for i, b := range boxes {
		b.X1, b.X2, b.Y1, b.Y2 = b.X1+float32(x), b.X2+float32(x), b.Y1+float32(y), b.Y2+float32(y)
		out[i] = b
	}
	return out
}

// flush writes what is still in memory.
func (a *answers) flush() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.out.Flush()
}

// close ends the file.
func (a *answers) close() error { return errors.Join(a.flush(), a.file.Close()) }
