package libav

import (
	"errors"
	"io"
	"os"
	"testing"

	"cattlecounter/cloud/count/video/container"
	"cattlecounter/cloud/count/video/timeline"
)

// FuzzEvents checks that a captured decoder cannot confuse its parent.
func FuzzEvents(f *testing.F) {
	record := make([]byte, recordSize)
	record[8], record[12] = 64, 48
	f.Add(append([]byte{'F', recordSize, 0, 0, 0}, record...))
	f.Add(append([]byte{'P', recordSize, 0, 0, 0}, record...))
	f.Add([]byte("I\x02\x00\x00\x00{}"))
	f.Add([]byte("X\x23\x00\x00\x00{\"class\":\"limit\",\"reason\":\"too long\"}"))
	f.Add([]byte("F\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		go func() {
			defer w.Close()
			_, _ = w.Write(b) // the reader may stop before the end
		}()
		line := timeline.New(25)
		reader := newEventReader(r)
		for {
			e, err := reader.next(func() error { return io.ErrNoProgress })
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, errEvent) {
					t.Fatal(err)
				}
				return
			}
			var o opened
			switch {
			case e.kind == eventFault && fault(e) == nil:
				t.Fatal("a fault without an error")
			case e.kind == eventInfo && decodeContent(e, &o) == nil:
				_ = describe(o, container.Report{})
			}
			for _, r := range e.records {
				before := line.Now()
				if line.Add(r); line.Now() < before {
					t.Fatal("the time goes back")
				}
			}
		}
	})
}
