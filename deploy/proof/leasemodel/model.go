package leasemodel

import "cattlecounter/shared/job"

// Rules takes single rules out of the protocol, to show what each is for. The zero value is the whole protocol.
type Rules struct {
	NoFence          bool // the ledger accepts a write without the fence of the lease holder
	AcknowledgeFirst bool // a worker acknowledges the message before it writes the result
	NoReconciler     bool // a job whose message is lost gets no new one
	MarkFirst        bool // the job is marked as queued before its message is sent
	NoLosses         bool // no message is lost: an easier world, not a missing rule
}

// Bounds of the model.
const (
	workers    = 2
	deliveries = 3 // more deliveries than this poison the job
	crashes    = 2
	losses     = 1 // lost messages
	duplicates = 1 // messages sent although the job has one
)

// cancelMove is the only move that a job must not need to end.
const cancelMove = "a person cancels the job"

// step is how far a worker is with a message.
type step uint8

const (
	idle step = iota
	received
	begun
	counted // the result is stored, but not in the ledger
	recorded
)

// worker is one process.
type worker struct {
	step         step
	message      uint8 // index of its message
	validReceipt bool  // its receipt is that of the latest delivery
	validFence   bool  // its fence is the job's current one
}

// message is a message in the queue.
type message struct {
	exists     bool
	visible    bool
	deliveries uint8 // stops at one more than allowed
}

// world is one state of the model: one job, its messages and the workers. It is comparable.
type world struct {
	state      job.State
	messages   [2]message
	workers    [workers]worker
	results    uint8 // recorded in the ledger
	fenceFault bool  // the ledger accepted a write of a worker that had lost its lease
	crashes    uint8
	losses     uint8
	duplicates uint8
	canceled   bool
}

// start returns the world of a job whose footage has just been recorded.
func start() world { return world{state: job.Uploaded} }

// next returns every world that one move can lead to, by the name of the move.
func (r Rules) next(w world) map[string]world {
	moves := map[string]world{}
	r.addSends(w, moves)
	for i := range w.messages {
		m := w.messages[i]
		if m.exists && !m.visible {
			n := w
			n.messages[i].visible = true
			moves["the lease of message "+letter(i)+" expires"] = n
		}
		if m.exists && w.losses < losses && !r.NoLosses {
			n := w
			n.messages[i] = message{deliveries: m.deliveries}
			n.losses++
			moves["message "+letter(i)+" is lost"] = n
		}
	}
	for i := range w.workers {
		r.addWorkerMoves(w, i, moves)
	}
	if s, err := job.Next(w.state, job.Cancel); err == nil && !w.canceled {
		n := w.raiseFence()
		n.state, n.canceled = s, true
		moves[cancelMove] = n
	}
	return moves
}

// raiseFence raises the job's fence, so that the fence of every worker is old.
func (w world) raiseFence() world {
	for i := range w.workers {
		w.workers[i].validFence = false
	}
	return w
}

// deleteMessage removes message i from the queue.
func (w world) deleteMessage(i int) world {
	w.messages[i] = message{}
	return w.voidReceipts(i)
}

// voidReceipts makes the receipts of message i invalid.
func (w world) voidReceipts(i int) world {
	for k := range w.workers {
		if int(w.workers[k].message) == i {
			w.workers[k].validReceipt = false
		}
	}
	return w
}

// letter names message or worker i.
func letter(i int) string { return string(rune('a' + i)) }

// addSends adds the moves of the intake and the reconciler: a job without a message gets one. Up to the bound of
// duplicates a job also gets one although it has one.
func (r Rules) addSends(w world, moves map[string]world) {
	if w.state.Ended() {
		return
	}
	if w.state == job.Uploaded && r.MarkFirst { // the sender may crash after it
		n := w
		n.state = job.Queued
		moves["the job is marked as queued"] = n
	}
	has := w.messages[0].exists || w.messages[1].exists
	first := w.state == job.Uploaded
	if has && w.duplicates >= duplicates || !has && !first && r.NoReconciler {
		return
	}
	for i := range w.messages {
		if w.messages[i].exists {
			continue
		}
		n := w.voidReceipts(i)
		n.messages[i] = message{exists: true, visible: true}
		if has {
			n.duplicates++
		}
		moves["message "+letter(i)+" is sent, and the sender crashes"] = n
		if s, err := job.Next(n.state, job.Enqueue); err == nil {
			n.state = s
			moves["message "+letter(i)+" is sent, and the job is marked as queued"] = n
		}
		return
	}
}

