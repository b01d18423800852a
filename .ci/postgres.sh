# A Postgres server for the tests of the store, sourced by `run`; `run` ends it.
# Sets MACH_POSTGRES_URL, or says that the tests are skipped.

postgres_bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin -type d 2>/dev/null | sort -V | tail -n 1)
if [ -z "$postgres_bin" ] && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    apt-get install -y -qq --no-install-recommends postgresql >/dev/null 2>&1 || true
    postgres_bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin -type d 2>/dev/null | sort -V | tail -n 1)
fi

# Postgres does not run as root.
unprivileged() {
    if [ "$(id -u)" = 0 ]; then setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"; else "$@"; fi
}

if [ -n "${MACH_POSTGRES_URL:-}" ]; then
    :
elif [ -n "$postgres_bin" ]; then
    postgres_data=$(mktemp -d)
    [ "$(id -u)" != 0 ] || chown nobody:nogroup "$postgres_data"
    port=$(free_port)
    unprivileged "$postgres_bin/initdb" -D "$postgres_data" -U mach -A trust >/dev/null
    unprivileged "$postgres_bin/postgres" -D "$postgres_data" -p "$port" \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories= >"$postgres_data.log" 2>&1 &
    postgres_pid=$!
    for _ in $(seq 100); do
        "$postgres_bin/pg_isready" -q -h 127.0.0.1 -p "$port" && break
        sleep 0.1
    done
    export MACH_POSTGRES_URL="postgres://mach@127.0.0.1:$port/postgres"
else
    echo "no postgres: its tests are skipped"
fi
