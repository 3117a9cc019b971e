"""Tables that print as aligned columns and convert to data frames."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ner.errors import InputError, not_installed


class Table(list[dict[str, Any]]):
    """List of rows, each a dictionary by column; a missing key is an empty cell.

    Args:
        rows: The rows.
        title: Line above the printed table.
        printed: Columns that are printed; all by default.
    """

    def __init__(
        self, rows: Iterable[Mapping[str, Any]] = (), title: str = "", printed: Collection[str] | None = None
    ) -> None:
        super().__init__(dict(row) for row in rows)
        self.title, self.printed = title, printed

    @property
    def columns(self) -> list[str]:
        """Names of the columns in the order in which they occur."""
        return list(dict.fromkeys(name for row in self for name in row))

    def to_frame(self) -> Any:
        """Return the table as a ``pandas.DataFrame``.

        Raises:
            InputError: If pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise InputError(not_installed("pandas")) from None
        return pandas.DataFrame(list(self), columns=self.columns)

    def __str__(self) -> str:
        columns = [name for name in self.columns if self.printed is None or name in self.printed]
        cells = [columns, *([shown(row.get(name)) for name in columns] for row in self)]
        widths = [max(len(row[position]) for row in cells) for position in range(len(columns))]
        numeric = [all(isinstance(row.get(name), (int, float, type(None))) for row in self) for name in columns]
        lines = [
            "  ".join(
                cell.rjust(width) if is_numeric else cell.ljust(width)
                for cell, width, is_numeric in zip(row, widths, numeric, strict=True)
            ).rstrip()
            for row in cells
        ]
        return "\n".join(([self.title] if self.title else []) + lines)

    def __repr__(self) -> str:
        return str(self)


def shown(value: Any) -> str:
    """Return a cell as text: four decimals for a ``float``, separated thousands for an ``int``, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}" if value == 0 or abs(value) >= 1e-3 else f"{value:.2g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
