package capture

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"ipsecdiag/analyze"
)

// Options that a recording's blocks have (draft sections 3.5, 4.1, 4.2, 4.3).
const (
	optionShbOS       = 3
	optionShbUserappl = 4
	nanosecondTsresol = 9 // 10^-9 s
)

// The recorder's blocks are little endian, whatever the host.
var recordOrder = binary.LittleEndian

// beginBlock starts a block in the scratch buffer; endBlock completes its
// lengths and writes it.
func (r *Recorder) beginBlock(typ uint32) {
	r.scratch = recordOrder.AppendUint32(r.scratch[:0], typ)
	r.scratch = recordOrder.AppendUint32(r.scratch, 0)
}

func (r *Recorder) endBlock() error {
	r.pad()
	length := uint32(len(r.scratch) + 4)
	r.scratch = recordOrder.AppendUint32(r.scratch, length)
	recordOrder.PutUint32(r.scratch[4:], length)
	_, err := r.w.Write(r.scratch)
	return err
}

// pad fills the block up to a multiple of four.
func (r *Recorder) pad() {
	for len(r.scratch)%4 != 0 {
		r.scratch = append(r.scratch, 0)
	}
}

func (r *Recorder) u16(v uint16) { r.scratch = recordOrder.AppendUint16(r.scratch, v) }
func (r *Recorder) u32(v uint32) { r.scratch = recordOrder.AppendUint32(r.scratch, v) }

func (r *Recorder) option(code uint16, value string) {
	if value == "" {
		return
	}
	value = value[:min(len(value), 1<<15)]
	r.u16(code)
	r.u16(uint16(len(value)))
	r.scratch = append(r.scratch, value...)
	r.pad()
}

func (r *Recorder) endOptions() { r.u32(0) }

// writeSection writes the section header. The buffer takes it, so there is no
// error to tell yet.
func (r *Recorder) writeSection() {
	r.beginBlock(blockSection)
	r.u32(byteOrderMagic)
	r.u16(1) // version 1.0
	r.u16(0)
	r.u32(0xffffffff) // the section's length is not known
	r.u32(0xffffffff)
	if r.options.Kernel != "" {
		r.option(optionShbOS, "Linux "+r.options.Kernel)
	}
	r.option(optionShbUserappl, "ipsecdiag "+r.options.Version)
	r.endOptions()
	_ = r.endBlock() // bufio keeps the error for the flush
}

// face returns the number of an interface, describing it when it is first seen.
func (r *Recorder) face(o analyze.Origin, link analyze.LinkType) (uint32, error) {
	if len(r.faces) == 0 {
		r.link = link
	}
	if link != r.link {
		return 0, fmt.Errorf("%w: %d on %s, %d before", ErrMixedLinks, link, o, r.link)
	}
	if id, ok := r.faces[o]; ok {
		return id, nil
	}
	id := len(r.faces)
	if id >= maxFaces {
		return 0, fmt.Errorf("more than %d interfaces", maxFaces)
	}
	if o.Host != r.options.Host || o.Netns != r.options.Netns {
		message := fmt.Sprintf("interface %d is %s", id, analyze.Printable(o.String()))
		if err := r.writeJSON(fieldInterface, recordedInterface{id, o}, message, r.at); err != nil {
			return 0, err
		}
	}
	r.faces[o] = uint32(id)
	return uint32(id), r.writeInterface(o.Interface, link)
}

func (r *Recorder) writeInterface(name string, link analyze.LinkType) error {
	r.beginBlock(blockInterface)
	r.u16(uint16(link))
	r.u16(0)
	r.u32(maxCaptured) // libpcap wants it the same for all interfaces
	r.option(optionIfName, name)
	r.option(optionIfTsresol, string([]byte{nanosecondTsresol}))
	r.endOptions()
	return r.endBlock()
}

func (r *Recorder) writeFrame(id uint32, f *analyze.Frame) error {
	data := f.Data[:min(len(f.Data), maxCaptured)]
	at := uint64(f.Time.UnixNano())
	r.beginBlock(blockEnhanced)
	r.u32(id)
	r.u32(uint32(at >> 32))
	r.u32(uint32(at))
	r.u32(uint32(len(data)))
	r.u32(uint32(max(f.OrigLen, len(data))))
	r.scratch = append(r.scratch, data...)
	r.pad()
	r.u16(optionFlags)
	r.u16(4)
	r.u32(uint32(f.Direction))
	r.endOptions()
	return r.endBlock()
}

// writeEvent writes an event, or one part of it, as a journal block.
func (r *Recorder) writeEvent(e analyze.Event, blob []byte, part recordedPart) error {
	message, at := analyze.Describe(e), e.Head().Time.UnixNano()
	if part.Of == 1 {
		r.beginJournal(message, at)
	} else {
		value, err := json.Marshal(part)
		if err != nil {
			return err
		}
		r.beginJournal(fmt.Sprintf("%s (part %d of %d)", message, part.Index, part.Of), at)
		r.scratch = appendField(r.scratch, fieldPart, string(value))
	}
	r.scratch = appendField(r.scratch, fieldEvent, string(blob))
	return r.endJournal()
}

// writeJSON writes a journal block of the recording's own.
func (r *Recorder) writeJSON(field string, value any, message string, at int64) error {
	blob, err := json.Marshal(value)
	if err != nil {
		return err
	}
	r.beginJournal(message, at)
	r.scratch = appendField(r.scratch, field, string(analyze.PlainJSON(blob)))
	return r.endJournal()
}

func (r *Recorder) beginJournal(message string, at int64) {
	r.beginBlock(blockJournal)
	b := appendTimestamp(r.scratch, at)
	b = appendField(b, "PRIORITY", "6") // informational
	b = appendField(b, "SYSLOG_IDENTIFIER", "ipsecdiag")
	b = appendField(b, "_HOSTNAME", r.options.Host)
	r.scratch = appendField(b, "MESSAGE", message)
}

func (r *Recorder) endJournal() error {
	r.number++
	return r.endBlock()
}
