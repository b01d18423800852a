#!/usr/bin/env bash
# The dependency arrows of the workspace, and that there is one revm, checked with `cargo tree`.
# `forbid PACKAGE FLAGS PATTERN`: no normal or build dependency of PACKAGE matches PATTERN.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0

forbid() {
    local package=$1 flags=$2 pattern=$3 found
    # shellcheck disable=SC2086
    found=$(cargo tree --locked -p "$package" $flags -e normal,build --prefix none --format '{p}' |
        awk 'NR > 1 { print $1 }' | sort -u | grep -xE "$pattern" || true)
    if [ -n "$found" ]; then
        printf '%s must not depend on: %s\n' "$package" "$(tr '\n' ' ' <<<"$found")"
        failed=1
    fi
}

evm='revm.*|op-revm|alloy-evm|alloy-op-evm'
socket='tokio|hyper|reqwest|jsonrpsee.*|alloy-provider|alloy-transport.*'
curve='ark-.*|blst|k256|secp256k1|c-kzg'
outer='mach-devnet|mach-avs-cli|mach-examples|mach-benches'

forbid mach-avs-core "" "mach-.*|$evm|$socket|$curve"
forbid mach-keccak "" "mach-.*|$evm|$socket|$curve"
forbid mach-bls "" "mach-verify|mach-contracts-bindings|mach-prove|mach-node|$outer|$evm|$socket"
forbid mach-verify "--no-default-features" "mach-bls|mach-contracts-bindings|mach-prove|mach-node|$outer|$socket|blst|c-kzg|secp256k1.*|.*-sys"
forbid mach-verify "--all-features" "mach-bls|mach-contracts-bindings|mach-prove|mach-node|$outer"
forbid mach-contracts-bindings "" "mach-bls|mach-verify|mach-prove|mach-node|$outer|$evm"
forbid mach-prove "--no-default-features --features guest" "mach-bls|mach-contracts-bindings|mach-node|$outer|$socket"
forbid mach-prove "--no-default-features --features prover" "mach-.*|$evm|$socket|$curve"
forbid mach-prove "--all-features" "mach-bls|mach-contracts-bindings|mach-node|$outer|hyper|reqwest|jsonrpsee.*|alloy-provider|alloy-transport.*"
forbid mach-node "" "$outer"
forbid mach-devnet "" "mach-bls|mach-contracts-bindings|mach-node|mach-avs-cli|mach-examples|mach-benches"

# Two of them in one program would mean two sets of rules: executors come in one version each.
for package in revm op-revm alloy-evm alloy-op-evm; do
    versions=$(cargo tree --locked --workspace --all-features -e normal,build,dev --prefix none --format '{p}' |
        awk -v name="$package" '$1 == name { print $2 }' | sort -u)
    if [ "$(wc -w <<<"$versions")" -ne 1 ]; then
        printf 'there must be one %s, found: %s\n' "$package" "$(tr '\n' ' ' <<<"$versions")"
        failed=1
    fi
done

# Lints that a member does not inherit are for show. The one crate that calls code for a processor
# found at run time has them all too, with unsafe code denied where the others have it forbidden.
lints() {
    awk -v of="$2" '/^\[/ { in_lints = $0 ~ "^\\[" of "lints\\." ; sub(of, "", $0) } in_lints' "$1" |
        grep -vE '^(#|$)'
}
diff <(lints Cargo.toml "workspace\\." | sed 's/^unsafe_code = "forbid"/unsafe_code = "deny"/') \
    <(lints mach-keccak/Cargo.toml "") || {
    printf 'mach-keccak: lints other than those of the workspace\n'
    failed=1
}
for manifest in */Cargo.toml; do
    case $manifest in fuzz/* | interop/* | guests/* | mach-keccak/*) continue ;; esac
    if ! grep -A1 '^\[lints\]' "$manifest" | grep -q '^workspace = true'; then
        printf '%s does not inherit the lints of the workspace\n' "$manifest"
        failed=1
    fi
done

[ "$failed" -eq 0 ] && echo "arrows: every dependency points the right way"
exit "$failed"
