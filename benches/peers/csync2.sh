#!/bin/sh
# csync2 (without TLS, with a hint) beside Standin, for `cargo bench --bench mirror -- peers`. Needs root for the installation.
#
#   csync2.sh install                    installs it, unless it is there
#   csync2.sh start WORK FROM TO         a server of its own for TO on a free port of 127.0.0.1, with all its files in WORK
#   csync2.sh push WORK FROM TO [FILE]   the hint that FILE has changed, and the update; without FILE everything is checked
#   csync2.sh stop WORK                  ends what `start` started
set -eu

case "${1-}" in
install)
    command -v csync2 >/dev/null || {
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends csync2 iproute2 >/dev/null
    }
    dpkg-query -W -f='csync2 ${Version}' csync2
    ;;
start)
    work=$2 from=$3 to=$4
    mkdir -p "$work/a" "$work/b"
    # Of letters and digits alone: csync2 refuses a key with the slash of base64.
    od -An -vtx1 -N32 /dev/urandom | tr -d " \n" >"$work/key"
    chmod 600 "$work/key"
    port=$(shuf -i 20000-29999 -n 1)
    while ss -Hltn "sport = :$port" | grep -q .; do port=$(shuf -i 20000-29999 -n 1); done
    echo "$port" >"$work/port"
    cat >"$work/csync2.cfg" <<CONFIGURATION
nossl * *;
group tree {
    host side-a@127.0.0.1 localhost@127.0.0.1;
    key $work/key;
    include %tree%;
    auto younger;
}
prefix tree {
    on side-a: $from;
    on localhost: $to;
}
CONFIGURATION
    CSYNC2_SYSTEM_DIR=$work csync2 -ii -N localhost -p "$port" -D "$work/b" >"$work/server.out" 2>&1 &
    echo $! >"$work/server.pid"
    tries=0
    until ss -Hltn "sport = :$port" | grep -q .; do
        tries=$((tries + 1))
        [ "$tries" -lt 50 ] || { cat "$work/server.out" >&2; exit 1; }
        sleep 0.1
    done
    ;;
push)
    work=$2 from=$3
    port=$(cat "$work/port")
    export CSYNC2_SYSTEM_DIR=$work
    if [ -n "${5-}" ]; then
        csync2 -N side-a -p "$port" -D "$work/a" -m "$from/$5"
        exec csync2 -N side-a -p "$port" -D "$work/a" -u
    fi
    exec csync2 -N side-a -p "$port" -D "$work/a" -xr
    ;;
stop)
    [ ! -e "$2/server.pid" ] || kill "$(cat "$2/server.pid")" || true
    ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
