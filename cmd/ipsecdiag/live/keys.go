package live

import "charm.land/bubbles/v2/key"

// keys are the view's keys; the same key does the same on every screen.
var keys = struct {
	up, down, pageUp, pageDown, top, bottom, left, right key.Binding

	open, finding, next, explain, filter, record, help, back, quit, suspend key.Binding
}{
	up:       bind("↑ ↓ k j", "move", "up", "k"),
	down:     bind("", "", "down", "j"),
	pageUp:   bind("PgUp PgDn", "move by a page; also b and Space", "pgup", "b"),
	pageDown: bind("", "", "pgdown", "space"),
	top:      bind("Home End", "to the top, to the end; also g and G", "home", "g"),
	bottom:   bind("", "", "end", "G"),
	left:     bind("← →", "to the sides of long lines", "left", "h"),
	right:    bind("", "", "right", "l"),
	open:     bind("Enter", "open: a pair's ladder, an arrow's message", "enter"),
	finding:  bind("f", "finding, with its evidence and what to do", "f"),
	next:     bind("Tab n", "next finding of this pair", "tab", "n"),
	explain:  bind("e", "explain the rule behind a finding", "e"),
	filter:   bind("/", "filter the list by words: address, rule, state", "/"),
	record:   bind("w", "start or stop recording to a file", "w"),
	help:     bind("?", "these keys", "?"),
	back:     bind("Esc q", "back", "esc", "q", "backspace"),
	quit:     bind("q", "quit, from the list; Ctrl-C from anywhere", "ctrl+c"),
	suspend:  bind("Ctrl-Z", "suspend", "ctrl+z"),
}

func bind(shown, does string, names ...string) key.Binding {
	return key.NewBinding(key.WithKeys(names...), key.WithHelp(shown, does))
}
