"""Keys and values of earlier versions: errors about configurations name the new ones, saved runs are converted."""

from __future__ import annotations

from typing import Any

KEYS = {
    "by": "score_by",
    "data.words": "word_split",
    "data.store": "memmap_dir",
    "windows.unit": "scope",
    "windows.stride": "doc_stride",
    "batch.unit": "measure",
    "batch.at_once": "micro_size",
    "batch.ahead": "prefetch",
    "training.warmup": "warmup_ratio",
    "training.select": "keep_epoch",
    "training.keep": "keep_checkpoints",
    "training.stopping": "early_stopping",
    "training.plateau.change": "adapt",
    "training.plateau.smallest": "min_lr_scale",
    "training.plateau.largest": "max_batch_size",
    "training.adversarial.radius": "epsilon",
    "processes.timeout": "heartbeat_timeout",
    "processes.shard": "fsdp",
    "encoders/embedding.deviation": "init_std",
    "encoders/embedding.digits": "normalize_digits",
    "encoders/embedding.unknown_rate": "singleton_unk_rate",
    "encoders/embedding.shape": "shape_dimension",
    "encoders/embedding.characters.kernel": "kernel_size",
    "context/bilstm.hidden": "hidden_size",
    "context/bilstm.initial": "init",
    "context/rtransformer.feed_forward": "ffn_size",
    "decoders/crf.constrain": "constraints",
    "decoders/crf.kernel": "backend",
    "decoders/softmax.constrain": "constraints",
    "decoders/softmax.kernel": "backend",
    "decoders/softmax.smoothing": "label_smoothing",
    "decoders/classifier.several": "multi_label",
    "decoders/classifier.hidden": "hidden_size",
    "decoders/classifier.smoothing": "label_smoothing",
    "decoders/extractive_qa.hidden": "hidden_size",
    "decoders/extractive_qa.evidence": "evidence_weight",
    "decoders/extractive_qa.unknown_threshold": "null_threshold",
    "decoders/unilm.mask_rate": "mask_probability",
    "decoders/unilm.copy_pieces": "copy_mechanism",
    "formats/conll.positions": "strip_position_digit",
    "formats/jsonl.misaligned": "on_misaligned",
    "formats/tsv.several": "label_separator",
}
"""Old path -> new name of its last key. Paths of components start with their folder and file."""

VALUES = {
    "training.precision": {"float32": "fp32"},
    "training.plateau.adapt": {"rate": "learning_rate", "batch": "batch_size"},
    "decoders/crf.constraints": {"both": "training_and_decoding"},
    "decoders/crf.backend": {"plain": "torch", "compiled": "numba"},
    "decoders/softmax.backend": {"plain": "torch", "compiled": "numba"},
    "decoders/classifier.pooling": {"summary": "cls"},
}
"""New path -> old value -> new value."""


COMPONENTS = {"decoders/span": "extractive_qa", "decoders/generator": "unilm", "formats/parallel": "slot_filling"}
"""Folder and old name of a component -> new name."""

REMOVED = {
    "training.rdrop": "R-Drop gained nothing over training.adversarial",
    "training.adversarial.steps": "fgm, the only kind left, takes one step",
    "training.adversarial.step_size": "fgm, the only kind left, takes one step of norm epsilon",
}
"""Path of a removed key -> reason."""


def explain(path: str, value: Any = None) -> str | None:
    """Return the end of an error message that names the new key or value; None if nothing has changed.

    Args:
        path: Path of a key as in ``KEYS``.
        value: Its value.
    """
    if path in REMOVED:
        return f"was removed: {REMOVED[path]}"
    new_key = KEYS.get(path)
    if new_key is not None:
        path = f"{path.rpartition('.')[0]}.{new_key}".lstrip(".")
    values = VALUES.get(path, {})
    replacement = values.get(value) if isinstance(value, str) else None
    if new_key is None:
        return None if replacement is None else f"'{value}' was renamed to '{replacement}'"
    return f"was renamed to '{new_key}'" + (f", and its value '{value}' to '{replacement}'" if replacement else "")


_FOLDERS = {"encoder": "encoders", "context": "context", "decoder": "decoders", "format": "formats"}


def upgrade(value: Any, path: str = "", folder: str = "") -> Any:
    """Return the configuration of a run with new keys and values. Everything else is unchanged and validated later.

    Removed keys are left out if they are 0, false or null, since this was how they were turned off, and beside
    ``kind: fgm``, which did not use them.

    Args:
        value: Plain values, as read from the file of a run.
        path: Path of the value with new names; that of a component starts with its folder and file.
        folder: Folder of the components in it: each mapping with a string ``name`` is one.
    """
    if isinstance(value, list):
        return [upgrade(item, path, folder) for item in value]
    if not isinstance(value, dict):
        return VALUES.get(path, {}).get(value, value) if isinstance(value, str) else value
    if folder and isinstance(value.get("name"), str):
        name = COMPONENTS.get(f"{folder}/{value['name']}", value["name"])
        value = {**value, "name": name}
        path = f"{folder}/{name}"
    upgraded = {}
    for key, item in value.items():
        old_path = f"{path}.{key}".lstrip(".")
        if old_path in REMOVED and (not item or value.get("kind") == "fgm"):
            continue
        new_key = KEYS.get(old_path, key)
        upgraded[new_key] = upgrade(item, f"{path}.{new_key}".lstrip("."), _FOLDERS.get(key, folder))
    return upgraded
