package command

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/orderkey"
	"cattlecounter/shared/topic"
)

// pins stores the pinned key, and when the newest order was given that it signed; *spool.Replies implements it.
type pins interface {
	NewestOrder(key string) (time.Time, error)
	SetNewestOrder(key string, at time.Time) error
	OrderPin() (spool.OrderPin, error)
	SetOrderPin(p spool.OrderPin, before, now string) error
}

// Pin is the key that the configuration of a station has.
type Pin struct {
	Key orderkey.Public
	// Enrolment changes when the station is enrolled again, even with the same key; "" without an enrolment.
	Enrolment string
	Station   topic.Device
}

func (p Pin) from() string { return p.Key.String() + " " + p.Enrolment }

// trust is the key of the cloud and what goes with it.
type trust struct {
	pin   Pin
	store pins
	log   *slog.Logger

	mu  sync.Mutex
	key orderkey.Public // pin.Key, or where the rotations led from it
}

// Trust makes Handle execute only what the key has signed for the station, or the key to which rotations have led from it
// since it was enrolled. Call it before Handle and Run. A pin without a key forgets what an earlier one led to; orders need
// no signature then.
func (o *Orders) Trust(p Pin, store pins) error {
	stored, err := store.OrderPin()
	if err != nil {
		return err
	}
	t := &trust{pin: p, store: store, log: o.log, key: p.Key}
	switch {
	case p.Key.IsZero():
		if stored != (spool.OrderPin{}) {
			return store.SetOrderPin(spool.OrderPin{}, "", "")
		}
		return nil
	case stored.From == p.from():
		if err := t.key.UnmarshalText([]byte(stored.Key)); err != nil || t.key.IsZero() {
			return fmt.Errorf("the pinned key of orders is damaged; enrol the station again: %w", err)
		}
	}
	o.trust = t
	return nil
}

// Key returns the short name of the key that orders must be signed with, "" when they need no signature.
func (o *Orders) Key() string {
	if o.trust == nil {
		return ""
	}
	o.trust.mu.Lock()
	defer o.trust.mu.Unlock()
	return o.trust.key.ID()
}

// open returns the order that the cloud has signed, and the id of its key. It pins the key to which the rotations in the
// order lead. The key is saved before the order is executed, so a power cut does not bring the old key back.
func (t *trust) open(c topic.Command) (topic.Command, string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	opened, key, err := t.key.OpenFollowing(c, t.pin.Station)
	if err == nil {
		_, err = footage.ParseID(opened.ID)
	}
	if err != nil {
		return topic.Command{}, "", err
	}
	if key != t.key {
		before := t.key.ID()
		if err := t.store.SetOrderPin(spool.OrderPin{From: t.pin.from(), Key: key.String()}, before, key.ID()); err != nil {
			return topic.Command{}, "", fmt.Errorf("cannot pin the new key of the cloud: %w", err)
		}
		t.key = key
		t.log.Info("the cloud has a new key; orders must be signed with it", "key", key.ID(), "before", before)
	}
	return opened, key.ID(), nil
}

// checkNewest refuses an order that expired before the newest one was given. A synced clock needs no such rule, and a
// wrong clock of the cloud must not lock the station.
func (o *Orders) checkNewest(key string, c topic.Command) error {
	if o.now().Synced {
		return nil
	}
	at, err := o.trust.store.NewestOrder(key)
	if err != nil {
		return err
	}
	if c.Expires.Before(at) {
		return fmt.Errorf("expired at %s, and a later order was given at %s", stamp(c.Expires), stamp(at))
	}
	return nil
}

// rememberNewest stores when the newest order was given.
func (o *Orders) rememberNewest(key string, c topic.Command) {
	at, err := o.trust.store.NewestOrder(key)
	if err == nil && c.Issued.After(at) {
		err = o.trust.store.SetNewestOrder(key, c.Issued)
	}
	if err != nil {
		o.log.Error("cannot save when the newest order was given; an older one may be executed again", "id", c.ID, "err", err)
	}
}
