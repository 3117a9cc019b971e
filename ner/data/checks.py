"""Checks of annotated data before a training: findings with places, evidence and advice.

Everything is counted in one pass over the documents; places of rare findings are searched in a second one.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from ner.chinese import join_words
from ner.data.findings import SHOWN, Finding, Level, sort_findings
from ner.data.notices import Notice
from ner.data.occurrences import Occurrences, SplitSummary
from ner.data.tags import PLAIN
from ner.errors import counted
from ner.types import Document, Example

MIN_SIMILARITY = 0.8
"""Similarity of the names of two labels (difflib), from which a rare one may be a typing error."""
RARE_LABEL = 10
"""Mentions below which a label of the training data is reported as rare."""
MIN_MENTIONS = 10
"""Mentions of the same words from which on a deviating label is reported."""
MAX_DEVIATING = 0.1
"""Share of the mentions of the same words up to which a label deviates."""
MAX_REPEATED = 0.2
"""Share of repeated sentences above which they are a warning."""
MAX_MEDIAN_LENGTH = 500
"""Words of the median sentence of a column file above which empty lines are probably missing."""
NOTABLE_UNKNOWN = 0.1
"""Share of unknown words above which advice is shown."""
MAX_UNKNOWN = 0.3
"""Share of unknown words above which they are a warning."""

_ODD = re.compile(r"[^\x20-\x7e\xa1-\xac\xae-\u0377\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fa5\uac00-\ud7a3]")
"""Characters that may be suspicious: a quick test that excludes most letters."""
_JOINERS = "\u200c\u200d\ufe0e\ufe0f"
_KINDS = {
    "Cc": "control characters",
    "Cf": "invisible format characters, such as zero-width spaces",
    "Cn": "unassigned characters",
    "Co": "private-use characters",
    "Cs": "lone surrogates",
}


@dataclass
class DataReport:
    """Result of :func:`check_documents`: counts by split and findings, the most severe first."""

    splits: dict[str, SplitSummary]
    findings: list[Finding]


def check_documents(documents: Mapping[str, Iterable[Document]], one_word_per_line: bool = False) -> DataReport:
    """Check the documents of all splits.

    Args:
        documents: Gold documents by split; read once or twice.
        one_word_per_line: True if every word has a line of its own, so that places are those of words.
    """
    state = Occurrences(one_word_per_line)
    summaries: dict[str, SplitSummary] = {}
    for split, items in documents.items():
        summary = summaries[split] = SplitSummary()
        for document in items:
            summary.scheme = document.scheme
            state.add(split, document, summary)
    findings = [
        *_schemes(summaries),
        *_impossible_transitions(state),
        *_notices(summaries, state),
        *_label_gaps(summaries),
        *_similar_labels(summaries),
        *_repeated(summaries, state),
        *_mentions(state),
        *_lengths(summaries, one_word_per_line),
        *_unknown_words(summaries),
        *_characters(summaries, documents, state.place),
    ]
    return DataReport(summaries, sort_findings(findings))


def _text(example: Example) -> str:
    text = example.text if example.text is not None else join_words(example.words)[0]
    return f'"{text[:80]}"'


def _with_counts(counts: Mapping[str, int], limit: int = 12) -> str:
    """Return the most frequent names with their counts."""
    most_frequent = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    remainder = f" and {len(most_frequent) - limit} more" if len(most_frequent) > limit else ""
    return ", ".join(f"{name} {count}" for name, count in most_frequent[:limit]) + remainder


def _schemes(summaries: Mapping[str, SplitSummary]) -> Iterator[Finding]:
    """Yield the schemes with their conversions, and a difference between files."""
    schemes = {split: summary.scheme for split, summary in summaries.items() if summary.labels or summary.tags}
    for scheme in dict.fromkeys(schemes.values()):
        splits = ", ".join(split for split, split_scheme in schemes.items() if split_scheme == scheme)
        conversion = "" if scheme in ("bio", PLAIN) else ", converted to bio"
        yield Finding("scheme", "info", f"{splits}: scheme {scheme}{conversion}")
    if len({*schemes.values()}) > 1:
        scheme_by_split = ", ".join(f"{split} {scheme}" for split, scheme in schemes.items())
        yield Finding(
            "scheme-differs",
            "warning",
            f"the files have different tagging schemes: {scheme_by_split}",
            "Set data.format.scheme if a scheme was detected wrongly, or convert the files.",
            len({*schemes.values()}),
        )


def _impossible_transitions(state: Occurrences) -> Iterator[Finding]:
    if state.broken:
        yield Finding(
            "impossible-transitions",
            "warning",
            f"{sum(map(len, state.broken.values()))} entities begin with an inner tag and are read as conlleval does",
            "Correct the tags, so that every entity begins with B-.",
            sum(map(len, state.broken.values())),
            tuple(state.broken)[:SHOWN],
            tuple(chain.from_iterable(state.broken.values()))[:SHOWN],
        )


def _notices(summaries: Mapping[str, SplitSummary], state: Occurrences) -> Iterator[Finding]:
    """Yield the notices of the readers, with the changes of tags and spans as evidence."""
    for split, summary in summaries.items():
        for notice, count in sorted(summary.notices.items()):
            level: Level = "warning"
            repairs = state.repairs[split]
            if notice in (Notice.ANSWER_ABSENT, Notice.QUESTION_UNANSWERED):
                advice, repairs = "Correct these answers, because they cannot be learned as they are.", []
            elif notice in (Notice.SPAN_DROPPED, Notice.SPAN_EXPANDED, Notice.SPAN_SHRUNK, Notice.SPAN_OVERLAPS):
                advice = "Correct the spans, or choose a data.word_split that separates them."
            elif notice == Notice.PREFIX_REPAIRED:
                advice = "Correct the tags, or set data.format.scheme if it was detected wrongly."
            else:
                level, advice, repairs = "info", "", []
            yield Finding("notice", level, f"{split}: {count} {notice}", advice, count, (), tuple(repairs[:SHOWN]))


def _label_gaps(summaries: Mapping[str, SplitSummary]) -> Iterator[Finding]:
    """Yield labels that occur in some splits only, and rare ones."""
    train = summaries.get("train")
    if train is None:
        return
    for kind, *kind_names in (
        ("labels", "entity label", "entity labels"),
        ("tags", "tag", "tags"),
        ("classes", "label of texts", "labels of texts"),
    ):
        train_counts: Counter[str] = getattr(train, kind)
        if not any(getattr(summary, kind) for summary in summaries.values()):
            continue
        for split, summary in summaries.items():
            unseen = {name: count for name, count in getattr(summary, kind).items() if name not in train_counts}
            if split != "train" and unseen:
                yield Finding(
                    "unseen-labels",
                    "warning",
                    f"{split}: {counted(len(unseen), *kind_names)} not in train: {_with_counts(unseen)}",
                    "A model cannot predict them: add training examples, correct the labels, or expect these errors.",
                    sum(unseen.values()),
                    *_first_places(summary, unseen),
                )
            absent = {name: count for name, count in train_counts.items() if name not in getattr(summary, kind)}
            if split != "train" and absent and getattr(summary, kind):
                yield Finding(
                    "unscored-labels",
                    "info",
                    f"{split}: {counted(len(absent), *kind_names)} of train not in this file: {_with_counts(absent)}",
                )
        rare = {name: count for name, count in train_counts.items() if count < RARE_LABEL}
        if rare:
            yield Finding(
                "rare-labels",
                "info",
                f"train: {counted(len(rare), *kind_names)} with less than {RARE_LABEL} examples: {_with_counts(rare)}",
                "Annotate more examples of them, or merge them with other labels.",
                sum(rare.values()),
                *_first_places(train, rare),
            )


def _first_places(summary: SplitSummary, labels: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return places and names of labels, as far as their places are recorded."""
    located = [label for label in labels if label in summary.first_places][:SHOWN]
    return tuple(summary.first_places[label] for label in located), tuple(located)


