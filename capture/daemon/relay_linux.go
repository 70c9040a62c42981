package daemon

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
)

// Packets of vici that are sent to the daemon, by their type (strongSwan,
// src/libcharon/plugins/vici/README.md, "Protocol").
const (
	packetRequest    = 0
	packetRegister   = 3
	packetUnregister = 4
	keyValue         = 3 // an element of a message
)

// Commands that tell something and change nothing, and the events by which two of
// them are answered.
const (
	askVersion, askConns, askSAs = "version", "list-conns", "list-sas"
	tellConn, tellSA             = "list-conn", "list-sa"
)

// questions are all packets that strongSwan is ever sent, each whole, with its
// length.
var questions = allQuestions()

func allQuestions() map[string]bool {
	all := map[string]bool{}
	add := func(kind byte, name string, body ...byte) {
		p := append([]byte{kind, byte(len(name))}, name...)
		p = append(p, body...)
		all[string(binary.BigEndian.AppendUint32(nil, uint32(len(p))))+string(p)] = true
	}
	add(packetRequest, askVersion)
	add(packetRequest, askConns)
	add(packetRequest, askSAs, slices.Concat([]byte{keyValue, byte(len("noblock"))}, []byte("noblock"), []byte{0, byte(len("yes"))}, []byte("yes"))...)
	for _, event := range append([]string{tellConn, tellSA}, viciEvents...) {
		add(packetRegister, event)
		add(packetUnregister, event)
	}
	return all
}

// maxQuestion is the length of the longest question, without that of the length.
var maxQuestion = func() (most uint32) {
	for q := range questions {
		most = max(most, uint32(len(q)-4))
	}
	return most
}()

// Relay stands between strongSwan and whoever asks it, until one of them ends; then
// both connections are closed. The daemon's words are handed on unread. Of the
// other side's, those packets pass that are known by heart as questions, byte by
// byte: vici also takes commands, and who may give them rules over the daemon, and
// by a connection's updown script over the host. Any other packet ends it, and is
// the error.
func Relay(asker, daemon net.Conn) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(asker, daemon) // who reads it sees that it ends
		asker.Close()
		daemon.Close()
	}()
	err := passQuestions(daemon, asker)
	asker.Close()
	daemon.Close()
	<-done
	return err
}

// passQuestions hands questions on until one side ends.
func passQuestions(to io.Writer, from io.Reader) error {
	buffer := make([]byte, 4+maxQuestion)
	for {
		if _, err := io.ReadFull(from, buffer[:4]); err != nil {
			return nil
		}
		n := binary.BigEndian.Uint32(buffer)
		if n > maxQuestion {
			return fmt.Errorf("%w: a packet of %d bytes", errNoQuestion, n)
		}
		packet := buffer[:4+n]
		if _, err := io.ReadFull(from, packet[4:]); err != nil {
			return nil
		}
		if !questions[string(packet)] {
			return fmt.Errorf("%w: %q", errNoQuestion, packet[4:])
		}
		if _, err := to.Write(packet); err != nil {
			return nil
		}
	}
}

// errNoQuestion says that somebody has tried to do more than ask.
var errNoQuestion = errors.New("strongSwan was to be sent what is no question of ours")
