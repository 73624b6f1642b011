package server

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/place/paddock"
	"cattlecounter/cloud/server/web"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/emptyledger"
	"cattlecounter/deploy/testkit/must"
)

func TestReadSites(t *testing.T) {
	ctx, folder, log := t.Context(), t.TempDir(), slog.New(slog.DiscardHandler)
	l := must.Get(ledger.Open(ctx, emptyledger.In(t, t.TempDir()), ledger.Options{}))(t)
	t.Cleanup(func() { must.Do(t, l.Close()) })
	write := func(name, text string) {
		t.Helper()
		must.Do(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	square := `{"type":"Polygon","coordinates":[[[24,-31],[24.1,-31],[24.1,-31.1]]]}`
	write("north.geojson", square)
	write("notes.txt", "ignored")
	for range 2 {
		must.Do(t, readSites(ctx, folder, l.Borders, log))
	}
	b := must.Get(l.Borders.At(ctx, "north", time.Now()))(t)
	if b.Version != 1 || b.Paddocks != 1 || b.Who != "configuration" {
		t.Errorf("borders %+v", b)
	}
	write("north.geojson", strings.Replace(square, "24.1", "24.2", 2))
	must.Do(t, readSites(ctx, folder, l.Borders, log))
	if b := must.Get(l.Borders.At(ctx, "north", time.Now().Add(time.Second)))(t); b.Version != 2 {
		t.Errorf("after a change: %+v", b)
	}
	// What a person draws afterwards outlives a start.
	list := must.Get(paddock.ReadAny([]byte(strings.Replace(square, "24.1", "24.3", 2))))(t)
	must.Get(web.SetPaddocks(ledger.By(ctx, "anna"), l.Borders, "north", time.Time{}, list))(t)
	must.Do(t, readSites(ctx, folder, l.Borders, log))
	if b := must.Get(l.Borders.At(ctx, "north", time.Now().Add(time.Second)))(t); b.Version != 3 || b.Who != "anna" {
		t.Errorf("after a change by a person: %+v", b)
	}
	// Two files of one site would make two versions at every start.
	write("north.json", square)
	if err := readSites(ctx, folder, l.Borders, log); err == nil || !strings.Contains(err.Error(), "north.json: the site has the file north.geojson") {
		t.Errorf("two files of one site: %v", err)
	}
	must.Do(t, os.Remove(filepath.Join(folder, "north.json")))
	if b := must.Get(l.Borders.At(ctx, "north", time.Now().Add(time.Second)))(t); b.Version != 3 {
		t.Errorf("after two files: %+v", b)
	}
	write("south.kml", "<html></html>")
	write("a b.geojson", square)
	err := readSites(ctx, folder, l.Borders, log)
	if err == nil || !strings.Contains(err.Error(), "south.kml") || !strings.Contains(err.Error(), "a b.geojson") {
		t.Errorf("two bad files: %v", err)
	}
	if err := readSites(ctx, filepath.Join(folder, "none"), l.Borders, log); err == nil {
		t.Error("a folder that does not exist is no error")
	}
	must.Do(t, readSites(ctx, "", l.Borders, log))
}
