package live

import (
	"context"
	"errors"
	"io"
	"os"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// frames bounds how often a second the terminal is written to: enough for a key
// to be felt, few enough for a slow line.
const frames = 10

// Terminal is where the view is drawn.
type Terminal struct {
	In    io.Reader // nil where standard input is something else: then the terminal itself is opened
	Out   io.Writer
	Color bool
	// Profile are the colours that it knows. Nil: that is found out, for which
	// files are read and programs run.
	Profile *colorprofile.Profile
}

// Profile finds out which colours a terminal knows.
func Profile(out io.Writer) *colorprofile.Profile {
	p := colorprofile.Detect(out, os.Environ())
	return &p
}

// Run shows the view until it is left or the context ends. The terminal is then
// as it was before.
func Run(ctx context.Context, m *Model, t Terminal) error {
	o := []tea.ProgramOption{
		tea.WithContext(ctx), tea.WithOutput(t.Out), tea.WithFPS(frames), tea.WithoutSignalHandler(),
	}
	if t.In != nil {
		o = append(o, tea.WithInput(t.In))
	}
	switch {
	case !t.Color:
		o = append(o, tea.WithColorProfile(colorprofile.Ascii))
	case t.Profile != nil:
		o = append(o, tea.WithColorProfile(*t.Profile))
	}
	_, err := tea.NewProgram(m, o...).Run()
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil
	}
	return err
}
