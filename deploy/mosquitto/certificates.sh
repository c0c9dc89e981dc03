#!/bin/sh
# Makes an authority and the certificate of a site's broker in the current folder:
#
#   sh certificates.sh broker.example.lan
#   sh certificates.sh 192.168.1.10
#
# ca.crt goes to every agent, broker.crt and broker.key to the broker, and ca.key is put away: who
# has it can pretend to be the broker.
set -eu
umask 077

broker=${1:?usage: certificates.sh NAME_OR_ADDRESS_OF_THE_BROKER}
case $broker in
*[!0-9.]*) subject="DNS:$broker" ;;
*) subject="IP:$broker" ;;
esac

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
    -subj "/CN=RecServe authority" -addext keyUsage=critical,keyCertSign,cRLSign \
    -keyout ca.key -out ca.crt
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
    -subj "/CN=$broker" -keyout broker.key -out broker.csr
cat >broker.ext <<END
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = $subject
END
openssl x509 -req -in broker.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 825 \
    -extfile broker.ext -out broker.crt
rm broker.csr broker.ext
chmod 644 ca.crt broker.crt
