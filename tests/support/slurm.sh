#!/bin/bash
# slurm.sh COMMAND...: carry out COMMAND beside a real Slurm of one node, this machine
# with two stand-ins for GPUs. All of it is in name spaces of its own and ends with
# COMMAND. Needs root, and Debian's slurmctld, slurmd and slurm-client.
set -euo pipefail
if [ "$1" != --inside ]; then
    exec unshare --mount --pid --fork --kill-child --mount-proc "$0" --inside "$@"
fi
shift
place=$(mktemp -d /tmp/slurm-XXXXXX)
# The daemons write until they have ended: all of this name space, but this shell.
clear() {
    set +e
    [ $$ = 1 ] && kill -TERM -1
    for _ in $(seq 50); do
        [ "$(ps -e -o stat= | grep -vc '^Z')" -le 3 ] && break
        sleep 0.1
    done
    [ $$ = 1 ] && kill -KILL -1 2> /dev/null
    rm -rf "$place"
}
trap clear EXIT
mkdir -p "$place"/{etc,state,spool,log,dev} /etc/slurm
for number in 0 1; do mknod "$place/dev/nvidia$number" c 195 $number; done
host=$(hostname -s)
ports=($(python3 -c '
import socket
free = [socket.socket() for _ in "ab"]
for one in free:
    one.bind(("127.0.0.1", 0))
print(*[one.getsockname()[1] for one in free])'))
memory=$(($(awk '/MemTotal/ {print $2}' /proc/meminfo) / 1024 - 1000))
cat > "$place/etc/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/none
CredType=cred/none
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort=${ports[0]}
SlurmdPort=${ports[1]}
SlurmctldPidFile=$place/slurmctld.pid
SlurmdPidFile=$place/slurmd.pid
SlurmctldLogFile=$place/log/slurmctld.log
SlurmdLogFile=$place/log/slurmd.log
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_min_interval=100000,bf_interval=1,requeue_delay=1
KillWait=20
MinJobAge=600
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
ReturnToService=2
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=${SLURM_TEST_CPUS:-$(nproc)} RealMemory=$memory Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES DefMemPerCPU=500 DefaultTime=60
CONF
echo "NodeName=$host Name=gpu File=$place/dev/nvidia[0-1]" > "$place/etc/gres.conf"
# The compiled-in place: Snakemake's job steps clear the variable for another one.
mount --bind "$place/etc" /etc/slurm
slurmctld
slurmd
for _ in $(seq 100); do
    [ "$(sinfo --noheader --format=%T 2> /dev/null | head -1)" = idle ] && break
    sleep 0.2
done
"$@"
