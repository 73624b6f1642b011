package coco

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const foreign = `{"info": {"year": 2026}, "licenses": [1], "images": [{"id": 4, "file_name": "a/b.jpg", "width": 100, "height": 50, "license": 3}],
"annotations": [{"id": 9, "image_id": 4, "category_id": 2, "bbox": [1, 2, 30, 40], "segmentation": [[1, 2]], "area": 1200, "iscrowd": 0}],
"categories": [{"id": 2, "name": "cow"}, {"id": 5, "name": "Sheep", "color": "red"}]}`

func TestForeignKeysStay(t *testing.T) {
	f, err := Parse([]byte(foreign))
	if err != nil {
		t.Fatal(err)
	}
	if !f.Others()[5] || f.Others()[2] {
		t.Errorf("other animals: %v", f.Others())
	}
	if id := f.Category(Cattle); id != 6 || f.Category(Cattle) != 6 {
		t.Errorf("added category %d", id)
	}
	dir := t.TempDir()
	if err := f.Write(dir); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, File))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"year":2026`, `"licenses":[1]`, `"license":3`, `"segmentation":[[1,2]]`, `"color":"red"`} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("%s is lost: %s", want, b)
		}
	}
	again, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := again.encode(); err != nil || !bytes.Equal(b, c) {
		t.Errorf("read and written again: %s %v", c, err)
	}
}

func TestFaultsNameTheEntry(t *testing.T) {
	for name, c := range map[string]struct{ from, to, says string }{
		"file outside":   {`"a/b.jpg"`, `"../b.jpg"`, "image 4: file_name"},
		"absolute":       {`"a/b.jpg"`, `"/b.jpg"`, "image 4: file_name"},
		"size":           {`"width": 100`, `"width": 0`, "image 4: 0x50"},
		"no such image":  {`"image_id": 4`, `"image_id": 3`, "annotation 9: image_id 3"},
		"no such class":  {`"category_id": 2`, `"category_id": 3`, "annotation 9: category_id 3"},
		"box outside":    {`[1, 2, 30, 40]`, `[101, 2, 30, 40]`, "annotation 9: bbox [101 2 30 40]"},
		"empty box":      {`[1, 2, 30, 40]`, `[1, 2, 0, 40]`, "annotation 9: bbox"},
		"short box":      {`[1, 2, 30, 40]`, `[1, 2, 3]`, "annotation 9: bbox has 3 numbers"},
		"crowd":          {`"iscrowd": 0`, `"iscrowd": 2`, "annotation 9: iscrowd"},
		"no name":        {`"name": "cow"`, `"name": ""`, "category 2"},
		"no id":          {`"id": 9, `, ``, "key id is missing"},
		"no key":         {`"images"`, `"pictures"`, "key images is missing"},
		"no object":      {`{"info"`, `[{"info"`, "not a JSON object"},
		"null entry":     {`"annotations": [`, `"annotations": [null, `, "annotation at position 0"},
		"cut short":      {`"color": "red"}]}`, `"col`, "not a JSON object"},
		"text for a box": {`[1, 2, 30, 40]`, `"x"`, "key bbox"},
	} {
		text := strings.Replace(foreign, c.from, c.to, 1)
		if text == foreign {
			t.Fatal(name)
		}
		if _, err := Parse([]byte(text)); !errors.Is(err, ErrFolder) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Read(t.TempDir()); !errors.Is(err, ErrFolder) || !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(foreign))
	f.Add([]byte(`{"images":[],"annotations":[],"categories":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrFolder) {
				t.Fatal(err)
			}
			return
		}
		out, err := d.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(out)
		if err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		if twice, err := again.encode(); err != nil || !bytes.Equal(out, twice) {
			t.Fatalf("%s becomes %s %v", out, twice, err)
		}
	})
}
