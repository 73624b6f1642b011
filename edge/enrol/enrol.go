// Package enrol gives a station its identity: with a one-time code it gets its name and site, the key of the cloud's
// orders and the address of the broker from the cloud, and writes them beside the configuration.
//
// The station makes its token itself and stores it before it asks. So it may ask again with the same code when the
// answer is lost, and nothing that was in use is changed before the answer has come.
package enrol

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"cattlecounter/edge/config"
	"cattlecounter/edge/proxy"
	"cattlecounter/edge/uplink"
	"cattlecounter/shared/orderkey"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

const (
	limit      = time.Minute
	maxAnswer  = 64 << 10
	tokenBytes = 32
	// tokenPrefix begins every token of the cloud.
	tokenPrefix = "cc_"
	tokenName   = "token"
	nextName    = "token.next" // the token that the cloud is asked to accept
)

// Options of Run. URL, Code and Config are required.
type Options struct {
	URL, Code string
	// Config is the configuration file. The identity is written beside it. A missing one is written with Watch.
	Config   string
	Watch    []string // folders of the card
	CAFile   string   // PEM; "" for the authorities of the system
	Insecure bool     // URL may be an http address of another machine
	Proxy    secret.String
}

// Run enrols the station and returns its identity. After an error it may be run again with the same code.
func Run(ctx context.Context, o Options) (config.Enrolled, error) {
	o.URL = strings.TrimSuffix(o.URL, "/")
	if err := config.CheckCloud(o.URL, o.Insecure); err != nil {
		return config.Enrolled{}, err
	}
	first, err := firstConfig(o)
	if err != nil {
		return config.Enrolled{}, err
	}
	folder, err := filepath.Abs(filepath.Dir(o.Config))
	if err != nil {
		return config.Enrolled{}, err
	}
	w := newWriter(folder)
	token, err := w.nextToken()
	if err != nil {
		return config.Enrolled{}, err
	}
	got, err := ask(ctx, o, token)
	if err != nil {
		return config.Enrolled{}, err
	}
	id := identity(o, got, filepath.Join(folder, tokenName))
	text, err := id.Text()
	if err != nil {
		return config.Enrolled{}, err
	}
	if err := errors.Join(w.write(tokenName, []byte(token.Reveal()+"\n")), w.write(config.EnrolledFile, text),
		w.write(config.EnrolmentFile, []byte(rand.Text()+"\n"))); err != nil {
		return config.Enrolled{}, fmt.Errorf("%w; run the command again with the same code", err)
	}
	if first != nil {
		if err := w.write(filepath.Base(o.Config), first); err != nil {
			return config.Enrolled{}, fmt.Errorf("%w; run the command again with the same code", err)
		}
	}
	return id, w.remove(nextName)
}

// identity is what the station stores of the answer.
func identity(o Options, got wire.Enrolment, tokenFile string) config.Enrolled {
	id := config.Enrolled{Site: got.Site, Device: got.Device, TokenFile: tokenFile,
		Cloud: config.EnrolledAddress{URL: o.URL, CAFile: o.CAFile, Insecure: o.Insecure}}
	_ = id.OrderKey.UnmarshalText([]byte(got.OrderKey)) // parse has checked it
	if got.MQTT != "" {
		id.MQTT = config.EnrolledAddress{URL: got.MQTT, CAFile: o.CAFile, Insecure: o.Insecure}
	}
	return id
}

// ask sends the code and the token to the cloud.
func ask(ctx context.Context, o Options, token secret.String) (wire.Enrolment, error) {
	fail := func(err error) (wire.Enrolment, error) {
		return wire.Enrolment{}, fmt.Errorf("enrol at %s: %w", o.URL, err)
	}
	tls, err := uplink.TLSConfig(o.CAFile)
	if err != nil {
		return fail(err)
	}
	via, err := proxy.Func(o.Proxy)
	if err != nil {
		return fail(fmt.Errorf("proxy: %w", err))
	}
	// secret.String would send its mask.
	body, err := json.Marshal(map[string]string{"code": o.Code, "token": token.Reveal()})
	if err != nil {
		return fail(err)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.URL+wire.EnrolPath, bytes.NewReader(body))
	if err != nil {
		return fail(err)
	}
	req.Header.Set("Content-Type", "application/json")
	c := &http.Client{Transport: &http.Transport{Proxy: via, TLSClientConfig: tls, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // the token must not go to another address
		}}
	r, err := c.Do(req)
	if err != nil {
		return fail(err)
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	if err != nil {
		return fail(err)
	}
	if r.StatusCode != http.StatusOK {
		return fail(refusal(r.StatusCode, answer))
	}
	got, err := parse(answer)
	if err != nil {
		return fail(err)
	}
	return got, nil
}

// refusal is what an answer other than 200 says.
func refusal(status int, answer []byte) error {
	var p wire.Problem
	switch err := json.Unmarshal(answer, &p); {
	case status/100 == 3:
		return fmt.Errorf("the address redirects (HTTP %d); use the address of the cloud itself, and log in first on a "+
			"guest network", status)
	case err != nil || p.Detail == "":
		return fmt.Errorf("the answer is HTTP %d and not one of the cloud; check the address", status)
	}
	return fmt.Errorf("%.300s (HTTP %d)", strings.ToValidUTF8(p.Detail, "?"), status)
}

// parse reads the answer of the cloud.
func parse(answer []byte) (wire.Enrolment, error) {
	var got wire.Enrolment
	if err := json.Unmarshal(answer, &got); err != nil {
		return wire.Enrolment{}, fmt.Errorf("the answer is not one of the cloud; check the address: %w", err)
	}
	if _, err := topic.ParseDevice(got.Site, got.Device); err != nil {
		return wire.Enrolment{}, fmt.Errorf("the answer has no name: %w", err)
	}
	var k orderkey.Public
	if err := k.UnmarshalText([]byte(got.OrderKey)); err != nil {
		return wire.Enrolment{}, fmt.Errorf("the answer has no key: %w", err)
	}
	if k.IsZero() {
		return wire.Enrolment{}, errors.New("the answer has no key; update the cloud, then ask for a new code")
	}
	return got, nil
}

// newToken is a token as the cloud accepts it.
func newToken() secret.String {
	var b [tokenBytes]byte
	_, _ = rand.Read(b[:]) // never fails; crypto/rand ends the program instead
	return secret.New(tokenPrefix + base64.RawURLEncoding.EncodeToString(b[:]))
}
