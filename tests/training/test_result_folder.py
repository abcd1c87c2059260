"""What a stage leaves opens in plain transformers, and its chat template is the prompt of training, token for token.

The same is asked of tokenizers of other kinds than our own, built here from a few texts.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from qalign.alignment.encoding import FEWEST
from qalign.alignment.prompts import encode_prompts, prompt, render, set_chat_template
from qalign.errors import ModelError
from qalign.generation.local import open_local
from qalign.generation.protocol import DecodingConfig, Request
from qalign.models.opening import check_vocabulary, load_tokenizer, load_tokenizer_as_saved
from qalign.placement import Placement
from qalign.records import Example
from qalign.training import Adapter
from qalign.training.launch import launch

INSTRUCTIONS = [
    "Ann has 3 apples and buys 4 more. How many?",
    "  Leading and trailing space \n\n",
    "安有3个苹果，又买了4个。",
    "অ্যানের ৩টি আপেল আছে",
    "'quotes' \"double\" \\ {{ braces }} {% tag %}",
    "",
]
RESPONSES = ["3 + 4 = 7\nThe answer is: 7", "Yes.", "答案是7", "উত্তর: ৭", "x {{ 7 }}", "x"]


def ids_of(tokenizer: Any, *turns: tuple[str, str]) -> list[int]:
    messages = [{"role": role, "content": content} for role, content in turns]
    last_is_user = turns[-1][0] == "user"
    return tokenizer.apply_chat_template(messages, add_generation_prompt=last_is_user, return_dict=False)


# --- the folder -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[None, "adapter"])
def trained(request: pytest.FixtureRequest, make_job: Any) -> Path:
    adapter = Adapter(rank=2) if request.param else None
    job = make_job(max_steps=2, adapter=adapter)
    launch(job)
    return job.output


def test_the_folder_opens_in_plain_transformers(trained: Path, base: Path, examples: list[Example]) -> None:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(trained), AutoTokenizer.from_pretrained(trained)
    original = AutoTokenizer.from_pretrained(base)
    instructions, responses = [e.instruction for e in examples], [e.response for e in examples]
    assert tokenizer.get_vocab() == original.get_vocab()
    for example, ids, whole in zip(
        examples,
        encode_prompts([prompt(text) for text in instructions], original),
        render(instructions, responses, original),
        strict=True,
    ):
        assert whole.ids[: whole.prompt_tokens].tolist() == ids
        assert ids_of(tokenizer, ("user", example.instruction)) == ids
        assert ids_of(tokenizer, ("user", example.instruction), ("assistant", example.response)) == whole.ids.tolist()
    settings = json.loads((trained / "generation_config.json").read_text(encoding="utf-8"))
    assert settings.get("do_sample", False) is False and not {"temperature", "top_p", "top_k"} & settings.keys()
    assert settings["eos_token_id"] == tokenizer.eos_token_id
    given = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Ann?"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    answers = [model.generate(**given, max_new_tokens=5).tolist() for _ in range(2)]
    assert answers[0] == answers[1]
    assert {path.name for path in trained.iterdir()} >= {"config.json", "metrics.jsonl", "training.json"}


def test_the_template_marks_the_tokens_that_are_supervised(trained: Path, base: Path, examples: list[Example]) -> None:
    """As trainers read it that learn from the assistant's turns alone."""
    original, tokenizer = AutoTokenizer.from_pretrained(base), AutoTokenizer.from_pretrained(trained)
    for example in examples:
        (whole,) = render([example.instruction], [example.response], original)
        turns = [{"role": "user", "content": example.instruction}, {"role": "assistant", "content": example.response}]
        marked = tokenizer.apply_chat_template(turns, return_dict=True, return_assistant_tokens_mask=True)
        assert marked["input_ids"] == whole.ids.tolist()
        count = len(whole.ids) - whole.prompt_tokens
        assert marked["assistant_masks"] == [0] * whole.prompt_tokens + [1] * count


