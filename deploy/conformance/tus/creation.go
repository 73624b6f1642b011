package tus

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
)

var creation = []check{
	{"create", "Creation, POST", Must, creating, func(v *visit) error {
		_, err := v.fresh()
		return err
	}},
	{"create-without-length", "Creation, POST", Should, creating, func(v *visit) error {
		return v.noCreation("Upload-Metadata", v.metadata(nil))
	}},
	{"create-length-malformed", "Core, Upload-Length", Must, creating, func(v *visit) error {
		for _, bad := range []string{"-1", "abc", "1e3", "0x10", "99999999999999999999"} {
			if err := v.noCreation("Upload-Length", bad, "Upload-Metadata", v.metadata(nil)); err != nil {
				return fmt.Errorf("Upload-Length %s: %w", bad, err)
			}
		}
		return nil
	}},
	{"create-empty", "Core, Upload-Length", Should, creating, func(v *visit) error {
		a, err := v.post(nil, "Upload-Length", "0", "Upload-Metadata", v.metadata([]byte{}))
		if err != nil {
			return err
		}
		to, err := v.address(a)
		if err != nil {
			return fmt.Errorf("an empty file: %w", err)
		}
		return v.still(to, 0, "the creation of an empty file")
	}},
	{"create-too-large", "Creation, POST", Must, creating, func(v *visit) error {
		if v.server.maxSize < 0 {
			return skip("the server tells no limit")
		}
		a, err := v.post(nil, append(length(v.server.maxSize+1), "Upload-Metadata", v.metadata(nil))...)
		if err == nil && a.status != http.StatusRequestEntityTooLarge {
			err = fmt.Errorf("status %d to one byte more than Tus-Max-Size, want 413", a.status)
		}
		return err
	}},
	{"metadata", "Creation, HEAD", Must, creating, func(v *visit) error {
		content := v.content(small)
		sent := v.metadata(content, "filename", "Kühe auf der Weide, 100 %.mp4", "note", "", "x-1", "a b,c")
		a, err := v.fresh("Upload-Metadata", sent)
		if err != nil {
			return err
		}
		got := a.header.Get("Upload-Metadata")
		want, err := pairs(sent)
		if err != nil {
			return err
		}
		if have, err := pairs(got); err != nil || !maps.Equal(have, want) {
			return fmt.Errorf("Upload-Metadata is %.300q, sent was %.300q", got, sent)
		}
		return nil
	}},
	{"metadata-malformed", "Creation, Upload-Metadata", Should, creating, func(v *visit) error {
		for _, bad := range []string{"filename !!!", ",", "a YQ==,,b YQ==", "a YQ==,a Yg==", "a YQ== b"} {
			if err := v.noCreation("Upload-Length", strconv.Itoa(small), "Upload-Metadata", strings.TrimPrefix(v.metadata(nil)+","+bad, ",")); err != nil {
				return fmt.Errorf("metadata %q: %w", bad, err)
			}
		}
		return nil
	}},
}

// noCreation wants a creation to be refused.
func (v *visit) noCreation(header ...string) error {
	a, err := v.post(nil, header...)
	if err == nil && !a.refused() {
		err = fmt.Errorf("the creation was answered with status %d", a.status)
	}
	return err
}

// pairs reads Upload-Metadata: the order of its pairs is nobody's.
func pairs(header string) (map[string]string, error) {
	all := map[string]string{}
	for p := range strings.SplitSeq(header, ",") {
		key, text, _ := strings.Cut(strings.TrimSpace(p), " ")
		value, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("value of %.40q: %w", key, err)
		}
		all[key] = string(value)
	}
	return all, nil
}

var deferring = []string{"creation", "creation-defer-length"}