def _similar_labels(summaries: Mapping[str, SplitSummary]) -> Iterator[Finding]:
    """Yield rare labels whose names resemble a frequent one."""
    counts: dict[str, Counter[str]] = {"labels": Counter(), "classes": Counter()}
    for kind, totals in counts.items():
        for summary in summaries.values():
            totals.update(getattr(summary, kind))
        frequent = {label.casefold(): label for label, count in totals.items() if count >= RARE_LABEL}
        for split, summary in summaries.items():
            pairs = []
            for label, count in getattr(summary, kind).items():
                if totals[label] < RARE_LABEL:
                    similar = difflib.get_close_matches(label.casefold(), frequent, 1, MIN_SIMILARITY)
                    pairs += [(label, f"{label} {count}, similar to {frequent[name]}") for name in similar]
            if pairs:
                yield Finding(
                    "similar-labels",
                    "warning",
                    f"{split}: {counted(len(pairs), 'rare label resembles', 'rare labels resemble')} a frequent one",
                    "Correct the label if it is a typing error.",
                    len(pairs),
                    tuple(summary.first_places[label] for label, _ in pairs[:SHOWN]),
                    tuple(text for _, text in pairs[:SHOWN]),
                )


def _repeated(summaries: Mapping[str, SplitSummary], state: Occurrences) -> Iterator[Finding]:
    """Yield sentences that occur several times, in one split or in several, and contradicting annotations."""
    for split, pairs in state.duplicates.items():
        share = len(pairs) / summaries[split].sentences
        sentences = counted(len(pairs), f"sentence ({share:.1%}) repeats", f"sentences ({share:.1%}) repeat")
        yield Finding(
            "duplicate-sentences",
            "warning" if share > MAX_REPEATED else "info",
            f"{split}: {sentences} an earlier one of the split",
            "Remove repetitions unless their frequency is meant.",
            len(pairs),
            tuple(example.location for example, _ in pairs[:SHOWN]),
            tuple(f"{_text(example)} as in {other.location}" for example, other in pairs[:SHOWN]),
        )
    for (split, other_split), pairs in state.leaked.items():
        share = len(pairs) / summaries[split].sentences
        sentences = counted(len(pairs), f"sentence ({share:.1%}) also occurs", f"sentences ({share:.1%}) also occur")
        yield Finding(
            "leaked-sentences",
            "warning",
            f"{split}: {sentences} in {other_split}",
            "Scores on them do not measure new text: remove them, or compare scores on the same split only "
            "(ner evaluate --unseen).",
            len(pairs),
            tuple(example.location for example, _ in pairs[:SHOWN]),
            tuple(f"{_text(example)} as in {other.location}" for example, other in pairs[:SHOWN]),
        )
    if state.contradicting:
        contradictions = list(state.contradicting.values())
        yield Finding(
            "contradicting-sentences",
            "warning",
            counted(len(contradictions), "sentence occurs", "sentences occur")
            + " several times with different annotations",
            "Correct one of the annotations.",
            len(contradictions),
            tuple(f"{first.location} and {second.location}" for first, second in contradictions[:SHOWN]),
            tuple(_text(first) for first, _ in contradictions[:SHOWN]),
        )


