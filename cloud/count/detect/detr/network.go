package detr

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"cattlecounter/cloud/model"
	"cattlecounter/shared/footage"
)

// network is the network file of a model with its files of weights.
type network struct {
	path   string
	digest footage.Digest
	size   int64    // bytes of all of them
	data   []string // names of the files of weights
}

// findNetwork resolves a folder or file and hashes the network. The error wraps ErrModel.
//
// The digest of a network is the SHA-256 of its file. A network may have its weights in other files; then the digest is
// the SHA-256 of the output of sha256sum for the network and for these files, by name. The network file alone would not
// identify the model.
func findNetwork(path string) (network, error) {
	if path == "" {
		return network{}, fmt.Errorf("no model given: want a folder with %s: %w", networkFile, ErrModel)
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		path = filepath.Join(path, networkFile)
	}
	n := network{path: path}
	if err := n.read(); err != nil {
		return network{}, fmt.Errorf("model %s: %w: %w", path, err, ErrModel)
	}
	return n, nil
}

func (n *network) read() error {
	beside, err := os.ReadDir(filepath.Dir(n.path))
	if err != nil {
		return err
	}
	var data []string
	for _, e := range beside {
		if model.IsData(e.Name()) {
			data = append(data, e.Name())
		}
	}
	named := make([]bool, len(data))
	n.digest, err = n.hash(n.path, func(chunk []byte) {
		for i, name := range data {
			named[i] = named[i] || bytes.Contains(chunk, []byte(name))
		}
	})
	if err != nil {
		return err
	}
	lines := model.FormatSums([]model.Sum{{File: filepath.Base(n.path), SHA256: n.digest}})
	for i, name := range data {
		if !named[i] {
			continue
		}
		d, err := n.hash(filepath.Join(filepath.Dir(n.path), name), func([]byte) {})
		if err != nil {
			return err
		}
		n.data = append(n.data, name)
		lines = append(lines, model.FormatSums([]model.Sum{{File: name, SHA256: d}})...)
	}
	if len(n.data) > 0 {
		n.digest = footage.Sum(lines)
	}
	return nil
}

// hash reads one file. It calls visit with all of it, in pieces that overlap by more than the name of a file.
func (n *network) hash(path string, visit func([]byte)) (footage.Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return footage.Digest{}, err
	}
	defer f.Close()
	const overlap = 512
	h, buffer, carried := sha256.New(), make([]byte, 1<<20), 0
	size := int64(0)
	for {
		got, err := f.Read(buffer[carried:])
		chunk := buffer[:carried+got]
		if size == 0 && path == n.path {
			if err := sniff(chunk); err != nil {
				return footage.Digest{}, err
			}
		}
		h.Write(chunk[carried:])
		visit(chunk)
		size += int64(got)
		carried = copy(buffer, chunk[max(0, len(chunk)-overlap):])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return footage.Digest{}, err
		}
	}
	n.size += size
	return footage.Digest(h.Sum(nil)), nil
}

// sniff recognises files that are often saved by mistake instead of a network. ONNX Runtime would only report that it
// cannot parse them.
func sniff(start []byte) error {
	text := bytes.TrimLeft(start, "\xEF\xBB\xBF \t\r\n")
	switch {
	case len(start) == 0:
		return errors.New("file is empty")
	case bytes.HasPrefix(text, []byte("<")):
		return errors.New("is a web page and not a network; download the file again, the server sent an error or login page")
	case bytes.HasPrefix(text, []byte("version https://git-lfs")):
		return errors.New("is a Git LFS pointer and not the network; fetch the network with `git lfs pull` or `worker model pull`")
	case bytes.HasPrefix(start, []byte("PK\x03\x04")):
		return errors.New("is a ZIP archive or a PyTorch checkpoint and not a network; export the model to ONNX")
	}
	return nil
}
