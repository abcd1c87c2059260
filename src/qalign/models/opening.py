"""Opens any causal language model on disk, and its tokenizer, and saves it as a folder that transformers and vLLM open."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import re
import shutil
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..alignment.prompts import end_of_sequence, set_chat_template
from ..errors import ModelError, SettingError
from ..huggingface import Repository, fetch
from ..records import usual_permissions
from ..untrusted import printable
from ..wording import counted
from .folders import check_finite, check_folder, check_values, read_settings, tensors, weight_files

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import GenerationConfig, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

POINTER = "model.json"
SPECIAL = ("bos_token_id", "eos_token_id", "pad_token_id")
Precision = Literal["bfloat16", "float32"]
OLD_BUFFERS = ("attn.bias", "attention.bias", "masked_bias", "rotary_emb.inv_freq", "position_ids")
"""Endings of tensors that older versions of transformers saved as well. They follow from the configuration."""


def resolve(folder: Path) -> Path:
    """The folder with the model of a finished stage: itself, or the hub snapshot that it names."""
    pointer = folder / POINTER
    if not pointer.is_file():
        return folder
    named = json.loads(pointer.read_text(encoding="utf-8"))
    return download(named["hub"], named["revision"])


def download(name: str, revision: str) -> Path:
    """Downloads the safetensors, tokenizer and configuration of a hub model at a commit, or takes them from the cache."""
    patterns = ("*.safetensors", "*.json", "*.model", "*.txt", "*.jinja")
    folder = fetch(Repository("model", name), revision, patterns)
    check_folder(folder, name)
    return folder


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder. Never runs code from the folder."""
    from transformers import AutoTokenizer

    converted, sentencepiece = (folder / name for name in ("tokenizer.json", "tokenizer.model"))
    lacks_library = sentencepiece.is_file() and not converted.is_file() and not find_spec("sentencepiece")
    advice = (
        "a SentencePiece model needs: pip install sentencepiece protobuf" if lacks_library else "save it there again"
    )
    with faults(f"the tokenizer in {folder} cannot be opened", advice):
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


