"""Reinforcement learning as a stage: a model answers problems, and its better answers become more probable.

Each step samples answers to some problems with the package's own generation, rewards them, and takes one step of GRPO. See
`training.policy` for the loss and `evaluation.rejection` for the reward. It runs in one process on one device.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import asdict

from ..alignment.encoding import decode
from ..alignment.prompts import encode_prompts
from ..alignment.templates import TEMPLATES
from ..errors import DataError, ModelError
from ..evaluation.rejection import Reward, means, reward
from ..generation import DecodingConfig
from ..languages import Language
from ..models.opening import check_vocabulary, load_model, load_tokenizer_as_saved, resolve
from ..pipeline import Stage, Work
from ..progress import Bar
from ..records import Prediction, Problem, write_json
from ..training.batches import GlobalBatches
from ..training.checkpoints import Checkpoints, Interruption
from ..training.config import METRICS, SUMMARY, TrainingConfig
from ..training.launch import LESS_MEMORY
from ..training.memory import ON_CPU, out_of_memory_in_one_line
from ..training.policy import ReinforceConfig, advantages, as_batch, fill_reference, log_probabilities, policy_loss
from ..training.reports import reports_of
from ..training.trainer import Trainer, learning_rate_factor
from ..wording import counted
from .artifacts import Records
from .kinds import SIZE_KNOWN_LATER, Rows, Training, amount, languages_of, rows_of, template_of

if TYPE_CHECKING:
    import torch

    from ..generation.local import Local
    from ..training.batches import MicroBatch

PROBE = "probe.json"
"""The file in the scratch folder with what the probe saw."""
REPORTED = ("reward", "instruction", "right", "steps", "truncated")
"""What results have of the rewards."""
TRUNCATED = 0.1
"""The share of truncated answers above which the probe refuses."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Reinforce(Training):
    """Trains a model by reinforcement learning on problems whose answers are known."""

    tuned: ClassVar[str] = "reinforce"
    problems: tuple[Stage[Records], ...]
    reinforce: ReinforceConfig
    languages: Rows

    def run(self, work: Work) -> None:
        """Trains, or resumes from the last checkpoint."""
        every = (one for records in self.problems for one in work.read(records).problems())
        problems = [one for one in every if one.gold is not None]
        if not problems:
            raise DataError(f"{self.step} has no problem with a known answer to learn from; give it a corpus with them")
        with out_of_memory_in_one_line(f"{LESS_MEMORY}, or a lower --batch-size"):
            policy = Policy(self, work, problems)
            try:
                policy.train()
            finally:
                policy.trainer.close()
        self.describe(work.output)

    @property
    def hyper_parameters(self) -> TrainingConfig:
        return self.reinforce.training

    def size(self, runs: Path) -> str:
        """Problems, steps and answers."""
        each = [rows_of(records, runs) for records in self.problems]
        counts, exact = sum((Counter(rows) for rows, _ in each), Counter[str]()), all(is_read for _, is_read in each)
        if not counts:
            return SIZE_KNOWN_LATER.format("corpus")
        config = self.reinforce
        steps = counted(config.training.steps(sum(counts.values())), "step")
        answers = f"{config.problems_per_step} problems x {config.samples} answers"
        return f"{amount(counts, 'problem', exact)}, {steps} of {answers}, up to {config.max_new_tokens} tokens each"


Sampled = tuple[list[int], list[int], Reward]
"""The tokens of a prompt, those of an answer, with the end-of-sequence token where it ended, and what it earned."""


