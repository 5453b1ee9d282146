#!/bin/sh
# lsyncd (rsync over ssh, delay 0) beside Standin, for `cargo bench --bench mirror -- peers`. Needs root.
#
#   lsyncd.sh install               installs it and what rsync.sh needs, unless they are there
#   lsyncd.sh start WORK FROM TO    starts the sshd of rsync.sh and lsyncd, which first makes TO what FROM is
#   lsyncd.sh push WORK FROM TO     nothing: it watches
#   lsyncd.sh stop WORK             ends what `start` started
set -eu
here=$(dirname "$0")

case "${1-}" in
install)
    sh "$here/rsync.sh" install >/dev/null
    command -v lsyncd >/dev/null || {
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends lsyncd >/dev/null
    }
    lsyncd --version | head -n 1
    ;;
start)
    work=$2 from=$3 to=$4
    sh "$here/rsync.sh" start "$work" "$from" "$to"
    cat >"$work/lsyncd.lua" <<CONFIGURATION
settings { nodaemon = true, logfile = "$work/lsyncd.log", statusFile = "$work/lsyncd.status", insist = true }
sync { default.rsync, source = "$from", target = "127.0.0.1:$to", delay = 0,
       rsync = { archive = true, rsh = "ssh -F $work/ssh.conf" } }
CONFIGURATION
    lsyncd "$work/lsyncd.lua" >"$work/lsyncd.out" 2>&1 &
    echo $! >"$work/lsyncd.pid"
    ;;
push) ;;
stop)
    [ ! -e "$2/lsyncd.pid" ] || kill "$(cat "$2/lsyncd.pid")" || true
    sh "$here/rsync.sh" stop "$2"
    ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
