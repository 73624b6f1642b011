package progress

import (
	"slices"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/topic"
)

// paddocksOf returns the paddocks of a count, those with the most animals where there are more than a message may have.
func paddocksOf(s ledger.Spread) []topic.Paddock {
	list := slices.Clone(s.Paddocks)
	if len(list) > maxPaddocks {
		animals := func(p ledger.PaddockCount) int {
			if p.Animals == nil {
				return -1
			}
			return *p.Animals
		}
		slices.SortStableFunc(list, func(a, b ledger.PaddockCount) int { return animals(b) - animals(a) })
		list = list[:maxPaddocks]
	}
	var out []topic.Paddock
	for _, p := range list {
		out = append(out, topic.Paddock{Name: p.Name, Animals: p.Animals, Low: p.Low, High: p.High, Seen: p.Seen})
	}
	return out
}

// header has the time of what the message reports, so a message that is published again is the same.
func header(seq int64, at time.Time) topic.Header {
	return topic.Header{V: topic.Version, Seq: seq, At: at.UTC(), Clock: topic.ClockSynced}
}

// JobPayload is the message of a job. id is the footage of the message: the job's own,
// or a duplicate of it.
func JobPayload(j ledger.Job, id footage.ID) topic.Job {
	return topic.Job{
		Header: header(j.Seq, j.Updated),
		Job:    j.ID, Footage: id, State: j.State, Progress: j.Progress,
		Attempt: j.Attempt, Fence: j.Fence, Updated: j.Updated, Reason: j.Reason,
	}
}
