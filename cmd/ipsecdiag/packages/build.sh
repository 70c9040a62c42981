#!/bin/sh
# build.sh OUT makes the packages of this commit for amd64 and arm64: .deb, .rpm,
# a tar with the program, an SBOM, checksums. The same commit gives the same
# bytes. Run by make packages, which says which versions of the tools to use.
# VERSION and ARCHES say what else to call it, and for what else to build.
set -eu
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")"
go=${GO:-go}
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
umask 022
export LC_ALL=C TZ=UTC

SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
commit=$(git describe --tags --always --dirty)
case $commit in
v[0-9]*) version=${commit#v} ;;
*) version=0.$(date -d "@$SOURCE_DATE_EPOCH" +%Y%m%d)+g$commit ;; # no release yet
esac
built=$(date -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
version=${VERSION:-$version}
export SOURCE_DATE_EPOCH

# program ARCH: the static binary, in $stage/bin.
program() {
	CGO_ENABLED=0 GOOS=linux GOARCH=$1 GOFLAGS= $go build -trimpath -buildvcs=false \
		-ldflags "-s -w -buildid= -X main.version=$version" -o "$stage/bin/ipsecdiag" ..
}

# texts: what is the same on every machine; the program for this one writes it.
texts() {
	CGO_ENABLED=0 GOFLAGS= $go build -trimpath -buildvcs=false -ldflags "-X main.version=$version" -o "$stage/here" ..
	CGO_ENABLED=0 GOFLAGS= $go run -tags man -trimpath -buildvcs=false -ldflags "-X main.version=$version" .. man "$stage/man"
	mkdir -p "$stage/completions"
	"$stage/here" completion bash >"$stage/completions/ipsecdiag.bash"
	"$stage/here" completion zsh >"$stage/completions/_ipsecdiag"
	"$stage/here" completion fish >"$stage/completions/ipsecdiag.fish"
	cp ../../../LICENSE "$stage/copyright"
	GOFLAGS= $SBOM bin -json -noserial -version "$version" -output "$stage/sbom.raw" "$stage/here"
	# The only thing in it that differs from run to run.
	sed "s/\"timestamp\": \"[^\"]*\"/\"timestamp\": \"$built\"/" "$stage/sbom.raw" >"$stage/sbom.json"
}

# package FORMAT ARCH ZSH-DIRECTORY.
package() {
	sed "s|@ARCH@|$2|; s|@VERSION@|$version|; s|@STAGE@|$stage|; s|@ZSH@|$3|" nfpm.yaml >"$stage/nfpm.yaml"
	$NFPM package --config "$stage/nfpm.yaml" --packager "$1" --target "$out/"
}

# tarball ARCH: the program, its texts and the service, for hosts without
# packages.
tarball() {
	dir=ipsecdiag-$version-linux-$1
	mkdir -p "$stage/$dir"
	cp -r "$stage/bin/ipsecdiag" "$stage/man" "$stage/completions" "$stage/sbom.json" \
		../../../LICENSE ipsecdiag-watch@.service default alerts.yml "$stage/$dir/"
	tar -C "$stage" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf - "$dir" |
		gzip -9n >"$out/$dir.tar.gz"
}

texts
for arch in ${ARCHES:-amd64 arm64}; do
	program $arch
	package deb $arch /usr/share/zsh/vendor-completions
	package rpm $arch /usr/share/zsh/site-functions
	tarball $arch
done
cp "$stage/sbom.json" "$out/ipsecdiag-$version.sbom.json"
(cd "$out" && sha256sum -- *.deb *.rpm *.tar.gz *.sbom.json >SHA256SUMS)
ls -l "$out"
