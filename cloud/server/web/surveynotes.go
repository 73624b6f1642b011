package web

import (
	"fmt"
	"strings"

	"cattlecounter/shared/wire"
)

// surveyNotes says what a survey does not know.
func surveyNotes(v wire.Survey, paddocks bool) (out []wire.SurveyNote) {
	unplaced, animals, untimed := 0, 0, 0
	for _, p := range v.Parts {
		if p.Placed == 0 && p.Unique > 0 {
			unplaced++
			animals += p.Unique
		}
		if p.Captured == nil {
			untimed++
		}
	}
	if len(v.Parts) == 0 {
		out = append(out, wire.SurveyNote{Code: wire.NoteNoCounts})
	}
	if !paddocks {
		out = append(out, wire.SurveyNote{Code: wire.NoteNoPaddock})
	}
	if unplaced > 0 {
		out = append(out, wire.SurveyNote{Code: wire.NoteUnplaced, Count: unplaced, Of: len(v.Parts), Animals: animals})
	}
	if untimed > 0 {
		out = append(out, wire.SurveyNote{Code: wire.NoteUntimed, Count: untimed})
	}
	var part []string
	for _, p := range v.Paddocks {
		if p.Seen < 0.95 {
			part = append(part, fmt.Sprintf("%s %.0f %%", p.Name, 100*p.Seen))
		}
	}
	if len(part) > 0 {
		out = append(out, wire.SurveyNote{Code: wire.NotePartSeen, Names: part})
	}
	return out
}

// warningsOf are the notes of a survey as sentences.
func warningsOf(v wire.Survey) []string {
	out := []string{}
	for _, n := range v.Notes {
		out = append(out, warningOf(v, n))
	}
	return out
}

// warningOf is a note as a sentence.
func warningOf(v wire.Survey, n wire.SurveyNote) string {
	switch n.Code {
	case wire.NoteNoCounts:
		return "no count of the site is in this survey"
	case wire.NoteNoPaddock:
		return "the site has no paddocks; set them with PUT /api/v1/sites/" + v.Site + "/paddocks"
	case wire.NoteUnplaced:
		return fmt.Sprintf("%d of %d pieces of footage have no positions; their %d animals are in no paddock, and may be "+
			"counted twice", n.Count, n.Of, n.Animals)
	case wire.NoteUntimed:
		return fmt.Sprintf("the time of %d pieces of footage is not known; their animals may be counted twice", n.Count)
	case wire.NotePartSeen:
		return "not wholly seen: " + firstOf(n.Names)
	case wire.NoteSeenAgain:
		return fmt.Sprintf("%d animals stood on ground that a later flight saw again; the later flight counts", n.Animals)
	case wire.NoteUnknown:
		quoted := make([]string, len(n.Names))
		for i, name := range n.Names {
			quoted[i] = fmt.Sprintf("%.64q", name)
		}
		return "the book has paddocks that the site does not have: " + firstOf(quoted)
	}
	return n.Code
}

// firstOf lists the first of many names.
func firstOf(names []string) string {
	const most = 10
	text := strings.Join(names[:min(len(names), most)], ", ")
	if n := len(names) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}
