package wire

import "time"

// Spread is how the animals of a count lie in the paddocks of its site. All of it is empty before the count was placed.
type Spread struct {
	Way    string `json:"way,omitempty"`    // how positions were found: camera, height, path, point, relative or none
	Placed *int   `json:"placed,omitempty"` // animals with a position
	// PaddocksVersion is the version of the paddocks that the count was divided by; 0 for a site without paddocks.
	PaddocksVersion int64 `json:"paddocks_version,omitempty"`
	// Paddocks are those of which the camera saw something, or that are near to an animal.
	Paddocks []PaddockCount `json:"paddocks,omitempty"`
}

// PaddockCount is the animals of a count in one paddock. An animal in two paddocks that overlap is in both.
type PaddockCount struct {
	Name    string  `json:"name"`
	Animals *int    `json:"animals"` // nil when nothing was placed there: it is not 0
	Low     *int    `json:"low"`     // 95 % interval
	High    *int    `json:"high"`
	Border  int     `json:"border"`  // of them may be outside
	Near    int     `json:"near"`    // animals outside may be inside
	Area    float64 `json:"area_m2"` // of the paddock
	Seen    float64 `json:"seen"`    // share of the area that the camera saw, 0 to 1
}

// Borders is a version of the paddocks of a site, without the borders themselves.
type Borders struct {
	Site     string     `json:"site"`
	Version  int64      `json:"version"`              // from 1
	From     *time.Time `json:"valid_from,omitempty"` // nil for the first version: it holds for all earlier times
	Paddocks int        `json:"paddocks"`             // how many
	Created  time.Time  `json:"created"`
	Who      string     `json:"who,omitempty"`
	Warnings []string   `json:"warnings,omitempty"` // for a person; only in the answer to a PUT
}
