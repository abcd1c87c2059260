"""The systems as trees of stages, and that what each was trained on is, token for token, what generation asks."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from own_data import LANGUAGES, ROWS, OwnData, texts
from qalign import pipeline
from qalign.alignment.prompts import prompt
from qalign.errors import ModelError, SettingError
from qalign.generation import DecodingConfig, Request
from qalign.pipeline import Stage
from qalign.records import Example, read_jsonl
from qalign.systems import SCALES, SYSTEMS, Study
from qalign.systems.artifacts import EXAMPLES, Model
from qalign.systems.ask import Ask
from qalign.systems.bases import MakeTinyModel, base, training_stages
from qalign.systems.comparison import before_training, compare
from qalign.systems.evaluated import scores_of
from qalign.systems.keep import Keep
from qalign.systems.kinds import MakeExamples, ReadCorpus, Train
from qalign.systems.recipes import Recipe, multireason, rft, sft
from qalign.systems.reinforce import Reinforce
from qalign.systems.settings import Settings, parse_settings, set_field
from qalign.systems.table import build
from qalign.training.config import Adapter, TrainingConfig
from qalign.training.tokens import tokenize

TINY = ("vocabulary=400", "hidden_size=32", "layers=1", "heads=2", "intermediate_size=64")


def study(data: OwnData, runs: Path, *settings: str) -> Study:
    """A study on one's own data; the supervised English data are others than the English ones, as in the paper."""
    return Study(
        base_name="tiny",
        scale=replace(
            SCALES["sample"], supervised=str(data.supervised), programs=str(data.english), english=str(data.english)
        ),
        runs=runs,
        languages=LANGUAGES,
        questions=str(data.questions),
        multilingual=str(data.multilingual),
        general=str(data.general),
        tests=(str(data.test),),
        settings=parse_settings([*(f"tiny.{text}" for text in TINY), *settings], SYSTEMS),
    )


# What each system is trained on, first to last: the step, its examples, and the corpus they are made of.
QUESTIONS = ("question-alignment", "examples-x-en-questions", "questions")
ENGLISH = ("response-alignment", "examples-english", "english")
MULTILINGUAL = ("multilingual-alignment", "examples-multilingual", "multilingual")
PARALLEL = ("multilingual-alignment", "examples-mathoctopus-parallel", "multilingual")
CROSS = ("multilingual-alignment", "examples-mathoctopus-cross", "multilingual")
SAMPLING = ("rft", "mathoctopus-parallel-xrft", "mathoctopus-cross-xrft")
"""Those whose data need a model."""
CHAINS = {
    "sft": [ENGLISH],
    "rft": [ENGLISH, ("response-alignment", "examples-rft", "english")],
    "metamath": [("response-alignment", "examples-metamath", "english")],
    "mammoth": [ENGLISH],
    "monoreason": [ENGLISH],
    "wizardmath": [ENGLISH, ("reinforcement", "corpus-own-english", "english")],
    "multireason": [MULTILINGUAL],
    "mathoctopus-parallel": [PARALLEL],
    "mathoctopus-cross": [CROSS],
    "mathoctopus-parallel-xrft": [PARALLEL, PARALLEL],
    "mathoctopus-cross-xrft": [CROSS, CROSS],
    "qalign-mono": [QUESTIONS, ENGLISH],
    "qalign-mixed": [QUESTIONS, MULTILINGUAL, ENGLISH],
    "qalign-en-x-questions": [("question-alignment", "examples-en-x-questions", "questions"), ENGLISH],
    "qalign-x-en-answers": [("question-alignment", "examples-x-en-answers", "answers"), ENGLISH],
    "qalign-en-x-answers": [("question-alignment", "examples-en-x-answers", "answers"), ENGLISH],
    "qalign-general": [("question-alignment", "examples-x-en-general", "general"), ENGLISH],
}


OF_A_MODEL = (*SAMPLING, "metamath", "wizardmath")
"""What these are trained on, a model has still to say."""


