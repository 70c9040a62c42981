package text

import "strings"

// token is a word, a quoted string or a punctuation mark of a setkey.conf.
type token struct {
	text   string
	line   int
	quoted bool
}

// command is the tokens up to a semicolon, which is not among them.
type command struct {
	tokens     []token
	closed     bool // the semicolon is there
	unbalanced bool // a quotation mark is missing: the rest of the file is a string
}

func (c *command) line() int { return c.tokens[0].line }

// commands splits a setkey.conf (token.l): comments run to the end of the line,
// strings have no escapes, and line ends mean nothing.
func commands(b []byte) []command {
	var out []command
	var c command
	l := lexer{src: string(b), line: 1}
	for {
		t, ok := l.next()
		if !ok {
			break
		}
		if t.text == ";" && !t.quoted {
			if len(c.tokens) > 0 {
				c.closed = true
				out = append(out, c)
			}
			c = command{}
			continue
		}
		c.tokens = append(c.tokens, t)
	}
	if len(c.tokens) > 0 {
		c.unbalanced = l.unbalanced
		out = append(out, c)
	}
	return out
}

type lexer struct {
	src        string
	line       int
	unbalanced bool
}

func (l *lexer) next() (token, bool) {
	l.blank()
	if l.src == "" {
		return token{}, false
	}
	t := token{line: l.line}
	switch l.src[0] {
	case ';':
		t.text = l.take(1)
	case '"':
		end := strings.IndexByte(l.src[1:], '"')
		if l.unbalanced = end < 0; l.unbalanced {
			end = len(l.src) - 1
		}
		t.text, t.quoted = l.src[1:1+end], true
		l.take(min(end+2, len(l.src)))
	default:
		if n := strings.IndexAny(l.src, " \t\r\n;\"#"); n >= 0 {
			t.text = l.take(max(n, 1))
		} else {
			t.text = l.take(len(l.src))
		}
	}
	return t, true
}

// blank skips white space and comments.
func (l *lexer) blank() {
	for l.src != "" {
		switch l.src[0] {
		case ' ', '\t', '\r', '\n':
			l.take(1)
		case '#':
			if n := strings.IndexByte(l.src, '\n'); n >= 0 {
				l.take(n)
			} else {
				l.src = ""
			}
		default:
			return
		}
	}
}

func (l *lexer) take(n int) string {
	s := l.src[:n]
	l.src = l.src[n:]
	l.line += strings.Count(s, "\n")
	return s
}
