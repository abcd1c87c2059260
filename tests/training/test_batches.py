"""Which examples a step sees, how they are cut, and what is supervised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qalign.alignment.prompts import encode_prompts
from qalign.alignment.prompts import prompt as study_prompt
from qalign.errors import DataError
from qalign.models.opening import load_tokenizer
from qalign.records import Example
from qalign.training.batches import Batch, GlobalBatches, collate, micro_batches
from qalign.training.config import TrainingConfig
from qalign.training.tokens import TokenizedExamples, tokenize

LENGTHS = st.lists(st.integers(2, 700), min_size=1, max_size=140)


@pytest.fixture(scope="module")
def tokenizer(base: Path) -> Any:
    return load_tokenizer(base)


# --- micro-batches ----------------------------------------------------------------------------------------------------


@given(lengths=LENGTHS, budget=st.integers(1, 20_000), ranks=st.integers(1, 9))
@settings(deadline=None)
def test_micro_batches_share_out_every_example_once_within_the_budget(
    lengths: list[int], budget: int, ranks: int
) -> None:
    by_rank = micro_batches(range(len(lengths)), lengths, budget, ranks)
    assert len(by_rank) == ranks
    assert sorted(i for batches in by_rank for batch in batches for i in batch) == list(range(len(lengths)))
    assert len({len(batches) for batches in by_rank}) == 1, "ranks that wait for each other must step equally often"
    for batches in by_rank:
        for batch in batches:
            assert len(batch) < 2 or len(batch) * max(lengths[i] for i in batch) <= budget
            assert [lengths[i] for i in batch] == sorted((lengths[i] for i in batch), reverse=True)


def computed(batch: list[int], lengths: Sequence[int], shared: int = 0) -> int:
    """The tokens that a micro-batch makes the model read, padding included."""
    return len(batch) * (max(lengths[i] for i in batch) - shared) + shared if batch else 0


@given(lengths=LENGTHS, budget=st.integers(1, 20_000), ranks=st.integers(1, 9), shared=st.integers(0, 2))
@settings(deadline=None)
def test_ranks_get_nearly_equal_numbers_of_tokens(lengths: list[int], budget: int, ranks: int, shared: int) -> None:
    by_rank = micro_batches(range(len(lengths)), lengths, budget, ranks, shared)
    sizes = [[computed(batch, lengths, shared) for batch in batches] for batches in by_rank]
    totals = [sum(batches) for batches in sizes]
    assert max(totals) - min(totals) <= max(max(batches) for batches in sizes), (
        "at most one micro-batch more than another"
    )


@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
@pytest.mark.parametrize("shared", [0, 40])
def test_more_ranks_do_not_mean_more_padding(ranks: int, shared: int) -> None:
    """Cut from each rank's own share, neighbours would be the farther apart the more ranks there are: 1.2 to 1.5 times the
    tokens for two to eight ranks. All wait for the one that has most."""
    lengths = [50 + 37 * i % 450 for i in range(128)]
    by_rank = micro_batches(range(128), lengths, 4096, ranks, shared)
    most = max(sum(computed(batch, lengths, shared) for batch in batches) for batches in by_rank)
    assert most * ranks < 1.15 * sum(length - shared for length in lengths)


@given(lengths=LENGTHS, budget=st.integers(1, 20_000))
@settings(deadline=None)
def test_the_order_of_drawing_does_not_matter_within_a_step(lengths: list[int], budget: int) -> None:
    forwards = micro_batches(range(len(lengths)), lengths, budget, 2)
    assert forwards == micro_batches(range(len(lengths))[::-1], lengths, budget, 2)


def test_micro_batches_of_several_ranks_are_even_rather_than_full() -> None:
    """Five of 128 fill the budget, three ranks need six: six of about 107, not five full ones and an empty one."""
    by_rank = micro_batches(range(640), [32] * 640, 4096, ranks=3)
    assert [[len(batch) for batch in batches] for batches in by_rank] == [[107, 107], [107, 107], [107, 105]]


def test_sorting_leaves_almost_no_padding() -> None:
    lengths = [50 + 37 * i % 450 for i in range(128)]
    [batches] = micro_batches(range(128), lengths, 4096)
    padded = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)
    assert padded < 1.1 * sum(lengths)
    assert len(batches) < 1.3 * sum(lengths) / 4096, "micro-batches fill the budget"


# --- global batches ---------------------------------------------------------------------------------------------------


@given(examples=st.integers(1, 400), size=st.integers(1, 130), seed=st.integers(0, 5))
@settings(deadline=None)
def test_each_example_once_an_epoch(examples: int, size: int, seed: int) -> None:
    config = TrainingConfig(global_batch_size=size, seed=seed, epochs=2)
    batches = GlobalBatches(examples, config)
    steps = config.steps(examples)
    assert steps == 2 * batches.steps_per_epoch
    drawn = [batches[step] for step in range(steps)]
    for epoch in (0, 1):
        own = drawn[epoch * batches.steps_per_epoch : (epoch + 1) * batches.steps_per_epoch]
        assert sorted(i for batch in own for i in batch) == list(range(examples))
        assert [len(batch) for batch in own[:-1]] == [size] * (len(own) - 1)
        assert len(own[-1]) == examples - size * (len(own) - 1), "only the last batch of an epoch may be smaller"


@given(order=st.permutations(range(12)))
def test_a_batch_is_the_same_in_whatever_order_it_is_asked_for(order: list[int]) -> None:
    config = TrainingConfig(global_batch_size=10, seed=3, epochs=4)
    forwards = GlobalBatches(27, config)
    drawn = [forwards[step] for step in range(12)]
    again = GlobalBatches(27, config)
    assert {step: again[step] for step in order} == dict(enumerate(drawn))


def test_epochs_and_seeds_draw_differently() -> None:
    def first(seed: int, step: int) -> list[int]:
        return GlobalBatches(100, TrainingConfig(global_batch_size=50, seed=seed))[step]

    assert len({tuple(first(seed, step)) for seed in (1, 2) for step in (0, 2)}) == 4


def test_max_steps_shortens_and_never_lengthens() -> None:
    assert TrainingConfig(global_batch_size=10, epochs=2, max_steps=3).steps(25) == 3
    assert TrainingConfig(global_batch_size=10, epochs=2, max_steps=30).steps(25) == 6


# --- the length limit -------------------------------------------------------------------------------------------------


def lengths_without_limit(examples: list[Example], tokenizer: Any) -> list[int]:
    return tokenize(examples, tokenizer, TrainingConfig(max_length=100_000)).lengths


def test_too_long_is_an_error_that_counts_by_language_and_names_the_ways_on(
    examples: list[Example], tokenizer: Any
) -> None:
    lengths = lengths_without_limit(examples, tokenizer)
    limit = sorted(lengths)[100]
    over = Counter(e.language for e, length in zip(examples, lengths, strict=True) if length > limit)
    with pytest.raises(DataError) as found:
        tokenize(examples, tokenizer, TrainingConfig(max_length=limit))
    message = str(found.value)
    assert f"{sum(over.values())} examples are longer than max_length={limit} tokens" in message
    assert ", ".join(f"{language} {count}" for language, count in sorted(over.items())) in message
    assert f"the longest has {max(lengths)}" in message
    assert all(way in message for way in ("too_long=drop", "too_long=cut", "raise training.max_length"))


def test_drop_leaves_out_what_is_longer_and_counts_it(examples: list[Example], tokenizer: Any) -> None:
    lengths = lengths_without_limit(examples, tokenizer)
    limit = sorted(lengths)[100]
    data = tokenize(examples, tokenizer, TrainingConfig(max_length=limit, too_long="drop"))
    assert data.lengths == [length for length in lengths if length <= limit]
    over = Counter(e.language for e, length in zip(examples, lengths, strict=True) if length > limit)
    kept = Counter(e.language for e, length in zip(examples, lengths, strict=True) if length <= limit)
    assert (data.too_long, data.by_language("examples")) == ({"drop": over}, kept)
    assert sum(data.by_language("tokens").values()) == sum(data.lengths) == len(data.ids)


def test_cut_takes_the_end_of_the_response_and_drops_what_has_none_left(
    examples: list[Example], tokenizer: Any
) -> None:
    whole = tokenize(examples, tokenizer, TrainingConfig(max_length=100_000))
    limit = sorted(whole.lengths)[75]
    data = tokenize(examples, tokenizer, TrainingConfig(max_length=limit, too_long="cut"))
    kept = [i for i in range(len(whole)) if whole.prompt_tokens[i] < limit]
    assert len(kept) < len(whole), "the case needs an example whose prompt alone fills the limit"
    assert data.lengths == [min(whole.lengths[i], limit) for i in kept]
    assert min(data.supervised) >= 1
    for place, i in enumerate(kept):
        assert list(row(data, place)) == list(row(whole, i))[:limit]
    cut = Counter(examples[i].language for i in kept if whole.lengths[i] > limit)
    dropped = Counter(examples[i].language for i in set(range(len(whole))) - set(kept))
    assert data.too_long == {"cut": cut, "drop": dropped}


def test_cut_keeps_an_example_with_a_single_supervised_token_and_none_without(
    examples: list[Example], tokenizer: Any
) -> None:
    [prompt] = encode_prompts([study_prompt(examples[0].instruction)], tokenizer)
    data = tokenize(examples[:1], tokenizer, TrainingConfig(max_length=len(prompt) + 1, too_long="cut"))
    assert (data.lengths, data.supervised) == ([len(prompt) + 1], [1])
    with pytest.raises(DataError, match="no example is left"):
        tokenize(examples[:1], tokenizer, TrainingConfig(max_length=len(prompt), too_long="cut"))


@pytest.mark.parametrize("too_long", ["drop", "cut"])
def test_nothing_left_is_an_error(examples: list[Example], tokenizer: Any, too_long: Any) -> None:
    with pytest.raises(DataError, match=r"no example is left to train on .*max_length=10"):
        tokenize(examples, tokenizer, TrainingConfig(max_length=10, too_long=too_long))


def test_no_examples_is_an_error(tokenizer: Any) -> None:
    with pytest.raises(DataError, match="no example"):
        tokenize([], tokenizer, TrainingConfig())


# --- what is supervised -----------------------------------------------------------------------------------------------


def row(data: Any, index: int) -> Any:
    return data.ids[data.starts[index] : data.starts[index + 1]]


def test_the_response_and_one_end_of_sequence_are_supervised(examples: list[Example], tokenizer: Any) -> None:
    data = tokenize(examples, tokenizer, TrainingConfig())
    asked = encode_prompts([study_prompt(example.instruction) for example in examples], tokenizer)
    for index, example in enumerate(examples):
        ids, start = row(data, index).tolist(), int(data.prompt_tokens[index])
        assert ids[:start] == asked[index]
        assert ids[-1] == tokenizer.eos_token_id
        assert ids.count(tokenizer.eos_token_id) == ids.count(tokenizer.bos_token_id) == 1
        assert tokenizer.decode(ids[start:-1]) == example.response


def test_more_examples_than_a_chunk_are_the_same_as_one_by_one(
    examples: list[Example], tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tokenize(examples, tokenizer, TrainingConfig())
    monkeypatch.setattr("qalign.training.tokens.CHUNK", 7)
    pieces = tokenize(iter(examples), tokenizer, TrainingConfig())
    assert whole.ids.tolist() == pieces.ids.tolist()
    assert (whole.lengths, whole.supervised) == (pieces.lengths, pieces.supervised)
    assert whole.mixture == pieces.mixture
    assert [r["supervised_tokens"] for r in whole.mixture] == [
        sum(n for n, e in zip(whole.supervised, examples, strict=True) if e.language == r["language"])
        for r in whole.mixture
    ]


@given(indices=st.lists(st.integers(0, 149), min_size=1, max_size=12, unique=True))
@settings(deadline=None, max_examples=30)
def test_collate_selects_each_position_whose_next_token_is_supervised(
    indices: list[int], examples: list[Example], tokenizer: Any
) -> None:
    data = tokenize([examples[i] for i in indices], tokenizer, TrainingConfig())
    batch = collate(Batch(data, range(len(indices))))
    assert batch.ids.shape == (len(indices), max(data.lengths))
    positions, targets = [], []
    for place in range(len(indices)):
        tokens, start = row(data, place).tolist(), int(data.prompt_tokens[place])
        padding = [0] * (max(data.lengths) - len(tokens))
        assert batch.ids[place].tolist() == tokens + padding
        for position in range(batch.ids.shape[1]):
            if start <= position + 1 < len(tokens):
                positions.append(place * max(data.lengths) + position)
                targets.append(tokens[position + 1])
    assert batch.selected.tolist() == positions and batch.targets.tolist() == targets


def test_an_empty_micro_batch_is_a_row_without_supervision(examples: list[Example], tokenizer: Any) -> None:
    batch = collate(Batch(tokenize(examples[:1], tokenizer, TrainingConfig()), []))
    assert batch.ids.shape[0] == 1 and batch.ids.shape[1] > 0
    assert len(batch.selected) == len(batch.targets) == 0


def test_what_is_kept_is_what_was_made(examples: list[Example], tokenizer: Any, tmp_path: Path) -> None:
    made = tokenize(examples, tokenizer, TrainingConfig(max_length=200, too_long="drop"))
    made.save(tmp_path / "tokens")
    found = TokenizedExamples.load(tmp_path / "tokens")
    for name in ("ids", "starts", "prompt_tokens"):
        assert getattr(found, name).dtype == getattr(made, name).dtype
        assert getattr(found, name).tolist() == getattr(made, name).tolist()
    for name in ("mixture", "too_long"):
        assert getattr(found, name) == getattr(made, name)
    assert [path.name for path in tmp_path.iterdir()] == ["tokens"]
    batch, again = (collate(Batch(data, [0, 2])) for data in (made, found))
    assert batch.ids.equal(again.ids) and batch.targets.equal(again.targets)
