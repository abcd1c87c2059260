"""The cache with room holds what transformers' own would, whatever is appended and whichever rows leave."""

from __future__ import annotations

import random

import pytest
import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from qalign.generation.rows import ROOM, give_room, roomy_layer


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
            rows -= draw.randrange(1, min(rows, 4))
            keep = torch.tensor(draw.sample(range(rows + 1), rows))
            for cache in (ours, theirs):
                cache.batch_select_indices(keep)
        new = states(rows, draw.choice((1, 1, 1, 3)))
        (keys, values), (expected_keys, expected_values) = ours.update(*new, 0), theirs.update(*new, 0)
        assert torch.equal(keys, expected_keys)
        assert torch.equal(values, expected_values)
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


@pytest.mark.parametrize(("tokens", "others"), [(9, 4), (3, 70), (5, 5), (70, 66)])
def test_rows_of_another_cache_take_the_place_of_some_aligned_on_the_right(tokens: int, others: int) -> None:
    ours, theirs = DynamicCache(), DynamicCache()
    (keys, values), (other_keys, other_values) = states(4, tokens), states(2, others)
    ours.update(keys, values, 0)
    theirs.update(other_keys, other_values, 0)
    give_room(ours)
    assert type(ours.layers[0]) is roomy_layer()
    ours.layers[0].put(torch.tensor([2, 0]), theirs.layers[0])
    length = max(tokens, others)
    assert ours.get_seq_length() == length
    for found, first, second in (
        (ours.layers[0].keys, keys, other_keys),
        (ours.layers[0].values, values, other_values),
    ):
        assert found.shape == (4, 2, length, 4)
        assert torch.equal(found[[1, 3], :, length - tokens :], first[[1, 3]])
        assert torch.equal(found[[2, 0], :, length - others :], second)
        assert found[:, :, : length - tokens].isfinite().all()
    new = states(4, 1)
    assert torch.equal(ours.update(*new, 0)[0][:, :, -1:], new[0])


@pytest.mark.parametrize("past", [0, 4])
@pytest.mark.parametrize(("kept", "zeros"), [([0, 1, 2], 0), ([0, 1, 2], 4), ([2, 0], 0), ([1], 70)])
def test_a_copy_keeps_what_is_held(kept: list[int], zeros: int, past: int) -> None:
    cache = DynamicCache()
    keys, values = states(3, 9)
    cache.update(keys, values, 0)
    give_room(cache)
    layer = cache.layers[0]
    layer.leave_out(past)
    assert torch.equal(layer.keys, keys[:, :, past:])
    layer.batch_select_indices(torch.tensor(kept))
    layer.rearrange(zeros)
    for found, whole in ((layer.keys, keys), (layer.values, values)):
        assert torch.equal(found, whole[kept][:, :, past:])
    new = states(len(kept), 2)
    for found, whole in zip(layer.update(*new), (keys, values), strict=True):
        assert torch.equal(found[:, :, : 9 - past], whole[kept][:, :, past:])
    longer = DynamicCache()
    longer.update(*states(1, 9 + zeros), 0)
    give_room(longer)
    layer.put(torch.tensor([0]), longer.layers[0])
    assert torch.equal(layer.keys[:1, :, -9 - zeros :], longer.layers[0].keys)
    assert torch.equal(layer.keys[1:, :, -2:], new[0][1:]) and layer.keys.isfinite().all()


def test_layers_that_do_not_hold_all_tokens_stay_as_they_are() -> None:
    cache = DynamicCache()
    cache.layers = [DynamicSlidingWindowLayer(sliding_window=4), DynamicLayer()]
    cache.update(*states(2, 3), 0)
    give_room(cache)
    assert [type(layer) for layer in cache.layers] == [DynamicSlidingWindowLayer, DynamicLayer]
    give_room(object())