def _mentions(state: Occurrences) -> Iterator[Finding]:
    """Yield mentions with a label that almost all other mentions of the same words contradict."""
    deviations: list[tuple[float, str, str, dict[str, list[int]]]] = []
    for text, labels in state.mentions.items():
        if len(labels) < 2:
            continue
        total = sum(count for count, _ in labels.values())
        for label, (count, _) in labels.items():
            if total >= MIN_MENTIONS and count / total <= MAX_DEVIATING:
                deviations.append((count / total, text, label, labels))
    if deviations:
        deviations.sort(key=lambda item: (item[0], item[1]))
        evidence = [
            f"'{text[:40]}' {', '.join(f'{name} {entry[0]}' for name, entry in sorted(labels.items()))}"
            for _, text, _, labels in deviations[:SHOWN]
        ]
        yield Finding(
            "contradicting-mentions",
            "info",
            f"{counted(len(deviations), 'time')}, a label of a mention differs from at least "
            f"{100 * (1 - MAX_DEVIATING):.0f} % of its mentions",
            "Look at these annotations; ambiguous names are normal, single exceptions are often errors.",
            len(deviations),
            tuple(state.examples[labels[label][1]].location for _, _, label, labels in deviations[:SHOWN]),
            tuple(evidence),
        )


def _lengths(summaries: Mapping[str, SplitSummary], one_word_per_line: bool) -> Iterator[Finding]:
    for split, summary in summaries.items():
        if summary.sentences:
            mean = summary.words / summary.sentences
            median, percentile_95 = summary.percentile(0.5), summary.percentile(0.95)
            longest = max(summary.lengths)
            yield Finding(
                "lengths",
                "info",
                f"{split}: {mean:.1f} words a sentence, median {median}, 95 % up to {percentile_95}, longest {longest}",
            )
            if one_word_per_line and median > MAX_MEDIAN_LENGTH:
                yield Finding(
                    "long-sentences",
                    "warning",
                    f"{split}: half of the sentences have {median:,} words or more",
                    "Sentences are separated by empty lines; the file may lack them.",
                )


