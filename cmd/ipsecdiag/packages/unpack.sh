#!/bin/sh
# unpack.sh PACKAGE DIRECTORY unpacks a Debian package without installing it.
set -eu
mkdir -p "$2"
work=$(mktemp -d "$2.XXXXXX")
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get download -q "$1")
dpkg -x "$work"/*.deb "$2"
