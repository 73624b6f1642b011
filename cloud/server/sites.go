package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cattlecounter/cloud/place/paddock"
	"cattlecounter/cloud/server/web"
	"cattlecounter/cloud/store/ledger"
)

// borderFiles are the endings of files of paddocks.
var borderFiles = []string{".geojson", ".json", ".kml", ".kmz", ".zip"}

// configuration is who changes what the configuration says.
const configuration = "configuration"

// readSites stores the paddocks in a folder, one file per site. Files that have not changed since the last start change
// nothing. The error names every file that cannot be used.
func readSites(ctx context.Context, folder string, l *ledger.BorderBook, log *slog.Logger) error {
	if folder == "" {
		return nil
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("sites: %w", err)
	}
	var faults []error
	of := map[string]string{} // the file of a site
	for _, e := range entries {
		ext := strings.ToLower(filepath.Ext(e.Name()))
		if e.IsDir() || !slices.Contains(borderFiles, ext) {
			continue
		}
		if first, twice := of[siteOf(e.Name())]; twice {
			faults = append(faults, fmt.Errorf("sites: %s: the site has the file %s already; remove one of them", e.Name(),
				first))
			continue
		}
		of[siteOf(e.Name())] = e.Name()
		if err := readSite(ctx, folder, e.Name(), l, log); err != nil {
			faults = append(faults, fmt.Errorf("sites: %s: %w", e.Name(), err))
		}
	}
	return errors.Join(faults...)
}

// siteOf is the site of a file of paddocks.
func siteOf(name string) string { return strings.TrimSuffix(name, filepath.Ext(name)) }

func readSite(ctx context.Context, folder, name string, l *ledger.BorderBook, log *slog.Logger) error {
	info, err := os.Stat(filepath.Join(folder, name))
	if err != nil {
		return err
	}
	if info.Size() > paddock.MaxFile {
		return fmt.Errorf("it has %d bytes, at most %d are read", info.Size(), paddock.MaxFile)
	}
	b, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		return err
	}
	list, err := paddock.ReadAny(b)
	if err != nil {
		return err
	}
	site := siteOf(name)
	var document bytes.Buffer
	if err := paddock.WriteGeoJSON(&document, list, nil); err != nil {
		return err
	}
	last, err := l.LastBy(ctx, site, configuration)
	if err == nil && last.Document == document.String() {
		return nil // what people have changed since holds
	}
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	v, err := web.SetPaddocks(ledger.By(ctx, configuration), l, site, time.Time{}, list)
	if err == nil {
		log.Info("paddocks of a site read", "site", site, "version", v.Version, "paddocks", v.Paddocks)
	}
	return err
}
