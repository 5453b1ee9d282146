#!/bin/sh
# keepalived beside Standin, for `cargo bench --bench failover -- peers`. Needs root.
#
#   keepalived.sh install                              installs the package, unless it is there
#   keepalived.sh run DIR PRIORITY ADVERT_S COMMAND    runs it in the foreground in the network namespace of the caller, with
#                                                      files of its own in DIR; COMMAND is called when it becomes master
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
    directory=$2 priority=$3 advert=$4 command=$5
    mkdir -p "$directory"
    cat >"$directory/keepalived.conf" <<CONFIGURATION
global_defs {
    script_user root
    vrrp_garp_master_delay 0
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
    notify_master "$command"
}
CONFIGURATION
    exec keepalived --dont-fork --log-console --vrrp --use-file "$directory/keepalived.conf" \
        --pid "$directory/keepalived.pid" --vrrp_pid "$directory/vrrp.pid"
    ;;
*)
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
