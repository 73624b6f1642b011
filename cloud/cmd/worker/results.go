package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/report"
	"cattlecounter/shared/footage"
)

// resultFolder writes the results of clips into the subfolders of one folder. The files of a clip have one base name:
// the name of the clip without its extension; the whole name when another clip has the same base in any letter case, or
// the clip is a sibling of a better one; the whole name with the start of the digest when that is taken too.
//
// Existing files are replaced only when they are results of the same content: BASE.json has the digest of the clip.
type resultFolder struct {
	dir   string
	plan  *plan
	level []int           // how much of the name each clip needs, by clip
	owner map[string]int  // clip that a base belongs to, by folded base
	subs  map[string]bool // subfolders of results, folded
}

// Levels of names.
const (
	withoutExtension = iota
	wholeName
	nameAndDigest
)

// newResultFolder creates the folder and divides the names.
func newResultFolder(dir string, p *plan) (*resultFolder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create the output folder: %w", err)
	}
	r := &resultFolder{dir: dir, plan: p, level: make([]int, len(p.clips)), subs: map[string]bool{}}
	for _, flight := range p.flights {
		for k, i := range flight {
			if k > 0 {
				r.level[i] = wholeName
			}
			for sub := path.Dir(r.base(i, wholeName)); sub != "."; sub = path.Dir(sub) {
				r.subs[fold(sub)] = true
			}
		}
	}
	for r.separate() {
	}
	return r, nil
}

// separate gives clips with the same base longer ones. It reports whether there were any.
func (r *resultFolder) separate() bool {
	r.owner = map[string]int{}
	var clash []int
	for _, flight := range r.plan.flights {
		for _, i := range flight {
			if r.level[i] == nameAndDigest {
				continue
			}
			key := fold(r.base(i, r.level[i]))
			other, taken := r.owner[key]
			switch {
			case taken:
				clash = append(clash, i, other)
			case r.isSubfolder(key):
				clash = append(clash, i)
			default:
				r.owner[key] = i
			}
		}
	}
	raised := map[int]bool{}
	for _, i := range clash {
		if !raised[i] {
			raised[i] = true
			r.level[i]++
		}
	}
	return len(clash) > 0
}

// isSubfolder reports whether a result of a folded base would have the name of a subfolder.
func (r *resultFolder) isSubfolder(key string) bool {
	return slices.ContainsFunc(endings, func(ending string) bool { return r.subs[key+ending] })
}

// base is the relative path of the results of a clip without their ending.
func (r *resultFolder) base(i, level int) string {
	c := r.plan.clips[i]
	switch level {
	case withoutExtension:
		return resultName(strings.TrimSuffix(c.rel, path.Ext(c.rel)))
	case wholeName:
		return resultName(c.rel)
	}
	return resultName(c.rel) + "." + c.digest.String()[:8]
}

// write writes the results of a clip; video is the file of its annotated video, empty for none. note is for a person
// when the results have another name than planned.
func (r *resultFolder) write(i int, out count.Outcome, video string) (note string, err error) {
	digest := r.plan.clips[i].digest
	name := r.plan.clips[i].name()
	for level := r.level[i]; level <= nameAndDigest; level++ {
		base := r.base(i, level)
		if owner, taken := r.owner[fold(base)]; taken && owner != i {
			continue
		}
		at := filepath.Join(r.dir, filepath.FromSlash(base))
		former, free, err := mayReplace(at, digest)
		if err != nil {
			return "", fmt.Errorf("%s: results: %w", name, err)
		}
		if !free {
			continue
		}
		err = errors.Join(writeResults(at, out), writeEvidence(at, out, former, video))
		if err != nil {
			return "", fmt.Errorf("%s: results: %w", name, err)
		}
		if level > r.level[i] {
			note = fmt.Sprintf("%s: the results are in %s.json, because %s is taken by other content", name, base,
				r.base(i, r.level[i]))
		}
		return note, nil
	}
	return "", fmt.Errorf("%s: results: every name for them in %s is taken by other content; choose another folder", name,
		footage.SafePath(r.dir))
}

// endings are the files of one clip. The first one proves whose they are, so it is written first.
var endings = []string{".json", ".csv", ".jpg", crossingsEnding, positionsEnding}

// mayReplace reports whether the files of a base are absent, or are results of the content with this digest. former is
// the evidence of those results.
func mayReplace(base string, digest footage.Digest) (former *report.Evidence, free bool, err error) {
	var found []string
	for _, ending := range slices.Concat(endings, evidenceEndings(fullEvidence)) {
		info, err := os.Lstat(base + ending)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, false, err
		case !info.Mode().IsRegular():
			return nil, false, nil
		}
		found = append(found, ending)
	}
	if len(found) == 0 {
		return nil, true, nil
	}
	b, err := os.ReadFile(base + endings[0])
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil // such as a photo beside a clip
	}
	if err != nil {
		return nil, false, err
	}
	var doc struct {
		Schema   int              `json:"schema"`
		Source   report.Source    `json:"source"`
		Evidence *report.Evidence `json:"evidence"`
	}
	if json.Unmarshal(b, &doc) != nil || doc.Schema <= 0 || doc.Source.SHA256 != digest {
		return nil, false, nil
	}
	ours := append(evidenceEndings(doc.Evidence), endings...)
	for _, ending := range found {
		if !slices.Contains(ours, ending) {
			return nil, false, nil // such as a clip of this name
		}
	}
	return doc.Evidence, true, nil
}

// writeResults writes the files of a base. The still of a former result is removed when this one has none.
func writeResults(base string, out count.Outcome) error {
	if err := os.MkdirAll(filepath.Dir(base), 0o755); err != nil {
		return err
	}
	for k, write := range []func(io.Writer) error{out.Result.WriteJSON, out.Result.WriteCSV, bytesOf(out.Still)} {
		file := base + endings[k]
		if k == 2 && out.Still == nil {
			if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			continue
		}
		if err := writeWhole(file, write); err != nil {
			return err
		}
	}
	return errors.Join(writeCrossings(base, out.Result), writeMap(base, out.Result))
}

// bytesOf writes b.
func bytesOf(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
}

// writeWhole writes a file that gets its name when it is complete.
func writeWhole(file string, write func(io.Writer) error) error {
	part, err := os.CreateTemp(filepath.Dir(file), ".result.*")
	if err != nil {
		return err
	}
	defer os.Remove(part.Name()) // absent after the rename
	if err := errors.Join(write(part), part.Chmod(0o644), part.Close()); err != nil {
		return err
	}
	return os.Rename(part.Name(), file)
}

// longestName bounds a part of a path in bytes, so that endings and a digest fit into the 255 of file systems.
const longestName = 200

// resultName is a relative path for people, with parts that every file system can store.
func resultName(rel string) string {
	parts := strings.Split(rel, "/")
	for i, p := range parts {
		shown := footage.SafeName(p)
		if len(shown) > longestName {
			sum := sha256.Sum256([]byte(p))
			end := longestName - 20
			for !utf8.RuneStart(shown[end]) {
				end--
			}
			shown = shown[:end] + "~" + hex.EncodeToString(sum[:4])
		}
		parts[i] = shown
	}
	return strings.Join(parts, "/")
}

// fold is equal for paths that a file system without letter case takes for one.
func fold(p string) string { return strings.ToLower(p) }
