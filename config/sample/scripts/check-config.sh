#!/bin/sh
# Quick look at the configuration before a change window.
# Usage: scripts/check-config.sh   (from the configuration directory)
# 2019-11 hb: first version   2024-01 tj: days left for the anchors
set -u

root=$(cd "$(dirname "$0")/.." && pwd) || exit 2
bad=0

for pem in "$root"/trust/anchors/*.pem; do
    name=$(basename "$pem")
    if openssl x509 -in "$pem" -noout -checkend 2592000 >/dev/null 2>&1; then
        echo "ok       $name"
    else
        echo "EXPIRES  $name"
        bad=1
    fi
done

# mapping files named in a subaccount must exist
for sub in "$root"/subaccounts/*/*/subaccount.yaml; do
    dir=$(dirname "$sub")
    sed -n 's/^ *- \(mappings\/.*\.yaml\)$/\1/p' "$sub" | while read -r f; do
        [ -f "$dir/$f" ] || echo "MISSING  $dir/$f"
    done
done

if grep -rn "BEGIN .*PRIVATE KEY" "$root/trust" >/dev/null 2>&1; then
    echo "KEY      there is a private key below trust/"
    bad=1
fi

exit $bad
