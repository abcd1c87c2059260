#!/bin/bash
#SBATCH --job-name=qalign
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --exclusive
#SBATCH --requeue
# One run on two nodes of eight devices, sharded over all sixteen. RUNS, and BASE if it is a folder, must lie where all nodes
# see them; a node's processors are all its one task's. When the job is
# requeued, the run goes on from its last checkpoint, also on another number of nodes.
set -eu
: "${BASE:?a model folder or hub name}" "${RUNS:?a folder that all nodes see}"
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

# What examples/fsdp2.yaml says, for processes that torchrun starts.
export ACCELERATE_USE_FSDP=true FSDP_VERSION=2 FSDP_AUTO_WRAP_POLICY=TRANSFORMER_BASED_WRAP
export FSDP_STATE_DICT_TYPE=SHARDED_STATE_DICT FSDP_RESHARD_AFTER_FORWARD=true FSDP_CPU_RAM_EFFICIENT_LOADING=false
export SRUN_CPUS_PER_TASK=$(nproc)

qalign run qalign-mono monoreason --base "$BASE" --runs "$RUNS" \
  --launcher "srun torchrun --nnodes=$SLURM_NNODES --nproc-per-node=8 --rdzv-backend=c10d --rdzv-id=$SLURM_JOB_ID --rdzv-endpoint=$head:29500"