def test_every_system_is_known_here() -> None:
    assert set(CHAINS) == set(SYSTEMS)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_is_its_stages_in_order(name: str, own_data: OwnData, tmp_path: Path) -> None:
    chain = training_stages(build(study(own_data, tmp_path), name))
    found = []
    for stage in chain:
        if isinstance(stage, Reinforce):
            (problems,) = stage.problems
            assert isinstance(problems, ReadCorpus)
            found.append((stage.title, problems.name, problems.source.role))
            continue
        assert isinstance(stage, Train)
        examples = stage.examples
        assert isinstance(examples, MakeExamples)
        corpus, *sampled = examples.corpora
        if name == "metamath":
            assert all(isinstance(one, Keep) for one in examples.corpora) and isinstance(corpus, Keep)
            corpus = corpus.problems
        else:
            assert len(sampled) == (name in SAMPLING and stage is chain[-1])
        assert isinstance(corpus, ReadCorpus)
        found.append((stage.title, examples.name, corpus.source.role))
    assert found == CHAINS[name]
    assert isinstance(chain[0].model, MakeTinyModel)
    if name in SAMPLING:
        assert chain[1].model is not chain[0], "the base is trained again, on what the sampler answered"
    else:
        assert [stage.model for stage in chain[1:]] == chain[:-1], "each goes on from the one before"


def test_rejection_sampling_asks_the_model_of_sft(own_data: OwnData, tmp_path: Path) -> None:
    here = study(own_data, tmp_path)
    made = pipeline.in_order([build(here, "rft")])
    (asked,), (kept,) = ([stage for stage in made if isinstance(stage, kind)] for kind in (Ask, Keep))
    assert asked.model.fingerprint == build(here, "sft").fingerprint
    assert asked.decoding.samples == SCALES["sample"].samples and asked.decoding.temperature == 0.7
    assert [stage.fingerprint for stage in kept.answers] == [asked.fingerprint]
    assert {SCALES[name].samples for name in ("paper",)} == {100}, "as published"
    changed = build(study(own_data, tmp_path, "sampling.samples=7", "sampling.backend=vllm"), "rft")
    (again,) = (stage for stage in pipeline.in_order([changed]) if isinstance(stage, Ask))
    assert (again.decoding.samples, again.decoding.backend) == (7, "vllm")


def test_several_samplers_answer_the_same_problems(own_data: OwnData, tmp_path: Path) -> None:
    """Also one of another base; `sampling` sets what each of them draws."""
    here = study(own_data, tmp_path, "sampling.samples=3")

    def sft_of_world(study: Study) -> Stage[Model]:
        return sft(replace(study, base_name="world"))

    def kept_of(*samplers: Recipe) -> Keep:
        model = here.settings.tuned(None, rft(here, samplers=samplers))
        (kept,) = (stage for stage in pipeline.in_order([model]) if isinstance(stage, Keep))
        return kept

    samplers: tuple[Recipe, ...] = (sft, multireason, sft_of_world)
    kept = kept_of(*samplers)
    asked = [stage for stage in kept.answers if isinstance(stage, Ask)]
    assert [stage.model.fingerprint for stage in asked] == [sampler(here).fingerprint for sampler in samplers]
    assert len({stage.folder_name for stage in asked}) == 3, "each sampler's answers have a folder of their own"
    assert {stage.decoding.samples for stage in asked} == {3}
    assert {stage.records.fingerprint for stage in asked} == {kept.problems.fingerprint}
    assert kept_of(multireason, sft, sft_of_world).fingerprint != kept.fingerprint, "their order decides between equals"


def chains(data: OwnData, runs: Path, *settings: str) -> dict[str, list[Stage]]:
    made = study(data, runs, *settings)
    return {name: training_stages(build(made, name)) for name in SYSTEMS if name not in OF_A_MODEL}


def fingerprints(chain: Sequence[Stage]) -> list[str]:
    return [stage.fingerprint for stage in chain]


def test_what_systems_share_is_one_stage(own_data: OwnData, tmp_path: Path) -> None:
    made = chains(own_data, tmp_path)
    assert made["qalign-mono"][0].fingerprint == made["qalign-mixed"][0].fingerprint
    english = {
        name: chain[-1].inputs["examples"].fingerprint
        for name, chain in made.items()
        if chain[-1].name == "train-response-alignment"
    }
    assert len({fingerprint for name, fingerprint in english.items() if name != "sft"}) == 1
    assert english["sft"] != english["monoreason"], "SFT is on other data"
    multilingual = made["multireason"][0].inputs["examples"].fingerprint
    assert multilingual == made["qalign-mixed"][1].inputs["examples"].fingerprint
    trained = [stage.fingerprint for chain in made.values() for stage in chain]
    assert len(trained) == 19
    assert len(set(trained)) == 17, (
        "two share stage 1, MAmmoTH has the data of MonoReason here; no other two are the same"
    )
    everything = pipeline.in_order(scores_of(compare(study(own_data, tmp_path), list(SYSTEMS))))
    assert sum(stage.name == "base-tiny" for stage in everything) == 1


