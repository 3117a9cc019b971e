"""Warm start: copying the matching weights of a trained model into a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ner.errors import InputError
from ner.model.model import Model
from ner.types import AxisLabels


@dataclass
class WarmStartReport:
    """Result of a warm start.

    Attributes:
        copied: Names of the tensors that were copied as a whole.
        rows: By tensor with labelled rows, such as embeddings: the number of copied rows and of all rows.
        initialized: Names of the tensors that keep their random values.
        labels, new_labels: Labels and classes of both models, and of the new model only.
    """

    copied: list[str] = field(default_factory=list)
    rows: dict[str, tuple[int, int]] = field(default_factory=dict)
    initialized: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    new_labels: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the lines for the log."""
        known, new = (", ".join(labels) or "none" for labels in (self.labels, self.new_labels))
        lines = [f"copied {len(self.copied)} tensors; known labels: {known}; new labels: {new}"]
        lines += [f"{name}: copied {known} of {total} rows" for name, (known, total) in self.rows.items()]
        if self.initialized:
            lines.append(f"initialized randomly: {', '.join(self.initialized)}")
        return lines


def copy_matching_weights(model: Model, trained: Model) -> WarmStartReport:
    """Copy tensors of the same name and shape, and rows of the same label (words, tags), from a trained model.

    Raises:
        InputError: If nothing matches.
    """
    report = WarmStartReport()
    old, axes, old_axes = trained.state_dict(), _axes(model), _axes(trained)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name in axes and name in old_axes and axes[name] != old_axes[name]:
                known = _copy_rows(tensor, old[name], axes[name], old_axes[name])
                report.rows[name] = (known, len(axes[name][0] or ()))
            elif name in old and old[name].shape == tensor.shape:
                tensor.copy_(old[name])
                report.copied.append(name)
            else:
                report.initialized.append(name)
    if not report.copied and not any(known for known, _ in report.rows.values()):
        raise InputError("--init: the two models have no weights in common; train without --init")
    labels, known_labels = (
        [*(m.vocabs.tags if m.vocabs.plain else m.vocabs.labels), *m.vocabs.classes] for m in (model, trained)
    )
    report.labels = sorted(set(labels) & set(known_labels))
    report.new_labels = sorted(set(labels) - set(known_labels))
    return report


def _axes(model: Model) -> Mapping[str, AxisLabels]:
    parts = {"encoder": model.encoder, "decoder": model.decoder}
    return {f"{part}.{name}": axes for part, module in parts.items() for name, axes in module.axis_labels().items()}


def _copy_rows(tensor: Tensor, old: Tensor, axes: AxisLabels, old_axes: AxisLabels) -> int:
    """Copy entries with the same labels along all dimensions; return the number of shared labels along the first."""
    here: list[Tensor] = []
    there: list[Tensor] = []
    for size, old_size, names, old_names in zip(tensor.shape, old.shape, axes, old_axes, strict=True):
        if names is None or old_names is None:
            if size != old_size:
                return 0
            here.append(torch.arange(size))
            there.append(torch.arange(size))
            continue
        places = {name: position for position, name in enumerate(old_names)}
        pairs = [(position, places[name]) for position, name in enumerate(names) if name in places]
        here.append(torch.tensor([left for left, _ in pairs], dtype=torch.long))
        there.append(torch.tensor([right for _, right in pairs], dtype=torch.long))
    if all(len(positions) for positions in here):
        device = tensor.device
        tensor[torch.meshgrid(*(positions.to(device) for positions in here), indexing="ij")] = old[
            torch.meshgrid(*there, indexing="ij")
        ].to(device)
    return len(here[0])
