// Package apply carries remedies out and takes them back.
//
// A plan is applied whole or not at all. Before each step a journal says what is
// about to be done, and is on the disk before the kernel is asked: so another
// process, after a crash too, can restore what was there. What somebody else has
// changed in the meantime is left alone, and named.
//
// The journal holds no keys. They are handed from the key file to the kernel.
package apply
