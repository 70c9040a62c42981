# try-deb.sh DIRECTORY OLDER.deb NEWER.deb: installs, uses, upgrades, removes and
# purges the package in this machine's Debian under an overlay in memory. To be
# run in namespaces of its own, where what it mounts is seen by nobody.
dir=$1 older=$2 newer=$3

fail() { echo "$*" >&2; exit 1; }

mount -t tmpfs tmpfs "$dir"
mkdir "$dir/upper" "$dir/work" "$dir/tree"
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$dir/tree"
mount -t proc proc "$dir/tree/proc"
mount -t tmpfs tmpfs "$dir/tree/run"
mkdir "$dir/tree/run/debs"
cp "$older" "$dir/tree/run/debs/older.deb"
cp "$newer" "$dir/tree/run/debs/newer.deb"

in_tree() { chroot "$dir/tree" env DEBIAN_FRONTEND=noninteractive "$@"; }

in_tree dpkg -i /run/debs/older.deb
[ "$(in_tree dpkg-query -W -f '${Version}' ipsecdiag)" = 1.0 ] || fail "1.0 is not installed"
in_tree ipsecdiag version | grep -q 'ipsecdiag 1\.0' || fail "it is not the version of the package"
in_tree ipsecdiag demo | grep -q '1 error: neighbour discovery and IKE wait for each other' || fail "the demo shows nothing"
in_tree ls /usr/share/man/man8/ipsecdiag-watch.8 /usr/share/bash-completion/completions/ipsecdiag \
	/usr/lib/systemd/system/ipsecdiag-watch@.service /usr/share/ipsecdiag/prometheus/alerts.yml >/dev/null ||
	fail "a file is missing"
in_tree dpkg --verify ipsecdiag || fail "installed files differ from the package's"

echo 'IPSECDIAG_OPTIONS="--metrics 9765"' >"$dir/tree/etc/default/ipsecdiag"
mkdir -p "$dir/tree/var/lib/private/ipsecdiag-watch" "$dir/tree/var/lib/ipsecdiag"
echo plan >"$dir/tree/var/lib/ipsecdiag/1.json"

in_tree dpkg -i /run/debs/newer.deb
in_tree ipsecdiag version | grep -q 'ipsecdiag 1\.1' || fail "the upgrade left the old program"
grep -q 9765 "$dir/tree/etc/default/ipsecdiag" || fail "the upgrade lost what the administrator wrote"

in_tree dpkg -r ipsecdiag
[ ! -e "$dir/tree/usr/bin/ipsecdiag" ] || fail "the program is still there"
[ -e "$dir/tree/etc/default/ipsecdiag" ] || fail "removal took the configuration"

in_tree dpkg -P ipsecdiag
[ ! -e "$dir/tree/etc/default/ipsecdiag" ] || fail "the purge left the configuration"
[ ! -e "$dir/tree/var/lib/private/ipsecdiag-watch" ] || fail "the purge left the service's files"
[ -e "$dir/tree/var/lib/ipsecdiag/1.json" ] || fail "the purge took the way back from what fix applied"
# What the packages changed is in the upper layer; a device there means "removed".
left=$(find "$dir/upper" -name '*ipsecdiag*' ! -type c ! -path '*/var/lib/ipsecdiag*' ! -path '*/var/log/*')
[ -z "$left" ] || fail "the purge left $left"
echo "all of it held"