def test_english_data_that_are_given_are_what_sft_learns_from(own_data: OwnData, tmp_path: Path) -> None:
    given = replace(study(own_data, tmp_path), english=str(own_data.english))
    assert build(given, "sft").fingerprint == build(given, "monoreason").fingerprint


def test_all_data_are_read_before_any_training(own_data: OwnData, tmp_path: Path) -> None:
    comparison = compare(study(own_data, tmp_path), ["qalign-mixed", "sft"])
    order = pipeline.in_order([*before_training(comparison, tmp_path), *scores_of(comparison)])
    names = [stage.name for stage in order]
    first = next(place for place, name in enumerate(names) if name.startswith("train-"))
    assert not [name for name in names[first:] if name.startswith(("corpus-", "examples-"))]


def test_the_seed_and_the_scale_are_part_of_a_study(own_data: OwnData, tmp_path: Path) -> None:
    here = study(own_data, tmp_path)
    assert build(here, "sft").fingerprint == build(study(own_data, tmp_path / "elsewhere"), "sft").fingerprint
    assert build(replace(here, seed=1), "sft").fingerprint != build(here, "sft").fingerprint
    own = {"supervised": own_data.supervised, "english": own_data.english, "programs": own_data.english}
    paper = replace(SCALES["paper"], **{role: str(path) for role, path in own.items()})
    assert build(replace(here, scale=paper), "sft").fingerprint != build(here, "sft").fingerprint


def test_the_published_hyper_parameters(own_data: OwnData, tmp_path: Path) -> None:
    own = {"supervised": own_data.supervised, "english": own_data.english, "programs": own_data.english}
    paper = replace(SCALES["paper"], **{role: str(path) for role, path in own.items()})
    for name in SYSTEMS:
        for stage in training_stages(build(replace(study(own_data, tmp_path), scale=paper), name)):
            if isinstance(stage, Reinforce):
                continue  # with values of its own: none were published
            config = stage.config["training"]
            published = {
                "epochs": 3, "learning_rate": 2e-5, "warmup_ratio": 0.03, "weight_decay": 0.0, "global_batch_size": 128,
                "max_length": 512, "precision": "bfloat16", "seed": 1234, "adapter": None, "max_steps": None,
            }  # fmt: skip
            assert {key: config[key] for key in published} == published


# --- what training saw and what generation sends ----------------------------------------------------------------------


@dataclass
class Prepared:
    """The folders of the tiny base and of all examples of all systems."""

    base: Path
    examples: dict[str, list[Path]]


