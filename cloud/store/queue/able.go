package queue

import (
	"fmt"
	"strings"

	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// Able says which jobs a receiver can do, by the models that count them. The zero value can do any job.
type Able struct {
	// Some restricts the jobs by the fields below. A job that has ended, or that the ledger does not
	// know, is never left out: any receiver can acknowledge it.
	Some bool
	// Models count the jobs that want a model of their own.
	Models []wire.ModelRef
	// Others reports whether it can do the other jobs of sites that are not in Sites. For those in Sites the opposite holds.
	Others bool
	Sites  []string
}

// Where returns a condition of SQL on the row j of the table job and the row f of its footage, both NULL for an unknown
// job, and args with its own arguments behind them. It is "" for a receiver of any job.
func (a Able) Where(args []any) (string, []any) {
	if !a.Some {
		return "", args
	}
	args = append([]any{}, args...)
	next := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	own := []string{"1 = 0"}
	for _, m := range a.Models {
		own = append(own, "j.model = "+next(m.Name)+" AND j.model_digest = "+next(m.SHA256.String()))
	}
	other := map[bool]string{true: "1 = 1", false: "1 = 0"}
	sites := make([]string, len(a.Sites))
	for i, s := range a.Sites {
		sites[i] = next(s)
	}
	rest := other[a.Others]
	if len(sites) > 0 {
		rest = "CASE WHEN f.site IN (" + strings.Join(sites, ", ") + ") THEN " + other[!a.Others] + " ELSE " + rest + " END"
	}
	var ended []string
	for _, s := range job.States() {
		if s.Ended() {
			ended = append(ended, "'"+string(s)+"'")
		}
	}
	return "CASE WHEN j.id IS NULL OR j.state IN (" + strings.Join(ended, ", ") + ") THEN 1 = 1 WHEN j.model <> '' THEN (" + strings.Join(own, " OR ") + ") ELSE " + rest + " END", args
}
