#!/bin/bash
# A prover for tests: does what the files `verify` and `prove` beside it say, and notes its calls.
here=${0%/*}
echo "$@" >> "$here/calls"
case $1 in
info)
    id=0x0707070707070707070707070707070707070707070707070707070707070707
    echo '{"type":"program","program":"block","id":"'$id'","file":"block.elf","sha256":"'$id'"'$(cat "$here/worth" 2> /dev/null)'}'
    echo '{"type":"done"}'
    ;;
verify) . "$here/verify" ;;
prove) out=$7 work=$9 && . "$here/prove" ;;
esac