def load_tokenizer_as_saved(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a base as it is once saved, with the training prompt as chat template.

    Transformers loses some settings when it saves, such as LLaMA's `legacy`. So training uses this tokenizer, and the saved
    model is asked in the tokens that it learnt. ModelError if no chat template would give these.
    """
    tokenizer = load_tokenizer(folder)
    with tempfile.TemporaryDirectory() as again:
        tokenizer.save_pretrained(again)
        shutil.copy(folder / "config.json", again)  # the kind of model has a say in how its tokenizer is opened
        saved = load_tokenizer(Path(again))
    saved.name_or_path = str(folder)
    set_chat_template(saved)
    return saved


def load_config(folder: Path) -> PretrainedConfig:
    """The transformers configuration of a model folder. Never runs code from the folder."""
    from transformers import AutoConfig

    with faults(f"{folder / 'config.json'} cannot be opened", "fetch or save it again"):
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)


def check_vocabulary(folder: Path) -> None:
    """Refuses tokens, or ids in a configuration, that have no embedding. The padding token may be one: see `pad_id`."""
    embeddings = getattr(load_config(folder).get_text_config(), "vocab_size", None)
    if not isinstance(embeddings, int):
        return
    tokenizer = load_tokenizer(folder)
    vocabulary = tokenizer.get_vocab()
    beyond = [token for token, id in vocabulary.items() if id >= embeddings and token != tokenizer.pad_token]
    if beyond:
        first = min(beyond, key=vocabulary.__getitem__)
        raise ModelError(
            f"the tokenizer in {folder} has {counted(len(beyond), 'token')} beyond the model's {embeddings} embeddings, "
            f"{printable(first)!r} with id {vocabulary[first]} among them; resize the embeddings "
            "(model.resize_token_embeddings) or remove the tokens, and save both again"
        )
    for name in ("config.json", "generation_config.json"):
        check_special_ids(folder / name, embeddings)


def check_special_ids(path: Path, embeddings: int) -> None:
    """Refuses a configuration whose special tokens have ids beyond the embeddings."""
    values = read_settings(path)
    for name in SPECIAL:
        ids = values.get(name)
        smallest = -1 if name == "pad_token_id" else 0  # the first LLaMA's way of saying that there is none
        for id in ids if isinstance(ids, list) else [] if ids is None else [ids]:
            if not isinstance(id, int) or not smallest <= id < embeddings:
                raise ModelError(
                    f"{path} has {name} {printable(str(id))[:40]}, and the model's ids go from 0 to {embeddings - 1}; "
                    "put the id of a token there, or remove the line"
                )


def load_model(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    """The causal language model of a folder in a given torch dtype. Never runs code from the folder.

    Of the generation config only the special tokens count. ModelError if weights lack, which transformers would draw.
    """
    model = _opened(folder, dtype)
    for name, weight in model.state_dict().items():
        check_finite(name, weight, folder)
    found = model.generation_config
    model.generation_config = greedy(found.eos_token_id, found.bos_token_id, found.pad_token_id)
    return model


def check_model(folder: Path) -> None:
    """Checks a whole model folder: files, configuration, tokenizer, chat template, shapes, and every weight."""
    import torch

    check_folder(folder)
    check_vocabulary(folder)
    _check_template(folder)
    _opened(folder, torch.bfloat16, device_map="meta")  # names and shapes alone, which takes no time
    check_values(folder)


def _opened(folder: Path, dtype: torch.dtype, **options: str) -> PreTrainedModel:
    """The model as transformers opens it. Its weights must be exactly those of the folder."""
    from transformers import AutoModelForCausalLM

    weight_files(folder)
    _check_causal(folder)
    with no_bars(), faults(f"the model in {folder} cannot be opened as a causal model", "fetch or save it again"):
        model, info = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            local_files_only=True,
            **options,
        )
    if lacking := sorted(info["missing_keys"]):
        what = f"{counted(len(lacking), 'weight')}, {lacking[0]} among them"
        raise ModelError(f"the model in {folder} lacks {what}; fetch or save it again, whole")
    if unknown := sorted(name for name in info["unexpected_keys"] if not name.endswith(OLD_BUFFERS)):
        raise ModelError(
            f"the model in {folder} has {counted(len(unknown), 'weight')} that its architecture does not read, "
            f"{printable(unknown[0])} among them; save the causal language model alone, with its config.json"
        )
    return model


def skeleton(folder: Path) -> PreTrainedModel:
    """The model that a folder's config.json describes, without values: names, shapes, and what is tied to what."""
    import torch
    from transformers import AutoModelForCausalLM

    _check_causal(folder)
    what = f"{folder / 'config.json'} describes no causal model that transformers knows"
    with no_bars(), torch.device("meta"), faults(what, "fetch or save it again"):
        return AutoModelForCausalLM.from_config(load_config(folder), trust_remote_code=False)


def _check_causal(folder: Path) -> None:
    """Refuses a model that was not saved as a causal language model: no head, or it sees later tokens."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    config = load_config(folder)
    known = set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values())
    endings = ("CausalLM", "LMHeadModel", "ForConditionalGeneration")
    saved = list(map(str, config.architectures or ())) if isinstance(config.architectures, list | None) else ["?"]
    if config.is_encoder_decoder or (saved and not any(name in known or name.endswith(endings) for name in saved)):
        kind = printable(", ".join(saved))[:100] or config.model_type
        raise ModelError(f"the model in {folder} is not a causal language model ({kind}); give one that is")


def _check_template(folder: Path) -> None:
    """Refuses a chat template that cannot be parsed, or reaches for the insides of Python."""
    from transformers.utils.chat_template_utils import _compile_jinja_template

    templates = load_tokenizer(folder).chat_template or {}
    for template in templates.values() if isinstance(templates, dict) else [templates]:
        with faults(f"the chat template in {folder} cannot be parsed", "fix it or remove it"):
            _compile_jinja_template(template)
        if inner := re.search(r"__\w+__", template):
            what = f"reaches for {printable(inner[0])}, which no template needs"
            raise ModelError(f"the chat template in {folder} {what}; remove it")


def greedy(eos: int | list[int] | None, bos: int | None, pad: int | None) -> GenerationConfig:
    """A transformers generation config for greedy decoding that changes no logits."""
    from transformers import GenerationConfig

    return GenerationConfig(do_sample=False, eos_token_id=eos, bos_token_id=bos, pad_token_id=pad)


def pad_id(tokenizer: PreTrainedTokenizerBase, embeddings: int) -> int:
    """The token that fills sequences. Nothing reads it."""
    pad = tokenizer.pad_token_id  # not there in some tokenizers, or without an embedding
    return int(pad if pad is not None and pad < embeddings else tokenizer.eos_token_id)


def check_device(device: str) -> None:
    """Raises SettingError if the device is not here. "auto" and "cpu" always are."""
    import torch

    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not here.get(device, True):
        raise SettingError(f"there is no {device} device here; choose another with --device")


def without_planned_attention() -> None:
    """Turns cuDNN's attention off, for it makes a plan for each new shape, and hardly two are the same here."""
    import torch

    torch.backends.cuda.enable_cudnn_sdp(False)


def check_length(model: PreTrainedModel, tokens: int, advice: str) -> None:
    """Raises ModelError if a sequence has more tokens than the model has positions."""
    positions = getattr(model.config, "max_position_embeddings", None)
    if isinstance(positions, int) and tokens > positions:
        raise ModelError(f"a sequence may have {tokens} tokens, and the model has {positions} positions; {advice}")


def parameters(folder: Path) -> int | None:
    """The number of parameters in the safetensors of a folder by their headers, None if it has none."""
    files = sorted(folder.glob("*.safetensors"))
    return sum(math.prod(shape) for path in files for _, shape in tensors(path).values()) if files else None


@contextlib.contextmanager
def faults(what: str, advice: str) -> Iterator[None]:
    """Turns an error of a library into one line, for they raise many kinds, but not a lack of the device's memory."""
    try:
        yield
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError":  # torch's, which need not be imported for it
            raise
        raise ModelError(f"{what} ({first_line(error)}); {advice}") from error


@contextlib.contextmanager
def no_bars() -> Iterator[None]:
    """Silences the progress bars of transformers, and its reports on tensors: those that matter are errors here."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()
        logging.set_verbosity(verbosity)


def first_line(error: BaseException) -> str:
    """The first line of a library's message, as it may be shown."""
    return printable((str(error).strip() or type(error).__name__).splitlines()[0][:200])


def save(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    output: Path,
    precision: Precision = "float32",
    weights: dict[str, torch.Tensor] | None = None,
) -> None:
    """Writes a model with its tokenizer, the chat template, and a greedy generation config.

    The weights are cast in place, one tensor at a time, so the model has the saved precision afterwards. They are `weights`
    where the model holds FSDP shards.
    """
    import torch
    from transformers import GenerationConfig

    dtype = getattr(torch, precision)
    set_chat_template(tokenizer)
    tokenizer.clean_up_tokenization_spaces = False  # answers are read as the model wrote them
    end, embeddings = end_of_sequence(tokenizer), model.get_input_embeddings().weight.shape[0]
    model.generation_config = greedy(end, tokenizer.bos_token_id, pad_id(tokenizer, embeddings))
    configs = [model.config, *(getattr(model.config, name) for name in model.config.sub_configs)]
    for config in configs:  # older versions of transformers kept decoding values in it
        of_the_model = {*(field.name for field in dataclasses.fields(config)), *SPECIAL}
        for name in vars(config).keys() & {*vars(GenerationConfig()), "task_specific_params"} - of_the_model:
            delattr(config, name)
    if weights is None:
        for parameter in model.parameters():
            parameter.data = _cast(parameter.data, dtype)
    else:
        kept = {name for name, _ in model.named_parameters()}
        for name, _ in model.named_parameters(remove_duplicate=False):
            weight = weights.pop(name)
            if name in kept:  # of tied weights, the first; the others would be written as well
                weights[name] = _cast(weight, dtype)
    with no_bars():
        model.save_pretrained(output, state_dict=weights)
        tokenizer.save_pretrained(output)
    for config in configs:
        config.dtype = dtype
    model.config.save_pretrained(output)  # again: of FSDP shards transformers names the precision of training
    usual_permissions(output)


def save_adapter(model: PeftModel, output: Path, precision: Precision) -> None:
    """Writes an adapter before it is merged, in the layout of peft."""
    import torch

    dtype = getattr(torch, precision)
    trained = {name: _cast(weight.detach(), dtype) for name, weight in model.named_parameters() if weight.requires_grad}
    # The embeddings stay as they were, and peft would ask the hub about them.
    model.save_pretrained(str(output), state_dict=trained, save_embedding_layers=False)
    (output / "README.md").unlink(missing_ok=True)  # peft's, with nothing filled in


def _cast(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor
