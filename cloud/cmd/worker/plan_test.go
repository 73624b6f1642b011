package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/count/video"
	"cattlecounter/shared/footage"
)

// smallMP4 is an MP4 file without pictures: its index announces a video track. salt makes its content unique.
func smallMP4(seconds, width, height uint32, salt string) string {
	box := func(kind string, parts ...[]byte) []byte {
		content := bytes.Join(parts, nil)
		return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(content))), kind...), content...)
	}
	words := func(v ...uint32) []byte {
		var b []byte
		for _, x := range v {
			b = binary.BigEndian.AppendUint32(b, x)
		}
		return b
	}
	tkhd := append(words(0, 0, 0, 1, 0, seconds*1000), make([]byte, 13*4)...)
	stbl := box("stbl", box("stsd", words(0, 1, 16), []byte("avc1")), box("stsz", words(0, 0, seconds*30)))
	trak := box("trak", box("tkhd", tkhd, words(width<<16, height<<16)),
		box("mdia", box("hdlr", words(0, 0), []byte("vide")), box("minf", stbl)))
	moov := box("moov", box("mvhd", words(0, 0, 0, 1000, seconds*1000)), trak)
	return string(bytes.Join([][]byte{box("ftyp", []byte("isom"), words(0)), moov, box("mdat", []byte(salt))}, nil))
}

// noProbe knows nothing of any clip.
func noProbe(context.Context, string) (video.Info, error) { return video.Info{}, video.ErrDecode }

func planOf(t *testing.T, files map[string]string) *plan {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		write(t, filepath.Join(root, name), content)
	}
	l, err := findClips(t.Context(), root, "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := makePlan(t.Context(), l.clips, noProbe, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// summary lists what the plan does with each clip.
func (p *plan) summary() []string {
	var all []string
	for _, f := range p.flights {
		var names []string
		for _, i := range f {
			names = append(names, p.clips[i].rel)
		}
		all = append(all, strings.Join(names, " before "))
	}
	for i, original := range p.copyOf {
		if original >= 0 {
			all = append(all, p.clips[i].rel+" copies "+p.clips[original].rel)
		}
	}
	return all
}

func TestPlan(t *testing.T) {
	wide, thermal := smallMP4(20, 3840, 2160, "w"), smallMP4(20, 640, 512, "t")
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"same name, copies": {
			map[string]string{"1/A.MP4": smallMP4(9, 320, 320, "1"), "2/A.MP4": smallMP4(9, 320, 320, "2"),
				"2/A.MOV": smallMP4(9, 320, 320, "1"), "3/B.MP4": smallMP4(9, 320, 320, "2")},
			[]string{"1/A.MP4", "2/A.MP4", "2/A.MOV copies 1/A.MP4", "3/B.MP4 copies 2/A.MP4"},
		},
		"same size, other content": {
			map[string]string{"a.mp4": smallMP4(9, 320, 320, "1"), "b.mp4": smallMP4(9, 320, 320, "2")},
			[]string{"a.mp4", "b.mp4"},
		},
		"empty files are no copies": {map[string]string{"a.mp4": "", "b.mp4": ""}, []string{"a.mp4", "b.mp4"}},
		"cameras of a flight": {
			map[string]string{"DJI_0001_T.MP4": thermal, "DJI_0001_W.MP4": wide, "DJI_0001_W.LRF": smallMP4(20, 1280, 720, "p")},
			[]string{"DJI_0001_W.MP4 before DJI_0001_W.LRF before DJI_0001_T.MP4"},
		},
		"copy of one camera beside the other": {
			map[string]string{"1/DJI_0001_W.MP4": wide, "2/DJI_0001_W.MP4": wide, "2/DJI_0001_T.MP4": thermal},
			[]string{"1/DJI_0001_W.MP4 before 2/DJI_0001_T.MP4", "2/DJI_0001_W.MP4 copies 1/DJI_0001_W.MP4"},
		},
		"copy of the thermal file of another flight": {
			map[string]string{"DJI_0001_W.MP4": wide, "DJI_0001_T.MP4": thermal, "DJI_0002_T.MP4": thermal,
				"DJI_0002_W.MP4": smallMP4(20, 3840, 2160, "x")},
			[]string{"DJI_0001_W.MP4 before DJI_0001_T.MP4", "DJI_0002_W.MP4", "DJI_0002_T.MP4 copies DJI_0001_T.MP4"},
		},
		"not a video": {map[string]string{"DJI_0001_W.MP4": "text", "DJI_0001_T.MP4": thermal},
			[]string{"DJI_0001_T.MP4", "DJI_0001_W.MP4"}},
	} {
		if got := planOf(t, c.files).summary(); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.want)
		}
	}
}