var deferred = []check{
	{"defer-told", "Creation, Upload-Defer-Length", Must, deferring, func(v *visit) error {
		to, err := v.defers()
		if err != nil {
			return err
		}
		if err := v.append(to, 0, v.content(small)); err != nil {
			return err
		}
		a, err := v.do(http.MethodHead, to, nil)
		if err == nil && (a.header.Get("Upload-Defer-Length") != "1" || a.header.Get("Upload-Length") != "") {
			err = fmt.Errorf("HEAD tells Upload-Defer-Length %.40q and Upload-Length %.40q, want 1 and none", a.header.Get("Upload-Defer-Length"), a.header.Get("Upload-Length"))
		}
		return err
	}},
	{"defer-set", "Creation, Upload-Defer-Length", Must, deferring, func(v *visit) error {
		content := v.content(small)
		to, err := v.defers()
		if err != nil {
			return err
		}
		if err := v.append(to, 0, content[:small/2], length(small)...); err != nil {
			return err
		}
		if err := v.told(to, small); err != nil {
			return err
		}
		return errors.Join(v.append(to, small/2, content[small/2:]), v.shown(to, content))
	}},
	{"defer-fixed", "Creation, Upload-Defer-Length", Must, deferring, func(v *visit) error {
		content := v.content(small)
		to, err := v.defers()
		if err != nil {
			return err
		}
		if err := v.append(to, 0, content[:small/2], length(small)...); err != nil {
			return err
		}
		if _, err := v.patch(to, small/2, bytes.NewReader(content[small/2:small/2+1]), length(small+1)...); err != nil {
			return err
		}
		return v.told(to, small)
	}},
	{"defer-malformed", "Creation, Upload-Defer-Length", Should, deferring, func(v *visit) error {
		return errors.Join(
			v.noCreation("Upload-Defer-Length", "2", "Upload-Metadata", v.metadata(nil)),
			v.noCreation("Upload-Defer-Length", "1", "Upload-Length", "5", "Upload-Metadata", v.metadata(nil)))
	}},
}

// defers begins an upload of unknown size.
func (v *visit) defers() (string, error) {
	a, err := v.post(nil, "Upload-Defer-Length", "1", "Upload-Metadata", v.metadata(nil))
	if err != nil {
		return "", err
	}
	return v.address(a)
}

// told wants HEAD to tell a length.
func (v *visit) told(to string, want int64) error {
	a, err := v.do(http.MethodHead, to, nil)
	if err != nil {
		return err
	}
	n, err := a.number("Upload-Length")
	if err == nil && n != want {
		err = fmt.Errorf("Upload-Length is %d, want %d", n, want)
	}
	return err
}

var uploading = []string{"creation", "creation-with-upload"}

var withUpload = []check{
	{"upload-part", "Creation With Upload", Must, uploading, func(v *visit) error { return v.createWith(small / 2) }},
	{"upload-whole", "Creation With Upload", Must, uploading, func(v *visit) error { return v.createWith(small) }},
	{"upload-within-length", "Creation With Upload", Must, uploading, func(v *visit) error {
		content := v.content(small)
		a, err := v.post(bytes.NewReader(append(content, "more"...)), append(length(small), "Content-Type", octets, "Upload-Metadata", v.metadata(content))...)
		if err != nil || !a.ok() {
			return err
		}
		if n, err := a.offset(); err != nil || n > small {
			return errors.Join(err, fmt.Errorf("the answer tells offset %d of %d bytes", n, small))
		}
		return nil
	}},
}

// createWith sends the first bytes with the creation. The server may take fewer.
func (v *visit) createWith(n int) error {
	content := v.content(small)
	a, err := v.post(bytes.NewReader(content[:n]), append(length(small), "Content-Type", octets, "Upload-Metadata", v.metadata(content))...)
	if err != nil {
		return err
	}
	to, err := v.address(a)
	if err != nil {
		return err
	}
	offset, err := a.offset()
	if err == nil && offset > int64(n) {
		err = fmt.Errorf("the creation tells offset %d after %d bytes", offset, n)
	}
	if err != nil {
		return err
	}
	if err := v.still(to, int(offset), "the creation"); err != nil {
		return err
	}
	return v.resume(to, content)
}
