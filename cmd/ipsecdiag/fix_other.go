//go:build !linux

package main

import "ipsecdiag/capture/kernel"

const initNamespace = ""

func guardSecrets() error { return kernel.ErrNeedsLinux }

func detach(string, []string, string) error { return kernel.ErrNeedsLinux }

func findNamespace(string) (string, bool) { return "", false }

func findHolder(string) (string, bool) { return "", false }
