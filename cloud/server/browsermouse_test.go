package server

import (
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// mouse is in scope of every expression that a tab evaluates, as helpers are.
const mouse = `
// aim is the place of the element at these shares of its width and height, in pixels of the window. It is empty while the
// element is disabled or covered there, or still moves.
const aim = (e, across, down) => {
	if (!shown(e) || e.disabled) return [];
	const at = () => { const r = e.getBoundingClientRect(); return [r.x + r.width * across, r.y + r.height * down]; };
	const inView = ([x, y]) => x >= 0 && y >= 0 && x < innerWidth && y < innerHeight;
	if (window.aimed?.e !== e || !inView(at())) e.scrollIntoView({ block: 'nearest', behavior: 'instant' });
	if (!inView(at())) e.scrollIntoView({ block: 'center', behavior: 'instant' });
	const place = at(), top = document.elementFromPoint(...place);
	const rests = window.aimed?.e === e && window.aimed.place.join() === place.join();
	window.aimed = { e, place, at };
	return rests && !!top && e.contains(top) ? place : [];
};
// guard lets the next click through only if it lands where aim has aimed: the page may move before the click arrives.
const guard = () => {
	const aimed = window.aimed, stop = new AbortController(), shot = { hit: false, end: () => stop.abort() };
	if (!aimed) return false;
	window.shot = shot;
	const lands = (event) => aimed.e.contains(event.target) && (event.type !== 'pointerdown' || aimed.at().join() === aimed.place.join());
	for (const kind of ['pointerdown', 'mousedown', 'pointerup', 'mouseup', 'click']) {
		addEventListener(kind, (event) => {
			shot.hit = lands(event) && kind === 'click';
			if (!lands(event)) { event.preventDefault(); event.stopImmediatePropagation(); }
			if (kind === 'click') stop.abort();
		}, { capture: true, signal: stop.signal });
	}
	return true;
};
`

// click presses the mouse in the middle of the element, once the element is enabled, rests in view and is not covered by
// another one.
func (p *tab) click(element string) { p.t.Helper(); p.clickAt(element, 0.5, 0.5) }

// clickAt clicks at these shares of the width and height of the element. A click that arrives after the page has moved is
// kept from the page and repeated.
func (p *tab) clickAt(element string, across, down float64) {
	p.t.Helper()
	const tries = 20
	for range tries {
		at := p.aim(element, across, down)
		if guarded, err := evaluate[bool](p, "guard()"); err != nil || !guarded {
			continue
		}
		p.must(chromedp.Do(p.ctx, chromedp.MouseClickXY(at[0], at[1])))
		// Without a shot, or without an answer, the click has opened another page.
		if missed, err := evaluate[bool](p, "(window.shot?.end(), !!window.shot && !window.shot.hit)"); err != nil || !missed {
			return
		}
	}
	p.t.Fatalf("%s moves away from each of %d clicks", element, tries)
}

// aim waits until the element can be clicked at these shares of its width and height, and returns that place of the window.
func (p *tab) aim(element string, across, down float64) []float64 {
	p.t.Helper()
	p.until(fmt.Sprintf("aim(%s, %v, %v).length", element, across, down))
	return value[[]float64](p, "window.aimed.place")
}

// drag presses the mouse at one place of the element, moves it to another one and releases it there. The places are shares of
// its width and height.
func (p *tab) drag(element string, across1, down1, across2, down2 float64) {
	p.t.Helper()
	p.aim(element, across1, down1)
	at := value[[]float64](p, "((b) => [b.left, b.top, b.width, b.height])("+element+".getBoundingClientRect())")
	for _, e := range []struct {
		kind         input.DispatchMouseEventType
		across, down float64
	}{{input.DispatchMouseEventTypeMousePressed, across1, down1}, {input.DispatchMouseEventTypeMouseMoved, across2, down2},
		{input.DispatchMouseEventTypeMouseReleased, across2, down2}} {
		_, err := chromedp.Call(p.ctx, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: e.kind,
			X: at[0] + at[2]*e.across, Y: at[1] + at[3]*e.down, Button: input.MouseButtonLeft, Buttons: 1, ClickCount: 1})
		p.must(err)
	}
}

// TestPageKeepsClicks clicks on a button that moves just before the click arrives: the click does not land on what is there
// then, and is repeated.
func TestPageKeepsClicks(t *testing.T) {
	p := startChrome(t).open(screen{width: 800, height: 600})
	p.navigate("about:blank")
	value[bool](p, `((body) => {
		body.innerHTML = '<div id="other" style="height: 300px">0</div><button id="goal" style="position: absolute; left: 0; top: 0">0</button>';
		for (const e of body.children) e.addEventListener('click', () => { e.textContent = 1 + Number(e.textContent); });
		let shot;
		Object.defineProperty(window, 'shot', { get: () => shot, set(v) {
			if (!shot) document.querySelector('#goal').style.left = '400px';
			shot = v;
		} });
		return true;
	})(document.body)`)
	p.click("document.querySelector('#goal')")
	if got := value[string](p, "all('body > *').map((e) => e.id + e.textContent).join(' ')"); got != "other0 goal1" {
		t.Errorf("the clicks are %s, want other0 goal1", got)
	}
}
