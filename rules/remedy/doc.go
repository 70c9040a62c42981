// Package remedy holds remedies as data: what would be done about a finding,
// and the command that does it. It changes nothing itself.
package remedy
