package azure

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// list is a price list in the form of Azure's: every meter costs 2 a unit, with a free first part for logs, and in two
// pages. without names a meter that it does not have, twice one that has two prices.
func list(t *testing.T, without, twice string) string {
	t.Helper()
	item := func(price, from float64) map[string]any {
		return map[string]any{"retailPrice": price, "tierMinimumUnits": from, "unitOfMeasure": "1 Hour", "effectiveStartDate": "2026-01-01T00:00:00Z"}
	}
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		condition := r.URL.Query().Get("$filter")
		page := map[string]any{"Items": []any{item(2, 0)}}
		switch {
		case !strings.Contains(condition, "armRegionName eq 'westeurope'") || !strings.Contains(condition, "priceType eq 'Consumption'"):
			t.Errorf("filter %q", condition)
		case without != "" && strings.Contains(condition, without):
			page["Items"] = []any{}
		case twice != "" && strings.Contains(condition, twice):
			page["Items"] = []any{item(2, 0), item(3, 0)}
		case strings.Contains(condition, "Log Analytics") && r.URL.Query().Get("page") == "":
			page["Items"] = []any{item(0, 0)}
			next := *r.URL
			q := next.Query()
			q.Set("page", "2")
			next.RawQuery = q.Encode()
			page["NextPageLink"] = "http://" + r.Host + next.String()
		case strings.Contains(condition, "Log Analytics"):
			page["Items"] = []any{item(2, 5)}
		}
		_ = json.NewEncoder(w).Encode(page)
	})
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

func TestPrices(t *testing.T) {
	for name, c := range map[string]struct {
		without, twice string
		address        string
		want           []string
		fails          bool
	}{
		// 730+730+32+10 GB+1 h*3600*(2+4)+730*3600*1.5+730/24+1 GB, at 2 each
		"all":        {want: []string{"| API | 730 | 1 Hour | 2 | 2026-01-01 | 1460.00 |", "| logs | 1 |", "| sum | | | | | 7930266.83 |"}},
		"one misses": {without: "B1ms", want: []string{"| API | 730 |", "database: 0 prices for", "no sum"}, fails: true},
		"two prices": {twice: "App Service", want: []string{"API: 2 prices for", "no sum"}, fails: true},
		"no list":    {address: "http://127.0.0.1:1/", want: []string{"cannot read the price list at http://127.0.0.1:1/"}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			if c.address == "" {
				c.address = list(t, c.without, c.twice)
			}
			cmd := exec.CommandContext(t.Context(), "python3", "prices.py", "small", "--stored", "10", "--worker-hours", "1", "--logs", "1")
			cmd.Env = append(os.Environ(), "PRICES_URL="+c.address)
			out, err := cmd.CombinedOutput()
			if (err != nil) != c.fails {
				t.Errorf("%v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("%q is missing in:\n%s", want, out)
				}
			}
		})
	}
}
