#!/bin/sh
# Install Mosquitto where we may; without it, the tests over it are skipped and say so.
PATH="$PATH:/usr/sbin:/usr/local/sbin"
command -v mosquitto >/dev/null 2>&1 && exit 0
command -v apt-get >/dev/null 2>&1 || exit 0
run=""
[ "$(id -u)" = 0 ] || run="sudo -n"
$run true 2>/dev/null || { echo "Mosquitto is not installed and needs root to be; its tests will be skipped."; exit 0; }
echo "Installing Mosquitto ..."
export DEBIAN_FRONTEND=noninteractive
{ $run apt-get update && $run apt-get install --yes --no-install-recommends mosquitto; } >/dev/null 2>&1 ||
    echo "Mosquitto could not be installed; its tests will be skipped."
# The package starts a broker of its own, which tests neither need nor want on port 1883.
$run systemctl disable --now mosquitto >/dev/null 2>&1 || true
