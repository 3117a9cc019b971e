"""Write the conversational question-answering set in this directory.

``python data/sample/convqa/generate.py`` rewrites ``train.json``, ``valid.json`` and ``test.json`` byte for byte: every
choice is drawn from ``random.Random`` with a fixed seed. All word lists, story sentences and questions were written for
this project. The persons are chance combinations of given names and surnames, and the villages, clubs and ships are
made up. The files have the form of CoQA (Reddy et al., 2019).

A story tells the same few relations of three or four subjects: who sold what, who came from where. A question asks for
one of these facts. So each answer has rivals of its own type, and the order of the facts is left to chance.

Patterns of facts and questions are plain text with slots:

* ``{s}``, ``{o}``, ``{p}`` are the subject, by name ("Tove", "Tove", "Tove's") or as a pronoun ("she", "her", "her");
* ``{own}`` is always "her", "his" or "its", ``{v}`` is the value, ``{noun}`` the kind of thing ("vase");
* ``<price>`` is "the price of the red vase" or "its price";
* a pattern of a fact that does not name its subject is a predicate and follows the subject.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

Kind = Literal["span", "yes", "no", "unknown"]

SEED = 20190821
SIZES = {"train": 450, "valid": 60, "test": 80}
TRAINED_DOMAINS = ("market", "school", "club", "museum")
# Ships sail in valid and test only: what a model makes of a domain that it has not been trained on.
OUT_OF_DOMAIN = ("voyage",)

WORDS = (60, 150)  # of a story
TURNS = (6, 10)  # of a dialogue
RIVALS = 3  # candidates of the answer's type that a story holds at least
REACH = 2  # earlier turns that a question may need to be understood
WEIGHTS: dict[Kind, float] = {"span": 0.695, "yes": 0.112, "no": 0.112, "unknown": 0.081}


def _list(text: str) -> tuple[str, ...]:
    """Split a list written with semicolons.

    Args:
        text: Items separated by ``;``.

    Returns:
        The items without outer blanks.
    """
    return tuple(" ".join(item.split()) for item in text.split(";") if item.strip())


def _lines(text: str) -> tuple[str, ...]:
    """Split a block of patterns.

    Args:
        text: One pattern a line.

    Returns:
        The patterns without outer blanks.
    """
    return tuple(line.strip() for line in text.splitlines() if line.strip())


# ---------------------------------------------------------------------------------------------------------------------
# Names. Training has its own; validation and test share theirs. No name of one group occurs in the other:
# 64 and 32 given names, 40 and 20 surnames, 192 and 96 villages, and 16 ships that only valid and test know.
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Names:
    """The names of a group of splits.

    Attributes:
        women: Given names of women.
        men: Given names of men.
        surnames: Surnames.
        villages: Villages and towns.
        ships: Ships, with their article.
    """

    women: tuple[str, ...]
    men: tuple[str, ...]
    surnames: tuple[str, ...]
    villages: tuple[str, ...]
    ships: tuple[str, ...] = ()

    def all(self) -> set[str]:
        """Return all names of the group.

        Returns:
            Given names, surnames, villages and ships, these without the article.
        """
        ships = [ship.removeprefix("the ") for ship in self.ships]
        return {*self.women, *self.men, *self.surnames, *self.villages, *ships}


def _villages(heads: str, tails: str) -> tuple[str, ...]:
    """Put village names together.

    Args:
        heads: First parts separated by ``;``.
        tails: Second parts separated by ``;``.

    Returns:
        Each first part with each second part.
    """
    return tuple(head + tail for head in _list(heads) for tail in _list(tails))


TRAIN_NAMES = Names(
    women=_list(
        "Anna; Clara; Dora; Edith; Fiona; Greta; Helen; Irene; Julia; Karin; Laura; Maria; Nora; Olga; Paula; Rita;"
        "Sarah; Tanya; Ursula; Vera; Wanda; Yvonne; Zoe; Alice; Brenda; Carol; Diana; Ellen; Frieda; Gina;"
        "Hanna; Judith"
    ),
    men=_list(
        "Adam; Boris; Carl; David; Eric; Felix; George; Henry; Ivan; Jacob; Kevin; Leo; Martin; Nathan; Oscar; Peter;"
        "Quentin; Robert; Simon; Thomas; Victor; Walter; Xaver; Albert; Benjamin; Conrad; Daniel; Edward;"
        "Frank; Gregor;"
        "Hugo; Julian"
    ),
    surnames=_list(
        "Abbott; Becker; Carver; Dalton; Ellis; Fischer; Garner; Holm; Ingram; Jansen; Keller; Lindner; Morton; Novak;"
        "Osborn; Palmer; Quint; Reuter; Sutton; Turner; Ulrich; Vogel; Warner; Yates; Ziegler; Ames; Barlow; Coleman;"
        "Dorsey; Eklund; Farrell; Gruber; Hobson; Irving; Jarvis; Kramer; Lawson; Meyer; Norton; Oakley"
    ),
    villages=_villages(
        "Alder; Birk; Cran; Dun; Elm; Fern; Gold; Harl; Iver; Kel; Lang; Marl; Nether; Orm; Pen; Quarn; Raven; Sel;"
        "Thorn; Upper; Wald; Yar; Brack; Hazel",
        "ford; ton; by; wick; mere; dale; stead; combe",
    ),
)
HELD_NAMES = Names(
    women=_list(
        "Agnes; Beata; Celia; Doreen; Esther; Flora; Gemma; Hilda; Ingrid; Josie; Katrin; Lydia; Maren; Nadia;"
        "Petra; Tove"
    ),
    men=_list(
        "Arne; Bruno; Cedric; Dennis; Emil; Fabian; Gavin; Harald; Ingmar; Jonas; Kurt; Linus; Magnus; Noel;"
        "Otto; Rasmus"
    ),
    surnames=_list(
        "Aldous; Brandt; Crane; Denby; Engel; Falk; Greer; Hauser; Isaksen; Jessop; Kessler; Lund; Maddox; Nyberg;"
        "Orton; Pryor; Rennick; Sandler; Thorsen; Whitlock"
    ),
    villages=_villages(
        "Asp; Bram; Corv; Dray; Esk; Full; Grim; Holt; Kirk; Lowe; Mossen; Wex",
        "ham; bury; ley; worth; gate; ness; field; cote",
    ),
    ships=_list(
        "the Heron; the Swallow; the Albatross; the Pelican; the Morning Star; the Fortuna; the Aurora; the Triton;"
        "the Neptune; the Curlew; the Gannet; the Evening Tide; the Corsair; the Minerva; the Orion; the Osprey"
    ),
)
NAMES = {"train": TRAIN_NAMES, "valid": HELD_NAMES, "test": HELD_NAMES}

COLOURS = _list("red; blue; green; white; black; yellow; grey; brown")
NOUNS = _list("vase; bowl; jug; box; mask; lamp; cup; plate; bell; figure; candlestick; tray")
NUMBER_WORDS = _list("two; three; four; five; six; seven; eight; nine; ten; eleven; twelve")

# Values that are drawn from lists, by type. An early time is one of the morning.
VALUES: dict[str, tuple[str, ...]] = {
    "goods": _list(
        "apples; pears; honey; goat cheese; potatoes; brown bread; fresh fish; eggs; onions; walnuts; plum jam; garlic;"
        "cut flowers; carrots; olives; mushrooms; cherries; cabbage; smoked ham; candles; wool socks;"
        "clay pots; baskets;"
        "spices; strawberries; pumpkins; leather belts; herbs; apple juice; tomatoes"
    ),
    "way": _list(
        "by bus; by train; by bicycle; by tractor; by van; by tram; by taxi; by truck; by car; by boat; by motorbike;"
        "by ferry; by horse cart; on foot"
    ),
    "morning": _list(
        "five o'clock; half past five; six o'clock; half past six; seven o'clock; half past seven; eight o'clock;"
        "half past eight"
    ),
    "afternoon": _list(
        "one o'clock; half past one; two o'clock; half past two; three o'clock; half past three; four o'clock;"
        "half past four"
    ),
    "weekday": _list("Monday; Tuesday; Wednesday; Thursday; Friday; Saturday; Sunday"),
    "month": _list("January; February; April; June; July; August; September; October; November; December"),
    "food": _list(
        "cheese rolls; noodle salad; cold pancakes; rice balls; a tuna sandwich; an egg sandwich;"
        "tomato soup; fried rice;"
        "a slice of pizza; fish fingers; bean stew; potato salad; a bag of nuts; dry biscuits;"
        "a bread roll; fruit salad"
    ),
    "animal": _list(
        "otters; lions; penguins; giraffes; zebras; wolves; parrots; turtles; camels; monkeys; bears; seals; owls;"
        "elephants; flamingos; snakes; tigers; goats"
    ),
    "thing": _list(
        "a scarf; a cap; a pen; a key ring; a postcard; an umbrella; a notebook; a glove;"
        "a water bottle; a wooden whistle;"
        "a rubber ball; a toy car; a small mirror; a comb; a purse; a compass; a paper kite; a badge; a torch; a mug"
    ),
    "position": _list(
        "goalkeeper; striker; left back; right back; left winger; right winger; centre back; playmaker; sweeper;"
        "centre forward; defender; midfielder"
    ),
    "job": _list(
        "baker; teacher; nurse; carpenter; plumber; gardener; bookseller; tailor; bus driver; cook; dentist; librarian;"
        "farmer; barber; painter; clerk"
    ),
    "material": _list(
        "clay; bronze; silver; glass; oak; marble; iron; copper; pewter; brass; tin; porcelain; walnut wood; sandstone"
    ),
    "room": _list(
        "the long gallery; the east wing; the tower room; the entrance hall; the old chapel; the reading room;"
        "the north wing; the round hall; the garden room; the map room; the west wing; the upper hall"
    ),
    "cargo": _list(
        "salt; timber; wool; coal; tea; coffee; sugar; cotton; bricks; wheat; tobacco; barley; wine barrels; paper;"
        "machine parts; rice sacks"
    ),
    "market late": _list(
        "the fog; a flat tyre; the snow; a closed road; a lost key; road works; a broken axle; a sick child"
    ),
    "market early": _list(
        "a new alarm clock; the empty roads; a short cut; a lift from a neighbour; the dry weather;"
        "a full moon; a fast horse"
    ),
    "school tired": _list(
        "the long walk; a short night; the heat; a heavy bag; the noise on the bus; a bad cold; the steep hill"
    ),
    "school awake": _list(
        "the fresh air; a cup of tea; a good breakfast; the cool wind; a nap on the bus;"
        "the funny guide; a glass of juice"
    ),
    "club missed": _list(
        "a sore knee; a cold; an exam; a family party; a late flight; a twisted ankle; a night shift; a toothache"
    ),
    "club played": _list(
        "a good doctor; a week of rest; a new bandage; a day off work; a kind boss; an earlier flight; a quick recovery"
    ),
    "museum damaged": _list(
        "a fire; a flood; a careless guard; an earthquake; a leaking roof; a clumsy visitor; the frost"
    ),
    "museum whole": _list(
        "a thick glass case; careful hands; a strong crate; a skilled restorer; a locked door; a soft cloth; good luck"
    ),
    "voyage late": _list(
        "a storm; a torn sail; high waves; a strike; a broken rudder; thick ice; a missing sailor; a burst pipe"
    ),
    "voyage early": _list(
        "a strong wind; calm water; a new engine; a clear sky; a skilled pilot; a light load; a clean hull"
    ),
}
# Types of candidates: a list of values, or several that answer the same kind of question.
REASONS = [key for key in VALUES if key.split()[0] in (*TRAINED_DOMAINS, *OUT_OF_DOMAIN)]
TYPE_OF_LIST = {"morning": "time", "afternoon": "time", **dict.fromkeys(REASONS, "reason")}


def _any(words: Iterable[str]) -> str:
    """Return a regular expression for one of several strings.

    Args:
        words: The strings.

    Returns:
        A group that prefers the longer string.
    """
    return "(?:" + "|".join(re.escape(word) for word in sorted(set(words), key=lambda word: (-len(word), word))) + ")"


def _patterns() -> dict[str, re.Pattern[str]]:
    """Return a regular expression of the candidates of each type.

    Returns:
        For each type a compiled regular expression.
    """
    both = (TRAIN_NAMES, HELD_NAMES)
    given = _any(name for names in both for name in (*names.women, *names.men))
    surname = _any(name for names in both for name in names.surnames)
    lists: dict[str, list[str]] = {}
    for key, values in VALUES.items():
        lists.setdefault(TYPE_OF_LIST.get(key, key), []).extend(values)
    shapes = {
        "person": f"(?:(?:Mrs|Mr) {surname}|{given} {surname}|{given})",
        "place": _any(village for names in both for village in names.villages),
        "ship": _any(HELD_NAMES.ships),
        "item": f"the {_any(COLOURS)} {_any(NOUNS)}",
        "money": r"\d{1,4} pounds",
        "year": r"1[4-9]\d\d(?! pounds)",
        "number": rf"(?<!past )(?:\d{{1,3}}|{_any(NUMBER_WORDS)})(?! pounds| o'clock)",
        **{kind: _any(values) for kind, values in lists.items()},
    }
    return {kind: re.compile(rf"(?<!\w){shape}(?!\w)", re.IGNORECASE) for kind, shape in shapes.items()}


PATTERNS = _patterns()


@cache
def type_of(answer: str) -> str:
    """Return the type of a span answer.

    Args:
        answer: An answer as it stands in the story.

    Returns:
        A key of ``PATTERNS``.

    Raises:
        ValueError: If the answer is of no type or of several.
    """
    kinds = [kind for kind, pattern in PATTERNS.items() if pattern.fullmatch(answer)]
    if len(kinds) != 1:
        raise ValueError(f"expected one type for {answer!r}, found {kinds}")
    return kinds[0]


@cache
def candidates(story: str, kind: str) -> tuple[str, ...]:
    """Return the answer candidates of one type in a story.

    Args:
        story: The text.
        kind: A key of ``PATTERNS``.

    Returns:
        The different candidates in the order of their first mention.
    """
    found: dict[str, str] = {}
    for match in PATTERNS[kind].finditer(story):
        found.setdefault(match.group().lower(), match.group())
    return tuple(found.values())


# ---------------------------------------------------------------------------------------------------------------------
# Domains
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Relation:
    """A relation between each subject of a story and a value.

    A relation with ``other`` has two sides, such as late and early; its value is then the reason, and ``asks`` ask why.

    Attributes:
        key: Its name.
        values: List in ``VALUES``, or ``person``, ``place``, ``number``, ``money``, ``year``.
        says: Patterns of the fact.
        asks: Questions for the value.
        checks: Questions for yes or no.
        who: Questions for the subject.
        follow: Short questions for the value, by the relation that the turn before was about.
        other_values: List of reasons for the other side.
        other_says: Patterns of the other side.
        other_asks: Questions for the reason of the other side.
        other_checks: Questions to which the other side says yes.
    """

    key: str
    values: str
    says: tuple[str, ...]
    asks: tuple[str, ...]
    checks: tuple[str, ...]
    who: tuple[str, ...] = ()
    follow: dict[str, tuple[str, ...]] = field(default_factory=dict)
    other_values: str = ""
    other_says: tuple[str, ...] = ()
    other_asks: tuple[str, ...] = ()
    other_checks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Domain:
    """Subjects, relations and wordings of the stories of one domain.

    Attributes:
        name: The ``source`` of its stories.
        subjects: ``people``, ``items`` or ``ships``.
        styles: How persons are called: ``first``, ``title``, ``full``.
        openings: First sentences, with the keys of ``setting`` as slots.
        lists: Second sentences that name the subjects, ``{names}``.
        fillers: Sentences without an answer.
        setting: Relations of the story as a whole.
        relations: Relations of the subjects.
        numbers: Range of the numbers.
        apart: Relations that do not go together in a story.
    """

    name: str
    subjects: str
    styles: tuple[str, ...]
    openings: tuple[str, ...]
    lists: tuple[str, ...]
    fillers: tuple[str, ...]
    setting: tuple[Relation, ...]
    relations: tuple[Relation, ...]
    numbers: tuple[int, int] = (3, 60)
    apart: tuple[frozenset[str], ...] = ()


def _relation(
    key: str,
    values: str,
    says: str,
    asks: str,
    checks: str,
    who: str = "",
    follow: dict[str, str] | None = None,
    other: tuple[str, str, str, str] = ("", "", "", ""),
) -> Relation:
    """Build a relation from blocks of patterns.

    Args:
        key: Its name.
        values: Where its values come from.
        says: Patterns of the fact.
        asks: Questions for the value.
        checks: Questions for yes or no.
        who: Questions for the subject.
        follow: Short questions, separated by ``;``, by the relation before.
        other: List of reasons, facts, questions for the reason and for yes or no of the other side.

    Returns:
        The relation.
    """
    shorts = {before: _list(text) for before, text in (follow or {}).items()}
    return Relation(
        key=key,
        values=values,
        says=_lines(says),
        asks=_lines(asks),
        checks=_lines(checks),
        who=_lines(who),
        follow=shorts,
        other_values=other[0],
        other_says=_lines(other[1]),
        other_asks=_lines(other[2]),
        other_checks=_lines(other[3]),
    )


MARKET = Domain(
    name="market",
    subjects="people",
    styles=("first", "title"),
    openings=_lines("""
        {day} was market day in {place}.
        Last {day} there was a large market in {place}.
        Many people came to the market in {place} on {day}.
        The spring market in {place} took place on a sunny {day}.
        On {day} the square of {place} was full of stalls.
        The farmers' market in {place} was busy that week.
        A small market was held in {place}.
    """),
    lists=_lines("""
        Among the traders were {names}.
        The stalls of {names} stood side by side.
        {names} had stalls there.
        A reporter spoke to {names}.
    """),
    fillers=_lines("""
        The air smelled of coffee and warm bread.
        Children ran between the stalls.
        A band played near the church.
        Most people paid in cash.
        The sun came out before noon.
        Nobody was in a hurry.
    """),
    setting=(
        _relation(
            "place",
            "place",
            "",
            """
            Where was the market?
            Where did the market take place?
            In which village was the market?
            What place was the market in?
            """,
            """
            Was the market in {v}?
            Did the market take place in {v}?
            Was it {v} where the market was held?
            Was {v} the place of the market?
            """,
        ),
    ),
    relations=(
        _relation(
            "goods",
            "goods",
            """
            sold {v}
            had {v} on {own} stall
            offered {v}
            had brought {v} to sell
            people could buy {v} from {o}
            """,
            """
            What did {s} sell?
            What did {s} have on {own} stall?
            What did {s} offer?
            What could people buy from {o}?
            What was on {p} stall?
            """,
            """
            Did {s} sell {v}?
            Did {s} offer {v}?
            Did {s} have {v} on {own} stall?
            Could people buy {v} from {o}?
            """,
            """
            Who sold {v}?
            Who offered {v}?
            Who had {v} on the stall?
            From whom could people buy {v}?
            """,
        ),
        _relation(
            "home",
            "place",
            """
            came from {v}
            lived in {v}
            had a house in {v}
            was at home in {v}
            {p} home was in {v}
            """,
            """
            Where did {s} come from?
            Where did {s} live?
            In which village did {s} live?
            Where was {p} home?
            Where was {s} from?
            """,
            """
            Did {s} live in {v}?
            Did {s} come from {v}?
            Was {s} from {v}?
            Was {p} home in {v}?
            """,
            """
            Who came from {v}?
            Who lived in {v}?
            Who was from {v}?
            Who had a house in {v}?
            """,
        ),
        _relation(
            "way",
            "way",
            """
            came to the market {v}
            travelled {v}
            made the trip {v}
            got there {v}
            reached the market {v}
            """,
            """
            How did {s} get to the market?
            How did {s} travel?
            How did {s} come to the market?
            In what way did {s} reach the market?
            """,
            """
            Did {s} travel {v}?
            Did {s} come to the market {v}?
            Did {s} get to the market {v}?
            Did {s} make the trip {v}?
            """,
            """
            Who travelled {v}?
            Who came {v}?
            Who reached the market {v}?
            Who made the trip {v}?
            """,
            {"place": "How did {s} get there?; How did {s} travel there?"},
        ),
        _relation(
            "arrival",
            "morning",
            """
            arrived at {v} in the morning
            was there at {v} in the morning
            opened {own} stall at {v} in the morning
            started work at {v}
            """,
            """
            When did {s} arrive?
            At what time did {s} arrive?
            When did {s} open {own} stall?
            When did {s} start work?
            """,
            """
            Did {s} arrive at {v}?
            Did {s} start work at {v}?
            Did {s} open {own} stall at {v}?
            Was {s} there at {v}?
            """,
            """
            Who arrived at {v}?
            Who started work at {v}?
            Who was there at {v}?
            Who opened the stall at {v}?
            """,
            {"way": "When did {she} arrive?; And at what time did {she} arrive?"},
        ),
        _relation(
            "leaving",
            "afternoon",
            """
            went home at {v}
            packed up at {v} in the afternoon
            closed {own} stall at {v}
            left the market at {v}
            """,
            """
            When did {s} go home?
            At what time did {s} leave the market?
            When did {s} close {own} stall?
            When did {s} pack up?
            """,
            """
            Did {s} go home at {v}?
            Did {s} leave the market at {v}?
            Did {s} close {own} stall at {v}?
            Did {s} pack up at {v}?
            """,
            """
            Who went home at {v}?
            Who left the market at {v}?
            Who closed the stall at {v}?
            Who packed up at {v}?
            """,
            {"arrival": "And when did {she} leave?; When did {she} go home?"},
        ),
        _relation(
            "money",
            "money",
            """
            earned {v}
            took in {v}
            made {v} that day
            counted {v} in the evening
            """,
            """
            How much did {s} earn?
            How much money did {s} make?
            How much did {s} take in?
            What sum did {s} earn?
            """,
            """
            Did {s} earn {v}?
            Did {s} make {v}?
            Did {s} take in {v}?
            Did {s} go home with {v}?
            """,
            """
            Who earned {v}?
            Who made {v}?
            Who took in {v}?
            Who went home with {v}?
            """,
            {
                "goods": "For how much money?; For how much in all?",
                "leaving": "With how much money?; And how much did {she} earn?",
            },
        ),
        _relation(
            "helper",
            "person",
            """
            was helped by {v}
            worked together with {v}
            had {v} as a helper
            {v} helped {o} at the stall
            {v} gave {o} a hand
            """,
            """
            Who helped {o}?
            Who gave {o} a hand?
            Who was {p} helper?
            Who worked with {o}?
            """,
            """
            Was {s} helped by {v}?
            Did {v} help {o}?
            Did {s} have {v} as a helper?
            Was {v} {p} helper?
            """,
            """
            Whom did {v} help?
            Who was helped by {v}?
            Who had {v} as a helper?
            To whom did {v} give a hand?
            """,
            {"goods": "With whose help?; And who was {p} helper?"},
        ),
        _relation(
            "late",
            "market late",
            """
            was late because of {v}
            came late because of {v}
            because of {v}, {s} was late
            started late because of {v}
            """,
            """
            Why was {s} late?
            Why did {s} come late?
            What made {o} late?
            What was the reason that {s} was late?
            """,
            """
            Was {s} late?
            Did {s} come late?
            Did {s} start late?
            Was {s} late for the market?
            """,
            other=(
                "market early",
                """
                was early thanks to {v}
                came early thanks to {v}
                thanks to {v}, {s} was early
                started early thanks to {v}
                """,
                """
                Why was {s} early?
                Why did {s} come early?
                What was the reason that {s} was early?
                Thanks to what was {s} early?
                """,
                """
                Was {s} early?
                Did {s} come early?
                Did {s} start early?
                Was {s} early for the market?
                """,
            ),
        ),
    ),
    apart=(frozenset({"late", "arrival"}),),
)

SCHOOL = Domain(
    name="school",
    subjects="people",
    styles=("first",),
    openings=_lines("""
        In {month} a class went to the zoo of {place}.
        The school trip in {month} led to the zoo of {place}.
        The children still talk about their day at the zoo of {place}.
        A bus took the class to the zoo of {place} one morning in {month}.
        The class spent a whole day at the zoo of {place}.
        It was {month} when the pupils visited the zoo of {place}.
    """),
    lists=_lines("""
        {names} had looked forward to it for weeks.
        Afterwards {names} wrote about it.
        {names} walked in the same group.
        {names} were in the group of the youngest teacher.
    """),
    fillers=_lines("""
        The sky was grey but it did not rain.
        The teacher counted everybody twice.
        All of them sang on the way back.
        The gates opened a little late.
        There was a long break beside the pond.
        Everybody had to be quiet near the cages.
    """),
    setting=(
        _relation(
            "place",
            "place",
            "",
            """
            Where was the zoo?
            Where did the class go?
            To which town did the class travel?
            In what place did the children visit the zoo?
            """,
            """
            Was the zoo in {v}?
            Did the class go to {v}?
            Did the children visit the zoo of {v}?
            Was {v} the place of the trip?
            """,
        ),
    ),
    relations=(
        _relation(
            "lunch",
            "food",
            """
            ate {v} for lunch
            had {v} for lunch
            had packed {v}
            for lunch {s} ate {v}
            """,
            """
            What did {s} eat for lunch?
            What did {s} have for lunch?
            What was {p} lunch?
            What food had {s} packed?
            """,
            """
            Did {s} eat {v} for lunch?
            Did {s} have {v} for lunch?
            Was {p} lunch {v}?
            Had {s} packed {v}?
            """,
            """
            Who ate {v}?
            Who had {v} for lunch?
            Who had packed {v}?
            Which child ate {v}?
            """,
            {"seat": "And what did {she} eat?"},
        ),
        _relation(
            "seat",
            "person",
            """
            sat next to {v} on the bus
            shared a seat with {v}
            sat beside {v}
            on the bus {s} sat next to {v}
            """,
            """
            Who sat next to {o}?
            Who shared a seat with {o}?
            Beside whom did {s} sit?
            Next to whom did {s} sit on the bus?
            """,
            """
            Did {s} sit next to {v}?
            Did {s} share a seat with {v}?
            Did {s} sit beside {v}?
            Did {s} sit next to {v} on the bus?
            """,
            """
            Who sat next to {v}?
            Who shared a seat with {v}?
            Who sat beside {v}?
            Next to whom did {v} sit?
            """,
        ),
        _relation(
            "animal",
            "animal",
            """
            liked the {v} best
            spent the most time with the {v}
            loved the {v}
            {p} favourites were the {v}
            """,
            """
            Which animals did {s} like best?
            Which animals were {p} favourites?
            What did {s} like best?
            With which animals did {s} spend the most time?
            """,
            """
            Did {s} like the {v} best?
            Were the {v} {p} favourites?
            Did {s} love the {v}?
            Did {s} spend the most time with the {v}?
            """,
            """
            Who liked the {v} best?
            Who loved the {v}?
            Who spent the most time with the {v}?
            Whose favourites were the {v}?
            """,
        ),
        _relation(
            "photos",
            "number",
            """
            took {v} photos
            came home with {v} photos
            made {v} pictures with a camera
            showed {v} photos the next day
            """,
            """
            How many photos did {s} take?
            How many photos did {s} have?
            How many pictures did {s} make?
            What was the number of {p} photos?
            """,
            """
            Did {s} take {v} photos?
            Did {s} have {v} photos?
            Did {s} make {v} pictures?
            Did {s} come home with {v} photos?
            """,
            """
            Who took {v} photos?
            Who had {v} photos?
            Who made {v} pictures?
            Which child took {v} photos?
            """,
            {"animal": "How many photos?; And how many photos did {she} take?"},
        ),
        _relation(
            "lost",
            "thing",
            """
            lost {v}
            forgot {v} on the bus
            dropped {v} somewhere and never found it again
            left {v} behind
            """,
            """
            What did {s} lose?
            What did {s} leave behind?
            What did {s} forget?
            Which thing did {s} lose?
            """,
            """
            Did {s} lose {v}?
            Did {s} leave {v} behind?
            Did {s} forget {v}?
            Was it {v} that {s} lost?
            """,
            """
            Who lost {v}?
            Who left {v} behind?
            Who forgot {v}?
            Which child lost {v}?
            """,
        ),
        _relation(
            "bought",
            "thing",
            """
            bought {v} in the shop
            paid for {v} with pocket money
            chose {v} in the shop
            in the shop {s} bought {v}
            """,
            """
            What did {s} buy?
            What did {s} buy in the shop?
            What did {s} choose in the shop?
            Which thing did {s} pay for?
            """,
            """
            Did {s} buy {v}?
            Did {s} buy {v} in the shop?
            Did {s} choose {v} in the shop?
            Was it {v} that {s} bought?
            """,
            """
            Who bought {v}?
            Who chose {v}?
            Who paid for {v}?
            Which child bought {v}?
            """,
            {"lost": "And what did {she} buy?; What did {she} buy in the shop?"},
        ),
        _relation(
            "report",
            "weekday",
            """
            finished {own} report on {v}
            handed in {own} report on {v}
            wrote {own} report on {v}
            read {own} report to the class on {v}
            """,
            """
            On which day did {s} finish {own} report?
            When did {s} write {own} report?
            When did {s} hand in {own} report?
            On what day was {p} report ready?
            """,
            """
            Did {s} finish {own} report on {v}?
            Did {s} write {own} report on {v}?
            Did {s} hand in {own} report on {v}?
            Was {p} report ready on {v}?
            """,
            """
            Who finished the report on {v}?
            Who wrote a report on {v}?
            Who handed in a report on {v}?
            Whose report was ready on {v}?
            """,
        ),
        _relation(
            "tired",
            "school tired",
            """
            was tired because of {v}
            felt tired because of {v}
            because of {v}, {s} was tired
            got tired because of {v}
            """,
            """
            Why was {s} tired?
            Why did {s} feel tired?
            What made {o} tired?
            What was the reason that {s} was tired?
            """,
            """
            Was {s} tired?
            Did {s} feel tired?
            Did {s} get tired?
            Was {s} tired that day?
            """,
            other=(
                "school awake",
                """
                was wide awake thanks to {v}
                felt wide awake thanks to {v}
                thanks to {v}, {s} was wide awake
                stayed wide awake thanks to {v}
                """,
                """
                Why was {s} wide awake?
                Why did {s} feel wide awake?
                What was the reason that {s} was wide awake?
                Thanks to what was {s} wide awake?
                """,
                """
                Was {s} wide awake?
                Did {s} feel wide awake?
                Did {s} stay wide awake?
                Was {s} wide awake that day?
                """,
            ),
        ),
    ),
    numbers=(5, 90),
)

CLUB = Domain(
    name="club",
    subjects="people",
    styles=("first", "full"),
    openings=_lines("""
        The football club of {place} had a good season.
        {place} has a small football club with many friends.
        The football club in {place} is proud of its team.
        After the season the football club of {place} thanked its players.
        A local paper wrote about the football club of {place}.
        The football club of {place} has a mixed team.
    """),
    lists=_lines("""
        The paper wrote most about {names}.
        The fans like {names} most.
        {names} were praised by everybody.
        Everybody in town knows {names}.
    """),
    fillers=_lines("""
        The pitch lies beside the river.
        The fans sing before each match.
        Tickets are still cheap.
        The club house got a new roof.
        The team plays in striped shirts.
        There is soup after each match.
    """),
    setting=(
        _relation(
            "place",
            "place",
            "",
            """
            Where is the football club?
            Where is the club at home?
            In which town is the club?
            What place is the club from?
            """,
            """
            Is the club from {v}?
            Is the football club in {v}?
            Is the club at home in {v}?
            Is {v} the home of the club?
            """,
        ),
    ),
    relations=(
        _relation(
            "position",
            "position",
            """
            played as {v}
            was used as {v}
            was the {v} of the team
            on the pitch {s} was the {v}
            """,
            """
            In which position did {s} play?
            What position did {s} play in?
            What was {p} position?
            As what did {s} play?
            """,
            """
            Did {s} play as {v}?
            Was {s} the {v}?
            Was {p} position {v}?
            Was {s} used as {v}?
            """,
            """
            Who was the {v}?
            Who played as {v}?
            Who was used as {v}?
            Which player was the {v}?
            """,
        ),
        _relation(
            "goals",
            "number",
            """
            scored {v} goals
            shot {v} goals in the season
            ended the season with {v} goals
            had {v} goals to show
            """,
            """
            How many goals did {s} score?
            How many goals did {s} shoot?
            How many goals did {s} have in the end?
            What was the number of {p} goals?
            """,
            """
            Did {s} score {v} goals?
            Did {s} shoot {v} goals?
            Did {s} end the season with {v} goals?
            Did {s} have {v} goals in the end?
            """,
            """
            Who scored {v} goals?
            Who shot {v} goals?
            Who ended the season with {v} goals?
            Which player had {v} goals?
            """,
            {"position": "How many goals did {she} score?; How many goals?"},
        ),
        _relation(
            "home",
            "place",
            """
            grew up in {v}
            was born in {v}
            was a child of {v}
            spent {own} childhood in {v}
            """,
            """
            Where did {s} grow up?
            Where was {s} born?
            Where did {s} spend {own} childhood?
            Where was {s} as a child?
            """,
            """
            Did {s} grow up in {v}?
            Was {s} born in {v}?
            Did {s} spend {own} childhood in {v}?
            Was {s} a child of {v}?
            """,
            """
            Who grew up in {v}?
            Who was born in {v}?
            Who spent a childhood in {v}?
            Which player was a child of {v}?
            """,
        ),
        _relation(
            "joined",
            "month",
            """
            joined the club in {v}
            came to the club in {v}
            signed for the club in {v}
            had been a member since {v}
            """,
            """
            When did {s} join the club?
            In which month did {s} join the club?
            When did {s} sign for the club?
            When did {s} come to the club?
            """,
            """
            Did {s} join the club in {v}?
            Did {s} come to the club in {v}?
            Did {s} sign for the club in {v}?
            Was {s} a member since {v}?
            """,
            """
            Who joined the club in {v}?
            Who came to the club in {v}?
            Who signed for the club in {v}?
            Which player joined in {v}?
            """,
            {"place": "When did {s} join it?; When did {s} come there?"},
        ),
        _relation(
            "job",
            "job",
            """
            worked as a {v}
            earned {own} money as a {v}
            was a {v} by trade
            on weekdays {s} worked as a {v}
            """,
            """
            What was {p} job?
            What did {s} do for a living?
            What did {s} work as?
            What was {s} by trade?
            """,
            """
            Did {s} work as a {v}?
            Was {s} a {v}?
            Did {s} earn {own} money as a {v}?
            Was {s} a {v} by trade?
            """,
            """
            Who worked as a {v}?
            Who was a {v}?
            Who earned money as a {v}?
            Which player was a {v} by trade?
            """,
        ),
        _relation(
            "coach",
            "person",
            """
            was trained by {v}
            learned the game from {v}
            had {v} as a first coach
            {v} taught {o} the game
            """,
            """
            Who trained {o}?
            Who taught {o} the game?
            Who was {p} first coach?
            From whom did {s} learn the game?
            """,
            """
            Was {s} trained by {v}?
            Did {v} train {o}?
            Did {s} learn the game from {v}?
            Was {v} {p} first coach?
            """,
            """
            Who was trained by {v}?
            Whom did {v} train?
            Who learned the game from {v}?
            To whom did {v} teach the game?
            """,
        ),
        _relation(
            "extra",
            "weekday",
            """
            did extra training on {v}
            ran in the park every {v}
            had {own} day of extra training on {v}
            trained alone every {v}
            """,
            """
            On which day did {s} train alone?
            When did {s} do extra training?
            On what day did {s} do extra training?
            Which day was {p} day of extra training?
            """,
            """
            Did {s} do extra training on {v}?
            Did {s} train alone on {v}?
            Was {v} {p} day of extra training?
            Was it {v} when {s} trained alone?
            """,
            """
            Who did extra training on {v}?
            Who trained alone on {v}?
            Whose day of extra training was {v}?
            Which player did extra training on {v}?
            """,
        ),
        _relation(
            "missed",
            "club missed",
            """
            missed the last match because of {v}
            was not there for the last match because of {v}
            because of {v}, {s} missed the last match
            had to miss the last match because of {v}
            """,
            """
            Why did {s} miss the last match?
            Why was {s} not there for the last match?
            What made {o} miss the last match?
            What was the reason that {s} missed the last match?
            """,
            """
            Did {s} miss the last match?
            Was {s} missing in the last match?
            Did {s} have to miss the last match?
            Was {s} absent from the last match?
            """,
            other=(
                "club played",
                """
                played in the last match thanks to {v}
                took part in the last match thanks to {v}
                thanks to {v}, {s} played in the last match
                was able to play in the last match thanks to {v}
                """,
                """
                Thanks to what did {s} play in the last match?
                Why was {s} able to play in the last match?
                What helped {o} to play in the last match?
                What was the reason that {s} played in the last match?
                """,
                """
                Did {s} play in the last match?
                Did {s} take part in the last match?
                Was {s} able to play in the last match?
                Was {s} there for the last match?
                """,
            ),
        ),
    ),
    numbers=(2, 24),
)

MUSEUM = Domain(
    name="museum",
    subjects="items",
    styles=("full",),
    openings=_lines("""
        The museum of {place} is known for its old {noun} collection.
        The town museum of {place} shows a famous {noun} collection.
        Visitors of the museum in {place} like the {noun} collection most.
        The museum in {place} has a new guide to its {noun} collection.
        A small museum in {place} keeps a fine {noun} collection.
        In {place} there is a museum with a rare {noun} collection.
    """),
    lists=_lines("""
        The guide book tells most about {names}.
        The best known pieces are {names}.
        School classes often draw {names}.
        Experts come to see {names}.
    """),
    fillers=_lines("""
        Entry is free for children.
        The café has a view of the park.
        A guide tells old stories.
        Cameras are not allowed.
        The building was once a school.
        Guards walk around at night.
    """),
    setting=(
        _relation(
            "place",
            "place",
            "",
            """
            Where is the museum?
            In which town is the museum?
            What place is the museum in?
            In what town can people visit the museum?
            """,
            """
            Is the museum in {v}?
            Is the collection shown in {v}?
            Is {v} the town of the museum?
            Can people visit the museum in {v}?
            """,
        ),
    ),
    relations=(
        _relation(
            "maker",
            "person",
            """
            was made by {v}
            was the work of {v}
            came from the workshop of {v}
            {v} made {o}
            """,
            """
            Who made {o}?
            By whom was {s} made?
            Whose work was {s}?
            From whose workshop did {s} come?
            """,
            """
            Was {s} made by {v}?
            Was {s} the work of {v}?
            Did {v} make {o}?
            Was {v} <maker>?
            """,
            """
            Which {noun} was made by {v}?
            Which {noun} was the work of {v}?
            Which {noun} did {v} make?
            Which {noun} came from the workshop of {v}?
            """,
            {"year": "By whom?; Whose work was {she}?", "material": "By whom?"},
        ),
        _relation(
            "year",
            "year",
            """
            was made in {v}
            dated from {v}
            was finished in {v}
            the year {v} was written under {o}
            """,
            """
            When was {s} made?
            In which year was {s} made?
            What year did {s} date from?
            When was {s} finished?
            """,
            """
            Was {s} made in {v}?
            Did {s} date from {v}?
            Was {s} finished in {v}?
            Was {v} <year>?
            """,
            """
            Which {noun} was made in {v}?
            Which {noun} dated from {v}?
            Which {noun} was finished in {v}?
            Which {noun} was from the year {v}?
            """,
            {"maker": "When?; In which year?"},
        ),
        _relation(
            "material",
            "material",
            """
            was made of {v}
            consisted of {v}
            was a work in {v}
            <material> was {v}
            """,
            """
            What was {s} made of?
            What did {s} consist of?
            What was <material>?
            Of which material was {s} made?
            """,
            """
            Was {s} made of {v}?
            Did {s} consist of {v}?
            Was {s} a work in {v}?
            Was {v} <material>?
            """,
            """
            Which {noun} was made of {v}?
            Which {noun} consisted of {v}?
            Which {noun} was a work in {v}?
            Which {noun} was of {v}?
            """,
            {"maker": "Of what material?; What was {she} made of?", "year": "And of what material?; Of what material?"},
        ),
        _relation(
            "found",
            "place",
            """
            was found in {v}
            had been dug up in {v}
            was discovered in {v}
            a farmer found {o} in {v}
            """,
            """
            Where was {s} found?
            Where was {s} discovered?
            Where had {s} been dug up?
            In what place was {s} found?
            """,
            """
            Was {s} found in {v}?
            Was {s} discovered in {v}?
            Had {s} been dug up in {v}?
            Was {v} the place where {s} was found?
            """,
            """
            Which {noun} was found in {v}?
            Which {noun} was discovered in {v}?
            Which {noun} had been dug up in {v}?
            Which {noun} did a farmer find in {v}?
            """,
        ),
        _relation(
            "room",
            "room",
            """
            stood in {v}
            was shown in {v}
            had its place in {v}
            visitors could see {o} in {v}
            """,
            """
            In which room did {s} stand?
            In which part of the museum was {s} shown?
            Where could visitors see {o}?
            Where in the museum did {s} stand?
            """,
            """
            Was {s} shown in {v}?
            Did {s} stand in {v}?
            Could visitors see {o} in {v}?
            Did {s} have its place in {v}?
            """,
            """
            Which {noun} stood in {v}?
            Which {noun} was shown in {v}?
            Which {noun} could visitors see in {v}?
            Which {noun} had its place in {v}?
            """,
        ),
        _relation(
            "price",
            "money",
            """
            cost {v}
            was bought for {v}
            had a price of {v}
            the museum paid {v} for {o}
            """,
            """
            How much did {s} cost?
            For how much was {s} bought?
            What was <price>?
            How much did the museum pay for {o}?
            """,
            """
            Did {s} cost {v}?
            Was {s} bought for {v}?
            Was {v} <price>?
            Did the museum pay {v} for {o}?
            """,
            """
            Which {noun} cost {v}?
            Which {noun} was bought for {v}?
            Which {noun} had a price of {v}?
            For which {noun} did the museum pay {v}?
            """,
            {"material": "And how much did {she} cost?", "room": "And how much did {she} cost?"},
        ),
        _relation(
            "damaged",
            "museum damaged",
            """
            was damaged because of {v}
            had cracks because of {v}
            because of {v}, {s} was damaged
            got damaged because of {v}
            """,
            """
            Why was {s} damaged?
            Why did {s} get damaged?
            Why did {s} have cracks?
            What was the reason that {s} was damaged?
            """,
            """
            Was {s} damaged?
            Did {s} get damaged?
            Did {s} have cracks?
            Was {s} cracked?
            """,
            other=(
                "museum whole",
                """
                was still whole thanks to {v}
                stayed whole thanks to {v}
                thanks to {v}, {s} was still whole
                was still in one piece thanks to {v}
                """,
                """
                Why was {s} still whole?
                Why did {s} stay whole?
                Thanks to what was {s} still whole?
                What was the reason that {s} stayed whole?
                """,
                """
                Was {s} still whole?
                Did {s} stay whole?
                Was {s} still in one piece?
                Did {s} stay in one piece?
                """,
            ),
        ),
    ),
)

VOYAGE = Domain(
    name="voyage",
    subjects="ships",
    styles=("full", "title"),
    openings=_lines("""
        The harbour of {place} was full of ships that week.
        Several ships lay in the harbour of {place}.
        People watched the ships in the harbour of {place}.
        It was a busy week in the harbour of {place}.
        The harbour master of {place} wrote down what he saw.
    """),
    lists=_lines("""
        {names} lay at the same pier.
        Many people came to see {names}.
        Everybody admired {names}.
        The largest ships were {names}.
    """),
    fillers=_lines("""
        Gulls cried above the masts.
        The water was dark and quiet.
        Ropes and nets lay on the pier.
        Old men sat on a bench and smoked.
        A lamp burned on the tower all night.
        The smell of tar was everywhere.
    """),
    setting=(
        _relation(
            "place",
            "place",
            "",
            """
            Where was the harbour?
            In which town was the harbour?
            In what place did the ships lie?
            Which town did the harbour belong to?
            """,
            """
            Was the harbour in {v}?
            Did the harbour belong to {v}?
            Did the ships lie in the harbour of {v}?
            Was {v} the town of the harbour?
            """,
        ),
    ),
    relations=(
        _relation(
            "captain",
            "person",
            """
            sailed under {v}
            had {v} as its captain
            was under the command of {v}
            {v} was <captain>
            """,
            """
            Who was <captain>?
            Under whom did {s} sail?
            Who commanded {o}?
            Who was {p} captain?
            """,
            """
            Did {s} sail under {v}?
            Was {v} <captain>?
            Did {s} have {v} as its captain?
            Did {v} command {o}?
            """,
            """
            Which ship sailed under {v}?
            Which ship did {v} command?
            Which ship had {v} as its captain?
            On which ship was {v} the captain?
            """,
            {"goal": "Under whom?; Under which captain?"},
        ),
        _relation(
            "cargo",
            "cargo",
            """
            carried {v}
            had {v} on board
            was loaded with {v}
            <cargo> was {v}
            """,
            """
            What did {s} carry?
            What did {s} have on board?
            What was <cargo>?
            What was {s} loaded with?
            """,
            """
            Did {s} carry {v}?
            Did {s} have {v} on board?
            Was {s} loaded with {v}?
            Was {v} <cargo>?
            """,
            """
            Which ship carried {v}?
            Which ship had {v} on board?
            Which ship was loaded with {v}?
            What ship was carrying {v}?
            """,
            {"goal": "With what cargo?; And what did {she} carry?"},
        ),
        _relation(
            "goal",
            "place",
            """
            sailed to {v}
            was bound for {v}
            was on its way to {v}
            set course for {v}
            """,
            """
            Where did {s} sail to?
            Where was {s} bound for?
            To which port did {s} sail?
            Where was {s} going?
            """,
            """
            Did {s} sail to {v}?
            Was {s} bound for {v}?
            Was {s} on its way to {v}?
            Did {s} set course for {v}?
            """,
            """
            Which ship sailed to {v}?
            Which ship was bound for {v}?
            Which ship was on its way to {v}?
            What ship set course for {v}?
            """,
        ),
        _relation(
            "built",
            "place",
            """
            was built in {v}
            came from a shipyard in {v}
            had been built in {v}
            workers in {v} had built {o}
            """,
            """
            Where was {s} built?
            In what place was {s} built?
            Where had {s} been built?
            In which town was {s} built?
            """,
            """
            Was {s} built in {v}?
            Had {s} been built in {v}?
            Did {s} come from a shipyard in {v}?
            Was {v} the place where {s} was built?
            """,
            """
            Which ship was built in {v}?
            Which ship had been built in {v}?
            Which ship came from a shipyard in {v}?
            What ship was built in {v}?
            """,
        ),
        _relation(
            "crew",
            "number",
            """
            had a crew of {v}
            had {v} sailors on board
            was sailed by a crew of {v}
            {v} sailors worked on {o}
            """,
            """
            How many sailors did {s} have on board?
            How many sailors worked on {o}?
            How large was <crew>?
            What was the number of sailors on {o}?
            """,
            """
            Did {s} have a crew of {v}?
            Did {s} have {v} sailors on board?
            Did {v} sailors work on {o}?
            Was {s} sailed by a crew of {v}?
            """,
            """
            Which ship had a crew of {v}?
            Which ship had {v} sailors on board?
            On which ship did {v} sailors work?
            Which ship was sailed by a crew of {v}?
            """,
            {"captain": "How many sailors worked on {o}?; How many sailors?"},
        ),
        _relation(
            "left",
            "weekday",
            """
            left the harbour on {v}
            set sail on {v}
            started its voyage on {v}
            on {v}, {s} left the harbour
            """,
            """
            When did {s} leave the harbour?
            On which day did {s} leave the harbour?
            When did {s} set sail?
            On what day did {s} start its voyage?
            """,
            """
            Did {s} leave the harbour on {v}?
            Did {s} set sail on {v}?
            Did {s} start its voyage on {v}?
            Was it {v} when {s} left the harbour?
            """,
            """
            Which ship left the harbour on {v}?
            Which ship set sail on {v}?
            Which ship started its voyage on {v}?
            What ship left on {v}?
            """,
            {"goal": "When did {she} leave the harbour?; On what day?"},
        ),
        _relation(
            "late",
            "voyage late",
            """
            was late because of {v}
            came in late because of {v}
            because of {v}, {s} was late
            had arrived late because of {v}
            """,
            """
            Why was {s} late?
            Why did {s} come in late?
            What made {o} late?
            What was the reason that {s} was late?
            """,
            """
            Was {s} late?
            Did {s} come in late?
            Did {s} arrive late?
            Had {s} arrived late?
            """,
            other=(
                "voyage early",
                """
                was early thanks to {v}
                came in early thanks to {v}
                thanks to {v}, {s} was early
                had arrived early thanks to {v}
                """,
                """
                Why was {s} early?
                Why did {s} come in early?
                Thanks to what was {s} early?
                What was the reason that {s} was early?
                """,
                """
                Was {s} early?
                Did {s} come in early?
                Did {s} arrive early?
                Had {s} arrived early?
                """,
            ),
        ),
    ),
    numbers=(5, 60),
)

DOMAINS = {domain.name: domain for domain in (MARKET, SCHOOL, CLUB, MUSEUM, VOYAGE)}

# ---------------------------------------------------------------------------------------------------------------------
# Stories
# ---------------------------------------------------------------------------------------------------------------------

PRONOUNS = {"f": ("she", "her", "her"), "m": ("he", "him", "his"), "n": ("it", "it", "its")}


@dataclass(frozen=True)
class Subject:
    """Somebody or something that a story tells about.

    Attributes:
        name: The name as it stands in the middle of a sentence.
        sex: ``f``, ``m`` or ``n``.
        short: The name in "And ...?".
        noun: What it is, for things.
    """

    name: str
    sex: str
    short: str
    noun: str = ""

    def fill(self, pattern: str, value: str = "", pronoun: bool = False) -> str:
        """Fill in a pattern.

        Args:
            pattern: Text with slots.
            value: The value.
            pronoun: Whether the subject is a pronoun.

        Returns:
            The text.
        """
        she, her, own = PRONOUNS[self.sex]
        s, o, p = (she, her, own) if pronoun else (self.name, self.name, f"{self.name}'s")
        pattern = re.sub("<(.+?)>", r"{p} \1" if pronoun else r"the \1 of {o}", pattern)
        return pattern.format(s=s, o=o, p=p, own=own, she=she, v=value, noun=self.noun)


@dataclass
class Fact:
    """A fact of a story and where it stands.

    Attributes:
        relation: What it is about.
        subject: Number of the subject, None for the story as a whole.
        value: The value, or the reason.
        side: False for the other side of a relation with two.
        sentence: Offsets of its sentence.
        clause: Offsets of the smallest part with value and subject.
        named: Offset from which the name of the subject is in sight, None if it is too far.
    """

    relation: Relation
    subject: int | None
    value: str
    side: bool = True
    sentence: tuple[int, int] = (0, 0)
    clause: tuple[int, int] = (0, 0)
    named: int | None = None


@dataclass
class Story:
    """A story and what is true in it.

    Attributes:
        domain: Its domain.
        subjects: The subjects.
        facts: The facts by subject and key of the relation.
        sexes: ``f`` or ``m`` for each person.
        text: The text.
    """

    domain: Domain
    subjects: list[Subject]
    facts: dict[tuple[int | None, str], Fact]
    sexes: dict[str, str]
    text: str = ""


def _capital(text: str) -> str:
    """Begin a sentence.

    Args:
        text: The sentence.

    Returns:
        The sentence with a capital at the front.
    """
    return text[0].upper() + text[1:]


def _enumerate(names: list[str]) -> str:
    """Join names.

    Args:
        names: At least two names.

    Returns:
        For example "Tove, Emil and Arne".
    """
    return ", ".join(names[:-1]) + " and " + names[-1]


class Values:
    """Draws values for one story, none of them twice.

    Args:
        rng: Source of chance.
        names: Names of the split.
        domain: The domain.
    """

    def __init__(self, rng: random.Random, names: Names, domain: Domain) -> None:
        self.rng = rng
        self.names = names
        self.domain = domain
        self.style = rng.choice(domain.styles)
        self.used: set[str] = set()
        self.sexes: dict[str, str] = {}

    def draw(self, source: str) -> str:
        """Draw a value.

        Args:
            source: What ``Relation.values`` names.

        Returns:
            A value that this story has not drawn before.
        """
        while True:
            value = self.draw_any(source)
            parts = {value} if source != "person" else set(value.split()) - {"Mrs", "Mr"}
            if not parts & self.used:
                self.used |= parts
                return value

    def draw_any(self, source: str) -> str:
        """Draw a value that the story may have already.

        Args:
            source: What ``Relation.values`` names.

        Returns:
            A value.
        """
        rng = self.rng
        match source:
            case "person":
                sex = rng.choice("fm")
                first = rng.choice(self.names.women if sex == "f" else self.names.men)
                last = rng.choice(self.names.surnames)
                title = "Mrs" if sex == "f" else "Mr"
                name = {"first": first, "title": f"{title} {last}", "full": f"{first} {last}"}[self.style]
                self.sexes[name] = sex
                return name
            case "place":
                return rng.choice(self.names.villages)
            case "number":
                number = rng.randint(*self.domain.numbers)
                return NUMBER_WORDS[number - 2] if number <= 12 else str(number)
            case "money":
                return f"{rng.randint(4, 60) * 5} pounds"
            case "year":
                return str(rng.randint(1450, 1890))
            case "ship":
                return rng.choice(self.names.ships)
            case "colour":
                return rng.choice(COLOURS)
        return rng.choice(VALUES[source])


def _subjects(values: Values, count: int) -> list[Subject]:
    """Draw the subjects of a story.

    Args:
        values: Where values come from.
        count: How many.

    Returns:
        The subjects.
    """
    match values.domain.subjects:
        case "items":
            noun = values.rng.choice(NOUNS)
            colours = [values.draw("colour") for _ in range(count)]
            return [Subject(f"the {colour} {noun}", "n", f"the {colour} one", noun) for colour in colours]
        case "ships":
            ships = [values.draw("ship") for _ in range(count)]
            return [Subject(ship, "n", ship, "ship") for ship in ships]
    # Subjects go by a short name even where other persons have a full one.
    style, values.style = values.style, "first" if values.style == "full" else values.style
    names = [values.draw("person") for _ in range(count)]
    values.style = style
    return [Subject(name, values.sexes[name], name) for name in names]


class Writer:
    """Writes down a story sentence by sentence.

    Args:
        rng: Source of chance.
        story: The story; its text and the offsets of its facts are filled in.
    """

    def __init__(self, rng: random.Random, story: Story) -> None:
        self.rng = rng
        self.story = story
        self.spent: dict[str, list[str]] = {}
        self.last: int | None = None  # subject of the last sentence
        self.named = 0  # where the last sentence with the name of that subject begins
        self.distance = 0  # sentences since then
        self.clear = False  # whether a pronoun for that subject is clear

    def pattern(self, key: str, patterns: tuple[str, ...], predicate: bool = False) -> str:
        """Choose a pattern that the story has used least.

        Args:
            key: What the patterns are for.
            patterns: The patterns.
            predicate: Whether only predicates are wanted.

        Returns:
            A pattern.
        """
        left = self.spent.setdefault(key, [])
        fitting = [pattern for pattern in left if not (predicate and _whole(pattern))]
        if not fitting:
            left.extend(self.rng.sample(patterns, len(patterns)))
            fitting = [pattern for pattern in left if not (predicate and _whole(pattern))]
        left.remove(fitting[0])
        return fitting[0]

    def sentence(self, parts: list[tuple[str, list[Fact]]], whole: bool) -> None:
        """Append a sentence.

        Args:
            parts: Pieces of text with the facts that they tell.
            whole: Whether the clause of each fact is the whole sentence.
        """
        story = self.story
        start = len(story.text) + (1 if story.text else 0)
        text = _capital("".join(part for part, _ in parts))
        story.text = f"{story.text} {text}" if story.text else text
        at = start
        for part, facts in parts:
            for fact in facts:
                fact.sentence = (start, start + len(text))
                fact.clause = fact.sentence if whole else (at, at + len(part))
            at += len(part)

    def plain(self, text: str, facts: list[Fact]) -> None:
        """Append a sentence about no subject.

        Args:
            text: The sentence.
            facts: What it tells.
        """
        self.sentence([(text, facts)], whole=True)
        self.last = None

    def single(self, fact: Fact, more: Fact | None = None) -> None:
        """Append a sentence about one subject.

        Args:
            fact: What it tells.
            more: A second fact of the same subject for the same sentence.
        """
        assert fact.subject is not None
        subject = self.story.subjects[fact.subject]
        start = len(self.story.text) + 1
        pronoun = self.last == fact.subject and self.clear and self.rng.random() < 0.75
        text = self.clause(fact, pronoun, predicate=more is not None)
        if more is not None:
            text += " and " + subject.fill(self._says(more, predicate=True), more.value)
        self.sentence([(text + ".", [fact] + ([more] if more else []))], whole=True)
        if pronoun:
            self.distance += 1
        else:
            self.named, self.distance = start, 0
        for told in (fact, more):
            if told is not None:
                told.named = self.named if self.distance < 2 else None
        self.last = fact.subject
        self.clear = subject.sex == "n" or self.story.sexes.get(fact.value) != subject.sex

    def double(self, first: Fact, second: Fact) -> None:
        """Append a sentence about two subjects.

        Args:
            first: The first fact.
            second: The second fact.
        """
        link = self.rng.choice([", while ", ", and ", ", but "])
        # No "while because of the rain, ...".
        one, two = self.clause(first, False), self.clause(second, False, predicate=bool(second.relation.other_says))
        self.sentence([(one, [first]), (link, []), (two, [second]), (".", [])], whole=False)
        for fact in (first, second):
            fact.named = fact.clause[0]
        self.last = None

    def clause(self, fact: Fact, pronoun: bool, predicate: bool = False) -> str:
        """Put a fact into words.

        Args:
            fact: The fact.
            pronoun: Whether its subject is a pronoun.
            predicate: Whether only patterns that are predicates are wanted.

        Returns:
            A clause that begins with a small letter unless a name comes first.
        """
        assert fact.subject is not None
        pattern = self._says(fact, predicate)
        pattern = pattern if _whole(pattern) else "{s} " + pattern
        return self.story.subjects[fact.subject].fill(pattern, fact.value, pronoun)

    def _says(self, fact: Fact, predicate: bool) -> str:
        relation = fact.relation
        patterns = relation.says if fact.side else relation.other_says
        return self.pattern(f"{relation.key} {fact.side}", patterns, predicate)

    def body(self) -> None:
        """Append all facts of the subjects."""
        rng = self.rng
        facts = [fact for fact in self.story.facts.values() if fact.subject is not None]
        rng.shuffle(facts)
        order = rng.choice(["subject", "relation", "mixed"])
        subjects = rng.sample(range(len(self.story.subjects)), len(self.story.subjects))
        keys = sorted({fact.relation.key for fact in facts})
        rng.shuffle(keys)
        if order == "subject":
            facts.sort(key=lambda fact: subjects.index(fact.subject or 0))
        elif order == "relation":
            facts.sort(key=lambda fact: keys.index(fact.relation.key))
        fillers = rng.sample(self.story.domain.fillers, rng.randint(0, 2))
        while facts:
            fact = facts.pop(0)
            if fillers and self.last != fact.subject and rng.random() < 0.2:
                self.plain(fillers.pop(), [])
            after = facts[0] if facts else None
            simple = fact.relation.values != "person" and not fact.relation.other_says
            if after is not None and simple and after.subject == fact.subject and rng.random() < 0.3:
                # The second half of a sentence has no name, so "her" there could be the person of the first half.
                simple = after.relation.values != "person" and not after.relation.other_says
                if simple:
                    self.single(fact, facts.pop(0))
                    continue
            if after is not None and after.relation is fact.relation and rng.random() < 0.5:
                self.double(fact, facts.pop(0))
                continue
            self.single(fact)
        if fillers and rng.random() < 0.3:
            self.plain(fillers.pop(), [])


def _whole(pattern: str) -> bool:
    """Return whether a pattern names its subject.

    Args:
        pattern: Pattern of a fact.

    Returns:
        False for a predicate.
    """
    return any(slot in pattern for slot in ("{s}", "{o}", "{p}", "<"))


def write_story(rng: random.Random, domain: Domain, names: Names) -> tuple[Story, Values]:
    """Make up a story.

    Args:
        rng: Source of chance.
        domain: Its domain.
        names: Names of the split.

    Returns:
        The story, and the values that it has not used.
    """
    count = rng.choice([3, 3, 4])
    values = Values(rng, names, domain)
    subjects = _subjects(values, count)
    wanted = rng.choice([3, 4]) if count == 3 else 3
    chosen: list[Relation] = []
    for relation in rng.sample(domain.relations, len(domain.relations)):
        keys = {relation.key, *(other.key for other in chosen)}
        if len(chosen) < wanted and not any(pair <= keys for pair in domain.apart):
            chosen.append(relation)
    facts: dict[tuple[int | None, str], Fact] = {}
    for relation in chosen:
        # One subject may lack the fact, mostly where enough rivals are left.
        missing = rng.randrange(count) if rng.random() < (0.75 if count == 4 else 0.2) else None
        for number in range(count):
            side = not relation.other_says or rng.random() < 0.5
            value = values.draw(relation.values if side else relation.other_values)
            if number != missing:
                facts[number, relation.key] = Fact(relation, number, value, side)
    story = Story(domain, subjects, facts, values.sexes)
    writer = Writer(rng, story)
    opening = rng.choice(domain.openings)
    slots = {"place": values.draw("place"), "day": values.draw("weekday"), "month": values.draw("month")}
    setting = [Fact(relation, None, slots[relation.key]) for relation in domain.setting]
    writer.plain(opening.format(**slots, noun=subjects[0].noun), setting)
    story.facts.update({(None, fact.relation.key): fact for fact in setting})
    if rng.random() < 0.45:
        names_in_a_row = _enumerate([subject.name for subject in rng.sample(subjects, count)])
        writer.plain(rng.choice(domain.lists).format(names=names_in_a_row), [])
    writer.body()
    return story, values


# ---------------------------------------------------------------------------------------------------------------------
# Dialogues
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Turn:
    """A question that could be asked next.

    Attributes:
        style: ``full``, ``pronoun``, ``same`` (And Tove?), ``short`` (When?), ``then`` (after a no).
        question: The question.
        kind: Kind of the answer.
        answer: The answer.
        evidence: Offsets of the evidence, None for ``unknown``.
        relation: What it asks about.
        subject: Number of the subject, or of the one that is the answer.
        form: ``value``, ``check`` or ``who``.
        value: The value that a check names.
        pattern: The wording without names.
        back: How many turns back one has to go for the words that this question leaves out.
    """

    style: str
    question: str
    kind: Kind
    answer: str
    evidence: tuple[int, int] | None
    relation: Relation
    subject: int | None
    form: str
    value: str
    pattern: str
    back: int


class Dialogue:
    """Asks about a story.

    Args:
        rng: Source of chance.
        story: The story.
        values: Values that the story has not used.
        said: How often each wording, and any (an empty string), had each kind of answer in this split.
    """

    def __init__(self, rng: random.Random, story: Story, values: Values, said: Counter[tuple[str, str]]) -> None:
        self.rng = rng
        self.story = story
        self.values = values
        self.said = said
        self.asked: set[tuple[int | None, str]] = set()
        self.turns: list[Turn] = []
        self.focus: int | None = None  # whom "she" would mean
        self.age = 0  # turns since that name was spoken
        self.told = {fact.relation.key for fact in story.facts.values()}

    def turn(self, kind: Kind) -> bool:
        """Ask one question.

        Args:
            kind: Kind of answer that is wanted.

        Returns:
            False if there is nothing left to ask that has such an answer.
        """
        turns = [turn for turn in self.possible(kind) if turn.kind == kind and self.fits(turn)]
        if not turns:
            return False
        told = [turn for turn in turns if turn.relation.key in self.told]
        if kind == "unknown" and told and self.rng.random() < 0.65:
            turns = told  # the story tells this of the others, so that only the name shows that it is missing
        shares = {"full": 0.3, "pronoun": 0.3, "same": 0.26, "short": 0.9, "then": 0.3}
        styles = sorted({turn.style for turn in turns})
        style = self.rng.choices(styles, [shares[style] for style in styles])[0]
        turns = [turn for turn in turns if turn.style == style]
        # Each relation and each form of question gets its chance, however many wordings it has.
        form = self.rng.choices(
            (forms := sorted({turn.form for turn in turns})), [1.0 if form == "who" else 1.7 for form in forms]
        )[0]
        turns = [turn for turn in turns if turn.form == form]
        keys = sorted({turn.relation.key for turn in turns})
        key = self.rng.choice(keys)
        self.take(self.rng.choice([turn for turn in turns if turn.relation.key == key]))
        return True

    def fits(self, turn: Turn) -> bool:
        """Return whether a question can be asked.

        Args:
            turn: The question.

        Returns:
            False if its wording would come to mean yes or no, or if its answer has too few rivals.
        """
        if turn.kind in ("yes", "no"):
            other = "no" if turn.kind == "yes" else "yes"
            return self.said[turn.pattern, turn.kind] <= self.said[turn.pattern, other]
        return turn.kind == "unknown" or len(candidates(self.story.text, type_of(turn.answer))) >= RIVALS

    def take(self, turn: Turn) -> None:
        """Ask a question.

        Args:
            turn: The question.
        """
        self.turns.append(turn)
        self.asked.add((turn.subject, turn.relation.key))
        if turn.relation.other_says and turn.form == "value":
            self.asked.add((turn.subject, f"why {turn.relation.key}"))
        self.said[turn.pattern, turn.kind] += 1
        self.said["", turn.kind] += 1
        self.age = 0 if self.focus != turn.subject or turn.style in ("full", "same") else self.age + 1
        self.focus = turn.subject
        if turn.subject is not None:
            sex = self.story.subjects[turn.subject].sex
            fact = self.story.facts.get((turn.subject, turn.relation.key))
            people = [turn.value, fact.value if fact else ""]
            if sex != "n" and sex in [self.story.sexes.get(person) for person in people]:
                self.focus = None

    def possible(self, kind: Kind) -> list[Turn]:
        """Return all questions that make sense at this point.

        Args:
            kind: Kind of answer that is wanted; some questions with other answers are left out to save time.

        Returns:
            The questions.
        """
        missing = kind == "unknown"
        turns: list[Turn] = []
        for relation in self.story.domain.setting:
            if (None, relation.key) not in self.asked and len(self.turns) < 3:
                turns += self._setting(relation)
        for relation in self.story.domain.relations:
            # What the story does not speak of at all must not contradict what it does say.
            if any({relation.key} < pair and pair & self.told for pair in self.story.domain.apart):
                continue
            for number in range(len(self.story.subjects)):
                known = (number, relation.key) in self.story.facts
                if known != missing and (number, relation.key) not in self.asked:
                    turns += self._about(relation, number, kind)
        return turns + self._after()

    def _setting(self, relation: Relation) -> list[Turn]:
        fact = self.story.facts[None, relation.key]
        turns = [self._span("full", text, fact, text, "value") for text in relation.asks]
        for text in relation.checks:
            for value in (fact.value, self._wrong(fact)):
                kind: Kind = "yes" if value == fact.value else "no"
                turns.append(
                    Turn(
                        "full", text.format(v=value), kind, kind, fact.sentence, relation, None, "check", value, text, 0
                    )
                )
        return turns

    def _about(self, relation: Relation, number: int, kind: Kind) -> list[Turn]:
        """Return questions about a relation of a subject, with its name or a pronoun."""
        subject = self.story.subjects[number]
        fact = self.story.facts.get((number, relation.key))
        turns: list[Turn] = []
        styles = [("full", False)]
        if self.focus == number and self.age + 1 <= REACH:
            styles = [("full", False), ("pronoun", True)]
        for style, pronoun in styles:
            if relation.other_says:
                turns += self._sides(relation, number, style, pronoun)
                continue
            if kind in ("span", "unknown"):
                for text in relation.asks:
                    turns.append(self._value(style, subject.fill(text, pronoun=pronoun), relation, number, text))
            # Where others have such a value, "Did she sell pears?" would be a no rather than unknown.
            if kind in ("yes", "no") or (kind == "unknown" and relation.key not in self.told):
                for text in relation.checks:
                    value = self._wrong(fact) if fact else self.values.draw_any(relation.values)
                    value = fact.value if fact and kind == "yes" else value
                    question = subject.fill(text, value, pronoun)
                    turns.append(self._check(style, question, kind, fact, relation, number, value, text))
        if kind == "span" and fact is not None and fact.named is not None and not relation.other_says:
            for text in relation.who:
                turns.append(self._span("full", subject.fill(text, fact.value), fact, text, "who"))
        return turns

    def _sides(self, relation: Relation, number: int, style: str, pronoun: bool) -> list[Turn]:
        """Return questions about a relation with two sides."""
        subject = self.story.subjects[number]
        fact = self.story.facts.get((number, relation.key))
        turns: list[Turn] = []
        for side, checks in ((True, relation.checks), (False, relation.other_checks)):
            for text in checks:
                kind: Kind = "unknown" if fact is None else "yes" if fact.side == side else "no"
                question = subject.fill(text, pronoun=pronoun)
                turns.append(self._check(style, question, kind, fact, relation, number, "", text))
        if fact is not None:
            for text in relation.asks if fact.side else relation.other_asks:
                turns.append(self._span(style, subject.fill(text, pronoun=pronoun), fact, text, "value"))
        return turns

    def _after(self) -> list[Turn]:
        """Return questions that only make sense after the last one."""
        if not self.turns:
            return []
        last = self.turns[-1]
        relation = last.relation
        turns: list[Turn] = []
        if last.subject is None:
            return self._shorts(last)
        others = [number for number in range(len(self.story.subjects)) if number != last.subject]
        if last.back + 1 <= REACH:
            turns += self._shorts(last)
            # After "For how much money?" without an answer, "And Tove?" could mean the money or what was sold.
            clear = last.style != "short" or last.kind != "unknown"
            for number in others if clear else []:
                if (number, relation.key) not in self.asked:
                    turns += self._same(last, number)
            if relation.other_says and last.form == "check" and last.kind in ("yes", "no"):
                fact = self.story.facts[last.subject, relation.key]
                text = "Why?" if last.kind == "yes" else "Why not?"
                if self.focus is not None and self.age + 1 <= REACH:
                    turns.append(self._span("short", text, fact, text, "value", last.back + 1))
        if last.kind == "no" and last.form == "check" and not relation.other_says and last.style in ("full", "pronoun"):
            turns += self._then(last)
        return turns

    def _shorts(self, last: Turn) -> list[Turn]:
        """Short questions such as "When?"."""
        turns: list[Turn] = []
        for relation in self.story.domain.relations:
            for text in relation.follow.get(last.relation.key, ()):
                # In "How did Tove get there?" only the place is left to the turn before.
                open_ = last.subject is None
                if last.kind != "span" and not (last.kind == "yes" and open_):
                    continue
                if not open_ and (self.focus is None or self.age + 1 > REACH):
                    continue
                for number in range(len(self.story.subjects)) if open_ else (self.focus,):
                    if number is None or (number, relation.key) in self.asked:
                        continue
                    subject = self.story.subjects[number]
                    names = "{s}" in text
                    if names != open_:
                        continue
                    style = "pronoun" if "{" in text else "short"
                    back = 0 if "{" in text else last.back + 1
                    question = subject.fill(text, pronoun=not open_)
                    turns.append(self._value(style, question, relation, number, text, back))
        return turns

    def _same(self, last: Turn, number: int) -> list[Turn]:
        """Ask the last question about another subject: "And Tove?"."""
        relation = last.relation
        subject = self.story.subjects[number]
        fact = self.story.facts.get((number, relation.key))
        turns: list[Turn] = []
        if last.form == "value" and not relation.other_says and last.kind in ("span", "unknown"):
            for text in ("And {0}?", "What about {0}?", "How about {0}?", "And what about {0}?"):
                question = text.format(subject.short)
                turns.append(self._value("same", question, relation, number, text, last.back + 1))
        if last.form == "check" and (fact is not None or relation.other_says):
            aux = last.question.split()[0]
            if relation.other_says:
                kind: Kind = "unknown"
                if fact is not None:
                    kind = "yes" if fact.side == self._asked_side(last) else "no"
                texts = ["And {0}?", "What about {0}?", "And what about {0}?"]
            else:
                assert fact is not None
                kind = "yes" if fact.value == last.value else "no"
                texts = []
            if (last.style in ("full", "pronoun") and last.pattern.split()[1] == "{s}") or last.style == "same":
                texts.append(f"{aux} {{0}}?" if last.style != "same" else "And {0}?")
            for text in texts:
                question = text.format(subject.short)
                turns.append(
                    self._check("same", question, kind, fact, relation, number, last.value, text, last.back + 1)
                )
        return turns

    def _asked_side(self, last: Turn) -> bool:
        """Which side a check asked about, seen from its answer."""
        checks = [turn for turn in self.turns if turn.relation is last.relation and turn.back == 0]
        return checks[-1].pattern in last.relation.checks

    def _then(self, last: Turn) -> list[Turn]:
        """Return questions after the answer no: "What did she sell, then?"."""
        relation = last.relation
        turns: list[Turn] = []
        assert last.subject is not None
        subject = self.story.subjects[last.subject]
        fact = self.story.facts[last.subject, relation.key]
        if self.focus == last.subject and self.age + 1 <= REACH:
            for text in relation.asks:
                question = subject.fill(text, pronoun=True)
                for form in (f"{question[:-1]}, then?", f"So {question[0].lower()}{question[1:]}"):
                    turns.append(self._span("then", form, fact, text, "value"))
        aux, *rest = last.pattern.split()
        if rest[0] == "{s}":
            for owner, other in self.story.facts.items():
                if owner[1] == relation.key and other.value == last.value and other.named is not None:
                    if owner in self.asked or owner[0] is None:
                        continue
                    who = "Who" if subject.sex != "n" else f"Which {subject.noun}"
                    text = f"{who} {aux.lower()}, then?"
                    turns.append(self._span("then", text, other, text, "who", last.back + 1))
        return turns

    def _value(self, style: str, question: str, relation: Relation, number: int, pattern: str, back: int = 0) -> Turn:
        fact = self.story.facts.get((number, relation.key))
        if fact is None:
            return Turn(style, question, "unknown", "unknown", None, relation, number, "value", "", pattern, back)
        return self._span(style, question, fact, pattern, "value", back)

    def _span(self, style: str, question: str, fact: Fact, pattern: str, form: str, back: int = 0) -> Turn:
        start, end = fact.clause
        sought = fact.value
        if form == "who":
            assert fact.subject is not None
            assert fact.named is not None
            start = min(start, fact.named)
            sought = self.story.subjects[fact.subject].name
        found = find(sought, self.story.text[start:end])
        assert len(found) == 1, (sought, self.story.text[start:end])
        return Turn(
            style,
            question,
            "span",
            found[0],
            (start, end),
            fact.relation,
            fact.subject,
            form,
            fact.value,
            pattern,
            back,
        )

    def _check(
        self,
        style: str,
        question: str,
        kind: Kind,
        fact: Fact | None,
        relation: Relation,
        number: int,
        value: str,
        pattern: str,
        back: int = 0,
    ) -> Turn:
        evidence = fact.sentence if fact is not None else None
        return Turn(style, question, kind, kind, evidence, relation, number, "check", value, pattern, back)

    def _wrong(self, fact: Fact) -> str:
        """Return a value that is false for the subject of a fact, mostly one from the story."""
        rivals = [
            other.value
            for other in self.story.facts.values()
            if other is not fact and other.relation.values == fact.relation.values
        ]
        same = [
            other.value for other in self.story.facts.values() if other is not fact and other.relation is fact.relation
        ]
        draw = self.rng.random()
        if same and draw < 0.7:
            return self.rng.choice(same)
        if rivals and draw < 0.8:
            return self.rng.choice(rivals)
        while (value := self.values.draw_any(fact.relation.values)) == fact.value:
            pass
        return value


def find(words: str, text: str) -> list[str]:
    """Find whole words.

    Args:
        words: What to look for, in any case.
        text: Where to look.

    Returns:
        Each occurrence as it stands there.
    """
    return re.findall(rf"(?<!\w){re.escape(words)}(?!\w)", text, re.IGNORECASE)


def hold(rng: random.Random, story: Story, values: Values, said: Counter[tuple[str, str]]) -> list[Turn] | None:
    """Hold a dialogue about a story.

    Args:
        rng: Source of chance.
        story: The story.
        values: Values that the story has not used.
        said: How often each wording, and any, had each kind of answer; brought up to date.

    Returns:
        The turns, or None if the story has too little to ask for.
    """
    dialogue = Dialogue(rng, story, values, said.copy())
    for _ in range(rng.randint(*TURNS)):
        # A kind that has had more than its share so far is drawn less often.
        so_far = {kind: dialogue.said["", kind] for kind in WEIGHTS}
        over = {kind: so_far[kind] > share * sum(so_far.values()) for kind, share in WEIGHTS.items()}
        weights = [share * (0.5 if over[kind] else 1.5) for kind, share in WEIGHTS.items()]
        kind = rng.choices(list(WEIGHTS), weights)[0]
        if not dialogue.turn(kind) and not dialogue.turn("span"):
            break
    if len(dialogue.turns) < TURNS[0]:
        return None
    said.clear()
    said.update(dialogue.said)
    return dialogue.turns


# ---------------------------------------------------------------------------------------------------------------------
# Files
# ---------------------------------------------------------------------------------------------------------------------


def check(story: Story, turns: list[Turn]) -> None:
    """Check what the set promises of each story.

    Args:
        story: The story.
        turns: Its dialogue.

    Raises:
        AssertionError: If a promise is broken.
    """
    text = story.text
    places = {key: find(fact.value, text[slice(*fact.sentence)]) for key, fact in story.facts.items()}
    assert all(len(found) == 1 for found in places.values()), places
    for relation in {fact.relation.key: fact.relation for fact in story.facts.values()}.values():
        values = [fact.value for fact in story.facts.values() if fact.relation is relation]
        assert len(set(values)) == len(values), values
    for turn in turns:
        assert turn.back <= REACH, turn
        if turn.evidence is None:
            assert turn.kind == "unknown", turn
            assert (turn.subject, turn.relation.key) not in story.facts, turn
            continue
        evidence = text[slice(*turn.evidence)]
        if turn.kind == "span":
            assert find(turn.answer, evidence) == [turn.answer], turn
            assert 1 <= len(turn.answer.split()) <= 5, turn
            assert len(candidates(text, type_of(turn.answer))) >= RIVALS, turn
        elif turn.value:
            fact = story.facts[turn.subject, turn.relation.key]
            assert (turn.kind == "yes") == (turn.value == fact.value), turn


def entry(number: int, split: str, story: Story, turns: list[Turn]) -> dict[str, Any]:
    """Return a story and its dialogue in the CoQA format.

    Args:
        number: Number of the story in its split.
        split: Name of the split.
        story: The story.
        turns: Its dialogue.

    Returns:
        What stands in ``data``.
    """
    questions, answers = [], []
    for number_of_turn, turn in enumerate(turns, 1):
        start, end = turn.evidence or (-1, -1)
        evidence = story.text[start:end] if turn.evidence else "unknown"
        questions.append({"input_text": turn.question, "turn_id": number_of_turn})
        answers.append(
            {
                "span_start": start,
                "span_end": end,
                "span_text": evidence,
                "input_text": turn.answer,
                "turn_id": number_of_turn,
            }
        )
    name = f"{split}-{number:04d}"
    return {
        "source": story.domain.name,
        "id": name,
        "filename": f"{story.domain.name}-{name}.txt",
        "story": story.text,
        "questions": questions,
        "answers": answers,
    }


def make(split: str) -> list[tuple[Story, list[Turn]]]:
    """Make the stories of a split.

    Args:
        split: Name of the split.

    Returns:
        Stories and their dialogues.
    """
    rng = random.Random(f"{SEED} {split}")
    domains = TRAINED_DOMAINS if split == "train" else TRAINED_DOMAINS + OUT_OF_DOMAIN
    order = [domains[number % len(domains)] for number in range(SIZES[split])]
    rng.shuffle(order)
    said: Counter[tuple[str, str]] = Counter()
    made: list[tuple[Story, list[Turn]]] = []
    while len(made) < len(order):
        story, values = write_story(rng, DOMAINS[order[len(made)]], NAMES[split])
        if not WORDS[0] <= len(story.text.split()) <= WORDS[1]:
            continue
        turns = hold(rng, story, values, said)
        if turns is not None:
            check(story, turns)
            made.append((story, turns))
    later = [turn for _, turns in made for turn in turns[1:]]
    assert sum(turn.style != "full" for turn in later) >= len(later) / 3
    return made


def write(folder: Path) -> None:
    """Write the three files.

    Args:
        folder: Where to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for split in SIZES:
        data = [entry(number, split, story, turns) for number, (story, turns) in enumerate(make(split), 1)]
        text = json.dumps({"version": "1.0", "data": data}, indent=1, ensure_ascii=False) + "\n"
        (folder / f"{split}.json").write_text(text, encoding="utf-8", newline="\n")


def main() -> None:
    """Write the files beside this one, or elsewhere."""
    parser = argparse.ArgumentParser(description="write the conversational question-answering set")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent, help="folder for the three files")
    write(parser.parse_args().out)


if __name__ == "__main__":
    main()
