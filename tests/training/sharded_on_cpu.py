"""A launcher's program that trains on shards (FSDP2) without an accelerator: accelerate itself shards on accelerators only.

    python -m torch.distributed.run --standalone --nproc-per-node=2 sharded_on_cpu.py -m qalign.training.launch JOB

What a config file for `accelerate launch` says is in the environment (`ENVIRONMENT`).
"""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import accelerate.state

from qalign.training.launch import _main

ENVIRONMENT = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "false",
}

if __name__ == "__main__":
    os.environ.update(ENVIRONMENT)
    kinds = {kind.name: kind for kind in accelerate.state.DistributedType}
    # Of the kinds that may shard, one that is not here stands for several processes on a CPU.
    accelerate.state.DistributedType = SimpleNamespace(**{**kinds, "MULTI_HPU": kinds["MULTI_CPU"]})
    del sys.argv[1:3]  # -m qalign.training.launch
    _main()
