#!/bin/sh
# Records input/: fills a real etcd 2.3.8 over its API, keeps what it answers, and stops it.
#
#   ETCD=…/etcd sh record.sh
#
# The program was built from the tag v2.3.8 with Go 1.26 (GO111MODULE=off, dependencies in Godeps/_workspace of the tag). Go
# since 1.22 refuses a base64 alphabet with a character twice, which a vendored package has in a variable that etcd does not
# use (ugorji/go/codec/gen.go, genBase64enc): there the standard alphabet was put in its place.
set -eu
cd "$(dirname "$0")/input"
rm -rf data
client=http://127.0.0.1:23790
"$ETCD" --data-dir data --snapshot-count 40 --name m1 \
  --listen-client-urls $client --advertise-client-urls http://127.0.0.1:2379 \
  --listen-peer-urls http://127.0.0.1:23800 --initial-advertise-peer-urls http://127.0.0.1:2380 \
  --initial-cluster m1=http://127.0.0.1:2380 >/dev/null 2>&1 &
server=$!
until curl -sf $client/health >/dev/null; do sleep 0.1; done

keys=$client/v2/keys
# Refused ones are part of it: they stand in the log like the others.
put() { key=$1; shift; curl -s -o /dev/null -X PUT "$keys$key" "$@"; }
delete() { curl -s -o /dev/null -X DELETE "$keys$1"; }

for i in $(seq 1 30); do put /config/routes/r$i --data-urlencode "value={\"to\":\"host-$i\",\"weight\":$i}"; done
put /config/limits/rate -d value=100
put /config/limits/rate -d value=200 -d prevValue=100
put /config/limits/rate -d value=300 -d prevValue=100
put /config/limits/burst -d value=5 -d prevExist=false
put /config/limits/burst -d value=6 -d prevExist=false
put /config/limits/burst -d value=7 -d prevExist=true
put /config/texts/gr%C3%BC%C3%9Fe --data-urlencode 'value=Grüße, 日本, 😀 <&>'
put /config/texts/empty -d value=
put /config/empty -d dir=true
put /config/_secret/token -d value=hidden
put /config/sessions/long -d value=s -d ttl=2208988800
put /config/sessions/gone -d value=s -d ttl=1
put '/config/leases?dir=true&ttl=2208988800'
put /config/leases/a -d value=1
for i in 1 2 3; do curl -s -o /dev/null -X POST $keys/config/queue -d value=job$i; done
delete '/?recursive=true'
delete /config/routes/r7
delete '/config/routes/r8?prevValue=no'
put /config/limits -d value=x
put /config/limits/rate/below -d value=x
until [ "$(curl -s -o /dev/null -w '%{http_code}' $keys/config/sessions/gone)" = 404 ]; do sleep 0.1; done
for i in $(seq 31 36); do put /config/routes/r$i -d value=v$i; done
put /config/limits/rate -d value=400 -d prevIndex=1
curl -s "$keys/?recursive=true&sorted=true&quorum=true" >answer.json
kill $server
wait $server || true
