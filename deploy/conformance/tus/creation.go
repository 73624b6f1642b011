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

	"cattlecounter/deploy/conformance/finding"
)

var creation = []check{
	{"create", "Creation, POST", Must, creating, func(v *probe) error {
		_, err := v.headOfNew()
		return err
	}},
	{"create-without-length", "Creation, POST", Should, creating, func(v *probe) error {
		return v.wantRefusedCreation("Upload-Metadata", v.metadata(nil))
	}},
	{"create-length-malformed", "Core, Upload-Length", Must, creating, func(v *probe) error {
		for _, bad := range []string{"-1", "abc", "1e3", "0x10", "99999999999999999999"} {
			if err := v.wantRefusedCreation("Upload-Length", bad, "Upload-Metadata", v.metadata(nil)); err != nil {
				return fmt.Errorf("Upload-Length %s: %w", bad, err)
			}
		}
		return nil
	}},
	{"create-empty", "Core, Upload-Length", Should, creating, func(v *probe) error {
		a, err := v.post(nil, "Upload-Length", "0", "Upload-Metadata", v.metadata([]byte{}))
		if err != nil {
			return err
		}
		to, err := v.address(a)
		if err != nil {
			return fmt.Errorf("an empty file: %w", err)
		}
		return v.wantOffset(to, 0, "the creation of an empty file")
	}},
	{"create-too-large", "Creation, POST", Must, creating, func(v *probe) error {
		if v.server.maxSize < 0 {
			return finding.Skip("the server announces no limit")
		}
		a, err := v.post(nil, append(length(v.server.maxSize+1), "Upload-Metadata", v.metadata(nil))...)
		if err == nil && a.status != http.StatusRequestEntityTooLarge {
			err = fmt.Errorf("status %d to a length of one byte more than Tus-Max-Size, want 413", a.status)
		}
		return err
	}},
	{"metadata", "Creation, HEAD", Must, creating, func(v *probe) error {
		content := v.content(small)
		sent := v.metadata(content, "filename", "Kühe auf der Weide, 100 %.mp4", "note", "", "x-1", "a b,c")
		a, err := v.headOfNew("Upload-Metadata", sent)
		if err != nil {
			return err
		}
		got := a.header.Get("Upload-Metadata")
		want, err := pairs(sent)
		if err != nil {
			return err
		}
		if have, err := pairs(got); err != nil || !maps.Equal(have, want) {
			return fmt.Errorf("Upload-Metadata is %.300q, want %.300q", got, sent)
		}
		return nil
	}},
	{"metadata-malformed", "Creation, Upload-Metadata", Should, creating, func(v *probe) error {
		for _, bad := range []string{"filename !!!", ",", "a YQ==,,b YQ==", "a YQ==,a Yg==", "a YQ== b"} {
			if err := v.wantRefusedCreation("Upload-Length", strconv.Itoa(small), "Upload-Metadata", strings.TrimPrefix(v.metadata(nil)+","+bad, ",")); err != nil {
				return fmt.Errorf("metadata %q: %w", bad, err)
			}
		}
		return nil
	}},
}

// wantRefusedCreation checks that a creation is refused.
func (v *probe) wantRefusedCreation(header ...string) error {
	a, err := v.post(nil, header...)
	if err == nil && !a.refused() {
		err = fmt.Errorf("the creation was answered with status %d", a.status)
	}
	return err
}

// pairs reads Upload-Metadata. The order of the pairs has no meaning.
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
	{"defer-listed", "Creation, Upload-Defer-Length", Must, deferring, func(v *probe) error {
		to, err := v.createDeferred()
		if err != nil {
			return err
		}
		if err := v.append(to, 0, v.content(small)); err != nil {
			return err
		}
		a, err := v.do(http.MethodHead, to, nil)
		if err == nil && (a.header.Get("Upload-Defer-Length") != "1" || a.header.Get("Upload-Length") != "") {
			err = fmt.Errorf("HEAD answers with Upload-Defer-Length %.40q and Upload-Length %.40q, want 1 and none", a.header.Get("Upload-Defer-Length"), a.header.Get("Upload-Length"))
		}
		return err
	}},
	{"defer-set", "Creation, Upload-Defer-Length", Must, deferring, func(v *probe) error {
		content := v.content(small)
		to, err := v.createDeferred()
		if err != nil {
			return err
		}
		if err := v.append(to, 0, content[:small/2], length(small)...); err != nil {
			return err
		}
		if err := v.wantLength(to, small); err != nil {
			return err
		}
		return errors.Join(v.append(to, small/2, content[small/2:]), v.wantContent(to, content))
	}},
	{"defer-fixed", "Creation, Upload-Defer-Length", Must, deferring, func(v *probe) error {
		content := v.content(small)
		to, err := v.createDeferred()
		if err != nil {
			return err
		}
		if err := v.append(to, 0, content[:small/2], length(small)...); err != nil {
			return err
		}
		if _, err := v.patch(to, small/2, bytes.NewReader(content[small/2:small/2+1]), length(small+1)...); err != nil {
			return err
		}
		return v.wantLength(to, small)
	}},
	{"defer-malformed", "Creation, Upload-Defer-Length", Should, deferring, func(v *probe) error {
		return errors.Join(
			v.wantRefusedCreation("Upload-Defer-Length", "2", "Upload-Metadata", v.metadata(nil)),
			v.wantRefusedCreation("Upload-Defer-Length", "1", "Upload-Length", "5", "Upload-Metadata", v.metadata(nil)))
	}},
}

// createDeferred creates an upload of unknown length.
func (v *probe) createDeferred() (string, error) {
	a, err := v.post(nil, "Upload-Defer-Length", "1", "Upload-Metadata", v.metadata(nil))
	if err != nil {
		return "", err
	}
	return v.address(a)
}

// wantLength checks that HEAD answers with a length.
func (v *probe) wantLength(to string, want int64) error {
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
	{"upload-part", "Creation With Upload", Must, uploading, func(v *probe) error { return v.createWith(small / 2) }},
	{"upload-whole", "Creation With Upload", Must, uploading, func(v *probe) error { return v.createWith(small) }},
	{"upload-within-length", "Creation With Upload", Must, uploading, func(v *probe) error {
		content := v.content(small)
		a, err := v.post(bytes.NewReader(append(content, "more"...)), append(length(small), "Content-Type", octets, "Upload-Metadata", v.metadata(content))...)
		if err != nil || !a.ok() {
			return err
		}
		if n, err := a.offset(); err != nil || n > small {
			return errors.Join(err, fmt.Errorf("the answer has offset %d of %d bytes", n, small))
		}
		return nil
	}},
}

// createWith sends the first n bytes with the creation. The server may store fewer.
func (v *probe) createWith(n int) error {
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
		err = fmt.Errorf("the creation was answered with offset %d after %d bytes", offset, n)
	}
	if err != nil {
		return err
	}
	if err := v.wantOffset(to, int(offset), "the creation"); err != nil {
		return err
	}
	return v.resume(to, content)
}