// addWorkerMoves adds the moves of worker i, its crash included.
func (r Rules) addWorkerMoves(w world, i int, moves map[string]world) {
	me := w.workers[i]
	add := func(move string, n world, after worker) {
		n.workers[i] = after
		moves["worker "+letter(i)+" "+move] = n
	}
	if me.step != idle && w.crashes < crashes {
		n := w
		n.crashes++
		add("crashes", n, worker{})
	}
	// In some queues a worker can replace its lost message.
	if m := w.messages[me.message]; !m.exists && me.validReceipt {
		n := w
		n.messages[me.message] = message{exists: true, deliveries: m.deliveries}
		add("replaces its lost message", n, me)
	}
	switch me.step {
	case idle:
		for k, m := range w.messages {
			if m.exists && m.visible {
				n := w.voidReceipts(k)
				n.messages[k].visible, n.messages[k].deliveries = false, min(m.deliveries+1, deliveries+1)
				add("receives message "+letter(k), n, worker{step: received, message: uint8(k), validReceipt: true})
			}
		}
	case received:
		r.addBegin(w, me, add)
	case begun:
		me.step = counted
		add("counts", w, me)
		if n, ok := r.release(w, me); ok {
			add("returns the job to the queue", n, worker{})
		}
	case counted:
		n, ok := r.finish(w, me)
		if !ok {
			add("is fenced off and stops", w, worker{})
			return
		}
		me.step = recorded
		add("records the result", n, me)
	case recorded:
		add("acknowledges the message", acknowledge(w, me), worker{})
	}
}

// addBegin adds the moves of worker me after it has received a message.
func (r Rules) addBegin(w world, me worker, add func(string, world, worker)) {
	if w.messages[me.message].deliveries > deliveries {
		n := w
		if s, err := job.Next(w.state, job.Poison); err == nil {
			n = w.raiseFence()
			n.state = s
		}
		add("poisons the job", acknowledge(n, me), worker{})
		return
	}
	s, err := job.Next(w.state, job.Lease)
	if err != nil {
		add("acknowledges the message of an ended job", acknowledge(w, me), worker{})
		return
	}
	n := w.raiseFence()
	n.state, _ = job.Next(s, job.Start)
	me.step, me.validFence = begun, true
	if r.AcknowledgeFirst {
		n = acknowledge(n, me)
	}
	add("begins", n, me)
}

// accepts reports whether the ledger accepts a write of worker me.
func (r Rules) accepts(w world, me worker) bool {
	return r.NoFence || w.state == job.Processing && me.validFence
}

// release returns the job to the queue, if the ledger accepts that.
func (r Rules) release(w world, me worker) (world, bool) {
	s, err := job.Next(w.state, job.Release)
	if err != nil || !r.accepts(w, me) {
		return w, false
	}
	w.state = s
	if m := &w.messages[me.message]; m.exists && me.validReceipt {
		m.visible = true
	}
	return w, true
}

// finish records a result, if the ledger accepts that.
func (r Rules) finish(w world, me worker) (world, bool) {
	if !r.accepts(w, me) {
		return w, false
	}
	w.fenceFault = w.fenceFault || !me.validFence
	w.results++
	w.state = job.Done
	return w, true
}

// acknowledge deletes the message of worker me, if its receipt is valid.
func acknowledge(w world, me worker) world {
	if i := int(me.message); w.messages[i].exists && me.validReceipt {
		w = w.deleteMessage(i)
	}
	return w
}