class Policy:
    """A model in reinforcement learning: it samples, is rewarded, takes steps, and is saved."""

    def __init__(self, stage: Reinforce, work: Work, problems: Sequence[Problem]) -> None:
        """Opens the model, and the reference where the loss needs one."""
        import torch

        from ..training.accelerator import make_accelerator

        self.stage, self.config, self.work, self.problems = stage, stage.reinforce, work, problems
        self.rows: dict[str, Language] = languages_of(stage.languages)
        self.template = TEMPLATES[template_of(stage.model)]
        training = self.config.training
        # Compiled blocks would be compiled again for each length of a cache.
        placement = replace(work.placement, compile=work.placement.compile or False)
        accelerator = make_accelerator(training, placement)
        folder = resolve(work.read(stage.model).folder)
        check_vocabulary(folder)
        self.tokenizer = load_tokenizer_as_saved(folder)
        self.trainer = Trainer(load_model(folder, torch.float32), training, placement, accelerator)
        self.trainer.loss.summed = policy_loss(self.config.beta, self.config.temperature)
        self.reference: Callable[[MicroBatch], torch.Tensor] | None = None
        """What the model before makes of answers."""
        if self.config.beta:
            from ..training.loss import SupervisedLoss

            before = load_model(folder, torch.float32).to(accelerator.device).eval()
            read = SupervisedLoss(before)
            read.summed = log_probabilities(self.config.temperature)
            self.reference = lambda part: read(before, part.to(accelerator.device))

    def train(self) -> None:
        """All steps, from the last checkpoint on; then the model, its metrics and its summary."""
        config, trainer, work = self.config, self.trainer, self.work
        checkpoints = Checkpoints(trainer, work.scratch, self.stage.fingerprint)
        checkpoints.resume()
        sampler = self._sampler()
        batches = GlobalBatches(len(self.problems), config.training)
        steps = config.training.steps(len(self.problems))
        title = work.placement.titled(self.stage.title, work.scratch)
        with (
            closing(reports_of(work.placement, work.scratch, dataclasses.asdict(config))) as reports,
            Bar(title, steps, trainer.progress.step, quiet=work.placement.quiet) as bar,
            Interruption(title, checkpoints.seconds_to_save) as interruption,
        ):
            if not trainer.progress.step:
                bar.advance(0, "the probe")
                self._probe(sampler)
            for step in range(trainer.progress.step, steps):
                rate = config.learning_rate * learning_rate_factor(step, steps, config.training)
                row = self._step(sampler, [self.problems[place] for place in batches[step]], step, rate)
                bar.advance(1, f"reward {row['reward']:.3f}  right {row['right']:.0%}")
                reports.report([row])
                asked = bool(interruption.asked)
                if step + 1 < steps or asked:
                    checkpoints.save_if_due(at_once=asked)
                if asked:
                    interruption.end()
        trainer.export(self.tokenizer, work.output)
        write_json(work.output / SUMMARY, self._summary())
        (work.output / METRICS).write_bytes((work.scratch / METRICS).read_bytes())

    def _sampler(self) -> Local:
        """The policy as a backend of generation. It samples with the weights that are trained."""
        import torch

        from ..generation.local import Local, device_memory, loops_at_once, rows_at_once

        config, model = self.config, self.trainer.model
        decoding = DecodingConfig(
            max_new_tokens=config.max_new_tokens, temperature=config.temperature, seed=config.seed,
            precision=config.precision,
        )  # fmt: skip
        kind = model.device.type
        memory = torch.cuda.mem_get_info(model.device)[0] if kind == "cuda" else device_memory(kind)
        rows = self.work.placement.batch_size or rows_at_once(model, config.max_new_tokens, memory)
        return Local(model, self.tokenizer, decoding, rows, loops_at_once(model))

    def _sample(self, sampler: Local, problems: Sequence[Problem], occasion: str) -> list[Sampled]:
        """Answers with their rewards, those to a problem in a row. Each has a seed of its own."""
        samples, end = self.config.samples, sampler.ends
        texts = [self.template.prompt(one.question, self.rows[one.language].name) for one in problems]
        prompts = encode_prompts(texts, self.tokenizer)
        asked = [place for place in range(len(problems)) for _ in range(samples)]
        keys = [
            f"{occasion}/{problems[place].language}/{problems[place].id}#{number % samples}"
            for number, place in enumerate(asked)
        ]
        found: dict[int, Sampled] = {}
        self.trainer.model.eval()
        for number, ids, finish in sampler.answers([prompts[place] for place in asked], keys, self.stage.step):
            problem = problems[asked[number]]
            answer = Prediction(
                id=problem.id, language=problem.language, text=decode(ids, self.tokenizer), prompt_sha256="",
                tokens=len(ids), finish=finish,
            )  # fmt: skip
            whole = [*ids, end[0]] if finish == "stop" else ids
            judged = reward(problem, answer, self.rows[problem.language])
            found[number] = prompts[asked[number]], whole, judged
        self.trainer.model.train()
        return [found[number] for number in range(len(asked))]

    def _probe(self, sampler: Local) -> None:
        """Refuses a training that could not learn. ModelError where it is clear from the first answers."""
        count = self.config.probe_problems
        problems = self.problems[:: max(1, len(self.problems) // count)][:count]  # of all languages
        seen = means(reward for *_, reward in self._sample(sampler, problems, "probe"))
        write_json(self.work.scratch / PROBE, seen)
        answers, step = counted(len(problems) * self.config.samples, "answer"), self.stage.step
        if seen["truncated"] > TRUNCATED:
            raise ModelError(
                f"{step}: {seen['truncated']:.0%} of {answers} before the first step were truncated at "
                f"{self.config.max_new_tokens} tokens, and such answers earn nothing; set {step}.max_new_tokens higher, or "
                "start from a model that ends its answers"
            )
        if seen["right"] in (0.0, 1.0):
            which, why = ("right", "easier") if not seen["right"] else ("wrong", "harder")
            raise ModelError(
                f"{step}: none of {answers} before the first step was {which}, so no answer is better than another; give "
                f"{why} problems, or another model or temperature ({step}.temperature={self.config.temperature:g})"
            )

    def _step(self, sampler: Local, problems: Sequence[Problem], step: int, rate: float) -> dict[str, float]:
        """Samples, takes a step, and writes a row of metrics. ModelError if its loss is not finite."""
        import torch

        config, trainer = self.config, self.trainer
        prompts, answers, judged = zip(*self._sample(sampler, problems, str(step)), strict=True)
        rewards = [one.value for one in judged]
        batch = as_batch(prompts, answers, advantages(rewards, config.samples), config.loss)
        if self.reference is not None:
            with torch.inference_mode(), trainer.accelerator.autocast():
                fill_reference(batch, self.reference, trainer.placement.tokens_per_micro_batch or ON_CPU)
        result = trainer.step(batch, rate)
        loss, norm = float(result.loss), float(result.gradient_norm)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise ModelError(
                f"reinforcement diverged at step {trainer.progress.step} (loss {loss:.4g}, gradient norm {norm:.4g}); "
                f"lower the learning_rate of {self.stage.step} (it is {config.learning_rate:g}), or set precision=float32"
            )
        alike = [
            len(set(rewards[start : start + config.samples])) == 1 for start in range(0, len(rewards), config.samples)
        ]
        row = {
            **asdict(trainer.progress), "learning_rate": rate, "loss": loss, "gradient_norm": norm,
            **means(judged), "alike": sum(alike) / len(alike),
            "answer_tokens": sum(map(len, answers)) / len(answers),
        }  # fmt: skip
        with (self.work.scratch / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        return row

    def _summary(self) -> dict[str, object]:
        """What the stage was trained on, for `results.json` and for people."""
        lines = (self.work.scratch / METRICS).read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        edge = max(1, min(10, len(rows) // 4))
        first, last = ({name: _mean(part, name) for name in REPORTED} for part in (rows[:edge], rows[-edge:]))
        seen = self.trainer.progress
        counts = Counter((one.source, one.language) for one in self.problems)
        return {
            "title": self.stage.title,
            "examples": len(self.problems),
            "examples_by_language": dict(Counter(one.language for one in self.problems)),
            "mixture": [
                {"source": source, "language": code, "examples": count, "tokens": 0, "supervised_tokens": 0}
                for (source, code), count in counts.items()
            ],
            "too_long": {},
            "steps": seen.step,
            "tokens": seen.tokens,
            "supervised_tokens": seen.supervised,
            "first_loss": _mean(rows[:edge], "loss"),
            "last_loss": _mean(rows[-edge:], "loss"),
            "rewards": {
                "probe": json.loads((self.work.scratch / PROBE).read_text(encoding="utf-8")),
                "first steps": first,
                "last steps": last,
            },
            "config": dataclasses.asdict(self.config),
        }


def _mean(rows: Sequence[dict[str, float]], name: str) -> float:
    return round(sum(row[name] for row in rows) / len(rows), 4)
