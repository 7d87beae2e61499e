#!/bin/sh
# Installs those of the given Debian packages that are missing.
#
#	deps.sh PACKAGE...
#
# Silent and without network when all are there. Works as root and through sudo. The package lists
# are fetched only when an install without that failed.
set -eu

if ! command -v dpkg-query >/dev/null; then
	cat >&2 <<EOM
This is no Debian system, so nothing can be installed by itself. Needed are these Debian
packages, or what your system calls them:
  $*
Install them and run the target again with DEPS= (make DEPS= ...) to pass over this step.
EOM
	exit 1
fi

missing=
for package in "$@"; do
	state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "Missing packages, and neither root nor sudo to install them. As root:" >&2
		echo "  apt-get install$missing" >&2
		exit 1
	fi
	as_root=sudo
fi

install_missing()
{
	# shellcheck disable=SC2086 # the lists are words on purpose
	$as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends $missing
}

echo "installing:$missing"
install_missing || { $as_root apt-get update && install_missing; }
