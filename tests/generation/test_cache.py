"""The cache with room holds what transformers' own would, whatever is appended and whichever rows leave."""

from __future__ import annotations

import random

import pytest
import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from qalign.generation.cache import ROOM, give_room, join_caches, joinable, roomy_layer


def states(rows: int, tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(rows, 2, tokens, 4), torch.randn(rows, 2, tokens, 4)


@pytest.mark.parametrize("seed", range(5))
def test_it_holds_the_same_as_the_cache_that_concatenates(seed: int) -> None:
    torch.manual_seed(seed)
    draw = random.Random(seed)
    ours, theirs = DynamicCache(), DynamicCache()
    rows = 9
    first = states(rows, 7)
    for cache in (ours, theirs):
        cache.update(*first, 0)
    give_room(ours)
    assert type(ours.layers[0]) is roomy_layer()
    for _ in range(2 * ROOM + 5):
        if rows > 1 and draw.random() < 0.05:
            keep = torch.tensor(sorted(draw.sample(range(rows), rows - 1)))
            rows -= 1
            for cache in (ours, theirs):
                cache.batch_select_indices(keep)
        new = states(rows, draw.choice((1, 1, 1, 3)))
        for found, expected in zip(ours.update(*new, 0), theirs.update(*new, 0), strict=True):
            assert torch.equal(found, expected)
        assert ours.get_seq_length() == theirs.get_seq_length()
        assert ours.get_mask_sizes(1, 0) == theirs.get_mask_sizes(1, 0)


def test_what_was_handed_out_stays_as_it_was() -> None:
    cache = DynamicCache()
    cache.update(*states(2, 3), 0)
    give_room(cache)
    keys, _ = cache.update(*states(2, 1), 0)
    before = keys.clone()
    cache.update(*states(2, 1), 0)
    assert torch.equal(keys, before)


@pytest.mark.parametrize(("tokens", "others", "unused"), [(9, 4, 0), (9, 4, 3), (3, 70, 0), (5, 5, 5), (70, 66, 2)])
def test_rows_of_another_cache_stand_below_aligned_on_the_right(tokens: int, others: int, unused: int) -> None:
    ours, theirs = DynamicCache(), DynamicCache()
    (keys, values), (other_keys, other_values) = states(2, tokens), states(3, others)
    ours.update(keys, values, 0)
    theirs.update(other_keys, other_values, 0)
    for cache in (ours, theirs):
        assert not joinable(cache)
        give_room(cache)
        assert joinable(cache)
    join_caches(ours, theirs, unused)
    length = max(tokens - unused, others)
    assert ours.get_seq_length() == length
    for found, first, second in (
        (ours.layers[0].keys, keys, other_keys),
        (ours.layers[0].values, values, other_values),
    ):
        assert found.shape == (5, 2, length, 4)
        assert torch.equal(found[:2, :, length - (tokens - unused) :], first[:, :, unused:])
        assert torch.equal(found[2:, :, length - others :], second)
        assert not found[:2, :, : length - (tokens - unused)].any()
        assert not found[2:, :, : length - others].any()
    new = states(5, 1)
    assert torch.equal(ours.update(*new, 0)[0][:, :, -1:], new[0])


def test_layers_that_do_not_hold_all_tokens_stay_as_they_are() -> None:
    cache = DynamicCache()
    cache.layers = [DynamicSlidingWindowLayer(sliding_window=4), DynamicLayer()]
    cache.update(*states(2, 3), 0)
    give_room(cache)
    assert [type(layer) for layer in cache.layers] == [DynamicSlidingWindowLayer, DynamicLayer]
    give_room(object())
