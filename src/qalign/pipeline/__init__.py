"""Stages, their fingerprints, and what is done with a tree of them: plan, run, explain, adopt."""

from .run import adopt, explain, is_running, of_earlier_versions, resume_point, run
from .stage import Artifact, Node, Stage, Work, in_order, local, needed, plain, status
from .stage_record import RECORD

__all__ = [
    "RECORD", "Node", "Artifact", "Stage", "Work", "adopt", "explain", "in_order", "is_running", "local", "needed",
    "of_earlier_versions", "plain", "resume_point", "run", "status",
]  # fmt: skip
