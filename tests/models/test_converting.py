"""Published checkpoints are pickles: safetensors are made of them, every tensor as it was, and nothing in them is run."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.torch_version import TorchVersion
from typer.testing import CliRunner

from fake_hub import fake_hub
from own_data import OwnData
from published import PAD, RFT, TOKENS, USUAL, Special, write_checkpoint, write_pickles
from qalign.cli import app
from qalign.errors import DataError, ModelError
from qalign.models import converting
from qalign.models.folders import weight_files
from qalign.models.opening import check_model, load_model, load_tokenizer, load_tokenizer_as_saved
from qalign.systems.bases import base_on_disk, convert


def held(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of a folder in safetensors."""
    return {name: tensor for file in weight_files(folder) for name, tensor in load_file(file).items()}


def assert_same_bits(tensors: dict[str, torch.Tensor], folder: Path) -> None:
    found = held(folder)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        wanted = tensor.to(torch.bfloat16)
        assert found[name].dtype == torch.bfloat16
        assert torch.equal(found[name].view(torch.int16), wanted.view(torch.int16)), name


@pytest.fixture(scope="module")
def published(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pickles with an index, in float32, `[PAD]` as row 32000. Not to be written to."""
    folder = tmp_path_factory.mktemp("published") / "model"
    write_checkpoint(folder, base)
    return folder


@pytest.fixture
def copied(published: Path, tmp_path: Path) -> Path:
    """A copy, to be spoilt."""
    return Path(shutil.copytree(published, tmp_path / "copied"))


# --- what is made -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("files", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_every_tensor_is_kept_bit_for_bit(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(converting, "FILE_BYTES", 600_000)  # several files come out, as of a large model
    tensors = write_checkpoint(tmp_path / "model", base, files=files, dtype=dtype)
    said = "\n".join(convert(tmp_path / "model", tmp_path / "new"))
    assert_same_bits(tensors, tmp_path / "new")
    assert len(weight_files(tmp_path / "new")) == 2
    assert f"{len(tensors)} tensors, as many as the pickles name; {len(tensors)} were written" in said
    assert f"32,001 embeddings; the last token is {PAD}, with id {TOKENS}." in said
    assert "Not copied: training_args.bin." in said
    kept = {"config.json", "tokenizer.json", "tokenizer_config.json", "README.md"}
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert kept < names
    assert not [name for name in names if name.endswith((".bin", ".bin.index.json", ".part"))]
    assert json.loads((tmp_path / "new" / "config.json").read_text("utf-8"))["torch_dtype"] == "bfloat16"
    check_model(tmp_path / "new")
    load_tokenizer_as_saved(tmp_path / "new")  # no chat template lacks
    opened = load_model(tmp_path / "new", torch.bfloat16).state_dict()
    assert all(torch.equal(opened[name], tensors[name].to(torch.bfloat16)) for name in tensors)


@pytest.mark.parametrize("special", [USUAL, RFT])
def test_a_slow_tokenizer_is_copied_and_gives_the_tokens_of_sentencepiece(
    base: Path, tmp_path: Path, special: Special
) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    tensors = write_checkpoint(tmp_path / "model", base, tokenizer="slow", special=special)
    convert(tmp_path / "model", tmp_path / "new")
    assert_same_bits(tensors, tmp_path / "new")
    tokenizer = load_tokenizer(tmp_path / "new")
    own = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "new" / "tokenizer.model"))
    for text in ("Ann has 3 apples.\n\nHow many?", "অ্যানের ১৮টি আপেল", "安有12个苹果"):
        assert tokenizer(text)["input_ids"] == [own.piece_to_id(special[0]), *own.encode(text)]
    assert (tokenizer.pad_token, tokenizer.pad_token_id, len(tokenizer)) == (PAD, TOKENS, TOKENS + 1)
    assert tokenizer.eos_token == "</s>"


def test_tied_embeddings_are_written_once(base: Path, tmp_path: Path) -> None:
    for files in (1, 2):  # in one pickle they share their memory, in two they do not
        folder = tmp_path / str(files)
        tensors = write_checkpoint(folder, base, files=files, config={"tie_word_embeddings": True})
        said = convert(folder, tmp_path / f"new{files}")
        assert any("lm_head.weight is model.embed_tokens.weight again" in line for line in said)
        del tensors["lm_head.weight"]
        assert_same_bits(tensors, tmp_path / f"new{files}")
    write_pickles(folder, {**tensors, "lm_head.weight": tensors["model.embed_tokens.weight"] + 1})
    with pytest.raises(
        ModelError, match=r"config.json ties lm_head.weight to model.embed_tokens.weight, and they differ"
    ):
        convert(folder, tmp_path / "differing")


def test_tensors_that_share_memory_and_views_are_written_apart(base: Path, tmp_path: Path) -> None:
    tensors = write_checkpoint(tmp_path / "model", base, files=1)
    large = torch.randn(TOKENS + 1, 16)
    tensors |= {"model.embed_tokens.weight": large[:, ::2], "lm_head.weight": large[:, ::2]}  # not tied by config.json
    tensors["model.norm.weight"] = torch.nn.Parameter(tensors["model.norm.weight"])  # type: ignore[assignment]
    write_pickles(tmp_path / "model", tensors, 1)
    convert(tmp_path / "model", tmp_path / "new")
    assert_same_bits({name: tensor.detach() for name, tensor in tensors.items()}, tmp_path / "new")


def test_buffers_of_older_versions_are_left_out(copied: Path, tmp_path: Path, published: Path) -> None:
    file = copied / "pytorch_model-00001-of-00002.bin"
    index = copied / "pytorch_model.bin.index.json"
    tensors, name = torch.load(file), "model.layers.0.self_attn.rotary_emb.inv_freq"
    torch.save({**tensors, name: torch.ones(2)}, file)
    values = json.loads(index.read_text("utf-8"))
    values["weight_map"][name] = file.name
    index.write_text(json.dumps(values), "utf-8")
    said = "\n".join(convert(copied, tmp_path / "new"))
    assert "Left out 1 buffer of older versions" in said
    assert name not in held(tmp_path / "new")


@pytest.mark.parametrize(("pad", "rows", "says"), [
    (False, TOKENS, f"32,000 embeddings; the last token is .*, with id {TOKENS - 1}"),
    (True, TOKENS + 64, r"32,064 embeddings, 63 more than tokens; the last token is \[PAD\], with id 32000"),
    (True, TOKENS, r"32,000 embeddings; \[PAD\] has id 32000 and none, for it only pads"),
])  # fmt: skip
def test_embeddings_may_be_padded(base: Path, tmp_path: Path, pad: bool, rows: int, says: str) -> None:
    tensors = write_checkpoint(tmp_path / "model", base, pad=pad, config={"vocab_size": rows})
    said = "\n".join(convert(tmp_path / "model", tmp_path / "new"))
    assert re.search(says, said)
    assert_same_bits(tensors, tmp_path / "new")


def test_a_file_of_an_old_torch_is_read(base: Path, tmp_path: Path) -> None:
    tensors = write_checkpoint(tmp_path / "model", base, files=1)
    torch.save(tensors, tmp_path / "model" / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    convert(tmp_path / "model", tmp_path / "new")
    assert_same_bits(tensors, tmp_path / "new")


def test_the_command_says_what_it_did_and_how_a_refusal_names_it(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"has no weights as .safetensors .*: qalign convert {copied} NEW_FOLDER"):
        base_on_disk(copied, tmp_path)
    done = CliRunner().invoke(app, ["convert", str(copied), str(tmp_path / "a" / "new")])
    assert done.exit_code == 0, done.output
    assert "2 pickles of" in done.output
    assert "Model:" in done.output
    base_on_disk(tmp_path / "a" / "new", tmp_path)
    again = CliRunner().invoke(app, ["convert", str(copied), str(tmp_path / "a" / "new")])
    assert (again.exit_code, "is there already; name a new folder" in again.stderr) == (2, True)
    with pytest.raises(ModelError, match="holds safetensors already"):
        convert(tmp_path / "a" / "new", tmp_path / "b")


@pytest.mark.slow
def test_a_checkpoint_of_the_hub_is_fetched_at_a_commit(published: Path, own_data: OwnData, tmp_path: Path) -> None:
    with fake_hub(tmp_path) as hub:
        files = {path.name: path.read_bytes() for path in published.iterdir()}
        commit = hub.push("models/owner/published", {**files, "modeling.py": b"raise SystemExit('code of a model')"})
        done = hub.qalign("eval", "owner/published", "--test", str(own_data.test), "--limit", "1")
        assert "owner/published has no weights as .safetensors" in done.stderr
        assert "qalign convert owner/published NEW_FOLDER" in done.stderr
        done = hub.qalign("convert", "owner/published", "new")
        assert done.returncode == 0, done.stderr
        assert json.loads((hub.folder / "runs" / "revisions.json").read_text()) == {"model:owner/published": commit}
        assert not [line for line in hub.asked if "training_args.bin" in line or "modeling.py" in line]
        assert len(held(hub.folder / "new")) == 21


# --- what is refused --------------------------------------------------------------------------------------------------


class Runs:
    """A pickle of it makes a file, the place in the environment, when it is opened without care."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch $QALIGN_TEST_RAN",)


