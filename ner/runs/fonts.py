"""Fonts for pictures: labels are in the language of the data, and not every font has its characters."""

from __future__ import annotations

from collections.abc import Sequence


def covering(text: str) -> tuple[list[str], str]:
    """Fonts of this machine that together have the characters of a text.

    Args:
        text: All that is to be written.

    Returns:
        Names of fonts, that of matplotlib's settings first, the others being for what it lacks; and the characters
        that none of them has.
    """
    from matplotlib import font_manager

    usual = font_manager.fontManager.findfont(font_manager.FontProperties())
    names = [font_manager.get_font(usual).family_name]
    missing = {character for character in text if character.isprintable()} - _characters(usual)
    if missing:
        known = {font.fname: font.name for font in font_manager.fontManager.ttflist}
        for path in sorted(known):
            found = missing & _characters(path)
            if found:
                names.append(known[path])
                missing -= found
            if not missing:
                break
    return names, "".join(sorted(missing))


def _characters(path: str) -> set[str]:
    from matplotlib.ft2font import FT2Font

    try:
        return {chr(code) for code in FT2Font(path).get_charmap()}
    except (OSError, RuntimeError):  # a file of a kind that matplotlib lists and cannot read
        return set()


def spelled(text: str, missing: Sequence[str]) -> str:
    """The text with code points (``U+4E2D``) in place of some characters."""
    return text.translate({ord(character): f"U+{ord(character):04X} " for character in missing}).rstrip()
