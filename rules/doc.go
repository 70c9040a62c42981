// Package rules asks small independent questions of the picture that package
// analyze draws, and reports what is wrong as findings: claims with evidence.
//
// It is pure: rules read the state and the event, keep no memory of their own,
// and never ask a clock.
package rules
