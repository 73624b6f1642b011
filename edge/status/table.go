package status

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/settings"
)

// WriteTable prints a status for people.
func WriteTable(w io.Writer, s Status) error {
	writeHead(w, s)
	for _, l := range s.FlightLogs {
		fmt.Fprintf(w, "log     %s of footage %s: %s%s\n", escaped(l.Path), l.Footage, l.State,
			detail(cmp.Or(l.Reason, l.Waiting)))
	}
	if len(s.Footage) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\nNAME\tSIZE\tPHASE\tPROGRESS\tCOUNT\tNOTE\tID\n")
	for _, f := range s.Footage {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			shorten(escaped(f.Name)), inBytes(f.Size), f.Phase, progress(f), counted(f), note(f), f.ID)
	}
	return t.Flush()
}

// writeHead prints the lines above the table of footage.
func writeHead(w io.Writer, s Status) {
	a := s.Agent
	fmt.Fprintf(w, "%s/%s  edge-agent %s  session %d  up %s%s\n", a.Site, a.Device, a.Version, a.Session,
		(time.Duration(a.Uptime) * time.Second).String(), ifElse(a.Paused, "  PAUSED by an operator", ""))
	fmt.Fprintf(w, "link    %s%s\n", s.Link.State, detail(s.Link.Detail))
	writeUplink(w, s.Uplink)
	switch {
	case !s.Broker.Enabled:
		fmt.Fprintln(w, "broker  off (mqtt.url is empty)")
	default:
		dropped := ifElse(s.Broker.Dropped > 0, fmt.Sprintf(", %d DROPPED", s.Broker.Dropped), "")
		fmt.Fprintf(w, "broker  %s, %d messages queued%s%s\n", ifElse(s.Broker.Up, "up", "down"), s.Broker.Waiting, dropped,
			detail(s.Broker.Detail))
	}
	fmt.Fprintf(w, "disk    %s free of %s, spool uses %s%s, %.0f %% full%s\n", inBytes(s.Disk.Free), inBytes(s.Disk.Total),
		inBytes(s.Disk.Spool),
		ifElse(s.Disk.Quota > 0, " of its "+inBytes(s.Disk.Quota), ""), s.Disk.Percent,
		ifElse(s.Disk.Alarm != "", "  ALARM: "+s.Disk.Alarm, ""))
	hint := ""
	if s.ClockHint != nil {
		hint = s.ClockHint.Text
	}
	fmt.Fprintf(w, "clock   %s%s\n", s.Clock, detail(hint))
	for _, f := range s.Folders {
		fmt.Fprintf(w, "folder  %s  %s\n", f.Path, ifElse(f.Fault == "", fmt.Sprintf("%d videos", f.Files),
			"not readable: "+f.Fault))
		for _, k := range f.Skipped {
			fmt.Fprintf(w, "        not taken: %s\n", escaped(k.String()))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Alarms)) {
		fmt.Fprintf(w, "ALARM   %s\n", escaped(s.Alarms[name]))
	}
	var sums []string
	for _, p := range Phases() {
		if n := s.Totals[p]; n > 0 {
			sums = append(sums, fmt.Sprintf("%d %s", n, p))
		}
	}
	fmt.Fprintf(w, "footage %s\n", ifElse(len(sums) == 0, "none yet", strings.Join(sums, ", ")))
}

func ifElse(yes bool, then, otherwise string) string {
	if yes {
		return then
	}
	return otherwise
}

func detail(s string) string { return ifElse(s != "", ": "+escaped(s), "") }

// escaped escapes what could break the table or the terminal, or hide or turn text.
func escaped(s string) string { return footage.SafeText(s) }

// shorten cuts a long name in the middle, because its end has the number. The JSON form
// has the whole name.
func shorten(name string) string {
	const most, tail = 40, 14
	r := []rune(name)
	if len(r) <= most {
		return name
	}
	return string(r[:most-tail-1]) + "…" + string(r[len(r)-tail:])
}

func progress(f Footage) string {
	switch f.Phase {
	case PhaseSpooling:
		return fmt.Sprintf("%.0f %%", f.Percent)
	case PhaseUploading:
		return fmt.Sprintf("%.0f %%%s", f.Percent, ifElse(f.Rate > 0, "  "+inBytes(int64(f.Rate))+"/s", ""))
	case PhaseCounting:
		eta := ""
		if f.Job.ETASeconds != nil {
			eta = "  " + (time.Duration(*f.Job.ETASeconds) * time.Second).String() + " left"
		}
		return fmt.Sprintf("%s %.0f %%%s", f.Job.Stage, f.Percent, eta)
	}
	return "-"
}

func counted(f Footage) string {
	switch {
	case f.Count != nil:
		return fmt.Sprintf("%d (%d to %d)", f.Count.Unique, f.Count.Low, f.Count.High)
	case f.Phase == PhaseDone:
		return fmt.Sprint(f.Job.Count)
	case f.Phase == PhaseCounting:
		return fmt.Sprintf("%d so far", f.Job.Count)
	}
	return "-"
}

func note(f Footage) string {
	var parts []string
	if f.Reason != "" {
		parts = append(parts, f.Reason)
	}
	if f.Waiting != "" {
		parts = append(parts, "waiting: "+f.Waiting)
	}
	if f.Priority != 0 {
		parts = append(parts, fmt.Sprintf("priority %d", f.Priority))
	}
	switch f.CapturedFrom {
	case "", footage.FromFile:
	case footage.FromNothing:
		parts = append(parts, "time of capture unknown, the card says "+date(f.FileTime))
	default:
		if f.Captured == nil {
			break // a document of another program
		}
		parts = append(parts, fmt.Sprintf("captured %s by its %s, the card says %s", date(*f.Captured),
			strings.ReplaceAll(string(f.CapturedFrom), "_", " "), date(f.FileTime)))
	}
	if f.DuplicateOf != "" {
		parts = append(parts, "same content as "+string(f.DuplicateOf))
	}
	if f.UploadedAs != "" {
		parts = append(parts, "in the cloud as "+string(f.UploadedAs))
	}
	return ifElse(len(parts) > 0, escaped(strings.Join(parts, "; ")), "-")
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// inBytes prints a size with three or four digits.
func inBytes(n int64) string { return settings.ByteSize(n).Short() }
