"""Requests with intents and slots, written to this directory.

``python data/sample/intent/generate.py`` rewrites ``train`` and ``valid`` byte for byte: every choice is drawn from
``random.Random`` with a fixed seed. All wordings were written for this project; artists and songs are made up.

``{slot}`` in a pattern is filled with one of the values below. Patterns and values behind a ``|`` in their lists occur
in the validation files only, so those ask for what training has not seen in this combination or not at all.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

SEED = 20190604
SIZES = {"valid": 39, "train": 153}
"""Number of requests per split, smallest first, since some wordings have few variants."""

VALUES = {
    "artist": "nora vale, the paper kites club, miles arden, velvet harbor, juno reyes | oskar lind, blue lantern trio",
    "song": "paper boats, slow train home, september rain, golden hour, city of glass "
    "| winter garden, the long way round",
    "room": "kitchen, bedroom, living room, bathroom, hallway, garage | study, guest room",
    "device": "lights, lamp, fan, heating, radio, television, coffee machine | ceiling light, air conditioning",
    "level": "ten percent, half, maximum, thirty percent, twenty degrees, the lowest setting "
    "| seventy percent, eighteen degrees",
    "date": "today, tomorrow, on friday, next monday, this weekend, on the third of may | on sunday, next week",
    "time": "at seven, at half past six, at noon, at eight thirty in the morning, at ten pm "
    "| at a quarter to nine, at midnight",
    "city": "lisbon, new york, oslo, vienna, cape town, san diego | porto, mexico city",
    "person": "anna, my brother, doctor weiss, grandma, peter novak, the office | aunt clara, tom",
    "event": "dentist, team meeting, lunch with sarah, yoga class, parent evening | piano lesson, job interview",
}

PATTERNS = {
    "play_music": """
        play {song} by {artist}
        play something by {artist}
        i want to hear {song}
        put on {artist} in the {room}
        could you play {song} for me
        start {song} on the {device} please
        let us listen to {artist}
        music by {artist} please
        |
        turn up {song} by {artist}
        i feel like some {artist} in the {room}
    """,
    "switch_on": """
        turn on the {device} in the {room}
        switch the {device} on
        please turn the {room} {device} on
        {device} on please
        can you switch on the {device} {time}
        i need the {device} in the {room} running
        start the {device} in the {room} {time}
        |
        would you get the {room} {device} going
        make sure the {device} is on {time}
    """,
    "switch_off": """
        turn off the {device} in the {room}
        switch the {device} off
        please turn the {room} {device} off
        {device} off please
        no more {device} in the {room}
        shut down the {device} {time}
        can you switch off everything in the {room}
        |
        would you stop the {device} in the {room}
        kill the {device}
    """,
    "set_level": """
        set the {device} to {level}
        set the {device} in the {room} to {level}
        turn the {room} {device} down to {level}
        bring the {device} up to {level} {time}
        i would like the {device} at {level}
        dim the {device} in the {room} to {level}
        make it {level} in the {room}
        |
        keep the {device} at {level} please
        can the {room} be at {level} {time}
    """,
    "set_alarm": """
        wake me up {time}
        wake me {time} {date}
        set an alarm {time}
        i need an alarm {date} {time}
        please ring {time} {date}
        alarm {date} {time} please
        do not let me sleep longer {date} wake me {time}
        |
        get me out of bed {time} {date}
        can you set my alarm {date} {time}
    """,
    "get_weather": """
        what is the weather like in {city}
        will it rain {date} in {city}
        weather for {city} {date}
        how warm is it in {city}
        do i need an umbrella {date}
        tell me the forecast for {city} {date}
        is it going to snow in {city} {time}
        |
        how cold will it get {date}
        should i expect sun in {city} {date}
    """,
    "add_event": """
        add {event} to my calendar {date}
        put {event} in the calendar {date} {time}
        remind me of {event} {date}
        i have {event} {date} {time} please note it
        schedule {event} with {person} {date}
        new appointment {event} {date} {time}
        save the date {event} is {date}
        |
        book {event} {time} {date}
        do not let me forget {event} {date}
    """,
    "call_person": """
        call {person}
        call {person} {time}
        please phone {person}
        i want to talk to {person}
        ring {person} {date} {time}
        can you get {person} on the line
        dial the number of {person}
        |
        connect me with {person}
        give {person} a call {date}
    """,
    "switch_off#play_music": """
        turn off the {device} and play {song}
        switch the {device} in the {room} off and put on {artist}
        |
        no more {device} please just play {artist}
    """,
    "set_alarm#get_weather": """
        wake me {time} and tell me the weather in {city}
        set an alarm {time} and check if it will rain {date}
        |
        alarm {time} please and the forecast for {city}
    """,
}

RARE = {"switch_off#play_music": 0.2, "set_alarm#get_weather": 0.2}
"""Relative frequency of the intents; two intents at once are rare."""


def main() -> None:
    """Write both splits to this directory."""
    generator = random.Random(SEED)
    seen: set[str] = set()
    for split, size in SIZES.items():
        rows = []
        while len(rows) < size:
            words, tags, intent = request(generator, split)
            if words not in seen:
                seen.add(words)
                rows.append((words, tags, intent))
        folder = Path(__file__).resolve().parent / split
        folder.mkdir(exist_ok=True)
        for name, column in zip(("seq.in", "seq.out", "label"), zip(*rows, strict=True), strict=True):
            (folder / name).write_text("".join(f"{line}\n" for line in column), encoding="utf-8", newline="\n")


def request(generator: random.Random, split: str) -> tuple[str, str, str]:
    """Return words, tags and intent of one request."""
    intents = list(PATTERNS)
    (intent,) = generator.choices(intents, [RARE.get(name, 1) for name in intents])
    pattern = choose(generator, PATTERNS[intent].split("\n"), split)
    words, tags = [], []
    for literal, slot in re.findall(r"([^{} ]+)|{(\w+)}", pattern):
        value = choose(generator, re.split(", | (?=[|])|(?<=[|]) ", VALUES[slot]), split).split() if slot else [literal]
        words += value
        tags += [f"B-{slot}", *[f"I-{slot}"] * (len(value) - 1)] if slot else ["O"]
    return " ".join(words), " ".join(tags), intent


def choose(generator: random.Random, items: list[str], split: str) -> str:
    """Draw an item before the bar; for the validation split, draw from both sides with equal probability."""
    stripped = [item.strip() for item in items]
    bar = stripped.index("|")
    known, new = ([item for item in part if item] for part in (stripped[:bar], stripped[bar + 1 :]))
    return generator.choice(new if split == "valid" and generator.random() < 0.5 else known)


if __name__ == "__main__":
    main()
