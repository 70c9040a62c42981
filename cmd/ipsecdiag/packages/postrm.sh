#!/bin/sh
set -e
[ ! -d /run/systemd/system ] || systemctl daemon-reload || true
[ "${1:-}" = purge ] || exit 0
# Recordings of the service go with a purge.
rm -rf /var/lib/private/ipsecdiag-watch
rm -f /var/lib/ipsecdiag-watch
# The journal of fix is the way back from what stands in the kernel: it goes only
# when it is empty.
if [ -d /var/lib/ipsecdiag ] && ! rmdir /var/lib/ipsecdiag 2>/dev/null; then
	echo "ipsecdiag: /var/lib/ipsecdiag stays: it tells how to take back what \"ipsecdiag fix\" applied" >&2
fi
