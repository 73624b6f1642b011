package leasemodel

import (
	"fmt"
	"strings"
	"testing"

	"cattlecounter/shared/job"
)

// checkResults returns a fault if the job has two results, else "".
func checkResults(w world) string {
	if w.results > 1 {
		return "the job has two results"
	}
	return ""
}

// check returns what is wrong with a world, else "".
func check(w world) string {
	if fault := checkResults(w); fault != "" {
		return fault
	}
	switch {
	case w.fenceFault:
		return "a worker without the lease wrote a result"
	case w.results == 1 && w.state != job.Done:
		return fmt.Sprintf("the job has a result, but its state is %s", w.state)
	case w.state == job.Done && w.results != 1:
		return "the job is done, but has no result"
	}
	return ""
}

// mostWorlds bounds one exploration.
const mostWorlds = 2_000_000

// visit is the world and the move that led to a world first.
type visit struct {
	from world
	move string
}

// explore visits every world that the rules can lead to, and returns their number. fault is "", or what is wrong and
// the moves that lead there: a fault that check found, or a job that can only end if a person cancels it.
func explore(r Rules, check func(world) string) (worlds int, fault string) {
	seen := map[world]visit{start(): {}}
	before := map[world][]world{} // the worlds from which a world can be reached
	queue := []world{start()}
	var ends []world
	for len(queue) > 0 {
		if len(seen) > mostWorlds {
			return len(seen), "too many worlds"
		}
		w := queue[0]
		queue = queue[1:]
		if fault := check(w); fault != "" {
			return len(seen), fault + ":\n" + path(seen, w)
		}
		if w.state.Ended() {
			ends = append(ends, w)
		}
		for move, n := range r.next(w) {
			if move != cancelMove {
				before[n] = append(before[n], w)
			}
			if _, ok := seen[n]; !ok {
				seen[n] = visit{w, move}
				queue = append(queue, n)
			}
		}
	}
	canEnd := map[world]bool{}
	for len(ends) > 0 {
		w := ends[len(ends)-1]
		ends = ends[:len(ends)-1]
		if !canEnd[w] {
			canEnd[w] = true
			ends = append(ends, before[w]...)
		}
	}
	for w := range seen {
		if !canEnd[w] {
			return len(seen), "the job never ends:\n" + path(seen, w)
		}
	}
	return len(seen), ""
}

// path returns the moves that lead to w, a line for each.
func path(seen map[world]visit, w world) string {
	var moves []string
	for w != start() {
		v := seen[w]
		moves = append([]string{v.move}, moves...)
		w = v.from
	}
	return "  " + strings.Join(moves, "\n  ")
}

// Every job can end, and has at most one result, whatever is slow, crashes, is lost or is delivered twice.
func TestEveryJobEndsWithAtMostOneResult(t *testing.T) {
	worlds, fault := explore(Rules{}, check)
	t.Logf("visited %d worlds", worlds)
	if fault != "" {
		t.Error(fault)
	}
	if worlds < 10_000 {
		t.Errorf("visited %d worlds, want at least 10,000: the model has lost moves", worlds)
	}
}

// Without the reconciler a job survives everything except a lost message.
func TestOnlyALostMessageNeedsTheReconciler(t *testing.T) {
	if _, fault := explore(Rules{NoReconciler: true, NoLosses: true}, check); fault != "" {
		t.Error(fault)
	}
}

// The check finds a fault as soon as one rule is missing.
func TestEveryRuleIsNeeded(t *testing.T) {
	for name, c := range map[string]struct {
		rules Rules
		check func(world) string
		want  string
	}{
		"fence: one result":                 {Rules{NoFence: true}, checkResults, "two results"},
		"fence: result of the lease holder": {Rules{NoFence: true}, check, "without the lease"},
		"reconciler":                        {Rules{NoReconciler: true}, check, "never ends"},
		// The reconciler would hide that these two rules are missing.
		"result before acknowledgement": {
			Rules{AcknowledgeFirst: true, NoReconciler: true, NoLosses: true}, check, "never ends",
		},
		"message before mark": {Rules{MarkFirst: true, NoReconciler: true, NoLosses: true}, check, "never ends"},
	} {
		t.Run(name, func(t *testing.T) {
			_, fault := explore(c.rules, c.check)
			if !strings.Contains(fault, c.want) {
				t.Errorf("found %q, want a fault with %q", fault, c.want)
			}
			t.Log(fault)
		})
	}
}
