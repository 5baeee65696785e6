#!/bin/bash
# slurm.sh COMMAND...: carry out COMMAND beside a real Slurm of three nodes. All of them
# are this machine, with a slurmd each; the first has two stand-ins for GPUs, the others
# have one core each. The partition main is the first, low and urgent are all, and what
# is sent to urgent takes the place of what runs in the others. All of it is in name
# spaces of its own and ends with COMMAND. Needs root, and Debian's slurmctld, slurmd and
# slurm-client.
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
    wait
    rm -rf "$place"
}
trap clear EXIT
mkdir -p "$place"/{etc,state,spool,log,dev} /etc/slurm
for number in 0 1; do mknod "$place/dev/nvidia$number" c 195 $number; done
host=$(hostname -s)
here="NodeHostname=$host NodeAddr=127.0.0.1"
ports=($(python3 -c '
import socket
free = [socket.socket() for _ in "abcd"]
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
SlurmctldPidFile=$place/slurmctld.pid
SlurmdPidFile=$place/%n.pid
SlurmctldLogFile=$place/log/slurmctld.log
SlurmdLogFile=$place/log/%n.log
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_min_interval=100000,bf_interval=1,requeue_delay=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=20
MessageTimeout=60
MinJobAge=600
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
ReturnToService=2
GresTypes=gpu
NodeName=DEFAULT RealMemory=$memory State=UNKNOWN
NodeName=first $here Port=${ports[1]} CPUs=${SLURM_TEST_CPUS:-$(nproc)} Gres=gpu:2 Weight=3
NodeName=second $here Port=${ports[2]} CPUs=1 Weight=2
NodeName=third $here Port=${ports[3]} CPUs=1
PartitionName=DEFAULT DefMemPerCPU=500 DefaultTime=60
PartitionName=main Nodes=first Default=YES PriorityTier=1
PartitionName=low Nodes=ALL PriorityTier=1
PartitionName=urgent Nodes=ALL PriorityTier=2
CONF
echo "NodeName=first Name=gpu File=$place/dev/nvidia[0-1]" > "$place/etc/gres.conf"
# The compiled-in place: Snakemake's job steps clear the variable for another one.
mount --bind "$place/etc" /etc/slurm
slurmctld
for node in first second third; do slurmd -N $node; done
for _ in $(seq 100); do
    [ "$(sinfo --noheader --Node --format=%T 2> /dev/null | sort -u)" = idle ] && break
    sleep 0.2
done
export SLURM_TEST_FOLDER=$place
"$@"
