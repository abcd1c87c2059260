"""The lengths of examples in tokens, by language, and whether they stay within a limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import DataError
from .config import TrainingConfig


@dataclass(slots=True)
class Lengths:
    """The tokens of examples, counted."""

    examples: dict[str, dict[int, int]] = field(default_factory=dict)
    """Language -> tokens of an example, prompt and response -> number of such examples."""
    prompts: dict[int, int] = field(default_factory=dict)
    """Tokens of a prompt -> number of such prompts."""

    def add(self, language: str, tokens: int, prompt_tokens: int) -> None:
        """Counts one example."""
        counts = self.examples.setdefault(language, {})
        counts[tokens] = counts.get(tokens, 0) + 1
        self.prompts[prompt_tokens] = self.prompts.get(prompt_tokens, 0) + 1

    @property
    def longest(self) -> int:
        """The tokens of the longest example; 0 without examples."""
        return max((tokens for counts in self.examples.values() for tokens in counts), default=0)

    def trained(self, config: TrainingConfig) -> int:
        """The tokens of the longest sequence under the limit of `config`, 0 if none is left."""
        limit = config.max_length
        counts = [row for of_language in self.examples.values() for row in of_language.items() if row[0] <= limit]
        with_room = sum(count for tokens, count in self.prompts.items() if tokens < limit)
        if config.too_long == "cut" and with_room > sum(count for _, count in counts):
            return limit  # some are longer, and their prompts leave room for a response
        return max((tokens for tokens, _ in counts), default=0)

    def check(self, config: TrainingConfig, stages: Sequence[str]) -> None:
        """Refuses examples over the limit, and a limit that leaves no example.

        Examples over the limit are refused where `too_long` is "error".

        Args:
            stages: what `--set` calls the stages that the examples are for.

        Raises:
            DataError: the message counts the examples by language and names the ways on.
        """
        limit = config.max_length
        over = {
            code: sum(n for tokens, n in counts.items() if tokens > limit) for code, counts in self.examples.items()
        }
        if config.too_long == "error" and (total := sum(over.values())):
            counts = ", ".join(f"{code} {count}" for code, count in sorted(over.items()) if count)
            raise DataError(
                f"{_counted(total)} longer than max_length={limit} tokens ({counts}; the longest has {self.longest}); give "
                f"{settings(stages, 'too_long=drop')} to leave {'it' if total == 1 else 'them'} out, "
                f"{settings(stages, 'too_long=cut')} to truncate {'it' if total == 1 else 'their ends'}, or raise "
                f"{stages[0]}.max_length"
            )
        if not self.trained(config):
            raise DataError(
                f"no example is left to train on ({self.longest} tokens is the longest, max_length={limit}); raise "
                f"{stages[0]}.max_length"
            )


def settings(stages: Sequence[str], value: str) -> str:
    """A value for some stages, as the command line takes it."""
    return " ".join(f"--set {stage}.{value}" for stage in stages)


def _counted(total: int) -> str:
    return "1 example is" if total == 1 else f"{total} examples are"