// TestPlanReadsOnlyWhatItMust does not read a clip of which no other has the size, and reads two names of a file once.
func TestPlanReadsOnlyWhatItMust(t *testing.T) {
	root := makeTree(t, "long name.mp4", "a.mp4")
	if err := os.Link(filepath.Join(root, "a.mp4"), filepath.Join(root, "b.mp4")); err != nil {
		t.Fatal(err)
	}
	l, err := findClips(t.Context(), root, "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := makePlan(t.Context(), l.clips, noProbe, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if p.clips[0].digest != footage.Sum([]byte("a.mp4")) || p.copyOf[1] != 0 || !p.clips[2].digest.IsZero() {
		t.Errorf("%+v", p)
	}
}

// TestPlanProbesOtherContainers asks the decoder about clips whose headers have no length, and only about those that
// may be siblings.
func TestPlanProbesOtherContainers(t *testing.T) {
	ts := strings.Repeat("G"+strings.Repeat("x", 187), 5)
	root := t.TempDir()
	for name, content := range map[string]string{"DJI_0001_W.TS": ts + ts, "DJI_0001_T.TS": ts, "alone.ts": ts + ts + ts,
		"DJI_0002_W.MP4": smallMP4(20, 640, 480, "w"), "DJI_0002_T.MP4": smallMP4(20, 640, 512, "t")} {
		write(t, filepath.Join(root, name), content)
	}
	l, err := findClips(t.Context(), root, "")
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	p, err := makePlan(t.Context(), l.clips, func(_ context.Context, path string) (video.Info, error) {
		asked = append(asked, filepath.Base(path))
		return video.Info{Duration: 9 * time.Second, Width: 640, Height: 480}, nil
	}, io.Discard)
	if err != nil || !slices.Equal(asked, []string{"DJI_0001_T.TS", "DJI_0001_W.TS"}) {
		t.Errorf("asked %q, %v", asked, err)
	}
	if got := p.summary(); got[0] != "DJI_0001_W.TS before DJI_0001_T.TS" {
		t.Errorf("%q", got)
	}
	ctx, stop := context.WithCancel(t.Context())
	_, err = makePlan(ctx, l.clips, func(context.Context, string) (video.Info, error) {
		stop()
		return video.Info{}, ctx.Err()
	}, io.Discard)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

func TestPlanNotesDoubts(t *testing.T) {
	p := planOf(t, map[string]string{"DJI_0001_W.MP4": smallMP4(20, 3840, 2160, "w"),
		"DJI_0001_T.MP4": smallMP4(30, 640, 512, "t")})
	want := "named like a sibling of DJI_0001_W.MP4, but the lengths differ (20.0 s and 30.0 s); it is counted apart"
	if len(p.flights) != 2 || p.notes[0] != want {
		t.Errorf("%v %v", p.summary(), p.notes)
	}
}

// TestFaultOfFolder has the exit code of the class of what failed: footage, or this machine.
func TestFaultOfFolder(t *testing.T) {
	broken := errors.New("the network does not run")
	of := func(faults []fault, outcomes ...outcome) error {
		r := countRun{countCommand: &countCommand{Path: "cards", Out: "out"}, found: listing{folder: true, faults: faults},
			outcomes: outcomes}
		return r.fault()
	}
	good, bad := outcome{sibling: -1}, outcome{err: video.ErrTruncated}
	unread := []fault{{rel: "x/", folder: true}}
	for name, c := range map[string]struct {
		err  error
		code int
		text string
	}{
		"all counted":       {of(nil, good, good), exitOK, ""},
		"footage":           {of(nil, good, bad), exitFootage, "footage cannot be counted: 1 of 2 clips in cards"},
		"broken link":       {of([]fault{{rel: "x"}}, good), exitFootage, "cannot be counted: 1 of 2 clips in cards"},
		"folder":            {of(unread, good), exitFootage, "0 of 1 clips and 1 unreadable subfolders"},
		"machine":           {of(nil, bad, outcome{err: broken}), exitFailed, "2 of 2 clips in cards cannot be counted: the net"},
		"results not saved": {of(nil, bad, outcome{unsaved: broken}), exitFailed, "results of 1 of 2 clips cannot be written"},
	} {
		if code := exitCode(t.Context(), c.err); code != c.code || c.err != nil && !strings.Contains(c.err.Error(), c.text) {
			t.Errorf("%s: exit code %d, %v", name, code, c.err)
		}
	}
}