def _unknown_words(summaries: Mapping[str, SplitSummary]) -> Iterator[Finding]:
    train = summaries.get("train")
    for split, summary in summaries.items():
        if train is None or split == "train" or not summary.words:
            continue
        unknown = Counter({word: n for word, n in summary.vocabulary.items() if word not in train.vocabulary})
        if not unknown:
            continue
        share = unknown.total() / summary.words
        yield Finding(
            "unknown-words",
            "warning" if share > MAX_UNKNOWN else "info",
            f"{split}: {share:.1%} of the words ({len(unknown)} different ones) do not occur in train",
            "Unknown words require a pretrained encoder, character features or word vectors."
            if share > NOTABLE_UNKNOWN
            else "",
            unknown.total(),
            (),
            tuple(word for word, _ in unknown.most_common(SHOWN)),
        )


def suspicious_words(words: Iterable[str]) -> dict[str, list[str]]:
    """Return the words with suspicious characters, by kind: invisible, control, replacement or decomposed ones."""
    words_by_kind: dict[str, list[str]] = defaultdict(list)
    for word in words:
        if word.isascii() and word.isprintable():
            continue
        for character in set(_ODD.findall(word)):
            if character == "\ufffd":
                words_by_kind["replacement characters (U+FFFD), left by a wrong encoding"].append(word)
            elif character not in _JOINERS and (kind := _KINDS.get(unicodedata.category(character))):
                words_by_kind[kind].append(word)
        if not unicodedata.is_normalized("NFC", word):
            words_by_kind["characters in decomposed form (not NFC)"].append(word)
    return words_by_kind


def _characters(
    summaries: Mapping[str, SplitSummary],
    documents: Mapping[str, Iterable[Document]],
    place: Callable[[Example, int], str],
) -> Iterator[Finding]:
    vocabulary: Counter[str] = Counter()
    for summary in summaries.values():
        vocabulary.update(summary.vocabulary)
    for kind, words in suspicious_words(vocabulary).items():
        suspicious = {*words}
        places = []
        for example in (example for items in documents.values() for document in items for example in document.examples):
            if not suspicious.isdisjoint(example.words):
                position = next(n for n, word in enumerate(example.words) if word in suspicious)
                places.append(place(example, position))
                if len(places) == SHOWN:
                    break
        count = sum(vocabulary[word] for word in suspicious)
        yield Finding(
            "suspicious-characters",
            "warning",
            f"{count} words contain {kind}",
            "Clean the source, and new text in the same way (unicodedata.normalize, str.translate).",
            count,
            tuple(places),
            tuple(ascii(word) for word in sorted(suspicious, key=lambda w: -vocabulary[w])[:SHOWN]),
        )
