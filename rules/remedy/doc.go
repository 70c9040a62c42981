// Package remedy holds remedies as data: what would be done about a finding,
// computed from the state of a kernel alone, with the inverse of each step, and
// what renders it for people and for other programs. It changes nothing itself.
package remedy
