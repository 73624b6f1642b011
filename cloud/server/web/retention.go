package web

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

// videos lists the videos that retention removes first.
type videos interface {
	OldestVideos(ctx context.Context, in ledger.Choice, limit int) ([]ledger.CountedVideo, error)
}

// sites knows which sites there are.
type sites interface {
	Unknown(ctx context.Context, sites []string) ([]string, error)
}

// mostRemovals is how many of the next videos are listed.
const mostRemovals = 100

// getRetention answers with how long videos are kept, and which ones are removed next.
func (s *Server) getRetention(c *fiber.Ctx) error {
	ages := s.o.Ages
	v := wire.Retention{VideosSeconds: seconds(ages.Default), Sites: []wire.SiteRetention{}, Next: []wire.Removal{}}
	named := slices.Sorted(maps.Keys(ages.Sites))
	unknown, err := s.o.Ledger.Sites.Unknown(c.UserContext(), named)
	if err != nil {
		return err
	}
	for _, site := range named {
		v.Sites = append(v.Sites, wire.SiteRetention{Site: site, VideosSeconds: seconds(ages.Sites[site]), Unknown: slices.Contains(unknown, site)})
	}
	for _, r := range ages.Rules() {
		oldest, err := s.o.Ledger.Videos.OldestVideos(c.UserContext(), r.In, mostRemovals)
		if err != nil {
			return err
		}
		for _, o := range oldest {
			v.Next = append(v.Next, wire.Removal{Footage: o.Footage, Site: o.Site, Name: o.Name, Bytes: o.Size, Counted: o.Counted,
				Due: o.Counted.Add(r.Age)})
		}
	}
	slices.SortStableFunc(v.Next, func(a, b wire.Removal) int { return a.Due.Compare(b.Due) })
	v.Next = v.Next[:min(len(v.Next), mostRemovals)]
	return sendJSON(c, v)
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
