#!/usr/bin/env bash
# A real Slurm on this machine alone, for `make test-slurm`: a controller and K nodes of
# one processor each. DIR: a new folder for all of its files. Needs root and Debian's
# slurm-wlm and munge, which it installs where it may.
#   DIR=$(mktemp -d) K=2 tests/slurm/start_local.sh; export SLURM_CONF=$DIR/slurm.conf
# To stop it: kill $(cat $DIR/*.pid)
set -euo pipefail
DIR=${DIR:?a new folder}; K=${K:-2}; host=$(hostname); port=${PORT:-16817}

if ! command -v slurmctld > /dev/null || ! command -v munged > /dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge > "$DIR/apt.log" 2>&1
fi
mkdir -p "$DIR/state" /run/munge
chown munge /run/munge
munge -n > /dev/null 2>&1 || su -s /bin/sh munge -c "/usr/sbin/munged --force"

{
  cat << CONF
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmctldPidFile=$DIR/slurmctld.pid
SlurmctldLogFile=$DIR/slurmctld.log
StateSaveLocation=$DIR/state
SlurmdPidFile=$DIR/slurmd-%n.pid
SlurmdLogFile=$DIR/slurmd-%n.log
SlurmdSpoolDir=$DIR/spool-%n
SlurmUser=root
AuthType=auth/munge
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=5,sched_interval=5
ReturnToService=2
SlurmdTimeout=15
MpiDefault=none
CONF
  for i in $(seq "$K"); do
    echo "NodeName=n$i NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 200 + i)) CPUs=1 RealMemory=1000"
  done
  echo "PartitionName=main Nodes=n[1-$K] Default=YES MaxTime=INFINITE State=UP"
} > "$DIR/slurm.conf"

export SLURM_CONF=$DIR/slurm.conf
slurmctld -f "$SLURM_CONF"
for i in $(seq "$K"); do slurmd -N "n$i" -f "$SLURM_CONF"; done
for _ in $(seq 60); do
  [ "$(sinfo --noheader --Node --states=idle | wc -l)" -eq "$K" ] && exit 0
  sleep 1
done
sinfo >&2
exit 1
