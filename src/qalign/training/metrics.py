"""The reports of a training.

They are a row per step in `metrics.jsonl`, the progress bar, trackers, and a summary at the end.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import ModelError
from ..progress import Bar
from .config import METRICS
from .state import Progress
from .tokens import TokenizedExamples
from .trainer import Step, Trainer

STEPS_PER_REPORT = 10
"""The steps between two reports. Reading a loss waits for the device."""


@dataclass(frozen=True, slots=True)
class Reported:
    """A step that was taken and is not written yet."""

    progress: Progress
    """What the steps up to this one have seen."""
    learning_rate: float
    """The learning rate of the step."""
    tokens: int
    """The tokens of its examples."""
    result: Step
    """Its loss and gradient norm, on the device."""


class Metrics:
    """The rows of one training."""

    def __init__(self, title: str, trainer: Trainer, scratch: Path, bar: Bar) -> None:
        """Begins to measure time.

        Args:
            title: the name of the stage, for people.
            scratch: the folder of the rows.
            bar: the progress bar.
        """
        self.title, self.trainer, self.scratch, self.bar = title, trainer, scratch, bar
        self._pending: list[Reported] = []
        self._since, self._tokens = time.monotonic(), trainer.progress.tokens

    def add(self, result: Step, learning_rate: float) -> None:
        """Keeps the step that the trainer just took for the next report, and moves the bar."""
        progress = self.trainer.progress
        self._pending.append(
            Reported(
                progress=progress, learning_rate=learning_rate, tokens=progress.tokens - self._tokens, result=result
            )
        )
        self._tokens = progress.tokens
        self.bar.advance(1)

    def restart_clock(self) -> None:
        """Leaves the time since the last report out of the speed of the next one."""
        self._since = time.monotonic()

    def write(self) -> None:
        """Writes the rows of the steps since the last report, and shows the loss.

        Raises:
            ModelError: the loss or the gradient is not finite.
        """
        now = time.monotonic()
        tokens_per_second = sum(step.tokens for step in self._pending) / max(now - self._since, 1e-9)
        rows = [self._row(step, tokens_per_second) for step in self._pending]
        if self.trainer.accelerator.is_main_process:
            with (self.scratch / METRICS).open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
            for row in rows:
                tracked = {name: row[name] for name in ("loss", "learning_rate", "gradient_norm")}
                self.trainer.accelerator.log(tracked, step=row["step"])
        self.bar.advance(0, f"loss {rows[-1]['loss']:.3f}  {tokens_per_second:,.0f} tokens/s")
        self._pending, self._since = [], now

    def _row(self, step: Reported, tokens_per_second: float) -> dict[str, float]:
        loss, norm = float(step.result.loss), float(step.result.gradient_norm)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise ModelError(
                f"training diverged at step {step.progress.step} (loss {loss:.4g}, gradient norm {norm:.4g}); lower the "
                f"learning_rate of {self.title} (it is {self.trainer.config.learning_rate:g}), or set precision=float32"
            )
        return {
            "step": step.progress.step,
            "tokens": step.progress.tokens,
            "supervised": step.progress.supervised,
            "learning_rate": step.learning_rate,
            "step_tokens": step.tokens,
            "loss": loss,
            "gradient_norm": norm,
            "tokens_per_second": round(tokens_per_second, 1),
        }


def summary(title: str, trainer: Trainer, examples: TokenizedExamples, metrics: Path) -> dict[str, object]:
    """What a stage was trained on, for `results.json` and for people.

    Args:
        metrics: the file with the rows of the stage.
    """
    losses = [json.loads(line)["loss"] for line in metrics.read_text(encoding="utf-8").splitlines()]
    edge = max(1, min(10, len(losses) // 4))
    return {
        "title": title,
        "examples": len(examples),
        "examples_by_language": examples.by_language("examples"),
        "tokens_by_language": examples.by_language("tokens"),
        "mixture": examples.mixture,
        "too_long": examples.too_long,
        "steps": trainer.progress.step,
        "tokens": trainer.progress.tokens,
        "supervised_tokens": trainer.progress.supervised,
        "first_loss": round(sum(losses[:edge]) / edge, 4),
        "last_loss": round(sum(losses[-edge:]) / edge, 4),
        "config": asdict(trainer.config),
    }