ODD = {
    "repetition_penalty": 1.3, "num_beams": 4, "max_new_tokens": 3, "max_length": 20, "min_new_tokens": 2,
    "suppress_tokens": [5], "begin_suppress_tokens": [6], "bad_words_ids": [[7]], "forced_bos_token_id": 8,
    "forced_eos_token_id": 9, "no_repeat_ngram_size": 2, "guidance_scale": 1.5, "temperature": 0.3, "top_k": 5,
    "do_sample": True, "sequence_bias": [[[10], 5.0]], "length_penalty": 2.0, "encoder_repetition_penalty": 1.2,
    "cache_implementation": "static", "eta_cutoff": 0.1, "num_return_sequences": 2,
}  # fmt: skip


@pytest.fixture(params=["generation_config.json", "config.json"])
def odd_base(base: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A base whose folder asks for another decoding, in the file of today or in that of old."""
    folder = Path(shutil.copytree(base, tmp_path / "odd"))
    if request.param == "config.json":
        (folder / "generation_config.json").unlink()
    values = json.loads((folder / request.param).read_text(encoding="utf-8"))
    tasks = {"task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}}
    values |= ODD | (tasks if request.param == "config.json" else {})
    (folder / request.param).write_text(json.dumps(values), encoding="utf-8")
    return folder


def test_nothing_of_the_bases_decoding_stays(odd_base: Path, base: Path, make_job: Any) -> None:
    """The folder says plain greedy, in every file; transformers answers from it as the package does."""
    job = dataclasses.replace(make_job(max_steps=1), model=odd_base)
    launch(job)
    settings = json.loads((job.output / "generation_config.json").read_text(encoding="utf-8"))
    original = AutoTokenizer.from_pretrained(base)
    assert settings.pop("transformers_version")
    assert settings == {
        "do_sample": False, "eos_token_id": original.eos_token_id, "bos_token_id": original.bos_token_id,
        "pad_token_id": original.pad_token_id,
    }  # fmt: skip
    config = json.loads((job.output / "config.json").read_text(encoding="utf-8"))
    assert not ODD.keys() & config.keys() and not config.get("task_specific_params")
    assert_answers_are_greedy(job.output)


def test_a_base_is_measured_plainly_whatever_its_folder_asks_for(
    odd_base: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = open_local(odd_base, DecodingConfig(max_new_tokens=12, precision="float32"), Placement(device="cpu"))
    plain = open_local(base, DecodingConfig(max_new_tokens=12, precision="float32"), Placement(device="cpu"))
    requests = [Request(str(place), text) for place, text in enumerate(INSTRUCTIONS)]
    prompts = encode_prompts([prompt(text) for text in INSTRUCTIONS], ours.tokenizer)
    keys = [request.key for request in requests]
    for tokens in (10**9, 0):  # in slots, and by `generate`
        monkeypatch.setattr(ours, "_room", tokens)
        monkeypatch.setattr(plain, "_room", tokens)
        answers = [sorted(backend.answers(prompts, keys)) for backend in (ours, plain)]
        assert answers[0] == answers[1] and all(len(ids) > 2 for _, ids, _ in answers[0])


def assert_answers_are_greedy(folder: Path) -> None:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), load_tokenizer(folder)
    backend = open_local(folder, DecodingConfig(max_new_tokens=12, precision="float32"), Placement(device="cpu"))
    for completion in backend.generate([Request(text, text) for text in INSTRUCTIONS]):
        turns = [{"role": "user", "content": completion.key}]
        given = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        said = model.generate(**given, max_new_tokens=12)[0, given["input_ids"].shape[1] :]
        assert tokenizer.decode(said, skip_special_tokens=True) == completion.text


@pytest.mark.parametrize(
    ("config", "saved"),
    [
        ({"precision": "bfloat16"}, "bfloat16"),
        ({"precision": "bfloat16", "save_precision": "float32"}, "float32"),
        ({"precision": "float32", "save_precision": "bfloat16"}, "bfloat16"),
        ({"precision": "float32"}, "float32"),
        ({"precision": "bfloat16", "adapter": Adapter(rank=2)}, "bfloat16"),
    ],
)
def test_weights_are_saved_in_the_precision_that_was_chosen(make_job: Any, config: Any, saved: str) -> None:
    job = make_job(max_steps=1, **config)
    launch(job)
    weights = load_file(job.output / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {getattr(torch, saved)}
    assert json.loads((job.output / "config.json").read_text(encoding="utf-8"))["dtype"] == saved
    assert AutoModelForCausalLM.from_pretrained(job.output).dtype == getattr(torch, saved)
    assert json.loads((job.output / "training.json").read_text(encoding="utf-8"))["config"]["save_precision"] == (
        config.get("save_precision")
    )


def test_the_folder_reads_answers_without_clean_up(base: Path, tmp_path: Path, make_job: Any) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "cleans"))
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings |= {
        "clean_up_tokenization_spaces": True,
        "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": True,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    job = dataclasses.replace(make_job(max_steps=1), model=folder)
    launch(job)
    tokenizer = AutoTokenizer.from_pretrained(job.output)
    assert tokenizer.decode(tokenizer("3 , 4 .")["input_ids"], skip_special_tokens=True) == "3 , 4 ."


def test_a_base_with_too_many_tokens_does_not_train(base: Path, tmp_path: Path, make_job: Any) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "tokens"))
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(["apples"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match="1 token beyond the model's"):
        launch(dataclasses.replace(make_job(max_steps=1), model=folder))


def test_bfloat16_is_the_rounded_float32(make_job: Any) -> None:
    jobs = [make_job(precision, max_steps=2, save_precision=precision) for precision in ("float32", "bfloat16")]
    for job in jobs:
        launch(job)
    whole, rounded = (load_file(job.output / "model.safetensors") for job in jobs)
    assert whole.keys() == rounded.keys()
    assert all(torch.equal(whole[name].bfloat16(), rounded[name]) for name in whole)


@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077])
def test_every_file_has_the_permissions_of_the_umask(make_job: Any, mask: int) -> None:
    before = os.umask(mask)
    try:
        job = make_job(placement={"seconds_per_checkpoint": 0.0}, max_steps=11)
        launch(job)
    finally:
        os.umask(before)
    checkpoint = max(job.scratch.glob("step-*"))
    for folder in (job.output, checkpoint):
        modes = {path.name: oct(path.stat().st_mode & 0o777) for path in folder.rglob("*") if path.is_file()}
        assert "model.safetensors" in modes and set(modes.values()) == {oct(0o666 & ~mask)}


def test_a_second_stage_starts_from_the_folder_of_the_first(make_job: Any) -> None:
    """Stage 2 of the method is the same call on the result of stage 1."""
    first = make_job("first", max_steps=4)
    launch(first)
    second = dataclasses.replace(make_job("second", max_steps=2), model=first.output)
    launch(second)
    rows = [
        [json.loads(line)["loss"] for line in (job.output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        for job in (first, second)
    ]
    assert rows[1][0] < rows[0][0], "it goes on from where the first ended"


# --- tokenizers of other kinds ----------------------------------------------------------------------------------------

FRAME = prompt("Translate the following sentences from German to English. Ann has 3 apples.")
TEXTS = [FRAME, *INSTRUCTIONS, *(FRAME + response for response in [*RESPONSES, "{{ 7 }}"])]
BOS_FIRST = {"single": "<s> $A", "pair": "<s> $A $B"}


def byte_level(**tokens: str) -> PreTrainedTokenizerFast:
    """As GPT-2's and Qwen's: bytes, words with the space before them, no beginning of sequence."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    raw.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|endoftext|>", **tokens)


