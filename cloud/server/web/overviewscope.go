package web

import (
	"context"
	"slices"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// limitOverview leaves out what belongs to sites that the request may not read, and to the server as a whole.
func limitOverview(sites ledger.SiteSet, v *wire.Overview) {
	if sites == nil {
		return
	}
	v.Sites = slices.DeleteFunc(v.Sites, func(s wire.SiteOverview) bool { return !sites.Has(s.Site) })
	v.Attention = slices.DeleteFunc(v.Attention, func(a wire.Attention) bool { return !sites.Has(a.Site) })
}

// limitQueue leaves out jobs of sites that the request may not read, and workers that have none of the others. The totals
// are then those of the jobs that are left.
func (s *Server) limitQueue(ctx context.Context, sites ledger.SiteSet, v *wire.Queue) error {
	if sites == nil {
		return nil
	}
	jobs, busy := []wire.QueueJob{}, map[string]bool{}
	v.Waiting, v.Leased, v.Oldest = 0, 0, nil
	for _, j := range v.Jobs {
		f, err := s.o.Ledger.Footage.Get(ctx, j.Footage)
		if err != nil {
			return err
		}
		if !sites.Has(f.Site) {
			continue
		}
		jobs, busy[j.Job] = append(jobs, j), true
		switch j.State {
		case job.Leased, job.Processing:
			v.Leased++
		case job.Uploaded, job.Queued:
			v.Waiting++
			if v.Oldest == nil || j.Since.Before(*v.Oldest) {
				v.Oldest = &j.Since
			}
		}
	}
	v.Jobs = jobs
	v.Workers = slices.DeleteFunc(v.Workers, func(w wire.QueueWorker) bool { return !busy[w.Job] })
	return nil
}
