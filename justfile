# `just` lists the recipes; `just check` is what has to be green before every commit.

set shell := ["bash", "-euo", "pipefail", "-c"]

[private]
default:
    @just --list

# Everything below, in the order in which it fails fastest
check: fmt workflows arrows deny clippy test doc artifacts

# Formatting
fmt:
    cargo fmt --all --check

# Lints, warnings denied
clippy:
    cargo clippy --locked --workspace --all-targets -- -D warnings
    cargo clippy --locked -p mach-verify --no-default-features -- -D warnings
    cargo clippy --locked -p mach-prove --no-default-features --features guest -- -D warnings
    cargo clippy --locked -p mach-prove --no-default-features --features prover -- -D warnings
    cargo clippy --locked -p mach-bls --no-default-features --all-targets -- -D warnings

# Unit, integration and documentation tests; real blocks are read where MACH_DATA points
test:
    cargo test --locked --workspace --no-fail-fast

# Documentation, warnings denied
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

# Dependency arrows and inherited lints
arrows:
    ./scripts/arrows.sh

# Whether the workflows call recipes that there are, and the nightly one has a job for each part
workflows:
    ./scripts/workflows.sh

# Licences, sources and versions of dependencies
deny:
    cargo deny --locked check --hide-inclusion-graph bans licenses sources

# Recompiles the contracts and compares with the committed artifacts
artifacts:
    cd mach-contracts-bindings/contracts && npm ci --silent --no-audit --no-fund && node build.mjs --check

# Writes the OpenAPI document and the part of the TypeScript client that is generated from it
client:
    MACH_WRITE=1 cargo test --locked -p mach-node --test it the_document_of_the_client
    cd clients/typescript && npm ci --silent --no-audit --no-fund && npm run --silent generate && npm run --silent build

# Compiles the TypeScript client as it is committed; `just test` runs it then
client-check:
    cd clients/typescript && npm ci --silent --no-audit --no-fund && npm run --silent generate -- --check && npm run --silent build

# Makes many requests from the OpenAPI document, by hand; CI makes few (needs schemathesis, as `st`)
fuzz-api EXAMPLES="1000":
    MACH_SCHEMATHESIS=st MACH_SCHEMATHESIS_EXAMPLES={{ EXAMPLES }} cargo test --locked -p mach-node --test it -- --nocapture answers_are_as_the_document_says

# Builds the fuzz targets with the stable toolchain and replays their corpora
fuzz-replay:
    cd fuzz && cargo fmt --check && cargo test --locked

# EigenLayer's own contracts, of both releases, with everything of mach on them; the lock file follows the workspace
interop:
    cd interop && cargo fmt --check && cargo test

# Every change of a block is named, no damage accuses: on so many blocks that the devnet makes, by hand
mutations BLOCKS="10000":
    MACH_DEVNET_BLOCKS={{ BLOCKS }} cargo test --locked -p mach-verify --test it -- --nocapture of_the_devnet_

# Benchmarks, run by hand
bench *ARGS:
    cargo bench -p mach-benches {{ ARGS }}

# Memory and lateness of an aggregator: so many operators, 10 rollups, a round of each every 2 s, for so long
soak OPERATORS="10000" SECONDS="600":
    MACH_SOAK_OPERATORS={{ OPERATORS }} MACH_SOAK_SECONDS={{ SECONDS }} cargo bench --locked -p mach-benches --bench aggregator -- soak

# Ratios to other implementations of BLS, in a workspace of their own
bench-peers:
    cd benches/peers && cargo run --locked --release

# Whether the time of signing tells about the key
timing *ARGS:
    cargo run --locked --release -p mach-benches --no-default-features --example dudect -- {{ ARGS }}

# Draws the cost of a certificate from what the bench `bls` wrote
plot:
    python3 benches/plot.py benches/results/bls.csv benches/results/bls.svg

# Builds the guests; writes executables, keys and ids (the compiler is Debian's, see guests/README.md)
guest:
    #!/usr/bin/env bash
    set -euo pipefail
    work=$(mktemp -d)
    for machine in openvm risc0 sp1; do
        ./guests/build.sh "$machine" "guests/$machine"
        recipe="guests/build.sh $machine: rustc-web $(sed -n 's/^version=//p' guests/toolchain.sh)"
        # None of RISC Zero's C++: its ids follow from the executables. SP1's follow from its circuits.
        flags=; [ "$machine" != risc0 ] || flags=--no-default-features; [ "$machine" != sp1 ] || flags=--features=setup
        (cd "provers/$machine" && cargo run --locked --release $flags -- commit "../../guests/$machine" "$recipe") > "$work/$machine"
    done
    python3 -c 'import json, sys; print(json.dumps([it for file in sys.argv[1:] for it in json.load(open(file))], indent=4))' \
        "$work/openvm" "$work/risc0" "$work/sp1" > "$work/programs"
    mv "$work/programs" mach-prove/programs.json
    rm -r "$work"