def sentence_piece(post: dict[str, str] | None = BOS_FIRST) -> Tokenizer:
    """As LLaMA's tokenizer.json: BPE over characters with bytes to fall back on, a space put before the text."""
    raw = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    raw.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=special, show_progress=False)
    words = [word for text in TEXTS for word in re.split(r"(?= )|(?<=:)", text)]
    raw.train_from_iterator(words, trainer)
    if post is not None:
        ids = [("<s>", raw.token_to_id("<s>")), ("</s>", raw.token_to_id("</s>"))]
        raw.post_processor = processors.TemplateProcessing(**post, special_tokens=ids)
    return raw


def opened(raw: Tokenizer, folder: Path, **settings: Any) -> Any:
    """A LLaMA's tokenizer as its folder gives it."""
    raw.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", **settings}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokens), encoding="utf-8")
    return load_tokenizer(folder)


def saved(tokenizer: Any, folder: Path) -> Any:
    """The same of another kind."""
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    return load_tokenizer(folder)


def gpt2(folder: Path) -> Any:
    return saved(byte_level(), folder)


def gpt2_one_token_for_all(folder: Path) -> Any:
    return saved(byte_level(bos_token="<|endoftext|>", pad_token="<|endoftext|>"), folder)


def llama(folder: Path) -> Any:
    return opened(sentence_piece(), folder, tokenizer_class="LlamaTokenizer", legacy=False, add_bos_token=True)


