"""What is claimed: for each benchmark its cases, and in each case who is compared with whom at which sizes.

A case has one or more systems of ours and peers; each is a :class:`System`, a process of ``systems/`` in an
environment. The ratio is the peer's median seconds per unit of work over ours; the goal is the least that it should be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

SIZES = [(32, 128, 9), (32, 50, 9), (256, 64, 9), (8, 512, 9), (32, 256, 17), (16, 512, 37)]


@dataclass
class System:
    """Worker process: script in ``systems/``, options and environment."""

    script: str
    options: dict[str, Any]
    environment: str = "main"


@dataclass
class Case:
    """Systems of one comparison."""

    title: str
    ours: dict[str, System]
    peers: dict[str, System]
    goals: dict[str, float] = field(default_factory=dict)
    """Name of our system, or ``ours / peer`` -> required ratio."""
    equal_results: bool = False
    """All systems must return the same result."""

    def goal(self, ours: str, peer: str) -> float | None:
        """Return the required ratio of a pair, or None."""
        return self.goals.get(f"{ours} / {peer}", self.goals.get(ours))


@dataclass
class Setting:
    """Paths of data and models, and whether to run the short version with baselines of the main environment only."""

    train: str
    test: str
    encoder: str
    models: str
    run: str = ""
    short: bool = False
    bf16: bool = False
    """The processor has instructions for bfloat16."""

    def model(self, name: str) -> str:
        """Return the directory of a trained model (``make bench-models``); in the short version, the newest run."""
        if self.short:
            return self.encoder if name == "hf" else self.run
        return f"{self.models}/{name}"


def crf(setting: Setting) -> list[Case]:
    cases = []
    for size in SIZES[:2] if setting.short else SIZES:
        for what in ("loss", "decode"):

            def system(library: str, environment: str = "main", calls: int = 10, shape: Any = (size, what)) -> System:
                options = {"library": library, "what": shape[1], "size": list(shape[0]), "inner": calls}
                return System("crf.py", options, environment)

            first = size == SIZES[0] and what == "loss"
            goals = {
                "plain / pytorch-crf": 3.0 if first else 1.5,
                "compiled / pytorch-crf": 20.0 if first else 10.0,
            }
            peers = {"pytorch-crf": system("pytorch-crf")}
            if not setting.short:
                peers["torch-struct"] = system("torch-struct", "hf", calls=1)
            ours = {"plain": system("plain"), "compiled": system("compiled")}
            name = "loss and gradient" if what == "loss" else "decoding"
            title = "{} at (S, W, K) = ({}, {}, {})".format(name, *size)
            cases.append(Case(title, ours, peers, goals, equal_results=True))
    return cases


def finetuning(setting: Setting) -> list[Case]:
    steps = 6 if setting.short else 50
    config = "configs/bert_crf.yaml" if setting.short else "configs/conll2003/minilm_crf.yaml"
    options = {"task": "train", "config": config, "train": setting.train, "steps": steps}
    ours = {"this project": System("ours.py", options | {"overrides": ["training.adversarial=null"]})}  # as the peers
    peers = {}
    for name, group in (("Trainer", False), ("Trainer, grouped by length", True)):
        options = {"task": "train", "model": setting.encoder, "train": setting.train, "steps": steps, "group": group}
        peers[name] = System("hf.py", options, "main" if setting.short else "hf")
    goals = {"this project / Trainer": 2.2, "this project / Trainer, grouped by length": 1.2}
    title = "fine-tuning the bundled encoder"
    if not setting.short:
        title += ", 32 sentences a step; ours with characters, BiLSTM, CRF, document windows"
    return [Case(title, ours, peers, goals)]


def finetuning_alike(setting: Setting) -> list[Case]:
    """Compare encoder and CRF with Trainer, one sentence per row and without attention dropout on both sides."""
    steps = 6 if setting.short else 50
    overrides = ["batch.size=32", "encoder.attention_dropout=0", "training.averaging=null"]

    def ours(*more: str) -> System:
        options = {"task": "train", "config": "configs/bert_crf.yaml", "train": setting.train, "steps": steps}
        return System("ours.py", options | {"overrides": [*overrides, *more]})

    systems, goals = {"this project": ours()}, {"this project": 1.15}
    if setting.bf16:
        name = "this project, training.precision=bf16"
        systems[name], goals[name] = ours("training.precision=bf16"), 1.5
    options = {"task": "train", "model": setting.encoder, "train": setting.train, "steps": steps, "group": True}
    options["attention_dropout"] = 0.0
    peers = {"Trainer, grouped by length": System("hf.py", options, "main" if setting.short else "hf")}
    return [Case("fine-tuning encoder and CRF, a sentence a row, 32 sentences a step", systems, peers, goals)]


def bilstm_training(setting: Setting) -> list[Case]:
    steps = 10 if setting.short else 60
    once = ["training.adversarial=null", "batch.size=32"]  # as the peers
    bare = [*once, "encoder.characters.kind=none", "encoder.shape_dimension=0"]

    def ours(overrides: list[str]) -> System:
        config = "configs/conll2003/bilstm_crf.yaml"
        options = {"task": "train", "config": config, "train": setting.train, "steps": steps, "overrides": overrides}
        return System("ours.py", options)

    plain = System("pytorch_crf_loop.py", {"train": setting.train, "steps": steps})
    cases = [
        Case(
            "BiLSTM-CRF over words, 100 and 2 x 200 wide, 32 sentences a step",
            {"this project": ours(bare)},
            {"plain loop with pytorch-crf": plain},
            {"this project": 3.5},
        )
    ]
    if not setting.short:
        options = {"task": "train", "train": setting.train, "steps": steps}
        cases.append(
            Case(
                "the same; ours with characters and shapes, Flair with words only",
                {"this project": ours(once)},
                {"Flair SequenceTagger": System("flair_tagger.py", options, "flair")},
                {"this project": 3.5},
            )
        )
    return cases


def bilstm_tagging(setting: Setting) -> list[Case]:
    ours = {
        "this project": System("ours.py", {"task": "tag", "run": setting.model("bilstm_crf"), "test": setting.test})
    }
    options = {"model": setting.model("spacy") + "/model-best", "test": setting.test}
    spacy = {
        f"spaCy, batches of {size}": System("spacy_ner.py", options | {"batch": size}, "spacy") for size in (64, 256)
    }
    options = {"task": "tag", "model": setting.model("flair") + "/best-model.pt", "test": setting.test}
    flair = {
        f"Flair, batches of {size}": System("flair_tagger.py", options | {"batch": size}, "flair") for size in (32, 128)
    }
    return [Case("tagging the test file without a pretrained model", ours, spacy | flair, {"this project": 2.5})]


def encoder_tagging(setting: Setting) -> list[Case]:
    limit = 300 if setting.short else 1000

    def own(name: str, **more: Any) -> System:
        options = {"task": "tag", "run": setting.model(name), "test": setting.test, "limit": limit}
        return System("ours.py", options | more)

    def pipeline(size: int, environment: str = "hf", **more: Any) -> System:
        options = {"task": "tag", "model": setting.model("hf"), "test": setting.test, "limit": limit, "batch": size}
        return System("hf.py", options | more, environment)

    title = f"tagging {limit:,} sentences with the bundled encoder"
    if setting.short:
        return [Case(title, {"this project": own("minilm_crf")}, {"pipeline, batches of 8": pipeline(8, "main")})]
    others = {f"pipeline, batches of {size}": pipeline(size) for size in (1, 8, 32)}
    options = {"task": "tag-untrained", "model": setting.encoder, "test": setting.test, "limit": limit}
    others["Flair over the same encoder, untrained head"] = System("flair_tagger.py", options, "flair")
    ours = {"this project": own("minilm_crf")}
    precisions = ours | (
        {"this project, --precision bf16": own("minilm_crf", precision="bf16")} if setting.bf16 else {}
    )
    variants = ours | {
        "this project, int8 export": own("minilm_crf_int8"),
        "encoder and CRF only": own("bert_crf"),
        "encoder and CRF only, int8 export": own("bert_crf_int8"),
        "minilm_fast": own("minilm_fast"),
        "minilm_fast, int8 export": own("minilm_fast_int8"),
    }
    best = {"pipeline, batches of 8, texts sorted by length by its user": pipeline(8, by_length=True)}
    goals = {
        "this project": 1.25,
        "this project, int8 export": 3.0,
        "encoder and CRF only": 1.25,
        "encoder and CRF only, int8 export": 3.0,
        "minilm_fast, int8 export": 4.0,
    }
    return [
        Case(title, precisions, others, {f"this project / {name}": 2.5 for name in others}),
        Case(f"{title}, peer at its best", variants, best, goals),
    ]


def scoring(setting: Setting) -> list[Case]:
    options = {"gold": setting.train, "times": 1 if setting.short else 5}
    ours = {"this project": System("ours.py", {"task": "score", **options})}
    peers = {"seqeval": System("seqeval_scores.py", options)}
    return [Case("scoring lists of 1,000,000 tags", ours, peers, {"this project": 3.0}, equal_results=True)]


def reading(setting: Setting) -> list[Case]:
    config = "configs/bert_crf.yaml"
    times = 1 if setting.short else 5
    ours = {
        "this project": System("ours.py", {"task": "read", "config": config, "train": setting.train, "times": times})
    }
    options = {"train": setting.train, "model": setting.encoder, "times": times}
    peers = {
        "datasets, tokenised as run_ner does": System("hf_datasets.py", options, "main" if setting.short else "hf")
    }
    return [Case("from 1,000,000 lines of columns to the tensors of all batches", ours, peers, {"this project": 3.0})]


def startup(setting: Setting) -> list[Case]:
    text = "Colby flew from Paris to St. Louis ."

    def predict(run: str) -> System:
        command = ["PYTHON", "-m", "ner", "predict", "--run", run, "--format", "text"]
        return System("command.py", {"command": command, "text": text})

    ours, goals = {"ner predict": predict(setting.model("bert_crf"))}, {"ner predict": 1.0}
    if not setting.short:
        ours["ner predict, int8 export"] = predict(setting.model("bert_crf_int8"))
        goals["ner predict, int8 export"] = 4.0
    script = "benchmarks/systems/pipeline_script.py"
    peer = System("command.py", {"command": ["PYTHON", script, setting.model("hf")], "text": text})
    return [Case("start of the program to the first tagged sentence", ours, {"pipeline": peer}, goals)]


def arithmetic(setting: Setting) -> list[Case]:
    cases = []
    for name in ("minilm_crf",) if setting.short else ("bilstm_crf", "minilm_crf"):
        options = {"task": "tag", "run": setting.model(name), "test": setting.test}
        limit = 300 if setting.short else None
        ours = {
            precision: System("ours.py", options | {"precision": precision, "limit": limit})
            for precision in ("bf16", "int8")
        }
        base = {"fp32": System("ours.py", options | {"precision": "fp32", "limit": limit})}
        cases.append(Case(f"tagging in other arithmetic, {name}", ours, base))
    return cases


def compiling(setting: Setting) -> list[Case]:
    steps = 4 if setting.short else 20
    options = {"task": "train", "config": "configs/bert_crf.yaml", "train": setting.train, "steps": steps}
    ours = {"training.compile": System("ours.py", options | {"overrides": ["training.compile=true"]})}
    peers = {"eager": System("ours.py", options | {"overrides": []})}
    return [Case("torch.compile of the encoder, training steps", ours, peers)]


CLAIMS: dict[str, Callable[[Setting], list[Case]]] = {
    "crf": crf,
    "finetuning": finetuning,
    "finetuning_alike": finetuning_alike,
    "bilstm_training": bilstm_training,
    "bilstm_tagging": bilstm_tagging,
    "encoder_tagging": encoder_tagging,
    "scoring": scoring,
    "reading": reading,
    "startup": startup,
    "arithmetic": arithmetic,
    "compiling": compiling,
}
