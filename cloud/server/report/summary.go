package report

import (
	"fmt"
	"strings"

	"cattlecounter/shared/wire"
)

const (
	mostNotes = 6  // lines of notes on the first page
	mostNames = 10 // of paddocks in a note
)

// summary begins the first page: what was counted, and the number with its interval.
func (d *drawing) summary() {
	r := &d.in.Report
	v := &r.Survey
	d.font(18, true, black)
	d.put(margin, margin+6, d.width, d.say(wTitle))
	d.font(13, false, black)
	kind := map[string]word{"flight": wFlight, "footage": wFootage}[r.Of] // the zero value is the title
	what := d.say(wSurvey)
	if kind != 0 {
		what = d.say(kind)
	}
	title := d.name(v.Site) + " · " + what
	if v.Name != "" {
		title += " " + d.name(v.Name)
	}
	d.put(margin, margin+13, d.width, title)
	d.font(full, false, gray)
	d.put(margin, margin+18.5, d.width, strings.Join(d.origin(), " · "))
	d.pdf.SetY(margin + 22)
	d.font(30, true, black)
	number := d.number(v.Unique)
	d.put(margin, margin+35, d.width, number)
	x := margin + d.pdf.GetStringWidth(number) + 4
	d.font(12, false, black)
	d.put(x, margin+30, d.width, d.say(wAnimals))
	d.put(x, margin+35, d.width, fmt.Sprintf(d.say(wInterval), d.number(v.Low), d.number(v.High)))
	d.pdf.SetY(margin + 39)
	d.font(full, false, black)
	if e := v.Expected; e != nil {
		text := fmt.Sprintf(d.say(wBook), d.number(e.Animals), d.verdict(e)) + "."
		if e.Difference != nil {
			text += " " + fmt.Sprintf(d.say(wDifference), d.signed(*e.Difference))
		}
		d.flow(text, line)
	}
	d.font(full, false, gray)
	d.flow(fmt.Sprintf(d.say(wPlaced), d.number(v.Placed), d.number(v.Unique), d.number(v.Double), d.number(v.Outside))+" "+
		fmt.Sprintf(d.say(wZone), d.in.Report.Zone), line)
	d.notes()
}

// origin says when the footage was recorded and who selected it.
func (d *drawing) origin() (out []string) {
	v := &d.in.Report.Survey
	switch {
	case v.From != nil && v.To != nil:
		out = append(out, fmt.Sprintf(d.say(wBetween), d.moment(*v.From), d.moment(*v.To)))
	case len(v.Parts) > 0 && v.Parts[0].Captured != nil:
		first, last := d.moment(*v.Parts[0].Captured), ""
		if p := v.Parts[len(v.Parts)-1]; p.Captured != nil {
			last = d.moment(*p.Captured)
		}
		if last != "" && last != first {
			first += " – " + last
		}
		out = append(out, fmt.Sprintf(d.say(wRecorded), first))
	}
	if v.Who != "" {
		out = append(out, fmt.Sprintf(d.say(wMadeBy), d.name(v.Who)))
	}
	return out
}

// notes lists what the survey does not know.
func (d *drawing) notes() {
	list := d.in.Report.Survey.Notes
	if len(list) == 0 {
		return
	}
	d.font(full, true, red)
	d.pdf.SetY(d.pdf.GetY() + 1)
	d.flow(d.say(wNotes), line)
	d.font(full, false, black)
	for _, n := range list[:min(len(list), mostNotes)] {
		d.flow("– "+d.note(n), line)
	}
}

func (d *drawing) note(n wire.SurveyNote) string {
	names := make([]string, 0, mostNames)
	for _, name := range n.Names[:min(len(n.Names), mostNames)] {
		names = append(names, d.short(name, 60))
	}
	text := strings.Join(names, ", ")
	if more := len(n.Names) - len(names); more > 0 {
		text += " + " + d.number(more)
	}
	sentence := notes[d.in.Lang][n.Code]
	if sentence == "" {
		sentence = n.Code + " {names}"
	}
	return strings.NewReplacer("{count}", d.number(n.Count), "{of}", d.number(n.Of), "{animals}", d.number(n.Animals),
		"{names}", text).Replace(sentence)
}

// short is a name of at most n characters.
func (d *drawing) short(s string, n int) string {
	r := []rune(d.name(s))
	if len(r) <= n {
		return string(r)
	}
	return string(r[:n-1]) + "…"
}

func (d *drawing) verdict(e *wire.Expected) string {
	text := verdicts[d.in.Lang][e.Verdict]
	if text == "" {
		return e.Verdict
	}
	return text
}
