package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/evidence"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/worker/engine"
)

// evidenceFlags say what to make beside the result. The defaults are those of the configuration.
type evidenceFlags struct {
	Video bool `help:"With --out, also write NAME.annotated.mp4: the clip with boxes, track numbers and the running count."`
}

// evidenceOf asks for the evidence of one clip. The annotated video is first written to a file in the output folder;
// remove removes that file if it is still there. Without an output folder there are at most pictures for --sheet.
func (c *countCommand) evidenceOf() (o evidence.Options, part string, remove func(), err error) {
	remove = func() {}
	o.Sheets = c.Out != "" || c.Sheet != ""
	if !c.Video {
		return o, "", remove, nil
	}
	f, err := os.CreateTemp(c.Out, ".annotated.*.mp4")
	if err != nil {
		return o, "", remove, fmt.Errorf("annotated video: %w", err)
	}
	part = f.Name()
	o.Video = engine.VideoFile(part)
	return o, part, func() { _ = os.Remove(part) }, f.Close()
}

// writeEvidence writes the files of the evidence of a result and removes those of a former one.
func writeEvidence(base string, out count.Outcome, former *report.Evidence, video string) error {
	files := out.Files()
	for ending, b := range files {
		if err := writeWhole(base+ending, bytesOf(b)); err != nil {
			return err
		}
	}
	if out.Result.Evidence != nil && out.Result.Evidence.Video != nil {
		if err := errors.Join(os.Chmod(video, 0o644), os.Rename(video, base+report.VideoEnding)); err != nil {
			return err
		}
		files[report.VideoEnding] = nil
	}
	for _, ending := range evidenceEndings(former) {
		if _, renewed := files[ending]; renewed {
			continue
		}
		if err := os.Remove(base + ending); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// fullEvidence stands for the files that the results of a clip may have beside endings.
var fullEvidence = &report.Evidence{Video: &report.EvidenceVideo{}, Sheet: &report.EvidenceFile{},
	Contact: make([]report.EvidenceFile, 1)}

// evidenceEndings lists the endings of the files that a result has as evidence, nil for a result without any.
func evidenceEndings(e *report.Evidence) []string {
	if e == nil {
		return nil
	}
	var list []string
	if e.Video != nil {
		list = append(list, report.VideoEnding)
	}
	if e.Sheet != nil {
		list = append(list, report.SheetEnding)
	}
	for i := range e.Contact {
		list = append(list, report.ContactEnding(i+1))
	}
	return list
}
