package mqtt

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// mostBody bounds an answer of the API.
const mostBody = 8 << 20

// accounts are what the kit makes with the token of an admin.
type accounts struct {
	station, other             post
	reader, stranger, operator account
	tokens                     []string // names to revoke
	devices                    []string
}

// call sends a request as the holder of a token and decodes a good answer. It returns the status.
func (k *kit) call(ctx context.Context, token, method, path string, body, into any) (int, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, k.o.API+path, content)
	if err != nil {
		return 0, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := k.http.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, mostBody))
	if err != nil {
		return 0, err
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		return answer.StatusCode, fmt.Errorf("%s %s: status %d: %.300s", method, path, answer.StatusCode, text)
	}
	if into == nil {
		return answer.StatusCode, nil
	}
	if b, ok := into.(*[]byte); ok {
		*b = text
		return answer.StatusCode, nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return answer.StatusCode, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return answer.StatusCode, nil
}

// admin is call with the token of the admin.
func (k *kit) admin(ctx context.Context, method, path string, body, into any) error {
	_, err := k.call(ctx, k.o.Admin.Reveal(), method, path, body, into)
	return err
}

// makeAccounts makes two stations at two sites and a reader, a reader of the other site and an operator.
func (k *kit) makeAccounts(ctx context.Context) (err error) {
	id := strings.ToLower(rand.Text())[:8]
	m := &accounts{}
	k.made = m
	elsewhere := k.o.Site + "-" + id
	if m.station, err = k.enrol(ctx, "kit-"+id+"-a", k.o.Site); err != nil {
		return fmt.Errorf("%w: the admin: %w", ErrNoServer, err)
	}
	if m.other, err = k.enrol(ctx, "kit-"+id+"-b", elsewhere); err != nil {
		return fmt.Errorf("%w: the admin: %w", ErrNoServer, err)
	}
	for _, t := range []struct {
		into             *account
		name, role, site string
	}{{&m.reader, "reader", "viewer", k.o.Site}, {&m.stranger, "stranger", "viewer", elsewhere}, {&m.operator, "operator", "operator", k.o.Site}} {
		if *t.into, err = k.token(ctx, "kit-"+id+"-"+t.name, t.role, t.site); err != nil {
			return fmt.Errorf("%w: the admin: %w", ErrNoServer, err)
		}
	}
	return nil
}

// token makes an account of a program.
func (k *kit) token(ctx context.Context, name, role, site string) (account, error) {
	var made struct {
		Token string `json:"token"`
	}
	err := k.admin(ctx, http.MethodPost, "/api/v1/tokens", map[string]any{"name": name, "role": role, "sites": []string{site}, "days": 1}, &made)
	if err == nil {
		k.made.tokens = append(k.made.tokens, name)
	}
	return account{name, made.Token, site}, err
}

// enrol makes a station with a token of its own.
func (k *kit) enrol(ctx context.Context, name, site string) (post, error) {
	var code struct {
		Code string `json:"code"`
	}
	var own [32]byte
	_, _ = rand.Read(own[:]) // never fails; crypto/rand ends the program instead
	token := "cc_" + base64.RawURLEncoding.EncodeToString(own[:])
	if err := k.admin(ctx, http.MethodPost, "/api/v1/enrolments", map[string]any{"device": name, "site": site, "hours": 1}, &code); err != nil {
		return post{}, err
	}
	var enrolled struct {
		OrderKey string `json:"order_key"`
	}
	_, err := k.call(ctx, "", http.MethodPost, "/api/v1/enrol", map[string]any{"code": code.Code, "token": token}, &enrolled)
	if err == nil {
		k.made.devices = append(k.made.devices, name)
	}
	return post{account: account{name, token, site}, orderKey: enrolled.OrderKey}, err
}

// end revokes everything that was made. What is revoked already answers with an error, which is no fault.
func (a *accounts) end(ctx context.Context, k *kit) {
	for _, name := range a.tokens {
		_ = k.admin(ctx, http.MethodDelete, "/api/v1/tokens/"+name, nil, nil)
	}
	for _, name := range a.devices {
		_ = k.admin(ctx, http.MethodDelete, "/api/v1/devices/"+name, nil, nil)
	}
}

// pollEvery is the time between two questions to the API.
const pollEvery = 100 * time.Millisecond

// poll asks until f holds. f returns why it does not.
func (k *kit) poll(ctx context.Context, what string, f func(context.Context) error) error {
	ctx, cancel := k.within(ctx)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: not within the patience: %w", what, err)
		}
	}
}

// stationView is what the API says of a station.
type stationView struct {
	State   string `json:"state"`
	Version string `json:"version"`
	Vitals  *struct {
		DiskFree int64 `json:"disk_free"`
	} `json:"vitals"`
	Footage []struct {
		Footage string `json:"footage"`
		State   string `json:"state"`
	} `json:"footage"`
	Replies []orderReply `json:"replies"`
}

// orderReply is the answer of a station as the API has it.
type orderReply struct {
	ID    string `json:"id"`
	State string `json:"state"`
	Text  string `json:"text"`
}

// awaitStation asks for a station until f holds.
func (k *kit) awaitStation(ctx context.Context, name, what string, f func(stationView) bool) error {
	return k.poll(ctx, what, func(ctx context.Context) error {
		var v stationView
		if err := k.admin(ctx, http.MethodGet, "/api/v1/stations/"+name, nil, &v); err != nil {
			return err
		}
		if !f(v) {
			return fmt.Errorf("the API says %.300s", fmt.Sprintf("%+v", v))
		}
		return nil
	})
}
