#!/usr/bin/env bash
# Starts a SLURM cluster of one node on this machine, runs a command, and stops the cluster.
# Needs root, and installs Debian's packages slurm-wlm and munge.
#
#   tests/with_slurm.sh .venv/bin/python -m pytest -m machine
set -euo pipefail

[ $# -gt 0 ] || { echo "usage: tests/with_slurm.sh COMMAND [ARGUMENT ...]" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "error: only root can start a SLURM cluster" >&2; exit 2; }

if ! command -v slurmctld slurmd munged >/dev/null; then
  apt-get update -qq
  # Keeps Debian from starting the services; they are started below with their own configuration.
  printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
  chmod +x /usr/sbin/policy-rc.d
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    slurm-wlm munge > /dev/null
  rm /usr/sbin/policy-rc.d
fi

place=$(mktemp -d)
pids=()
tidy() {
  scancel --user=root 2>/dev/null || true
  for _ in $(seq 20); do
    [ -n "$(squeue --noheader 2>/dev/null)" ] || break
    sleep 0.5
  done
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
    kill "${pids[i]}" 2>/dev/null || true
    wait "${pids[i]}" 2>/dev/null || true
  done
  rm -rf "$place"
}
trap tidy EXIT

chmod 755 "$place"
mkdir "$place/state" "$place/spool" "$place/munge"
chmod 700 "$place/munge"
head -c 1024 /dev/urandom > "$place/munge/key"
chmod 400 "$place/munge/key"
free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
cat > "$place/slurm.conf" <<END
ClusterName=one
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$place/munge.socket
CredType=cred/munge
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,batch_sched_delay=0
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool
SlurmctldPidFile=$place/slurmctld.pid
SlurmdPidFile=$place/slurmd.pid
SlurmctldLogFile=$place/slurmctld.log
SlurmdLogFile=$place/slurmd.log
MpiDefault=none
ReturnToService=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MaxArraySize=5
KillWait=2
MinJobAge=10
NodeName=$(hostname) NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=2
END
export SLURM_CONF=$place/slurm.conf

munged --foreground --force --socket="$place/munge.socket" --key-file="$place/munge/key" \
  --pid-file="$place/munge/pid" --log-file="$place/munge/log" --seed-file="$place/munge/seed" \
  2> /dev/null &
pids+=($!)
slurmctld -D > /dev/null 2>&1 &
pids+=($!)
slurmd -D > /dev/null 2>&1 &
pids+=($!)
for _ in $(seq 60); do
  sinfo --noheader --format=%T 2>/dev/null | grep -qx idle && break
  sleep 0.5
done
sinfo --noheader --format=%T | grep -qx idle || {
  echo "error: the cluster did not start" >&2
  tail -n 5 "$place"/*.log >&2
  exit 1
}
"$@"
