package paddock

import (
	"fmt"
	"slices"
	"strings"
)

// nameOf looks for the name among the properties of a feature.
func nameOf(properties map[string]any) string {
	best, rank := "", len(nameKeys)
	var keys []string
	for k := range properties {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		r := slices.Index(nameKeys, strings.ToLower(k))
		if r < 0 || r >= rank {
			continue
		}
		switch v := properties[k].(type) {
		case string, float64, int64, bool:
			if s := strings.TrimSpace(fmt.Sprint(v)); s != "" {
				best, rank = s, r
			}
		}
	}
	return best
}

var nameKeys = []string{"name", "paddock", "label", "title", "id"}
