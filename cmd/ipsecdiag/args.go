package main

import (
	"fmt"
	"net"
	"os"

	"github.com/spf13/cobra"

	"ipsecdiag/rules"
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

func completeInterfaces(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	names := []string{"any"}
	interfaces, _ := net.Interfaces()
	for _, i := range interfaces {
		names = append(names, i.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeNetns names the namespaces that `ip netns` made.
func completeNetns(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	entries, _ := os.ReadDir("/run/netns")
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func completeRules(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if len(args) == 0 {
		for _, r := range rules.All {
			names = append(names, cobra.CompletionWithDesc(r.ID, r.Title))
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
