"""Messages about input that is read, learned or scored in an unusual way; counted per file and reported once."""

from __future__ import annotations

from enum import StrEnum


class Notice(StrEnum):
    """A countable kind of unusual input. The value is the message, as in ``12 answers whose offset was repaired``."""

    ANSWER_ABSENT = "answers that do not occur in their passage"
    ANSWER_APPROXIMATED = "answers that do not occur verbatim in the passage; the nearest words are learned instead"
    ANSWER_CUT = "answers longer than max_target_seq_length, of which only the beginning is learned"
    ANSWER_TOO_LONG = "answers longer than max_answer_length, which cannot be predicted whole"
    ANNOTATION_IGNORED = "annotations other than entities (relations, events, attributes, notes), which are not read"
    ANNOTATORS_IGNORED = "texts with several annotations, of which only one is read"
    FRAGMENTS_JOINED = "entities of several fragments, read from the first to the last one"
    FRAGMENTS_SPLIT = "entities of several fragments, each of which is read as an entity"
    FRAGMENTS_DROPPED = "entities of several fragments, which are not read"
    INTENTS_JOINED = "utterances with several intents, read as one class"
    INTENTS_SPLIT = "utterances with several intents, read as several classes"
    LINE_BLANK = "blank lines, which are skipped"
    NO_PIECES = "words that have no word piece and were mapped to the unknown piece"
    OFFSET_REPAIRED = "answers whose offset was repaired"
    PASSAGE_CUT = "words of a passage beyond max_source_seq_length, which are not read"
    PREFIX_REPAIRED = "tags that do not follow the scheme of the file and were read as conlleval does"
    QUESTION_CUT = "words of a question beyond the length limit (windows.max_query_length), which are not read"
    QUESTION_UNANSWERED = "questions whose answer does not occur in the passage"
    SPAN_DROPPED = "spans that begin or end inside a word, which are not read"
    SPAN_EXPANDED = "spans that began or ended inside a word and were expanded to whole words"
    SPAN_OVERLAPS = "spans that overlap a longer one, which are not read"
    SPAN_SHRUNK = "spans that began or ended inside a word and were reduced to whole words"
    UNLABELLED = "texts without a label, which are not scored"
    WORDLESS = "texts without a word"
    WORD_CUT = "words longer than a window, read from their first pieces"
