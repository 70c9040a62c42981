// Package report tells findings to people and to programs: as text for a
// terminal and as JSON. Everything in it is a function of findings and an
// io.Writer.
package report
