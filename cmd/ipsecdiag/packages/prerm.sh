#!/bin/sh
# On removal, not on an upgrade (deb: "upgrade", rpm: 1).
set -e
case ${1:-} in upgrade | failed-upgrade | 1) exit 0 ;; esac
[ -d /run/systemd/system ] || exit 0
systemctl stop 'ipsecdiag-watch@*.service' || true
