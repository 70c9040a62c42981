package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ipsecdiag/rules"
	"ipsecdiag/rules/report"
	"ipsecdiag/rules/terms"
)

// needsFile rejects a command line without files.
func needsFile(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%s needs a capture file, or - for standard input", cmd.Name())
	}
	return nil
}

// needsInterface rejects a command line without interfaces.
func needsInterface(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%s needs an interface, or any for all of them", cmd.Name())
	}
	return nil
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no arguments: %q", cmd.Name(), args[0])
	}
	return nil
}

func completeFormat(cmd *cobra.Command) {
	completeFlag(cmd, "format", formats)
}

// completeFlag tells the shell the values of a flag. It fails only for a flag
// that does not exist.
func completeFlag(cmd *cobra.Command, flag string, values []string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err)
	}
}

// completeInterfaces names the interfaces of this host, or of the namespace that
// --netns names if that may be entered, and not those given already, nor any whose
// name a terminal might obey.
func completeInterfaces(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	add := func(name string) {
		if !slices.Contains(args, name) && report.Clean(name) == name {
			names = append(names, name)
		}
	}
	if len(args) == 0 {
		add("any")
	}
	for _, name := range interfacesIn(cmd.Flag("netns").Value.String()) {
		add(name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeNothing is for commands without arguments: else a shell would offer
// files.
func completeNothing(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// completeNetns names the namespaces that `ip netns` made.
func completeNetns(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	entries, _ := os.ReadDir("/run/netns")
	for _, e := range entries {
		if name := e.Name(); report.Clean(name) == name {
			names = append(names, name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeExplained names the rules and terms that begin with what was typed,
// in capitals or not.
func completeExplained(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	var names []string
	add := func(name, what string) {
		name = strings.ReplaceAll(name, " ", "-")
		if len(name) >= len(typed) && strings.EqualFold(name[:len(typed)], typed) {
			names = append(names, cobra.CompletionWithDesc(typed+name[len(typed):], what))
		}
	}
	if len(args) == 0 {
		for _, r := range rules.All {
			add(r.ID, r.Title)
		}
		for _, t := range terms.All {
			add(t.Name, t.Short)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// netnsFlag gives a command the flag --netns.
func netnsFlag(cmd *cobra.Command, value *string) {
	cmd.Flags().StringVar(value, "netns", "", "look into this namespace (`NAME` of ip netns, or path)")
	if err := cmd.RegisterFlagCompletionFunc("netns", completeNetns); err != nil {
		panic(err)
	}
}