FIRST = "pytorch_model-00001-of-00002.bin"


def changed(folder: Path, **values: Any) -> None:
    tensors = torch.load(folder / FIRST, weights_only=True)
    torch.save({**tensors, **values}, folder / FIRST)


def settings(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **values}), "utf-8")


def index(folder: Path, old: str, new: str) -> None:
    path = folder / "pytorch_model.bin.index.json"
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "code among tensors": (lambda f: changed(f, evil=Runs()), r"asks for \w+\.system, .*; nothing of it was run"),
    "code alone": (lambda f: (f / FIRST).write_bytes(pickle.dumps(Runs(), 2)), "asks for|is not a file of tensors"),
    "code of protocol 5": (lambda f: (f / FIRST).write_bytes(pickle.dumps(Runs(), 5)), "is not a file of tensors"),
    "code in place of the file": (lambda f: torch.save(Runs(), f / FIRST), r"asks for \w+\.system"),
    "a class of torch": (lambda f: torch.save(torch.nn.Linear(2, 2), f / FIRST), "asks for torch.nn.modules.linear.Linear"),
    "a function of python": (lambda f: changed(f, evil=getattr), "asks for"),
    "a pointer to a large file": (lambda f: (f / FIRST).write_text("version https://git-lfs"), "is not a file of tensors"),
    "cut": (lambda f: (f / FIRST).write_bytes((f / FIRST).read_bytes()[:-99]), "is not a whole file of torch"),
    "empty": (lambda f: (f / FIRST).write_bytes(b""), "is not a whole file of torch|is not a file"),
    "a list": (lambda f: torch.save([torch.ones(2)], f / FIRST), "holds list, not tensors by name"),
    "a number": (lambda f: changed(f, step=3), r"holds more than tensors by name \(step is int\)"),
    "a state in a dictionary": (lambda f: torch.save({"state_dict": {}}, f / FIRST), "state_dict is dict"),
    "a sparse tensor": (lambda f: changed(f, sparse=torch.eye(3).to_sparse()), "sparse, which is not dense"),
    "a tensor that repeats itself": (lambda f: changed(f, huge=torch.ones(1).expand(10**9)), "huge in it claims more"),
    "a tensor too many": (lambda f: changed(f, more=torch.ones(2)), "only the file has more"),
    "an index of other tensors": (lambda f: index(f, "model.embed_tokens", "model.embed"), "only the .* has model.embed"),
    "an index that leads elsewhere": (lambda f: index(f, FIRST, f"../copied/{FIRST}"), "names .*, which is not there"),
    "a file that is not there": (lambda f: (f / FIRST).unlink(), f"names {FIRST}, which is not there"),
    "no index": (lambda f: (f / "pytorch_model.bin.index.json").unlink(), "has neither pytorch_model.bin nor"),
    "other embeddings": (lambda f: settings(f, vocab_size=TOKENS), "is 32001 x 8, and by config.json it is 32000 x 8; put 32001"),
    "tokens without embeddings": (lambda f: settings(f, vocab_size=300), "beyond the model's 300 embeddings"),
    "more layers": (lambda f: settings(f, num_hidden_layers=3), "holds 21 tensors, and config.json describes 30: model.layers.2"),
    "fewer layers": (lambda f: settings(f, num_hidden_layers=1), "has 9 weights that its architecture does not read"),
    "quantized": (lambda f: settings(f, quantization_config={"bits": 4}), "is quantized"),
    "code beside it": (lambda f: settings(f, model_type="mine", auto_map={"AutoConfig": "mine.C"}), "cannot be opened"),
    "not a number": (lambda f: changed(f, **{"model.embed_tokens.weight": torch.full((TOKENS + 1, 8), torch.nan)}), "hold NaN"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "has no tokenizer"),
    "an adapter": (lambda f: (f / "adapter_config.json").write_text("{}"), "holds an adapter"),
}  # fmt: skip