# Compares the committed guests with what their source gives
guest-check:
    ./guests/check.sh

# Proves a false output root with OpenVM, verifies it and the committed proofs, and what is altered; RISC Zero without its C++, SP1 without its machine
prove-check:
    cd provers/openvm && cargo fmt --check && cargo test --locked --release
    cd provers/risc0 && cargo fmt --check && cargo test --locked --release --no-default-features
    cd provers/sp1 && cargo fmt --check && cargo test --locked --release --no-default-features

# Runs a machine on recorded blocks, all or those named, without proving: each has to give the journal of native code
guest-compare MACHINE="risc0" *NAMES:
    #!/usr/bin/env bash
    set -euo pipefail
    inputs=$(mktemp -d)
    cargo run --locked --quiet -p mach-prove --example recorded_inputs -- "$MACH_DATA/blocks" "$inputs" {{ NAMES }}
    # Its C++ takes minutes, and more without clang.
    [ "{{ MACHINE }}" != risc0 ] || export DOCS_RS=1 CC=clang CXX=clang++
    (cd provers/{{ MACHINE }} && cargo run --locked --release -- execute --program block --inputs "$inputs")
    rm -r "$inputs"

# What the parts of a block's verification take inside of a machine (openvm, risc0): guests/inputs, and blocks by name
guest-phases MACHINE="risc0" *NAMES:
    #!/usr/bin/env bash
    set -euo pipefail
    work=$(mktemp -d)
    ./guests/build.sh {{ MACHINE }} "$work/elf" phases
    cp -r guests/inputs "$work/inputs"
    [ -z "{{ NAMES }}" ] || cargo run --locked --quiet -p mach-prove --example recorded_inputs -- "$MACH_DATA/blocks" "$work/inputs" {{ NAMES }}
    # Its C++ takes minutes, and more without clang.
    [ "{{ MACHINE }}" != risc0 ] || export DOCS_RS=1 CC=clang CXX=clang++
    (cd provers/{{ MACHINE }} && cargo run --locked --release -- execute --program block --inputs "$work/inputs" --elf "$work/elf/block.elf")
    rm -r "$work"

# Parts of `nightly`; .github/workflows/nightly.yml has a job for each
nightly_parts := "guests openvm risc0 sp1 bits mutations kills fuzz"

# What takes too long for every change, all or the parts named: each recorded block inside of each machine (needs MACH_DATA), changes of generated blocks, 1,000 bits of the block's proof, 2,000 kills, 10^6 junk rounds
nightly *PARTS:
    #!/usr/bin/env bash
    set -uo pipefail
    part() {
        case $1 in
        guests) just guest-check ;;
        openvm | risc0 | sp1)
            if [ -n "${MACH_DATA:-}" ]; then
                just guest-compare "$1"
            else
                echo "nightly: skipped $1, MACH_DATA is not set"
            fi
            ;;
        bits) cd provers/openvm && MACH_BITS=1000 cargo test --locked --release -- a_flipped_bit ;;
        mutations) just mutations ;;
        kills) MACH_KILLS=2000 MACH_JUNK=1000000 cargo test --locked -p mach-node --test it -- kill::a_killed_ who_asks_for_terms ;;
        fuzz) MACH_FUZZ_CASES=10000 cargo test --locked -p mach-node --test it -- fuzz:: frames:: ;;
        *) echo "nightly: there is no part $1, but {{ nightly_parts }}" && false ;;
        esac
    }
    # One that fails hides no other.
    parts="{{ PARTS }}" failed=
    for it in ${parts:-{{ nightly_parts }}}; do
        (part "$it") || failed="$failed $it"
    done
    [ -z "$failed" ] || { echo "nightly: failed:$failed" >&2; exit 1; }

# Proves the devnet's false block and output root again, by hand: minutes and gigabytes
prove-devnet:
    #!/usr/bin/env bash
    set -euo pipefail
    cargo run --locked --release -p mach-prove --example guest_inputs -- guests/inputs
    prove() {
        work=$(mktemp -d)
        # What native code says of the input: the guest has to say the same.
        cp "guests/inputs/$2.json" "$work/journal.json"
        (cd provers/openvm && cargo run --locked --release -- prove --program "$1" --work-dir "$work" \
            --input "../../guests/inputs/$2.bin" --out "../../guests/proofs/$2.json" --memory-limit 5368709120)
        rm -r "$work"
    }
    prove output output
    prove block block-deposit
