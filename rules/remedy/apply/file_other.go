//go:build !unix

package apply

import (
	"context"
	"errors"
	"os"
)

const noFollow = 0

var errNeedsUnix = errors.New("a journal needs Linux")

func checkDir(string) error { return errNeedsUnix }

func openOwn(string, int) (*os.File, error) { return nil, errNeedsUnix }

func readOwn(string, int64) ([]byte, error) { return nil, errNeedsUnix }

func (j *Journal) lock(context.Context) (func(), error) { return nil, errNeedsUnix }