@pytest.mark.parametrize("spoil", [*SPOILT])
def test_what_is_not_a_whole_model_is_refused_in_one_line_and_nothing_runs(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    monkeypatch.setenv("QALIGN_TEST_RAN", str(tmp_path / "ran"))
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # which others set, so that old code goes on
    spoiled, says = SPOILT[spoil]
    spoiled(copied)
    with pytest.raises(ModelError, match=says) as raised:
        convert(copied, tmp_path / "new")
    assert len(str(raised.value).splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copied"]


def test_a_careless_reader_would_run_it(copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pickle of the test above does what it says."""
    monkeypatch.setenv("QALIGN_TEST_RAN", str(tmp_path / "ran"))
    changed(copied, evil=Runs())
    torch.load(copied / FIRST, weights_only=False)
    assert (tmp_path / "ran").is_file()


@pytest.mark.parametrize("version", ["2.9.1", "2.9.1+cu128", "2.6.0", "2.10.0a0"])
def test_an_older_torch_is_refused(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr(torch, "__version__", TorchVersion(version))
    with pytest.raises(ModelError, match=r"converting needs 2\.10 or newer"):
        convert(published, tmp_path / "new")
    for newer in ("2.10.0", "2.10.0+cpu", "3.0"):
        monkeypatch.setattr(torch, "__version__", TorchVersion(newer))
        converting.check_torch()


def test_a_full_disk_is_found_before_anything_is_written(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    monkeypatch.setattr(converting, "_written", None)
    with pytest.raises(ModelError, match=r"takes 1,002.6 KiB, and 1.0 KiB are free at"):
        convert(published, tmp_path / "new")
    assert not any(tmp_path.iterdir())


def test_what_is_there_stays(published: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "mine").touch()
    with pytest.raises(DataError, match="is there already"):
        convert(published, tmp_path / "new")
    assert (tmp_path / "new" / "mine").is_file()


def test_a_killed_conversion_leaves_no_model_and_the_next_one_clears_up(published: Path, tmp_path: Path) -> None:
    script = (
        "import sys, time; from qalign.models import converting; from qalign.systems.bases import convert\n"
        "save = converting._save\n"
        "def slowly(tensors, path): save(tensors, path); print('saved', flush=True); time.sleep(600)\n"
        "converting._save = slowly; convert(sys.argv[1], sys.argv[2])"
    )
    arguments = [sys.executable, "-c", script, str(published), str(tmp_path / "new")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "saved\n"
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "new").exists()
    assert len(list(tmp_path.iterdir())) == 1
    convert(published, tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
