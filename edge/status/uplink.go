package status

import (
	"fmt"
	"io"
	"strings"

	"cattlecounter/edge/uplink"
)

// writeUplink prints the use of the link, and the differences between spool and cloud.
func writeUplink(w io.Writer, r uplink.Report) {
	ordered := func(yes bool) string { return ifElse(yes, " (ordered)", "") }
	parts := []string{string(r.Order) + " first"}
	if r.Limit > 0 {
		parts = append(parts, "at most "+inBytes(r.Limit)+"/s"+ordered(r.LimitOrdered))
	} else {
		parts = append(parts, "no limit"+ordered(r.LimitOrdered))
	}
	if len(r.Windows) > 0 {
		parts = append(parts, "windows "+strings.Join(r.Windows, " "))
	}
	parts = append(parts, ifElse(r.Metered, "metered", "not metered")+ordered(r.MeteredOrdered))
	if r.ThumbnailsOnly {
		parts = append(parts, "only thumbnails are sent")
	}
	if r.Metered {
		parts = append(parts, spent(r.Day)+" today", spent(r.Month)+" this month")
	}
	fmt.Fprintf(w, "uplink  %s\n", strings.Join(parts, ", "))
	c := r.Reconciliation
	switch {
	case c.Pending > 0:
		fmt.Fprintf(w, "cloud   %d compared, %d still to compare%s\n", c.Checked, c.Pending, detail(c.Detail))
	case c.At.IsZero():
		fmt.Fprintln(w, "cloud   not compared yet")
	default:
		fmt.Fprintf(w, "cloud   %d compared at %s%s\n", c.Checked, c.At.UTC().Format("2006-01-02 15:04 UTC"), corrections(c))
	}
	for _, f := range c.Faults {
		fmt.Fprintf(w, "        FAULT: %s\n", escaped(f))
	}
}

func spent(s uplink.Spent) string {
	return inBytes(s.Used) + ifElse(s.Limit > 0, " of "+inBytes(s.Limit), "")
}

// corrections names every count that is not zero.
func corrections(c uplink.Reconciliation) string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{c.Confirmed, "were already there"}, {c.Resent, "sent again"}, {c.Reread, "read again from the card"},
		{c.Lost, "LOST"}, {c.Different, "DIFFERENT"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	return ifElse(len(parts) > 0, ": "+strings.Join(parts, ", "), ": all agree")
}
