package tus

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"cattlecounter/deploy/conformance/finding"
)

var ending = []string{"creation", "termination"}

var termination = []check{
	{"delete", "Termination, DELETE", Must, ending, func(v *probe) error {
		to, err := v.create(v.content(small))
		if err != nil {
			return err
		}
		return v.terminate(to)
	}},
	{"delete-gone", "Termination, DELETE", Should, ending, func(v *probe) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		if err := errors.Join(v.append(to, 0, content[:small/2]), v.terminate(to)); err != nil {
			return err
		}
		return v.wantGone(to, small/2, content)
	}},
	{"delete-unknown", "Termination, DELETE", Should, ending, func(v *probe) error {
		to, err := v.unknownAddress()
		if err != nil {
			return err
		}
		a, err := v.do(http.MethodDelete, to, nil)
		if err == nil && !a.gone() {
			err = fmt.Errorf("status %d for an unknown upload, want 404 or 410", a.status)
		}
		return err
	}},
}

func (v *probe) terminate(to string) error {
	a, err := v.do(http.MethodDelete, to, nil)
	if err == nil && a.status != http.StatusNoContent {
		err = fmt.Errorf("DELETE was answered with status %d, want 204", a.status)
	}
	return err
}

// wantGone checks that an upload no longer exists.
func (v *probe) wantGone(to string, offset int, content []byte) error {
	a, err := v.do(http.MethodHead, to, nil)
	if err == nil && !a.gone() {
		err = fmt.Errorf("HEAD of a terminated or expired upload: status %d, want 404 or 410", a.status)
	}
	if err != nil {
		return err
	}
	a, err = v.patch(to, offset, bytes.NewReader(content[offset:]))
	if err == nil && !a.gone() {
		err = fmt.Errorf("PATCH of a terminated or expired upload: status %d, want 404 or 410", a.status)
	}
	return err
}

var expiring = []string{"creation", "expiration"}

var expiration = []check{
	{"expires-patch", "Expiration, Upload-Expires", Must, expiring, func(v *probe) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		a, err := v.patch(to, 0, bytes.NewReader(content[:small/2]))
		if err != nil {
			return err
		}
		_, err = expires(a)
		return err
	}},
	{"expires-create", "Expiration, Upload-Expires", Should, expiring, func(v *probe) error {
		a, err := v.post(nil, append(length(small), "Upload-Metadata", v.metadata(nil))...)
		if err != nil {
			return err
		}
		_, err = expires(a)
		return err
	}},
	{"expires-refused-patch", "Expiration, Upload-Expires", Should, expiring, func(v *probe) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		a, err := v.patch(to, 1, bytes.NewReader(content[1:]))
		if err != nil {
			return err
		}
		_, err = expires(a)
		return err
	}},
	{"expires-gone", "Expiration, Upload-Expires", Should, expiring, func(v *probe) error {
		content := v.content(small)
		a, err := v.post(nil, append(length(small), "Upload-Metadata", v.metadata(content))...)
		if err != nil {
			return err
		}
		to, err := v.address(a)
		if err != nil {
			return err
		}
		at, err := expires(a)
		if err != nil {
			return err
		}
		left := time.Until(at) + time.Second // the header has whole seconds
		if left > v.o.Patience {
			return finding.Skip("an upload expires in %s, later than the patience of %s", left.Round(time.Second), v.o.Patience)
		}
		if err := v.pause(left); err != nil {
			return err
		}
		return v.wantGone(to, 0, content)
	}},
}

// expires reads Upload-Expires, a date as in RFC 9110, 5.6.7.
func expires(a answer) (time.Time, error) {
	text := a.header.Get("Upload-Expires")
	at, err := time.Parse(http.TimeFormat, text)
	if err != nil {
		return at, fmt.Errorf("Upload-Expires is %.60q in an answer of status %d, want a date such as %s", text, a.status, http.TimeFormat)
	}
	return at, nil
}

var joining = []string{"creation", "concatenation"}

var concatenation = []check{
	{"concat-partial", "Concatenation, HEAD", Must, joining, func(v *probe) error {
		a, err := v.headOfNew("Upload-Concat", "partial")
		if err == nil && a.header.Get("Upload-Concat") != "partial" {
			err = fmt.Errorf("HEAD of a partial upload answers with Upload-Concat %.80q, want partial", a.header.Get("Upload-Concat"))
		}
		return err
	}},
	{"concat-final", "Concatenation, POST", Must, joining, func(v *probe) error {
		to, content, err := v.createFinal()
		if err != nil {
			return err
		}
		a, err := v.do(http.MethodHead, to, nil)
		if err != nil {
			return err
		}
		if got := a.header.Get("Upload-Concat"); !strings.HasPrefix(got, "final;") {
			return fmt.Errorf("HEAD of a final upload answers with Upload-Concat %.80q, want final and its parts", got)
		}
		return errors.Join(v.wantLength(to, int64(len(content))), v.wantContent(to, content))
	}},
	{"concat-final-patch", "Concatenation, PATCH", Must, joining, func(v *probe) error {
		to, content, err := v.createFinal()
		if err != nil {
			return err
		}
		a, err := v.patch(to, len(content), strings.NewReader("more"))
		if err == nil && a.status != http.StatusForbidden {
			err = fmt.Errorf("status %d to PATCH of a final upload, want 403", a.status)
		}
		return err
	}},
}

// createFinal joins two partial uploads.
func (v *probe) createFinal() (string, []byte, error) {
	content := v.content(small)
	var parts []string
	for _, part := range [][]byte{content[:small/2], content[small/2:]} {
		to, err := v.create(part, "Upload-Concat", "partial")
		if err != nil {
			return "", nil, err
		}
		if err := v.append(to, 0, part); err != nil {
			return "", nil, err
		}
		parts = append(parts, to)
	}
	a, err := v.post(nil, "Upload-Concat", "final;"+strings.Join(parts, " "), "Upload-Metadata", v.metadata(content))
	if err != nil {
		return "", nil, err
	}
	to, err := v.address(a)
	return to, content, err
}
