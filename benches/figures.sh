#!/usr/bin/env bash
# The figures of a fresh local cluster: ready time, sequential write and cold read, memory, disk use, requests.
# Usage: benches/figures.sh [MEBIBYTES]   (default 1024). Prints one line a figure. Needs root and /dev/fuse.
set -euo pipefail
cd "$(dirname "$0")/.."
mebibytes=${1:-1024}
cargo build --release --quiet
muskox=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/release/muskox
work=$(mktemp -d)
export HOME=$work
unset MUSKOX_MASTER MUSKOX_CONFIG XDG_DATA_HOME XDG_STATE_HOME
mnt=$work/mnt data=$work/data
cleanup() { "$muskox" demo stop --data "$data" >/dev/null 2>&1 || true; wait 2>/dev/null || true; umount -l "$mnt" 2>/dev/null || true; rm -rf "$work"; }
trap cleanup EXIT

field() { python3 -c "import json,sys; d=json.load(open('$data/demo.json')); print([p['pid'] for p in d['processes'] if p['name']=='$1'][0])"; }
seconds() { local t0=$EPOCHREALTIME; "$@" >/dev/null 2>&1; python3 -c "print($EPOCHREALTIME-$t0)"; }
requests() { "$muskox" status --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["metadata"]["requests"])'; }
rate() { python3 -c "print(f'{$mebibytes*1.048576/$1:.0f} MB/s ({$1:.2f} s)')"; }

echo "machine   $(nproc) cores, $(awk '/MemTotal/{printf "%.0f GiB", $2/1048576}' /proc/meminfo), Linux $(uname -r)"
echo "commit    $(git rev-parse --short HEAD)$(git diff --quiet HEAD || echo ' with changes')   $(date -u +%F)"
for round in first second; do
  t0=$EPOCHREALTIME
  coproc DEMO { "$muskox" demo --data "$data" --mountpoint "$mnt" 2>&1; }
  demo=$DEMO_PID
  while read -r line <&"${DEMO[0]}"; do [ "$line" = ready ] && break; done
  echo "ready     $(python3 -c "print(f'{$EPOCHREALTIME-$t0:.2f}')") s ($round start)"
  if [ $round = first ]; then "$muskox" demo stop --data "$data" >/dev/null; wait "$demo" 2>/dev/null || true; fi
done

echo "write     $(rate "$(seconds dd if=/dev/zero of="$mnt/large" bs=1M count="$mebibytes" conv=fsync)")  sequential, fsync at the end, 2 replicas"
cold() { "$muskox" demo kill mount --data "$data" >/dev/null; umount -l "$mnt" 2>/dev/null || true; sync; echo 3 > /proc/sys/vm/drop_caches; "$muskox" demo start mount --data "$data" >/dev/null; }
cold
echo "read      $(rate "$(seconds dd if="$mnt/large" of=/dev/null bs=1M)")  sequential, client and servers cold"
"$muskox" demo kill mount --data "$data" >/dev/null; "$muskox" demo start mount --data "$data" >/dev/null
echo "read      $(rate "$(seconds dd if="$mnt/large" of=/dev/null bs=1M)")  sequential, client cold, servers warm"

mkdir "$mnt/small"
before=$(requests)
python3 - "$mnt/small" <<'PY'
import os, sys
for n in range(1000):
    with open(f"{sys.argv[1]}/f{n}", "wb", buffering=0) as f:
        f.write(os.urandom(4096))
PY
after=$(requests)
echo "requests  $(python3 -c "print(f'{($after-$before)/1000:.2f}')") to the master per create + 4 KiB write + close"
sync
python3 - "$data" <<'PY'
import os, sys
sizes = []
for root, dirs, files in os.walk(sys.argv[1]):
    if "/chunks" in root:
        for f in files:
            s = os.stat(os.path.join(root, f))
            if s.st_blocks * 512 <= 64 << 10:
                sizes.append(s.st_blocks * 512)
print(f"disk      {max(sizes)} bytes at most per replica of a 4 KiB file ({len(sizes)} replicas)")
PY
for name in mount master cs1; do
  echo "memory    $(awk '/VmHWM/{printf "%.0f MiB", $2/1024}' "/proc/$(field $name)/status") at most in $name"
done