def llama_legacy(folder: Path) -> Any:
    return opened(sentence_piece(), folder, tokenizer_class="LlamaTokenizer", legacy=True, add_bos_token=True)


def llama_by_its_json(folder: Path) -> Any:
    return opened(sentence_piece(), folder, tokenizer_class="PreTrainedTokenizerFast")


def llama_without_begin(folder: Path) -> Any:
    return opened(sentence_piece(post=None), folder, tokenizer_class="PreTrainedTokenizerFast")


def appends_end(folder: Path) -> Any:
    post = {"single": "<s> $A </s>", "pair": "<s> $A </s> $B </s>"}
    return opened(sentence_piece(post), folder, tokenizer_class="PreTrainedTokenizerFast")


def metaspace(folder: Path) -> Any:
    """A space before the first piece only, after which a special token hides it: as LLaMA's class builds it."""
    raw = sentence_piece()
    raw.normalizer = None
    raw.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    return opened(raw, folder, tokenizer_class="PreTrainedTokenizerFast")


KINDS: list[tuple[Callable[[Path], Any], int]] = [
    (gpt2, 0), (gpt2_one_token_for_all, 0), (llama, 1), (llama_legacy, 1), (llama_by_its_json, 1),
    (llama_without_begin, 0), (appends_end, 1), (metaspace, 1),
]  # fmt: skip
"""A tokenizer, and how often the beginning of sequence stands in an example."""


@pytest.mark.parametrize(("make", "begins"), [pytest.param(*row, id=row[0].__name__) for row in KINDS])
def test_every_kind_of_tokenizer(make: Callable[[Path], Any], begins: int, tmp_path: Path) -> None:
    """One beginning, one supervised end, the prompt of generation, and the template after saving and opening again."""
    original = make(tmp_path)
    assert not original.chat_template
    tokenizer = load_tokenizer_as_saved(tmp_path)
    tokenizer.save_pretrained(tmp_path / "saved")
    again = AutoTokenizer.from_pretrained(tmp_path / "saved")
    rendered = render(INSTRUCTIONS, RESPONSES, tokenizer)
    prompts = encode_prompts([prompt(text) for text in INSTRUCTIONS], tokenizer)
    for instruction, response, example, ids in zip(INSTRUCTIONS, RESPONSES, rendered, prompts, strict=True):
        whole = example.ids.tolist()
        assert whole[: example.prompt_tokens] == ids
        assert len(whole) > len(ids) + 1
        assert whole[-1] == tokenizer.eos_token_id and whole.count(tokenizer.eos_token_id) == 1
        if tokenizer.bos_token_id != tokenizer.eos_token_id and tokenizer.bos_token_id is not None:
            assert whole.count(tokenizer.bos_token_id) == begins
            assert (ids[0] == tokenizer.bos_token_id) == bool(begins)
        assert tokenizer.decode(whole[len(ids) : -1]).strip() == response
        for opened_again in (tokenizer, again):
            assert ids_of(opened_again, ("user", instruction)) == ids
            assert ids_of(opened_again, ("user", instruction), ("assistant", response)) == whole
    assert (
        encode_prompts([prompt(text) for text in INSTRUCTIONS], again)
        == encode_prompts([prompt(text) for text in INSTRUCTIONS], original)
        == prompts
    )
    many = render(INSTRUCTIONS * FEWEST, RESPONSES * FEWEST, tokenizer)  # another library encodes them
    assert [(one.ids.tolist(), one.prompt_tokens) for one in many[: len(rendered)]] == [
        (one.ids.tolist(), one.prompt_tokens) for one in rendered
    ]


