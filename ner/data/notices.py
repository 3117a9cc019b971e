"""Messages about input that is read, learned or scored in an unusual way; counted per file and reported once."""

from __future__ import annotations

from enum import StrEnum


class Notice(StrEnum):
    """A countable kind of unusual input. The value is the message, as in ``12 answers whose offset was repaired``."""

    ANSWER_ABSENT = "answers that do not occur in their passage"
    ANSWER_APPROXIMATED = "answers that do not occur verbatim in the passage; the nearest words are learned instead"
    ANSWER_CUT = "answers longer than max_target_seq_length, of which only the beginning is learned"
    ANSWER_TOO_LONG = "answers longer than max_answer_length, which cannot be predicted whole"
    INTENTS_JOINED = "utterances with several intents, read as one class"
    INTENTS_SPLIT = "utterances with several intents, read as several classes"
    LINE_BLANK = "blank lines, which are skipped"
    NO_PIECES = "words that have no word piece and were mapped to the unknown piece"
    OFFSET_REPAIRED = "answers whose offset was repaired"
    PASSAGE_CUT = "words of a passage beyond max_source_seq_length, which are not read"
    QUESTION_CUT = "words of a question beyond the length limit (windows.max_query_length), which are not read"
    QUESTION_UNANSWERED = "questions whose answer does not occur in the passage"
    UNLABELLED = "texts without a label, which are not scored"
    WORDLESS = "texts without a word"
    WORD_CUT = "words longer than a window, read from their first pieces"
