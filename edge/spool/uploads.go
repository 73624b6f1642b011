package spool

import "cattlecounter/shared/footage"

// Uploads are the way of footage from the spool to the cloud: Begin, the transfer of each
// part, Accept, Confirm, Release.
type Uploads struct {
	records       *Records
	disk          *Disk
	keepConfirmed bool
}

// Begin marks the begin of the upload, also of going on after an interruption.
func (u *Uploads) Begin(id footage.ID) (Record, error) {
	return u.records.applyEvent(id, Upload, nil, nil)
}

// SetTransfer saves the state of one part's upload.
func (u *Uploads) SetTransfer(id footage.ID, p Part, t Transfer) error {
	_, err := u.records.change(id, func(r *Record) error { *r.Transfer(p) = t; return nil }, nil)
	return err
}

// SetSent notes the offset in bytes and the rate in bytes per second of a running upload. It
// changes memory only.
func (u *Uploads) SetSent(id footage.ID, p Part, offset int64, rate float64) {
	u.records.changeInMemory(id, func(r *Record) { r.Transfer(p).Offset, r.Rate, r.Waiting = offset, rate, "" })
}

// Accept marks that the cloud has received every byte.
func (u *Uploads) Accept(id footage.ID) error {
	_, err := u.records.applyEvent(id, Accept, nil, nil)
	return err
}

// Confirm marks that the cloud's digest and size equal the manifest's. duplicateOf is the
// footage under which the cloud had the content before, "" if it had not.
func (u *Uploads) Confirm(id, duplicateOf footage.ID) error {
	_, err := u.records.applyEvent(id, Confirm, func(r *Record) {
		r.DuplicateOf, r.HashFaults, r.IDsTaken = duplicateOf, 0, 0
	}, nil)
	return err
}

// Release deletes the content of confirmed footage. With Options.KeepConfirmed the content
// stays until Disk.MakeRoom needs its space.
func (u *Uploads) Release(id footage.ID) error {
	if u.keepConfirmed {
		return nil
	}
	return u.disk.Reclaim(id)
}