def test_a_border_that_the_tokenizer_joins_stays_a_border() -> None:
    """Where ":" and the response make one token, the response is encoded alone: the prompt is that of generation."""
    tokenizer = byte_level()
    start = encode_prompts([prompt("x")], tokenizer)[0]
    joined = tokenizer(prompt("x") + "{{ 7 }}")["input_ids"]
    assert joined[: len(start)] != start, "the case needs a tokenizer that joins them"
    [example] = render(["x"], ["{{ 7 }}"], tokenizer)
    assert example.ids.tolist() == [*start, *tokenizer("{{ 7 }}")["input_ids"], tokenizer.eos_token_id]
    assert example.prompt_tokens == len(start)


def test_an_empty_response_supervises_the_end_alone() -> None:
    tokenizer = byte_level()
    [example] = render(["x"], [""], tokenizer)
    assert example.ids[example.prompt_tokens :].tolist() == [tokenizer.eos_token_id]


def test_a_response_that_writes_the_end_itself_has_it_once() -> None:
    tokenizer = byte_level()
    [example] = render(["x"], ["yes<|endoftext|>"], tokenizer)
    assert example.ids.tolist().count(tokenizer.eos_token_id) == 1


def test_further_turns_follow_in_the_same_frame_and_a_system_turn_is_refused(base: Path) -> None:
    tokenizer = load_tokenizer(base)
    turns = [("user", "One?"), ("assistant", "1"), ("user", "Two?")]
    text = tokenizer.decode(ids_of(tokenizer, *turns))
    assert text == f"<s>{prompt('One?')}1</s>{prompt('Two?')}"
    with pytest.raises(Exception, match="roles user and assistant only"):
        ids_of(tokenizer, ("system", "Be kind."), ("user", "One?"))


def test_a_tokenizer_without_an_end_is_refused() -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=sentence_piece(), bos_token="<s>")
    with pytest.raises(ModelError, match="no end-of-sequence token; set eos_token"):
        render(["x"], ["y"], tokenizer)


def test_a_tokenizer_that_no_template_can_follow_is_refused_before_training(
    make_job: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that changes only what stands at the very start of the text, so that the text after a special token differs."""
    raw = sentence_piece()
    raw.normalizer = normalizers.Replace(Regex(r"\ABelow"), "Above")
    raw.post_processor = processors.TemplateProcessing(
        single="<s> <unk> $A", pair="<s> <unk> $A $B", special_tokens=[("<s>", 1), ("<unk>", 0)]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>")
    with pytest.raises(ModelError, match="encodes the prompt in a chat template in another way"):
        set_chat_template(tokenizer)
    saved(tokenizer, tmp_path)
    monkeypatch.setattr("qalign.training.loop.resolve", lambda folder: tmp_path)
    monkeypatch.setattr("qalign.training.loop.load_model", lambda *a: pytest.fail("it should stop before the model"))
    with pytest.raises(ModelError, match="another way"):
        launch(make_job(max_steps=1))


def test_a_padding_token_without_an_embedding_trains(base: Path, tmp_path: Path, make_job: Any) -> None:
    """It fills sequences and is never read; the saved folder names one that the model has."""
    copied = Path(shutil.copytree(base, tmp_path / "copied"))
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(copied)
    check_vocabulary(copied)
    job = dataclasses.replace(make_job(max_steps=1), model=copied)
    launch(job)
    saved = json.loads((job.output / "generation_config.json").read_text(encoding="utf-8"))
    assert saved["pad_token_id"] == tokenizer.eos_token_id != tokenizer.pad_token_id
