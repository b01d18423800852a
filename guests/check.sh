#!/usr/bin/env bash
# Builds the guests again and compares them with what is committed. Where the compiler of the recipe
# is not to be had, it says so and succeeds: the hashes are checked all the same.
set -euo pipefail
cd "$(dirname "$0")"
failed=0

# programs.json says what every file hashes to: executables, and the keys beside them.
listed=$(python3 - <<'PYTHON'
import json
for it in json.load(open("../mach-prove/programs.json")):
    print(it["file"], it["sha256"])
    if "keySha256" in it:
        print(it["file"].removesuffix("elf") + "key", it["keySha256"])
PYTHON
)
while read -r file sha256; do
    if [ "0x$(sha256sum "../$file" | cut -d' ' -f1)" != "$sha256" ]; then
        echo "guests: $file is not what mach-prove/programs.json says" >&2
        failed=1
    fi
done <<<"$listed"

toolchain=0
./toolchain.sh || toolchain=$?
if [ "$toolchain" = 0 ]; then
    for machine in openvm risc0 sp1; do
        built=$(mktemp -d)
        ./build.sh "$machine" "$built"
        for elf in "$built"/*.elf; do
            if ! cmp "$elf" "$machine/$(basename "$elf")"; then
                echo "guests: $machine/$(basename "$elf") is not what its source gives" >&2
                failed=1
            fi
        done
        rm -rf "$built"
    done
elif [ "$toolchain" = 3 ]; then
    echo "guests: skipped building them again, the compiler of the recipe is not to be had" >&2
else
    echo "guests: the compiler of the recipe cannot be unpacked" >&2
    failed=1
fi
exit "$failed"
