//go:build !cgo

package confine

// builtWithCgo is set where the C library is part of the program, as go run and go
// build make it where there is a C compiler.
const builtWithCgo = false
