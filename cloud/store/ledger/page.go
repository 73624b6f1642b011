package ledger

import (
	"fmt"
	"math"
	"strconv"
)

const (
	defaultPage = 50
	maxPage     = 1000
)

// bounds returns the limit and the number below which the page's entries are.
func (p Page) bounds() (limit int, after int64, err error) {
	limit, after = p.Limit, math.MaxInt64
	if limit <= 0 {
		limit = defaultPage
	}
	if p.After != "" {
		if after, err = strconv.ParseInt(p.After, 10, 64); err != nil || after < 0 {
			return 0, 0, fmt.Errorf("page after %.40q: %w", p.After, ErrCursor)
		}
	}
	return min(limit, maxPage), after, nil
}

// where returns the condition of a list that joins footage as f, with its parameters.
// column numbers the entries; $1 is the number that they are below and $2 is limit.
func (p Page) where(column string, below int64, limit int) (where string, args []any) {
	where, args = `WHERE `+column+` < $1`, []any{below, limit}
	if p.Device != "" {
		where, args = where+` AND f.device = $3`, append(args, p.Device)
	}
	return where, args
}

// cutPage shortens a list that was read with one entry more than limit. It returns the
// start of the next page, "" when there is none.
func cutPage[T any](all []T, limit int, at func(T) int64) ([]T, string) {
	if len(all) <= limit {
		return all, ""
	}
	return all[:limit], strconv.FormatInt(at(all[limit-1]), 10)
}
