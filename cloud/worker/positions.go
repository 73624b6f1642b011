package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/flightlog"
	"cattlecounter/cloud/place"
	"cattlecounter/shared/wire"
)

// addPositions places the animals of a result by the flight log that came with the footage, else by the one inside the
// video, which is in the file film, "" for none. A log that cannot be read is a warning of the result, and the count
// stays. The API places them again on request, with a log that came later.
func (a *attempt) addPositions(ctx context.Context, out *count.Outcome, film string) {
	log, err := a.readLog(ctx, film)
	if log == nil && err == nil {
		return
	}
	if err == nil {
		length := time.Duration(out.Result.Video.Duration * float64(time.Second))
		if why := place.Fit(log, a.footage.Captured, length); why != "" {
			err = fmt.Errorf("%w: %s", errNoFit, why)
		}
	}
	if err != nil {
		a.log.Warn("flight log cannot be used; the count has no positions", "err", err)
		out.Result.Warnings = append(out.Result.Warnings, report.Warning{Code: report.NoTelemetry,
			Text: fmt.Sprintf("the flight log cannot be used (%s); there are no ground positions", a.w.faultText(err))})
		return
	}
	place.Add(&out.Result, out.Trace, log, nil)
}

// errNoFit marks a log that is not that of the footage.
var errNoFit = errors.New("it does not fit the video")

// readLog is nil without an error for footage that has no log.
func (a *attempt) readLog(ctx context.Context, film string) (*flightlog.Log, error) {
	if a.footage.TelemetryKey == "" {
		return readInside(film)
	}
	r, err := a.w.o.Blobs.Open(ctx, a.footage.TelemetryKey, 0, -1)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, wire.MaxTelemetry))
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	return flightlog.Read(a.footage.TelemetryKey, bytes.NewReader(b))
}

// readInside reads the log inside a video.
func readInside(film string) (*flightlog.Log, error) {
	if film == "" {
		return nil, nil
	}
	f, err := os.Open(film)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	log, err := flightlog.ReadVideo(f, info.Size())
	if errors.Is(err, flightlog.ErrNoLog) {
		log, err = nil, nil
	}
	return log, errors.Join(err, f.Close())
}
