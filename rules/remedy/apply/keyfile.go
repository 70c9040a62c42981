package apply

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"ipsecdiag/analyze/spd/secret"
	"ipsecdiag/rules/remedy"
)

// maxKeyFile bounds a key file: a pair of hosts has eight keys at most.
const maxKeyFile = 64 << 10

// keyFileHead is the first line of a key file.
const keyFileHead = "# Keys of IPsec SAs, for ipsecdiag fix. Whoever reads them reads the traffic.\n"

// WriteKeys writes a key file: one line for each key, its name and the key in
// hexadecimal. It has mode 0400. See WriteFile.
func WriteKeys(name string, keys remedy.Keyring, force bool) error {
	b := make([]byte, 0, maxKeyFile) // room for all of it: growth would leave copies behind
	defer func() { clear(b[:cap(b)]) }()
	b = append(b, keyFileHead...)
	for _, ref := range slices.Sorted(maps.Keys(keys)) {
		key := keys[ref].Reveal()
		b = append(append(b, ref...), " 0x"...)
		b = append(hex.AppendEncode(b, key), '\n')
		clear(key)
	}
	return WriteFile(name, b, 0o400, force)
}

// WriteFile makes a file with that content and mode, whole or not at all. A file
// of that name is an error, fs.ErrExist, unless force is set: then it is
// replaced, a link by the file and not what it leads to.
func WriteFile(name string, content []byte, mode fs.FileMode, force bool) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	put := os.Link // fails where the name is taken, whatever by
	if force {
		put = os.Rename
	}
	if err := put(f.Name(), name); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s %w; --force overwrites it", name, errStands)
	} else if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return syncDir(filepath.Dir(name))
}

// errStands is fs.ErrExist in our words.
var errStands error = standsError{}

type standsError struct{}

func (standsError) Error() string        { return "exists already" }
func (standsError) Is(target error) bool { return target == fs.ErrExist }

// ReadKeys reads a key file: lines of a name and a key, with a blank or an equals
// sign between. It must be its owner's alone. Errors name the line and say
// nothing of the keys.
func ReadKeys(name string) (remedy.Keyring, error) {
	b, err := readOwn(name, maxKeyFile)
	defer clear(b)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	keys := remedy.Keyring{}
	n := 0
	for line := range bytes.Lines(b) {
		n++
		f := bytes.FieldsFunc(line, func(r rune) bool { return r == '=' || r == ' ' || r == '\t' || r == '\n' || r == '\r' })
		if len(f) == 0 || f[0][0] == '#' {
			continue
		}
		if len(f) != 2 {
			return nil, fmt.Errorf("read keys: %s, line %d: want a name and a key", name, n)
		}
		ref := remedy.KeyRef(f[0])
		if _, twice := keys[ref]; twice {
			return nil, fmt.Errorf("read keys: %s, line %d: a second key of that name", name, n)
		}
		digits, hexadecimal := bytes.CutPrefix(f[1], []byte("0x"))
		key := make([]byte, hex.DecodedLen(len(digits)))
		if _, err := hex.Decode(key, digits); err != nil || !hexadecimal || len(key) == 0 {
			clear(key)
			return nil, fmt.Errorf("read keys: %s, line %d: not a key in hexadecimal, 0x…", name, n)
		}
		keys[ref] = secret.New(key)
		clear(key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("read keys: %s holds no key", name)
	}
	return keys, nil
}
