package tus

import (
	"fmt"
	"time"
)

const errorsSection = "Core, PATCH (network errors)"

var cuts = []check{
	// The server must have the bytes of its offset: the resumed content is complete.
	{"cut-reset", errorsSection, Must, creating, func(v *probe) error {
		_, err := v.cut((*hanging).reset, true)
		return err
	}},
	{"cut-half-closed", errorsSection, Must, creating, func(v *probe) error {
		_, err := v.cut((*hanging).halfClose, true)
		return err
	}},
	{"cut-reset-keeps", errorsSection, Should, creating, keepsBytes((*hanging).reset)},
	{"cut-half-closed-keeps", errorsSection, Should, creating, keepsBytes((*hanging).halfClose)},
	{"hanging-head", "not in the protocol: a link that dies without a reset", Should, creating, func(v *probe) error {
		to, _, h, err := v.hang()
		if err != nil {
			return err
		}
		defer h.close()
		began := time.Now()
		if _, err := v.head(to); err != nil {
			return fmt.Errorf("while a PATCH hangs, after %s: %w", time.Since(began).Round(time.Millisecond), err)
		}
		return nil
	}},
	{"hanging-resumed", "not in the protocol: a link that dies without a reset", Should, creating, func(v *probe) error {
		to, content, h, err := v.hang()
		if err != nil {
			return err
		}
		defer h.close()
		if err := v.resume(to, content); err != nil {
			return fmt.Errorf("while an older PATCH hangs: %w", err)
		}
		return nil
	}},
}

// most is how much of a large content is sent before it is cut.
const most = large * 3 / 4

// hang begins a PATCH and lets it hang.
func (v *probe) hang() (to string, content []byte, h *hanging, err error) {
	content = v.content(large)
	if to, err = v.create(content); err != nil {
		return "", nil, nil, err
	}
	if h, err = v.begin(to, 0, large, content[:most]); err != nil {
		return "", nil, nil, err
	}
	if err = v.pause(v.o.Settle); err != nil {
		h.close()
		return "", nil, nil, err
	}
	return to, content, h, nil
}

// cut ends a PATCH before its end and returns the offset of the server. With resume it completes the upload.
func (v *probe) cut(end func(*hanging) error, resume bool) (int64, error) {
	content := v.content(large)
	to, err := v.create(content)
	if err != nil {
		return 0, err
	}
	h, err := v.begin(to, 0, large, content[:most])
	if err != nil {
		return 0, err
	}
	defer h.close()
	if err := end(h); err != nil {
		return 0, err
	}
	offset, err := v.head(to)
	switch {
	case err != nil:
		return 0, err
	case offset > most:
		return 0, fmt.Errorf("HEAD answers with offset %d after %d bytes were sent", offset, most)
	case !resume:
		return offset, nil
	}
	return offset, v.resume(to, content)
}

// keepsBytes checks that the bytes before a cut are stored.
func keepsBytes(end func(*hanging) error) func(*probe) error {
	return func(v *probe) error {
		offset, err := v.cut(end, false)
		if err == nil && offset < most {
			err = fmt.Errorf("the server stored %d of %d bytes that were sent", offset, most)
		}
		return err
	}
}
