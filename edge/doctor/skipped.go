package doctor

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"cattlecounter/edge/watch"
)

// remedies are what to do about files that are not taken and that may hide a recording.
var remedies = map[watch.Reason]string{
	watch.NotVideo:   "copy the file again; a recording that a power cut ended needs repair before it can be read",
	watch.Empty:      "nothing was recorded, or the copy failed: copy the file again or delete it",
	watch.OtherVideo: "set the camera to MP4 or MOV, or convert the file",
	watch.LargeLog:   "check that the file is a flight log; the video is sent without it",
	watch.Unreadable: readable,
	watch.TooDeep:    "move the files into a folder nearer to the top of the card",
}

// skipped lists what lies in a folder and is not taken: one warning for each reason behind which a recording may be
// lost, and one line for the rest.
func (v *inspection) skipped(ctx context.Context, dir string) []Finding {
	list, err := within(ctx, &v.late, checkLimit, func(ctx context.Context) ([]watch.Skipped, error) {
		_, list, err := v.Probes.Survey(ctx, dir)
		return list, err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the check of the folder reports it
	}
	if err != nil {
		return []Finding{warn("folder", "look at dmesg; try the card in another reader",
			"cannot list the files in %s: %v", dir, err)}
	}
	var found []Finding
	var rest []string
	for _, s := range list {
		if do := remedies[s.Reason]; do != "" {
			found = append(found, warn("folder", do, "%s: not taken: %s", dir, s))
			continue
		}
		rest = append(rest, s.String())
	}
	if len(rest) > 0 {
		found = append(found, ok("folder", "%s: not taken: %s", dir, strings.Join(rest, "; ")))
	}
	return found
}
