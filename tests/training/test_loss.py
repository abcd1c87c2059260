"""The loss in parts is torch's loss."""

from __future__ import annotations

import pytest
import torch

from qalign.training import loss
from qalign.training.loss import cross_entropy


@pytest.mark.parametrize("at_once", [1, 300, 2**19])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_torchs_cross_entropy(dtype: torch.dtype, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "NUMBERS_AT_ONCE", {"cpu": at_once})
    torch.manual_seed(0)
    logits = (8 * torch.randn(23, 101)).to(dtype).requires_grad_()
    targets = torch.randint(0, 101, (23,))
    found = cross_entropy(logits, targets)
    (gradient,) = torch.autograd.grad(0.3 * found, logits)
    expected = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum")
    (expected_gradient,) = torch.autograd.grad(0.3 * expected, logits)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    assert gradient.dtype == dtype
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-5, atol=1e-6)


def test_its_gradient_is_that_of_differences() -> None:
    torch.manual_seed(1)
    weights = torch.randn(4, 7, dtype=torch.float64)
    targets = torch.tensor([0, 6, 3, 3])
    logits = weights.float().requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(logits, targets), logits)
    step = 1e-2
    for row, column in ((0, 0), (1, 2), (2, 3), (3, 6)):
        higher, lower = weights.float(), weights.float()
        higher[row, column] += step
        lower[row, column] -= step
        slope = (cross_entropy(higher, targets) - cross_entropy(lower, targets)) / (2 * step)
        assert float(slope) == pytest.approx(float(gradient[row, column]), abs=1e-3)


def test_no_supervised_token_is_no_loss() -> None:
    logits = torch.zeros(0, 9, requires_grad=True)
    found = cross_entropy(logits, torch.zeros(0, dtype=torch.long))
    found.backward()
    assert found.item() == 0
    assert logits.grad is not None and logits.grad.shape == (0, 9)


def test_large_logits_do_not_overflow() -> None:
    logits = torch.tensor([[3e4, -3e4, 0.0]], requires_grad=True)
    found = cross_entropy(logits, torch.tensor([1]))
    found.backward()
    assert found.item() == pytest.approx(6e4)
    assert logits.grad is not None and logits.grad.tolist() == [[1.0, -1.0, 0.0]]
