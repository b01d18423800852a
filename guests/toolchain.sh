#!/usr/bin/env bash
# Unpacks the compiler that builds the guests: Debian's, with the source of its own library, so that
# no toolchain of a zkVM is needed. It shadows nothing: it lies in a folder of its own.
#
# Exit code 3: this version is not to be had here.
set -euo pipefail
version=1.96.0+dfsg1-1~deb12u2
tools=${MACH_GUEST_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/mach/tools/guest}
packages=(
    "rustc-web=$version" "cargo-web=$version" "libstd-rust-web-1.96=$version"
    "libstd-rust-web-dev=$version" "rust-web-src=$version"
    # Libraries of theirs that not every system has.
    libllvm22 libgit2-1.5 libhttp-parser2.9 libmbedcrypto7 libmbedtls14 libmbedx509-1
)

if [ "$(cat "$tools/version" 2>/dev/null)" = "$version" ]; then
    exit 0
fi
downloads=$(mktemp -d)
trap 'rm -rf "$downloads"' EXIT
# APT drops its rights while it downloads.
chmod 755 "$downloads"
if ! (cd "$downloads" && apt-get download "${packages[@]}" >/dev/null 2>"$downloads/errors"); then
    cat "$downloads/errors" >&2
    echo "guests: rustc-web $version is not to be had here" >&2
    exit 3
fi
mkdir -p "$tools"
for package in "$downloads"/*.deb; do
    dpkg -x "$package" "$tools"
done
echo "$version" >"$tools/version"
