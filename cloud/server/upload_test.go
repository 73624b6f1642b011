package server

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
)

// tus sends one request of the upload protocol.
func (r *running) tus(method, path, token string, body io.Reader, headers ...string) *http.Response {
	r.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = r.at.HTTP + path
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(text))
	return resp
}

func (r *running) create(token string, size int, id string) string {
	r.t.Helper()
	meta := "filename " + base64.StdEncoding.EncodeToString([]byte("clip.mp4")) + ",footage " + base64.StdEncoding.EncodeToString([]byte(id))
	resp := r.tus("POST", "/files/", token, nil, "Upload-Length", strconv.Itoa(size), "Upload-Metadata", meta)
	if resp.StatusCode != http.StatusCreated {
		r.t.Fatal(resp.Status)
	}
	return resp.Header.Get("Location")
}

func (r *running) text(path string) string {
	r.t.Helper()
	resp, err := r.client.Get(r.at.HTTP + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

func clip(size int) []byte {
	return append([]byte("\x00\x00\x00\x20ftypisom"), bytes.Repeat([]byte{7}, size-12)...)
}

// A PATCH on a dead connection must not block the client, and its bytes count.
func TestHeadEndsAHangingPatch(t *testing.T) {
	r := serve(t, nil)
	token := r.addDevice("edge1", ledger.RoleDevice)
	content := clip(3 << 20)
	at := r.create(token, len(content), "one")
	const sent = 1_000_003
	c, err := net.Dial("tcp", strings.TrimPrefix(r.at.HTTP, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "PATCH %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nTus-Resumable: "+
		"1.0.0\r\nUpload-Offset: 0\r\n"+
		"Content-Type: application/offset+octet-stream\r\nContent-Length: %d\r\n\r\n", strings.TrimPrefix(at,
		r.at.HTTP), token, len(content))
	if _, err := c.Write(content[:sent]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the bytes at the server", func() bool {
		return strings.Contains(r.text("/metrics"), "cattle_upload_bytes_total 1.000003e+06\n")
	})
	began := time.Now()
	h := r.tus("HEAD", at, token, nil)
	if took := time.Since(began); h.StatusCode != http.StatusOK || took > 9*time.Second { // an upload may resist for 10 s
		t.Errorf("HEAD: %s after %s", h.Status, took)
	}
	offset, err := strconv.Atoi(h.Header.Get("Upload-Offset"))
	if err != nil || offset != sent {
		t.Fatalf("offset %d of %d sent, %v", offset, sent, err)
	}
	// The interrupted request is answered and its connection closed.
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, bufio.NewReader(c)); err != nil {
		t.Errorf("the interrupted connection stays open: %v", err)
	}
	resp := r.tus("PATCH", at, token, bytes.NewReader(content[offset:]), "Upload-Offset", strconv.Itoa(offset),
		"Content-Type", "application/offset+octet-stream")
	if resp.StatusCode != http.StatusNoContent {
		t.Fatal(resp.Status)
	}
	var v struct {
		SHA256 footage.Digest `json:"sha256"`
		Size   int            `json:"size"`
	}
	if r.get("/api/v1/footage/one", &v); v.SHA256 != footage.Sum(content) || v.Size != len(content) {
		t.Errorf("%+v", v)
	}
}

func TestRefusalsOfTheIntakePassTheBridge(t *testing.T) {
	r := serve(t, nil)
	token := r.addDevice("edge1", ledger.RoleDevice)
	content := clip(100_000)
	at := r.create(token, len(content), "one")
	patch := func(at, token string, offset int, b []byte) (int, string) {
		resp := r.tus("PATCH", at, token, bytes.NewReader(b), "Upload-Offset", strconv.Itoa(offset), "Content-Type",
			"application/offset+octet-stream")
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	for name, c := range map[string]struct {
		at, token string
		offset    int
		body      []byte
		status    int
		slug      string
	}{
		"unknown token":   {at, "cc_nope", 0, content, 401, "unauthorised"},
		"wrong offset":    {at, token, 5, content[5:], 409, "offset-conflict"},
		"unknown session": {"/files/nope", token, 0, content, 404, "upload-gone"},
	} {
		t.Run(name, func(t *testing.T) {
			status, text := patch(c.at, c.token, c.offset, c.body)
			if status != c.status && !(c.status == 404 && status == 410) || !strings.Contains(text, "/problems/"+c.slug) {
				t.Errorf("%d %s", status, text)
			}
		})
	}
	notes := r.create(token, 2000, "two")
	if status, text := patch(notes, token, 0, bytes.Repeat([]byte("notes "),
		334)[:2000]); status < 400 || !strings.Contains(text, "/problems/not-a-video") {
		t.Errorf("%d %s", status, text)
	}
}
