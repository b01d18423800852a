#!/usr/bin/env bash
# build.sh MACHINE FOLDER [phases]: builds the guests for MACHINE (openvm, risc0, sp1) into FOLDER; with `phases`, not
# for SP1, a guest `block` that tells what its parts take, for measuring.
#
# The same source gives the same bytes on every computer: the sources are copied to one fixed path,
# since cargo hashes the absolute path of what lies outside of a workspace into the names of symbols,
# and the paths of the registry and of the library are mapped to fixed names.
set -euo pipefail
machine=$1
features=$1${3:+,$3}
mkdir -p "$2"
folder=$(realpath "$2")
cd "$(dirname "$0")"
./toolchain.sh
tools=${MACH_GUEST_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/mach/tools/guest}
registry=${CARGO_HOME:-$HOME/.cargo}/registry/src
# The linker comes with the compiler that the repository pins.
linker=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld

fixed=/tmp/mach-guests
target=/tmp/mach-guests-target
rm -rf "$fixed"
mkdir -p "$fixed"
cp ../Cargo.toml "$fixed/"
for crate in guests mach-core mach-keccak mach-verify mach-prove; do
    mkdir "$fixed/$crate"
    cp -r "../$crate/Cargo.toml" "../$crate/README.md" "../$crate/src" "$fixed/$crate/"
done
cp Cargo.lock riscv64im-succinct-zkvm-elf.json "$fixed/guests/"

# What RISC Zero's own build sets: its machine has this instruction.
export RISC0_FEATURE_bigint2=1
export LD_LIBRARY_PATH=$tools/usr/lib/x86_64-linux-gnu RUSTC=$tools/usr/bin/rustc RUSTC_BOOTSTRAP=1
unset RUSTUP_TOOLCHAIN CARGO RUSTFLAGS RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER
case $machine in
sp1) # 64 bits, which rustc has no target for; the stack lies below the program.
    target_name=riscv64im-succinct-zkvm-elf
    target_flags=(-Zjson-target-spec --target "$target_name.json")
    base=--image-base=0x78000000
    ;;
*)
    target_name=riscv32im-risc0-zkvm-elf
    target_flags=(--target "$target_name")
    base=-Ttext=0x00200800
    ;;
esac
flags=(
    -C passes=lower-atomic
    -C "link-arg=$base"
    -C panic=abort
    -C "linker=$linker"
    --cfg 'getrandom_backend="custom"'
    "--remap-path-prefix=$fixed=/mach"
    "--remap-path-prefix=$target=/target"
    "--remap-path-prefix=$registry=/registry"
    "--remap-path-prefix=$tools/usr=/rust"
)
CARGO_ENCODED_RUSTFLAGS=$(printf '%s\x1f' "${flags[@]}")
export CARGO_ENCODED_RUSTFLAGS=${CARGO_ENCODED_RUSTFLAGS%$'\x1f'}
cd "$fixed/guests"
"$tools/usr/bin/cargo" build --locked --release --features "$features" --target-dir "$target" \
    "${target_flags[@]}" \
    -Zbuild-std=core,alloc,proc_macro,panic_abort,std -Zbuild-std-features=compiler-builtins-mem
for program in block output; do
    cp "$target/$target_name/release/$program" "$folder/$program.elf"
done
