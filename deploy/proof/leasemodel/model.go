package leasemodel

import "cattlecounter/shared/job"

// Rules can be taken out of the protocol, to see what they are there for.
type Rules struct {
	NoFence      bool // a write goes through whoever holds the lease
	DeleteFirst  bool // the message is acknowledged before the result is written
	NoReconciler bool // nobody looks for jobs without a message
	EnqueueMarks bool // the job is marked as queued before its message is sent
	NoLosses     bool // no message vanishes: not a rule but a kinder world
}

const (
	workers    = 2
	deliveries = 3 // then poison
	crashes    = 2
	losses     = 1 // messages that vanish
	extras     = 1 // messages sent twice
)

// cancels is the one thing that nobody may count on.
const cancels = "a person cancels"

// step is where a worker is in its handling of a message.
type step uint8

const (
	idle step = iota
	received
	begun
	counted // the result is written and not recorded
	recorded
)

// worker is one process.
type worker struct {
	step    step
	message uint8 // which message it has
	newest  bool  // its receipt is that of the newest delivery
	holds   bool  // its fence is the job's
}

// message is a message in the queue.
type message struct {
	there   bool
	visible bool
	count   uint8 // deliveries, up to the one that is too many
}

// world is everything, as small as it can be; it is comparable.
type world struct {
	state    job.State
	messages [2]message
	workers  [workers]worker
	results  uint8 // recorded
	stale    bool  // a write went through that was not the lease holder's
	crashes  uint8
	losses   uint8
	extras   uint8
	canceled bool
}

// start is a job whose footage has just been recorded.
func start() world { return world{state: job.Uploaded} }

// next returns every world that can follow, by what happens.
func (r Rules) next(w world) map[string]world {
	out := map[string]world{}
	r.sending(w, out)
	for i := range w.messages {
		m := w.messages[i]
		if m.there && !m.visible {
			n := w
			n.messages[i].visible = true
			out["a lease runs out"+at(i)] = n
		}
		if m.there && w.losses < losses && !r.NoLosses {
			n := w
			n.messages[i] = message{count: m.count}
			n.losses++
			out["a message vanishes"+at(i)] = n
		}
	}
	for i := range w.workers {
		r.work(w, i, out)
	}
	if s, err := job.Next(w.state, job.Cancel); err == nil && !w.canceled {
		n := w.fenced()
		n.state, n.canceled = s, true
		out[cancels] = n
	}
	return out
}

// fenced raises the job's fence: nobody holds it any more.
func (w world) fenced() world {
	for i := range w.workers {
		w.workers[i].holds = false
	}
	return w
}

// without takes a message away; receipts of it are worth nothing.
func (w world) without(i int) world {
	w.messages[i] = message{}
	return w.received(i)
}

// received makes the receipts of a message void.
func (w world) received(i int) world {
	for k := range w.workers {
		if int(w.workers[k].message) == i {
			w.workers[k].newest = false
		}
	}
	return w
}

func at(i int) string { return string(rune('a' + i)) }

// sending is what intake and reconciler do: a job that should have a message and has
// none gets one. Once, they do so although it has one.
func (r Rules) sending(w world, out map[string]world) {
	if w.state.Ended() {
		return
	}
	has := w.messages[0].there || w.messages[1].there
	if w.state == job.Uploaded && r.EnqueueMarks { // and the sender may die before it sends
		n := w
		n.state = job.Queued
		out["marked as queued"] = n
	}
	first := w.state == job.Uploaded
	if has && w.extras >= extras || !has && !first && r.NoReconciler {
		return
	}
	for i := range w.messages {
		if w.messages[i].there {
			continue
		}
		n := w.received(i)
		n.messages[i] = message{there: true, visible: true}
		if has {
			n.extras++
		}
		out["sent"+at(i)] = n // and the sender may die before it notes that
		if s, err := job.Next(n.state, job.Enqueue); err == nil {
			n.state = s
			out["sent and noted"+at(i)] = n
		}
		return
	}
}

// work is what worker i can do, and that it dies.
func (r Rules) work(w world, i int, out map[string]world) {
	me, name := w.workers[i], "worker "+at(i)
	put := func(what string, n world, after worker) {
		n.workers[i] = after
		out[name+" "+what] = n
	}
	if me.step != idle && w.crashes < crashes {
		n := w
		n.crashes++
		put("dies", n, worker{})
	}
	if m := w.messages[me.message]; !m.there && me.newest { // some queues can: it vanished, and nobody sent another
		n := w
		n.messages[me.message] = message{there: true, count: m.count}
		put("sends its message anew", n, me)
	}
	switch me.step {
	case idle:
		for k, m := range w.messages {
			if m.there && m.visible {
				n := w.received(k)
				n.messages[k].visible, n.messages[k].count = false, min(m.count+1, deliveries+1)
				put("receives"+at(k), n, worker{step: received, message: uint8(k), newest: true})
			}
		}
	case received:
		r.begin(w, me, put)
	case begun:
		me.step = counted
		put("counts", w, me)
		if n, ok := r.release(w, me); ok {
			put("gives back", n, worker{})
		}
	case counted:
		n, ok := r.finish(w, me)
		if !ok { // fenced off: it stops and touches nothing
			put("is fenced off", w, worker{})
			return
		}
		me.step = recorded
		put("records", n, me)
	case recorded:
		put("acknowledges", remove(w, me), worker{})
	}
}

func (r Rules) begin(w world, me worker, put func(string, world, worker)) {
	if w.messages[me.message].count > deliveries {
		n := w
		if s, err := job.Next(w.state, job.Poison); err == nil {
			n = w.fenced()
			n.state = s
		}
		put("poisons", remove(n, me), worker{})
		return
	}
	s, err := job.Next(w.state, job.Lease)
	if err != nil { // ended: nothing to do for this message
		put("drops", remove(w, me), worker{})
		return
	}
	n := w.fenced()
	n.state, _ = job.Next(s, job.Start)
	me.step, me.holds = begun, true
	if r.DeleteFirst {
		n = remove(n, me)
	}
	put("begins", n, me)
}

// holds reports whether the ledger takes a worker's write.
func (r Rules) holds(w world, me worker) bool {
	return r.NoFence || w.state == job.Processing && me.holds
}

func (r Rules) release(w world, me worker) (world, bool) {
	s, err := job.Next(w.state, job.Release)
	if err != nil || !r.holds(w, me) {
		return w, false
	}
	w.state = s
	if m := &w.messages[me.message]; m.there && me.newest {
		m.visible = true
	}
	return w, true
}

func (r Rules) finish(w world, me worker) (world, bool) {
	if !r.holds(w, me) {
		return w, false
	}
	w.stale = w.stale || !me.holds
	w.results++
	w.state = job.Done
	return w, true
}

func remove(w world, me worker) world {
	if i := int(me.message); w.messages[i].there && me.newest {
		w = w.without(i)
	}
	return w
}