@pytest.fixture(scope="module")
def prepared(own_data: OwnData, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Everything of every system but the training."""
    runs = tmp_path_factory.mktemp("prepared")
    made = chains(own_data, runs)
    pipeline.run([stage.inputs["examples"] for chain in made.values() for stage in chain], runs)
    base = made["sft"][0].inputs["model"]
    pipeline.run([base], runs)
    folders = {name: [stage.inputs["examples"].folder(runs) for stage in chain] for name, chain in made.items()}
    return Prepared(base.folder(runs), folders)


def begins_with_bos(tokenizer: Any) -> Any:
    return tokenizer


def begins_with_nothing(tokenizer: Any) -> Any:
    from tokenizers import processors

    tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def begins_and_ends(tokenizer: Any) -> Any:
    from tokenizers import processors

    special = [(token, tokenizer.convert_tokens_to_ids(token)) for token in ("<s>", "</s>")]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A $B </s>", special_tokens=special
    )
    return tokenizer


@pytest.mark.parametrize("habit", [begins_with_bos, begins_with_nothing, begins_and_ends])
@pytest.mark.parametrize("name", [name for name in SYSTEMS if name not in OF_A_MODEL])
def test_generation_sends_what_training_saw(name: str, prepared: Prepared, habit: Callable[[Any], Any]) -> None:
    from qalign.generation.local import Local
    from qalign.models.opening import load_tokenizer

    tokenizer = habit(load_tokenizer(prepared.base))
    begins = habit is not begins_with_nothing
    for folder in prepared.examples[name]:
        examples = list(read_jsonl(folder / EXAMPLES, Example))
        sample = examples[:: max(1, len(examples) // 8)]
        assert sample
        data = tokenize(sample, tokenizer, TrainingConfig(max_length=2048, precision="float32"))
        sent = capture(Local, tokenizer, sample)
        for number, example in enumerate(sample):
            ids = data.ids[data.starts[number] : data.starts[number + 1]].tolist()
            seen = int(data.prompt_tokens[number])
            assert sent[prompt_of(example)] == ids[:seen]
            assert tokenizer.decode(ids[seen:-1]) == example.response
            assert tokenizer.decode(ids[begins:seen]) == prompt_of(example)
            assert (example.prompt is not None) == name.startswith("mathoctopus")
            assert ids[-1] == tokenizer.eos_token_id, "the end is supervised"
            assert ids.count(tokenizer.eos_token_id) == 1
            assert ids.count(tokenizer.bos_token_id) == begins
            assert not begins or ids[0] == tokenizer.bos_token_id


def prompt_of(example: Example) -> str:
    return example.prompt or prompt(example.instruction or "")


def capture(local: Any, tokenizer: Any, sample: Sequence[Example]) -> dict[str, list[int]]:
    """What the transformers backend gives the model for each prompt, the padding taken off."""
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
    )
    model = LlamaForCausalLM(shape)
    requests = {text: Request(text, one.instruction or "", one.prompt) for one in sample for text in [prompt_of(one)]}
    backend = local(model, tokenizer, DecodingConfig(max_new_tokens=1), batch_size=3)
    calls: list[dict[str, Any]] = []
    handle = model.register_forward_pre_hook(lambda module, args, kwargs: calls.append(kwargs), with_kwargs=True)
    order = [c.key for c in backend.generate(list(requests.values()))]
    handle.remove()
    return dict(zip(order, rows_of(calls), strict=True))


def rows_of(calls: Sequence[dict[str, Any]]) -> list[list[int]]:
    """The prompts that a model was called with. What all begin with is read alone, before the rest of each."""
    import torch

    rows: list[list[int]] = []
    first, *later = calls
    shared = first["input_ids"][0].tolist() if later else []
    for call in later or calls:
        masks = call["attention_mask"].bool()
        assert masks[:, : len(shared)].all()
        masks = masks[:, len(shared) :]
        rows += [shared + ids[mask].tolist() for ids, mask in zip(call["input_ids"], masks, strict=True)]
        for places, mask in zip(call["position_ids"], masks, strict=True):
            assert torch.equal(places[mask], len(shared) + torch.arange(int(mask.sum())))
    return rows


def test_the_examples_of_each_variant(prepared: Prepared) -> None:
    def pairs(system: str) -> dict[str, Example]:
        made = read_jsonl(prepared.examples[system][0] / EXAMPLES, Example)
        return {f"{one.language}/{one.id}": one for one in made}

    ask = "Translate the following sentences from {} to {}. {}".format
    question, english = texts("de", 0)["question"], texts("en", 0)["question"]
    answer, answer_en = "Sie hat 3 + 2 = 5 Äpfel. #### 5", "She has 3 + 2 = 5 apples. #### 5"
    expected = {
        "qalign-mono": (ask("German", "English", question), english),
        "qalign-en-x-questions": (ask("English", "German", english), question),
        "qalign-x-en-answers": (ask("German", "English", answer), answer_en),
        "qalign-en-x-answers": (ask("English", "German", answer_en), answer),
        "qalign-general": (ask("German", "English", answer), answer_en),
        "multireason": (question, answer),
    }
    for name, (instruction, response) in expected.items():
        made = pairs(name)
        assert (made["de/0"].instruction, made["de/0"].response) == (instruction, response), name
        languages = {*LANGUAGES, "en"} if name == "multireason" else set(LANGUAGES)
        assert {key.partition("/")[0] for key in made} == languages
        assert len(made) == ROWS * len(languages)
    mono = pairs("monoreason")
    assert (mono["en/0"].instruction, mono["en/0"].response) == (english, answer_en)
    assert len(pairs("sft")) == ROWS // 2


# --- settings ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Config:
    """A field of each kind that a config may have."""

    whole: int = 1
    number: float = 1.0
    text: str = "a"
    flag: bool = False
    choice: Literal["x", "y"] = "x"
    maybe: int | None = None
    several: tuple[str, ...] = ()
    either: tuple[str, ...] | Literal["all"] = "all"
    inner: Adapter | None = None


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("whole", "7", 7),
        ("number", "1e-5", 1e-5),
        ("number", "3", 3.0),
        ("text", "b c", "b c"),
        ("flag", "true", True),
        ("flag", "False", False),
        ("choice", "y", "y"),
        ("maybe", "5", 5),
        ("maybe", "none", None),
        ("several", "q_proj, v_proj", ("q_proj", "v_proj")),
        ("inner", "on", Adapter()),
        ("inner", "none", None),
        ("inner.rank", "8", Adapter(rank=8)),
        ("inner.modules", "all-linear", Adapter(modules="all-linear")),
        ("inner.modules", "q_proj,v_proj", Adapter(modules=("q_proj", "v_proj"))),
    ],
)
def test_a_setting_is_read_as_its_field_is(path: str, text: str, value: Any) -> None:
    name = path.split(".")[0]
    changed = getattr(set_field(Config(), tuple(path.split(".")), text, f"s.{path}={text}"), name)
    assert changed == value
    assert type(changed) is type(value)


@pytest.mark.parametrize(
    ("path", "text", "says"),
    [
        ("whole", "1.5", "'1.5' is not a whole number"),
        ("number", "much", "'much' is not a number"),
        ("flag", "perhaps", "'perhaps' is not true or false"),
        ("choice", "z", "'z' is not one of x, y"),
        ("maybe", "some", "'some' is not a whole number or none"),
        ("inner", "deep", r"'deep' is not on \(or set its fields one by one\) or none"),
        ("inner.rank", "deep", "'deep' is not a whole number"),
        ("inner.rnk", "8", "there is no 'rnk' here: did you mean 'rank'?"),
        ("whole.x", "8", "'whole' has no fields of its own"),
        ("hole", "8", "there is no 'hole' here: did you mean 'whole'?"),
    ],
)
def test_a_wrong_setting_says_what_was_expected(path: str, text: str, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        set_field(Config(), tuple(path.split(".")), text, f"s.{path}={text}")


def test_a_number_that_is_none_is_refused() -> None:
    """A rate of nan or infinity would train to nothing, or fail late."""
    for text in ("nan", "inf", "-inf"):
        with pytest.raises(SettingError, match="is not a number"):
            set_field(Config(), ("number",), text, f"s.number={text}")


def test_an_adapter_that_is_on_keeps_what_is_set_after_it() -> None:
    settings = parse_settings(["s.inner=on", "s.inner.rank=8", "s.inner.dropout=0"], [])
    assert settings.apply(None, "s", Config()).inner == Adapter(rank=8, dropout=0.0)


def test_the_last_setting_wins() -> None:
    assert parse_settings(["s.whole=2", "s.whole=3"], []).apply(None, "s", Config()).whole == 3


def test_a_setting_for_one_system_holds_there_only(own_data: OwnData, tmp_path: Path) -> None:
    plain = chains(own_data, tmp_path)
    one = chains(own_data, tmp_path, "qalign-mono.response-alignment.learning_rate=1e-5")
    assert {name for name in plain if fingerprints(one[name]) != fingerprints(plain[name])} == {"qalign-mono"}
    assert one["qalign-mono"][0].fingerprint == plain["qalign-mono"][0].fingerprint
    assert one["qalign-mono"][1].config["training"]["learning_rate"] == 1e-5

    stage = chains(own_data, tmp_path, "question-alignment.learning_rate=1e-5")
    changed = {name for name in plain if fingerprints(stage[name]) != fingerprints(plain[name])}
    assert changed == {name for name in SYSTEMS if name.startswith("qalign-")}

    everywhere = chains(own_data, tmp_path, "training.epochs=1")
    assert all(s.config["training"]["epochs"] == 1 for chain in everywhere.values() for s in chain)


def test_an_adapter_through_a_study(own_data: OwnData, tmp_path: Path) -> None:
    made = chains(
        own_data, tmp_path, "response-alignment.adapter.rank=4", "response-alignment.adapter.modules=q_proj,v_proj"
    )
    config = made["qalign-mono"][1].config["training"]["adapter"]
    assert config == {"rank": 4, "alpha": 32.0, "dropout": 0.0, "modules": ["q_proj", "v_proj"]}
    assert made["qalign-mono"][0].config["training"]["adapter"] is None


@pytest.mark.parametrize(
    ("systems", "setting", "says"),
    [
        (["sft"], "question-alignment.epochs=1", "this run has no stage 'question-alignment'"),
        (["sft"], "qalign-mono.response-alignment.epochs=1", "this run has no system 'qalign-mono': known: sft"),
        (["sft"], "respons-alignment.epochs=1", "did you mean 'response-alignment'?"),
        (["sft"], "qalign-mno.response-alignment.epochs=1", "no stage 'qalign-mno'"),
        (["rft"], "rtf.response-alignment.epochs=1", "no stage 'rtf': did you mean 'rft'?"),
        (["rft"], "rejection.samples=2", "no stage 'rejection': 'samples' is a setting of generation, sampling"),
        (["rft"], "rtf.epochs=1", "no stage 'rtf': did you mean 'rft'?"),
    ],
)
def test_a_setting_without_effect_is_an_error(
    own_data: OwnData, tmp_path: Path, systems: list[str], setting: str, says: str
) -> None:
    with pytest.raises(SettingError, match=says):
        compare(study(own_data, tmp_path, setting), systems)


def test_settings_do_not_outlive_a_study() -> None:
    assert Settings() == Settings()
    assert Settings().given is not Settings().given


def test_an_unknown_variant_is_refused(own_data: OwnData, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="unknown alignment variant 'x-en-question': did you mean 'x-en-questions'"):
        study(own_data, tmp_path).translation("x-en-question")


@pytest.mark.parametrize(
    ("weights", "says"),
    [([-1], "weight -1; give a positive"), ([0.0], "weight 0;"), ([9], "cap of 4"), ([1, 1], "2 weights for 1 part")],
)
def test_weights_that_cannot_be_are_refused_before_anything_runs(
    own_data: OwnData, tmp_path: Path, weights: list[float], says: str
) -> None:
    here = study(own_data, tmp_path)
    with pytest.raises(SettingError, match=says):
        here.mixture("own", "response", [here.corpus("english")], weights)


# --- bases ------------------------------------------------------------------------------------------------------------


def test_a_base_is_known_by_its_content(prepared: Prepared, tmp_path: Path) -> None:
    copied = shutil.copytree(prepared.base, tmp_path / "copied")
    (copied / "notes.pdf").write_text("no part of the model")
    runs = tmp_path / "runs"
    known = base(str(prepared.base), runs).fingerprint
    assert base(str(copied), runs).fingerprint == known
    assert base(str(copied), tmp_path / "other").fingerprint == known
    config = copied / "config.json"
    config.write_text(config.read_text() + " ")
    assert base(str(copied), runs).fingerprint != known
    (runs / "hashes.json").write_text("[]")  # a cache: broken, it is made again
    assert base(str(prepared.base), runs).fingerprint == known


def test_a_hub_base_at_a_commit_needs_no_network(tmp_path: Path) -> None:
    commit = "0123456789abcdef" * 2 + "01234567"
    one = base(f"owner/model@{commit}", tmp_path)
    assert one.config == {"hub": "owner/model", "revision": commit}
    (tmp_path / "revisions.json").write_text(
        f'{{"model:owner/model": "{commit}", "model:owner/model@a/b": "{commit}"}}'
    )
    assert base("owner/model", tmp_path).fingerprint == one.fingerprint
    assert base("owner/model@a/b", tmp_path).fingerprint == one.fingerprint, "a branch is known by its commit"
    with pytest.raises(SettingError, match=r"'owner/model@' names no revision: give a branch, a tag or a commit"):
        base("owner/model@", tmp_path)
    (tmp_path / "revisions.json").write_text("[1]")
    with pytest.raises(ModelError, match=r"revisions\.json is not a record of revisions .*: remove it"):
        base("owner/model", tmp_path)


def test_a_title_names_a_corpus_only_where_the_study_trains_on_it(tmp_path: Path) -> None:
    system = SYSTEMS["monoreason"]
    named = {
        name: system.title_in(Study(base_name="world", scale=SCALES[name], runs=tmp_path))
        for name in ("paper", "sample", "toy")
    }
    assert named == {"paper": "MonoReason (MetaMath)", "sample": "MonoReason", "toy": "MonoReason"}
    assert (
        system.title_in(Study(base_name="world", scale=SCALES["sample"], runs=tmp_path, english="metamathqa"))
        == system.title
    )
    assert (
        SYSTEMS["qalign-mono"].title_in(Study(base_name="world", scale=SCALES["toy"], runs=tmp_path))
        == "QAlign (monolingual)"
    )
