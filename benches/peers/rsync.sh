#!/bin/sh
# rsync over ssh beside Standin, for `cargo bench --bench mirror -- peers`. Needs root for the installation and for sshd.
#
#   rsync.sh install               installs rsync and the two halves of OpenSSH, unless they are there
#   rsync.sh start WORK FROM TO    an sshd of its own on a free port of 127.0.0.1, with keys and files in WORK
#   rsync.sh push WORK FROM TO     makes TO what FROM is: one ssh connection for each run
#   rsync.sh kept WORK FROM TO     the same over a connection that is kept open
#   rsync.sh fsync WORK FROM TO    as push, and rsync makes each file durable there before it gives it its name
#   rsync.sh syncfs WORK FROM TO   as push, and then, over the kept connection, one syncfs makes all of it durable there
#   rsync.sh stop WORK             ends what `start` started
set -eu

packages() {
    command -v rsync >/dev/null && [ -x /usr/sbin/sshd ] || {
        apt-get update -qq
        # Not started by the package: the measurement runs one of its own.
        RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            rsync openssh-server openssh-client iproute2 >/dev/null
    }
}

case "${1-}" in
install)
    packages
    rsync --version | head -n 1
    ;;
start)
    work=$2
    mkdir -p "$work" /run/sshd
    [ -e "$work/key" ] || ssh-keygen -q -t ed25519 -N '' -f "$work/key"
    [ -e "$work/host" ] || ssh-keygen -q -t ed25519 -N '' -f "$work/host"
    cp "$work/key.pub" "$work/authorized"
    port=$(shuf -i 20000-29999 -n 1)
    while ss -Hltn "sport = :$port" | grep -q .; do port=$(shuf -i 20000-29999 -n 1); done
    cat >"$work/sshd.conf" <<CONFIGURATION
Port $port
ListenAddress 127.0.0.1
HostKey $work/host
AuthorizedKeysFile $work/authorized
PidFile $work/sshd.pid
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
PrintMotd no
CONFIGURATION
    cat >"$work/ssh.conf" <<CONFIGURATION
Host *
    Port $port
    IdentityFile $work/key
    IdentitiesOnly yes
    StrictHostKeyChecking no
    UserKnownHostsFile $work/known
    LogLevel ERROR
    ControlPath $work/kept.sock
    ControlMaster no
CONFIGURATION
    /usr/sbin/sshd -f "$work/sshd.conf"
    tries=0
    until ssh -F "$work/ssh.conf" -o ControlPath=none 127.0.0.1 true 2>"$work/error"; do
        tries=$((tries + 1))
        [ "$tries" -lt 50 ] || { cat "$work/error" >&2; exit 1; }
        sleep 0.1
    done
    ssh -F "$work/ssh.conf" -o ControlMaster=yes -o ControlPersist=yes -fN 127.0.0.1
    ;;
push)
    exec rsync -a --delete -e "ssh -F $2/ssh.conf -o ControlPath=none" "$3/" "127.0.0.1:$4/"
    ;;
kept)
    exec rsync -a --delete -e "ssh -F $2/ssh.conf" "$3/" "127.0.0.1:$4/"
    ;;
fsync)
    exec rsync -a --delete --fsync -e "ssh -F $2/ssh.conf -o ControlPath=none" "$3/" "127.0.0.1:$4/"
    ;;
syncfs)
    rsync -a --delete -e "ssh -F $2/ssh.conf -o ControlPath=none" "$3/" "127.0.0.1:$4/"
    exec ssh -F "$2/ssh.conf" 127.0.0.1 sync -f "$4"
    ;;
stop)
    ssh -F "$2/ssh.conf" -O exit 127.0.0.1 2>/dev/null || true
    [ ! -e "$2/sshd.pid" ] || kill "$(cat "$2/sshd.pid")"
    ;;
*)
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
