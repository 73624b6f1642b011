package leasemodel

import (
	"fmt"
	"strings"
	"testing"

	"cattlecounter/shared/job"
)

// double says whether a job has two results.
func double(w world) string {
	if w.results > 1 {
		return "a job has two results"
	}
	return ""
}

// check says what is wrong with a world, "" when nothing is.
func check(w world) string {
	if bad := double(w); bad != "" {
		return bad
	}
	switch {
	case w.stale:
		return "a worker that lost its lease wrote a result"
	case w.results == 1 && w.state != job.Done:
		return fmt.Sprintf("a job with a result is %s", w.state)
	case w.state == job.Done && w.results != 1:
		return "a job is done without a result"
	}
	return ""
}

// most bounds the worlds of one exploration.
const most = 2_000_000

// visit is how a world was reached first.
type visit struct {
	from world
	by   string
}

// explore visits every world that the rules can lead to. fault is the way to the
// first one with something wrong, or to one from which no way leads to an end but a
// person's word.
func explore(r Rules, check func(world) string) (worlds int, fault string) {
	seen := map[world]visit{start(): {}}
	back := map[world][]world{} // who leads here
	queue := []world{start()}
	var ends []world
	for len(queue) > 0 {
		if len(seen) > most {
			return len(seen), "too many worlds"
		}
		w := queue[0]
		queue = queue[1:]
		if bad := check(w); bad != "" {
			return len(seen), bad + ":\n" + way(seen, w)
		}
		if w.state.Ended() {
			ends = append(ends, w)
		}
		for by, n := range r.next(w) {
			if by != cancels {
				back[n] = append(back[n], w)
			}
			if _, known := seen[n]; !known {
				seen[n] = visit{w, by}
				queue = append(queue, n)
			}
		}
	}
	good := map[world]bool{}
	for len(ends) > 0 {
		w := ends[len(ends)-1]
		ends = ends[:len(ends)-1]
		if !good[w] {
			good[w] = true
			ends = append(ends, back[w]...)
		}
	}
	for w := range seen {
		if !good[w] {
			return len(seen), "a job never ends:\n" + way(seen, w)
		}
	}
	return len(seen), ""
}

func way(seen map[world]visit, w world) string {
	var steps []string
	for w != start() {
		v := seen[w]
		steps = append([]string{v.by}, steps...)
		w = v.from
	}
	return "  " + strings.Join(steps, "\n  ")
}

// Whatever is slow, dies, is lost or comes twice: one job, one result, and an end.
func TestEveryWayOfAJob(t *testing.T) {
	worlds, fault := explore(Rules{}, check)
	t.Logf("%d worlds", worlds)
	if fault != "" {
		t.Error(fault)
	}
	if worlds < 10_000 {
		t.Errorf("only %d worlds: the model is not what it was", worlds)
	}
}

// Without the reconciler a job survives everything but the loss of its message.
func TestOnlyALostMessageNeedsTheReconciler(t *testing.T) {
	if _, fault := explore(Rules{NoReconciler: true, NoLosses: true}, check); fault != "" {
		t.Error(fault)
	}
}

// Each rule is there for something.
func TestEveryRuleIsNeeded(t *testing.T) {
	for name, c := range map[string]struct {
		rules Rules
		check func(world) string
		want  string
	}{
		"fence":                      {Rules{NoFence: true}, double, "two results"},
		"fence, and a person's word": {Rules{NoFence: true}, check, "lost its lease"},
		"reconciler":                 {Rules{NoReconciler: true}, check, "never ends"},
		// Without the reconciler and without lost messages these two are what keeps a job.
		"result before acknowledgement": {Rules{DeleteFirst: true, NoReconciler: true, NoLosses: true}, check, "never ends"},
		"message before its mark":       {Rules{EnqueueMarks: true, NoReconciler: true, NoLosses: true}, check, "never ends"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, fault := explore(c.rules, c.check); !strings.Contains(fault, c.want) {
				t.Errorf("want %q, found %q", c.want, fault)
			} else {
				t.Log(fault)
			}
		})
	}
}
