#!/usr/bin/env bash
# Unpacks the compiler that builds the guests: Debian's, with the source of its own library, so that
# no toolchain of a zkVM is needed. It shadows nothing: it lies in a folder of its own.
#
# Exit code 3: this version is not to be had here, since the system is another one or has moved on. Whatever
# else fails is a failure.
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
if ! command -v apt-get >/dev/null; then
    echo "guests: no Debian, and rustc-web is a package of it" >&2
    exit 3
fi
# Old lists name what the archive has no more, and lack what is new there.
[ "$(id -u)" != 0 ] || apt-get update -qq
if [ -z "$(apt-cache show "rustc-web=$version" 2>/dev/null)" ]; then
    echo "guests: rustc-web $version is not to be had here" >&2
    exit 3
fi
downloads=$(mktemp -d)
trap 'rm -rf "$downloads"' EXIT
(cd "$downloads" && apt-get -o APT::Sandbox::User=root download -qq "${packages[@]}")
mkdir -p "$tools"
for package in "$downloads"/*.deb; do
    dpkg -x "$package" "$tools"
done
echo "$version" >"$tools/version"
