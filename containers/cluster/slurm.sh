#!/usr/bin/env bash
# One command of Verdict3D on all nodes of a SLURM job, through Ray:
#     sbatch containers/cluster/slurm.sh verdict3d run --preset full
# Start it in the checkout, on a file system that all nodes share, with the environment activated.
#SBATCH --job-name=verdict3d
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
set -euo pipefail
cd "$SLURM_SUBMIT_DIR"

# whoever has no token is refused; the job's steps inherit it
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
folder=/tmp/ray-$SLURM_JOB_ID # local and short: the names of Ray's sockets may have 107 bytes
port=$((20000 + SLURM_JOB_ID % 10000))

# this script runs on the first node; its address is the one of the cluster's network
head=$(hostname)
address=$(hostname --ip-address | awk '{print $1}'):$port
step=(srun --overlap --ntasks-per-node=1)
"${step[@]}" --nodes=1 --ntasks=1 --nodelist="$head" \
  ray start --head --node-ip-address="${address%:*}" --port="$port" --include-dashboard=false \
  --temp-dir="$folder" --block &
others=$((SLURM_JOB_NUM_NODES - 1))
if [ "$others" -gt 0 ]; then
  "${step[@]}" --nodes="$others" --ntasks="$others" --exclude="$head" ray start --address="$address" --block &
fi
for _ in $(seq 60); do
  if ray status --address="$address" >/dev/null 2>&1; then break; fi
  sleep 2
done

RAY_ADDRESS=$address VERDICT3D_EXECUTOR=ray "$@"
