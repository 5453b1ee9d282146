#!/bin/sh
# keepalived beside Standin, for `cargo bench --bench failover -- peers`. Needs root.
#
#   keepalived.sh install      installs the package, unless it is there
#   keepalived.sh run DIR PRIORITY ADVERT_S MASTER BACKUP
#                              runs it in the foreground in the network namespace of the caller, with files of its own in DIR;
#                              it calls the command MASTER when it becomes master, BACKUP when it becomes backup.
#                              A 1 in the file DIR/less takes 50 from its priority, a 1 in DIR/fault makes it unfit to be
#                              master: the two ways to hand over by hand. A 0 takes it back
set -eu

case "${1-}" in
install)
    command -v keepalived >/dev/null || {
        apt-get update -qq
        # Not started by the package: the measurement runs it in namespaces of its own.
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends keepalived >/dev/null
    }
    keepalived --version 2>&1 | head -n 1
    ;;
run)
    directory=$2 priority=$3 advert=$4 master=$5 backup=$6
    mkdir -p "$directory"
    echo 0 >"$directory/less"
    echo 0 >"$directory/fault"
    cat >"$directory/keepalived.conf" <<CONFIGURATION
global_defs {
    script_user root
    vrrp_garp_master_delay 0
}
track_file less {
    file "$directory/less"
    weight -50
}
track_file fault {
    file "$directory/fault"
    weight 0
}
vrrp_instance pair {
    state BACKUP
    interface cable
    # A pulled cable takes the carrier away at both ends of a virtual one, which is not the fault measured.
    dont_track_primary
    virtual_router_id 51
    version 3
    priority $priority
    advert_int $advert
    virtual_ipaddress {
        10.78.0.100/24
    }
    track_file {
        less
        fault
    }
    notify_master "$master"
    notify_backup "$backup"
}
CONFIGURATION
    exec keepalived --dont-fork --log-console --no-syslog --vrrp --use-file "$directory/keepalived.conf" \
        --pid "$directory/keepalived.pid" --vrrp_pid "$directory/vrrp.pid"
    ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
