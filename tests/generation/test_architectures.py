"""Any causal language model: the loss at supervised positions and batched generation are those of the plain model."""

from __future__ import annotations

import copy
from typing import Any

import pytest

torch = pytest.importorskip("torch")
import transformers  # noqa: E402

from qalign.alignment.prompts import encode_prompts, prompt  # noqa: E402
from qalign.generation import (  # noqa: E402
    DecodingConfig,
    Request,
)
from qalign.generation.local import Local, rows_at_once  # noqa: E402
from qalign.models.tiny import train_tokenizer  # noqa: E402
from qalign.training import prefix  # noqa: E402
from qalign.training.batches import MicroBatch  # noqa: E402
from qalign.training.loss import SupervisedLoss  # noqa: E402

MAX_NEW_TOKENS = 20
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
GROUPED = {**SMALL, "num_key_value_heads": 1}
NO_DROPOUT = {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", GROUPED),
    "llama (heads in groups)": ("LlamaConfig", {**SMALL, "num_attention_heads": 4, "num_key_value_heads": 2}),
    "gpt2 (learned positions)": (
        "GPT2Config",
        {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 256, **NO_DROPOUT},
    ),
    "gemma2 (soft-capped logits, sliding window)": ("Gemma2Config", {**GROUPED, "head_dim": 16, "sliding_window": 16}),
    "mistral (sliding window)": ("MistralConfig", {**GROUPED, "sliding_window": 16}),
    "bloom (ALiBi)": ("BloomConfig", {"hidden_size": 32, "n_layer": 2, "n_head": 2}),
    "mamba (recurrent state)": ("MambaConfig", {"hidden_size": 32, "num_hidden_layers": 2}),
}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(["Anna buys 12 apples and gives away 5 pears."] * 4, 320)


@pytest.fixture(params=CONFIGS, scope="module")
def model(request: pytest.FixtureRequest, tokenizer: Any) -> Any:
    name, shape = CONFIGS[request.param]
    ids: dict[str, Any] = {"vocab_size": len(tokenizer), "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    ids["tie_word_embeddings"] = False  # tied ones of random weights say the same token for ever
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(getattr(transformers, name)(**shape, **ids)).eval()


def test_the_loss_is_that_of_full_logits(model: Any, tokenizer: Any) -> None:
    ids = torch.randint(3, len(tokenizer), (3, 40), generator=torch.Generator().manual_seed(1))
    selected = torch.zeros(ids.shape, dtype=torch.bool)
    for row, (first, last) in enumerate([(10, 39), (30, 35), (0, 20)]):
        selected[row, first:last] = True
    targets = ids[:, 1:][selected[:, :-1]]
    with torch.no_grad():
        full = model(ids).logits[selected].float()
        expected = torch.nn.functional.cross_entropy(full, targets, reduction="sum")
        loss = SupervisedLoss(model)
        found = loss(model, MicroBatch(ids=ids, selected=selected.flatten().nonzero().flatten(), targets=targets))
        loss.remove()
        assert model(ids).logits.shape[:2] == ids.shape, "the hook is off again"
    torch.testing.assert_close(found, expected)


def test_how_many_are_answered_at_once_is_known_for_any_model(model: Any) -> None:
    rows = rows_at_once(model, MAX_NEW_TOKENS, 2.0**34)
    assert rows == 1 if model.config.model_type == "mamba" else rows > 1


def test_a_prefix_that_is_read_once_gives_the_same_loss_and_gradients(model: Any, tokenizer: Any) -> None:
    """Where a model cannot (no attention through transformers' interface, a window that is too short), it says so."""
    read_once, rest = 12, 28
    drawn = torch.Generator().manual_seed(2)
    ids = torch.randint(3, len(tokenizer), (3, read_once + rest), generator=drawn)
    ids[1:, :read_once] = ids[0, :read_once]
    selected = torch.cat([torch.arange(read_once, read_once + rest - 1) + row * (read_once + rest) for row in range(3)])
    targets = ids.flatten()[selected + 1]
    model = copy.deepcopy(model)
    if not prefix.share(model, read_once + rest):
        assert model.config.model_type not in ("llama", "gpt2")
        assert model.config._attn_implementation != prefix.ATTENTION
        return
    assert model.config.model_type in ("llama", "gpt2"), "the window of 16 tokens is shorter than the rows"
    loss, found = SupervisedLoss(model), []
    shifted = selected - read_once * torch.arange(3).repeat_interleave(rest - 1)
    laid_out = MicroBatch(
        ids=prefix.laid_out(ids, read_once),
        selected=shifted,
        targets=targets,
        positions=prefix.positions(read_once, 3, rest),
        prefix=read_once,
        rows=3,
    )
    for batch in (MicroBatch(ids=ids, selected=selected, targets=targets), laid_out):
        model.zero_grad()
        value = loss(model, batch)
        value.backward()
        found.append((value.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]))
    loss.remove()
    torch.testing.assert_close(found[1][0], found[0][0])
    for together, apart in zip(found[1][1], found[0][1], strict=True):
        assert (together - apart).norm() <= 1e-5 * apart.norm()


def test_a_model_that_mixes_tokens_outside_attention_reads_every_row_whole() -> None:
    class Shift(torch.nn.Module):
        def forward(self, hidden: Any) -> Any:
            return hidden + hidden.roll(1, dims=1)

    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=64, **GROUPED))
    assert prefix.share(model, 40)
    model.set_attn_implementation(prefix.ORDINARY)
    model.config.attention_dropout = 0.1
    assert not prefix.share(model, 40), "each row would draw for itself"
    model.config.attention_dropout = 0.0
    model._is_stateful = True  # as that of Mamba is
    assert not prefix.share(model, 40)
    model._is_stateful = False
    model.model.layers[0].mlp = Shift()
    assert not prefix.share(model, 40)
    assert model.config._attn_implementation == prefix.ORDINARY and prefix.LAYOUT.sizes is None


def test_batched_answers_are_those_of_generate_one_by_one(model: Any, tokenizer: Any) -> None:
    requests = [Request(str(length), "Anna buys 12 " * length) for length in (1, 6, 2, 4, 3)]
    local = Local(model, tokenizer, DecodingConfig(max_new_tokens=MAX_NEW_TOKENS), batch_size=3)
    expected = {}
    for request in requests:
        ids = torch.tensor(encode_prompts([prompt(request.instruction)], tokenizer))
        out = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=MAX_NEW_TOKENS, do_sample=False,
            eos_token_id=2, pad_token_id=0,
        )[0, ids.shape[1] :].tolist()  # fmt: skip
        expected[request.key] = out
    # What one answer says early ends it there, and any other where it says the same.
    local.ends = [2, expected["1"][0], expected["4"][3]]
    found = {answer.key: (answer.text, answer.tokens, answer.finish) for answer in local.generate(requests)}
    for key, out in expected.items():
        length = next((place for place, token in enumerate(out) if token in local.ends), None)
        text = tokenizer.decode(out[:length], skip_special_tokens=True)
        assert found[key] == (
            text,
            MAX_NEW_TOKENS if length is None else length,
            "length" if length is None else "stop",
        )
    assert found["1"][1:] == (0, "stop")
    assert found["4"][1] <= 3
