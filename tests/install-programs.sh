#!/bin/sh
# Install the programs that tests start, where we may; tests of what is missing are skipped by name.
PATH="$PATH:/usr/sbin:/usr/local/sbin"
missing=""
lacks() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
lacks mosquitto mosquitto
lacks mosquitto_sub mosquitto-clients
lacks openssl openssl
# llama.cpp's server is linked to GNU's OpenMP.
ldconfig -p 2>/dev/null | grep -q 'libgomp\.so\.1' || missing="$missing libgomp1"
[ -n "$missing" ] || exit 0
command -v apt-get >/dev/null 2>&1 || { echo "Not installed, so their tests are skipped:$missing"; exit 0; }
run=""
[ "$(id -u)" = 0 ] || run="sudo -n"
$run true 2>/dev/null || { echo "Needs root to be installed, so their tests are skipped:$missing"; exit 0; }
echo "Installing$missing ..."
export DEBIAN_FRONTEND=noninteractive
{ $run apt-get update && $run apt-get install --yes --no-install-recommends $missing; } >/dev/null 2>&1 ||
    echo "Could not be installed, so their tests are skipped:$missing"
# The package starts a broker of its own, which tests neither need nor want on port 1883.
case "$missing " in
*" mosquitto "*)
    if [ -d /run/systemd/system ]; then
        $run systemctl disable --now mosquitto
    else
        $run service mosquitto stop
    fi >/dev/null 2>&1 || true
    ;;
esac
