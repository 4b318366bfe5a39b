#!/bin/sh
# Records input/: fills a cluster of three etcd 3.4 over its API, stops it, and keeps each member's directory.
#
#   sh record.sh
#
# Logs are cut off behind their last record: a server makes them 64 MB long at once, with zeros.
set -eu
cd "$(dirname "$0")"
rm -rf input cluster
started=$(keyferry-servers start etcd-3.4 --v2 --members 3 --port 25890 --data-dir "$PWD/cluster" --detach)
keys=http://127.0.0.1:25890/v2/keys
put() { key=$1; shift; curl -s -o /dev/null -X PUT "$keys$key" "$@"; }
for i in $(seq 1 40); do put "/config/routes/r$i" --data-urlencode "value={\"to\":\"host-$i\",\"weight\":$i}"; done
put /config/limits/rate -d value=250
put /config/texts/gr%C3%BC%C3%9Fe --data-urlencode 'value=Grüße, 日本, 😀 <&>'
put /config/texts/empty -d value=
put /config/sessions/long -d value=s -d ttl=2208988800
keyferry-servers stop "${started%% *}"
for member in m1 m2 m3; do
  mkdir -p input/$member/member
  cp -r cluster/$member/member/snap cluster/$member/member/wal input/$member/member/
  node -e '
    const fs = require("node:fs");
    const bytes = fs.readFileSync(process.argv[1]);
    let end = bytes.length;
    while (bytes[end - 1] === 0) end -= 1;
    fs.truncateSync(process.argv[1], Math.ceil(end / 8) * 8);
  ' input/$member/member/wal/0000000000000000-0000000000000000.wal
  rm -f input/$member/member/wal/*.tmp
done
chmod -R u=rwX,go=rX input
rm -rf cluster
