"""Write the sample corpora in this directory.

``python data/sample/generate.py`` rewrites ``en/*.conll`` and ``zh/*.conll`` byte for byte: every choice is drawn from
``random.Random`` with a fixed seed. All word lists and sentence patterns were written for this project. The persons
are chance combinations of common given names and surnames, and most companies, clubs and parties are made up.

Patterns are plain text with three kinds of mark-up:

* ``[TYPE some words]`` is an entity spelled out, ``{slot}`` an entity or a number that the document fills in,
  ``<this|that>`` a free choice between wordings;
* a leading ``^`` prints the sentence in capitals, a leading ``_`` in small letters;
* a line that starts with ``+`` continues the line before it.

In English patterns the words are separated by blanks, in Chinese ones every character is a word.
"""

from __future__ import annotations

import random
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

SPLITS = ("train", "valid", "test")
SEEDS = {"en": 20190511, "zh": 20190527}

# Sentences wanted in each split; a split ends with the document that reaches the number.
EN_SIZES = {"train": 500, "valid": 100, "test": 120}
ZH_SIZES = {"train": 240, "valid": 50, "test": 60}

# How often a name comes from the split's own list and not from the list common to all splits.
OWN_SHARE = {"train": 0.7, "valid": 0.6, "test": 0.65}


# ---------------------------------------------------------------------------------------------------------------------
# Small tools
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """A stretch of text with its entity type, or None for plain text.

    Attributes:
        text: The words, separated by blanks in English.
        kind: ``PER``, ``LOC``, ``ORG``, ``MISC`` or None.
    """

    text: str
    kind: str | None = None


@dataclass(frozen=True)
class Pool:
    """Names for all splits and names that only one split uses.

    Attributes:
        common: Names any split may use.
        own: For each split its own names.
    """

    common: tuple[str, ...]
    own: dict[str, tuple[str, ...]]

    def pick(self, rng: random.Random, split: str) -> str:
        """Draw one name for a split.

        Args:
            rng: Source of chance.
            split: Name of the split.

        Returns:
            A name from the split's own list or from the common one.
        """
        own = self.own[split]
        if own and (not self.common or rng.random() < OWN_SHARE[split]):
            return rng.choice(own)
        return rng.choice(self.common or own)


@dataclass(frozen=True)
class Topic:
    """The patterns of one kind of document.

    Attributes:
        heads: Headlines.
        leads: Opening sentences.
        bodies: Further sentences, in any order.
        held: Further sentences that training documents never use.
        table: True for a document that repeats one pattern line after line.
        one_sex: True for a document whose persons are all men or all women.
    """

    heads: tuple[str, ...]
    leads: tuple[str, ...]
    bodies: tuple[str, ...]
    held: tuple[str, ...] = ()
    table: bool = False
    one_sex: bool = False


@dataclass(frozen=True)
class Plan:
    """A document that a split must contain, mostly to place an ambiguous name.

    Attributes:
        topic: Key of the topic.
        fixed: Values for slots, for example ``{"p1": "May Thornton f"}``.
        also: Patterns of sentences that follow the opening.
    """

    topic: str
    fixed: dict[str, str] = field(default_factory=dict)
    also: tuple[str, ...] = ()


class NotIntroducedError(Exception):
    """Error for a pattern that refers to a person whom the document has not named yet."""


def _list(text: str) -> tuple[str, ...]:
    """Split a list written with semicolons.

    Args:
        text: Items separated by ``;``.

    Returns:
        The items without outer blanks.
    """
    return tuple(item.strip() for item in text.replace("\n", " ").split(";") if item.strip())


def _pool(common: str = "", train: str = "", valid: str = "", test: str = "") -> Pool:
    """Build a pool from lists written with semicolons.

    Args:
        common: Names for all splits.
        train: Names only for training.
        valid: Names only for validation.
        test: Names only for testing.

    Returns:
        The pool.
    """
    return Pool(_list(common), {"train": _list(train), "valid": _list(valid), "test": _list(test)})


def _lines(text: str) -> tuple[str, ...]:
    """Split a block of patterns into single patterns.

    Args:
        text: One pattern a line; a line that starts with ``+`` continues the one before.

    Returns:
        The patterns.
    """
    joined = re.sub(r"\n\s*\+", "", text)
    return tuple(line.strip() for line in joined.splitlines() if line.strip())


def _topic(heads: str, leads: str, bodies: str, held: str = "", table: bool = False, one_sex: bool = False) -> Topic:
    """Build a topic from blocks of patterns.

    Args:
        heads: Headlines.
        leads: Opening sentences.
        bodies: Further sentences.
        held: Further sentences that training never uses.
        table: Whether one pattern is repeated through the document.
        one_sex: Whether the persons are all men or all women.

    Returns:
        The topic.
    """
    return Topic(_lines(heads), _lines(leads), _lines(bodies), _lines(held), table, one_sex)


# ---------------------------------------------------------------------------------------------------------------------
# English names
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Country:
    """A country with the words that belong to it.

    Attributes:
        name: Name without an article.
        adjective: Adjective of nationality.
        language: A language spoken there.
        group: Key into the lists of personal names.
        cities: Places there.
        article: Whether running text says ``the`` before the name.
    """

    name: str
    adjective: str
    language: str
    group: str
    cities: Pool
    article: bool = False


def _countries(text: str) -> tuple[tuple[str, Country], ...]:
    """Read the table of countries.

    Args:
        text: One country a line, the cells separated by ``|``.

    Returns:
        Pairs of the split that names the country (or ``common``) and the country.
    """
    result = []
    for line in _lines(text):
        name, adjective, language, group, *places = (cell.strip() for cell in line.split("|"))
        bare = name.removeprefix("the ")
        country = Country(bare, adjective, language, group, _pool(*places), article=bare != name)
        owner = "common" if places[0] else next(split for split in SPLITS if country.cities.own[split])
        result.append((owner, country))
    return tuple(result)


@dataclass(frozen=True)
class Names:
    """Personal names of one region.

    Attributes:
        male: Given names of men.
        female: Given names of women.
        surnames: Surnames.
    """

    male: tuple[str, ...]
    female: tuple[str, ...]
    surnames: Pool


@dataclass(frozen=True)
class Person:
    """A made-up person.

    Attributes:
        given: Given name.
        surname: Surname.
        female: Whether the text says she.
    """

    given: str
    surname: str
    female: bool


NAMES: dict[str, Names] = {
    "en": Names(
        _list("Oliver; Simon; Jack; Peter; Graham; Bill; Jordan; Stuart; Neil; Will"),
        _list("Helen; Ruth; Chelsea; Georgia; May; Alice; Rachel; Joan; Paris; Hazel"),
        _pool(
            "Lincoln; Washington; May; Bishop",
            "Aldridge; Thornton; Fielding; Barrow; Kessler; Marsh; Whitcombe; Hale; Pruitt; Langley; Dunmore; Ostler",
            "Penrose; Kimball; Weller; Hobbs; Ainsley",
            "Redfern; Colby; Stanhope; Wainwright; Tolliver; Ashdown; Brewer; Holt; McAllister; O'Dell",
        ),
    ),
    "fr": Names(
        _list("Jean-Pierre; Luc; Étienne; Antoine; Rémi; Pascal"),
        _list("Claire; Anne-Marie; Hélène; Sylvie; Margot; Odile"),
        _pool(
            "Moreau; Garnier",
            "Lefort; Vasseur; Delorme; Rousselet; Chauvin; Bertillon; de Villiers",
            "Marchais; Pelletier; Fabre",
            "Aubry; Coulon; Thévenet; Saint-Clair; Larrieu; Brochard",
        ),
    ),
    "es": Names(
        _list("Mateo; Andrés; Tomás; Joaquín; Bruno; Rafael"),
        _list("Lucía; Inés; Carmen; Paula; Beatriz; Marisol"),
        _pool(
            "Romero; Salgado",
            "Ibáñez; Quiroga; de la Vega; Peñalver; Cardoso; Montiel; Figueras",
            "Olmedo; Barrios; Teixeira",
            "Zamora; Carrasco; Núñez; Bragança; Urrutia; Del Pozo",
        ),
    ),
    "de": Names(
        _list("Jürgen; Lukas; Dieter; Matthias; Ernst; Felix"),
        _list("Katja; Greta; Ursula; Sabine; Hannelore; Lena"),
        _pool(
            "Keller; Brandt",
            "Vogelsang; Hartung; von Reden; Baumgart; Schröter; Lindner-Haas; Kranz",
            "Eberle; Stolz; Wiegand",
            "Oberhauser; Falk; Müller-Thiel; Rademacher; Zeller; von Ahlen",
        ),
    ),
    "nordic": Names(
        _list("Lars; Henrik; Mikkel; Anders; Jonas; Eero"),
        _list("Ingrid; Astrid; Sanna; Freja; Maja; Liv"),
        _pool(
            "Halvorsen; Lindqvist",
            "Nygård; Sørby; Bakken; Dahlgren; Kvist; Østberg; Rask",
            "Ekström; Fjeld; Holmgren",
            "Laaksonen; Tamm; Virtala; Sigurdsdóttir; Kallas-Rebane; Björk",
        ),
    ),
    "slavic": Names(
        _list("Marek; Pavel; Janusz; Milan; Viktor; Giorgi"),
        _list("Katarzyna; Jana; Milena; Irena; Nino; Tereza"),
        _pool(
            "Nowicki; Beridze",
            "Wolanski; Dvorsky; Kapanadze; Zielak; Horvat; Benes",
            "Kovalic; Malik; Zupan",
            "Sokolik; Gelashvili; Hruby; Pokorna; Tomasik",
        ),
    ),
    "italian": Names(
        _list("Carlo; Sandro; Dario; Gianluca; Piero"),
        _list("Chiara; Ornella; Silvana; Bianca; Fiorella"),
        _pool(
            "Bellini; Ferrante",
            "Castaldi; Morandi; D'Amato; Rinaldo; Scarpa",
            "Lunardi; Pavese",
            "Tedesco; Galvani; Dell'Orto; Marchetti",
        ),
    ),
    "asian": Names(
        _list("Kenji; Hiroshi; Arjun; Min-jun; Takumi; Vikram"),
        _list("Yuki; Naomi; Priya; Ji-woo; Aiko; Meera"),
        _pool(
            "Morita; Rao",
            "Hayakawa; Deshmukh; Nishida; Oguri; Menon; Kurosaki",
            "Fukui; Pillai",
            "Shirai; Chatterji; Baek; Tachibana; Seong",
        ),
    ),
    "african": Names(
        _list("Kwame; Joseph; Samuel; Tunde; Daniel"),
        _list("Amina; Grace; Esther; Ngozi; Wanjiru"),
        _pool(
            "Otieno; Mensah",
            "Kiptanui; Wekesa; Njoroge; Mwangaza; Kipsang-Rono",
            "Owusu; Asante-Boadi",
            "Adeyinka; Okonjo-Bello; Balogun; Eze",
        ),
    ),
    "arabic": Names(
        _list("Omar; Karim; Yusuf; Tarek; Sami"),
        _list("Leila; Rania; Salma; Nadia; Huda"),
        _pool("Haddad; al-Khatib", "Mansouri; Rashwan; Qasem; el-Sayegh", "Zayat; Darwish", "Bennis; Tazi; al-Amrani"),
    ),
}

# Name | adjective | language | names | places for all splits | only train | only valid | only test. A country whose
# places all belong to one split is named in that split only; "the" marks a name that takes it.
COUNTRIES = _countries(
    """
    France | French | French | fr | Paris | Lyon; Nantes; Saint-Étienne | Dijon; Rennes | Toulouse; Grenoble; Metz
    Germany | German | German | de | Berlin | Hamburg; Cologne; Leipzig; Halle | Kassel; Bremen | Rostock; Essen; Mainz
    Britain | British | English | en | London; Lincoln | Leeds; Reading; Bath | Hull; Derby | Norwich; Bury; Deal
    the United States | American | English | en | Washington; Lincoln | Boston; St. Louis; Denver; Austin | Tulsa; Akron
    + | Savannah; St. Paul; Mobile
    Georgia | Georgian | Georgian | slavic | Tbilisi | Kutaisi; Gori | Telavi | Batumi; Poti
    Jordan | Jordanian | Arabic | arabic | Amman | Irbid; Petra | Zarqa | Aqaba; Salt
    Brazil | Brazilian | Portuguese | es | São Paulo | Recife; Manaus; Santos | Salvador | Curitiba; Belém; Natal
    Norway | Norwegian | Norwegian | nordic | | Oslo; Bergen; Tromsø; Bodø; Molde | |
    Poland | Polish | Polish | slavic | | Warsaw; Gdansk; Lodz; Poznan | |
    Spain | Spanish | Spanish | es | | Madrid; Seville; Granada; Vigo; A Coruña | |
    Kenya | Kenyan | Swahili | african | | Nairobi; Mombasa; Eldoret | |
    Japan | Japanese | Japanese | asian | | Tokyo; Osaka; Sapporo; Nara | |
    Austria | Austrian | German | de | | Vienna; Graz; Linz | |
    Italy | Italian | Italian | italian | | Rome; Turin; Parma; Bari; La Spezia | |
    Egypt | Egyptian | Arabic | arabic | | Cairo; Luxor; Aswan | |
    Canada | Canadian | English | en | | Ottawa; Halifax; Regina; Moose Jaw | |
    Denmark | Danish | Danish | nordic | | Copenhagen; Aarhus; Odense | |
    Sweden | Swedish | Swedish | nordic | | | Stockholm; Malmö; Umeå |
    Chile | Chilean | Spanish | es | | | Santiago; Valparaíso; Arica |
    Ghana | Ghanaian | English | african | | | Accra; Kumasi |
    Slovenia | Slovenian | Slovene | slavic | | | Ljubljana; Maribor |
    Finland | Finnish | Finnish | nordic | | | | Helsinki; Turku; Oulu
    Argentina | Argentine | Spanish | es | | | | Buenos Aires; Rosario; Mar del Plata
    Morocco | Moroccan | Arabic | arabic | | | | Rabat; Fez; Agadir
    Nigeria | Nigerian | Hausa | african | | | | Lagos; Kano; Port Harcourt
    South Korea | South Korean | Korean | asian | | | | Seoul; Busan; Daegu
    Iceland | Icelandic | Icelandic | nordic | | | | Reykjavik; Akureyri
    Australia | Australian | English | en | | | | Perth; Hobart; Ballarat
    the Netherlands | Dutch | Dutch | de | | | | Utrecht; The Hague; Eindhoven
    """
)

# "Full name = short name": the short name follows after the first mention.
COMPANIES = _pool(
    "Amazon; Apple Inc. = Apple; Rolls-Royce",
    """Halden Steel Corp. = Halden Steel; Brightwater plc = Brightwater; Nordvik Shipping ASA = Nordvik;
    Castellan & Sons = Castellan; Pemberton-Hayes Ltd. = Pemberton-Hayes; Orchid Foods = Orchid; eKarta;
    Tri-Valley Bank = Tri-Valley; Meridian Motors AG = Meridian; Kobayama Optical Co. = Kobayama;
    Lowland Rail; Vantor; Banco del Puerto; Summit Air;
    Harper; Fontaine et Fils = Fontaine""",
    """Greyfriars Insurance plc = Greyfriars; iVolt; Tamarind Textiles = Tamarind; Öster Bygg AB = Öster Bygg;
    Blake-Norton Inc. = Blake-Norton; Sterling Dairy""",
    """Quillon Energy Inc. = Quillon; Marlowe & Finch LLP = Marlowe & Finch; Baltika Timber OÜ = Baltika Timber;
    Aster-Lang; Crown Tiles; Sólheimar Fish hf. = Sólheimar; Delta Four;
    Ruby Airlines = Ruby; mPort; Winslow Paper Co. = Winslow; Grupo Altamar S.A. = Altamar;
    Chester""",
)

PARTIES = _pool(
    "Liberal Union; Green Alliance",
    "National Farmers Party; Social Democratic Party; Centre Party; People 's Front; Workers ' League; New Dawn Party",
    "Progress Party; Coastal Voters ' Union",
    "Civic Forum; Conservative Bloc; Republican Left; Citizens ' Alliance; Reform Movement; Pensioners ' Party",
)

AGENCIES = _pool(
    "U.N.; European Union; World Bank",
    "IMF; European Commission; Red Cross; WHO; International Labour Organization; EU",
    "World Trade Organization; OECD",
    "African Union; Council of Europe; World Food Programme; OSCE; Arab League; Asian Development Bank",
)

# Bodies whose names go without an article.
BODIES = _pool("Greenpeace", "NATO; UNICEF; Interpol", "Oxfam", "UNESCO; ASEAN; Europol")

CLUBS = _pool(
    "Chelsea; Lincoln City",
    "Harborough Rovers; Ashby Town; Real Montaña; Dynamo 93; Northgate Athletic; Saint-Martin FC",
    "Fairhaven Wanderers; Sporting Alameda",
    "Inter Valdora; Oakfield Albion; Kestrels; Union 04; Old Port FC",
)

WORKS = _pool(
    "The Glass Harbour; Winter in Paris",
    """The Salt Road; Nine Lanterns; A Bridge for Anna; Letters from the Attic; Blue Monday Waltz; Rust;
    The Clockmaker 's Son; Under the Plum Tree; Seven Doors; The Last Ferry""",
    "Songs of Small Rivers; The Quiet Year; Marzipan",
    """The Orchard at Midnight; Eleven Horses; A Map of Rain; Sister Moon; Tomorrow , Perhaps; Granite; The Tea Thief;
    North of Nowhere""",
)

AWARDS = _pool(
    "Golden Compass",
    "Silver Quill; Marchbank Prize; Lumen Award; Halvard Medal",
    "Amber Crown; Tessel Prize",
    "Copper Lyre; Ravenna Medal; Palm of Honour; Orsolya Prize",
)

EVENTS = _pool(
    "World Cup; Olympic Games",
    "European Championship; Davis Cup; Super League; Asian Games; Six Nations",
    "Nations League; Pan-American Games",
    "Copa Sur; Baltic Cup; Winter Games; Confederations Shield; African Games",
)

FEASTS = _pool("Christmas", "Easter; Carnival; Hanukkah", "Mardi Gras", "Ramadan; Diwali; Whitsun")

BLENDS = _pool(
    "Franco-German",
    "Anglo-Irish; Sino-Japanese; U.S.-led; Polish-Czech; Afro-Caribbean",
    "Austro-Hungarian; Italo-Swiss",
    "Austro-Italian; Sino-Indian; Russo-Turkish; Luso-Brazilian; EU-wide",
)

RIVERS = _pool(
    "Elda",
    "Ormel; Lunde; Brisk; Tavna; Saint-Aubin",
    "Wend; Calder",
    "Isk; Morava Brook; Yarrow; Upper Tay",
)

QUARTERS = _pool(
    "Chelsea; Old Town",
    "Harbour Square; Mill Lane; Queen 's Park; Linden Street; Montmartre",
    "Lantern Hill; Abbey Road",
    "Copper Quay; Rue des Tanneurs; Fifth Avenue; Bishop 's Gate; Plaza Nueva",
)

PEAKS = _pool(
    "Mont Blanc",
    "Mount Kessa; Storfjell; Lake Oriel; Cape Dorran",
    "Lake Sennick; Mount Alba",
    "Mount Tarrow; Lake Pihla; Cape Merrin; St. Agnes Island; Pico Blanco",
)

# ---------------------------------------------------------------------------------------------------------------------
# English patterns
# ---------------------------------------------------------------------------------------------------------------------

EN_TOPICS: dict[str, Topic] = {
    "politics": _topic(
        heads="""
        By {q} {paper1} <political staff|parliament desk>
        """,
        leads="""
        ^ {p1.last} : no to <housing|water|tax> bill >> {p1} , leader of the <opposition|governing> {party1} , said on
        + {day} that {p1.he} would <vote against|rewrite> the bill when parliament returns in {month} .
        {c1.adj} parliament backs <pensions|schools|fishing> bill >> The {c1.adj} parliament on {day} passed a bill
        + that {p1} of the {party1} has fought for since {n:2005:2023} .
        ^ {c1.bare} {c2.bare} near deal on <fish|rail link|timber> >> {c1.adj} <finance|foreign|transport> minister
        + {p1} met {c2.adj} officials in {city1} on {day} to discuss <a new rail link|fishing rights|the cost of
        + energy|trade in timber> .
        ^ {party1} picks {p1.last} >> {p1} was elected president of the {party1} on {day} , beating {q} by {n:12:90}
        + votes .
        {city1} mayor {p1.last} sworn in >> {city1} 's new mayor , {p1} of the {party1} , took office on {date} and
        + promised <cleaner streets|cheaper buses|more trees> .
        ^ {dd} summit opens in {city1} >> {p1} , who speaks for {c1} at the {agency} , opened a {dd} summit in {city1}
        + on {day} with an appeal for <patience|money|calm> .
        """,
        bodies="""
        {p1} said the plan would cost {money} over {n:3:9} years .
        " We have waited long enough , " {p1} told reporters outside the town hall in {city2} .
        The {party1} holds {n:20:90} of the {n:150:400} seats in parliament .
        {q} , speaking for the {party2} , called the proposal " a gift to <the rich|the banks|big landlords> " .
        The {agency} has asked both sides to return to the talks in {city1} .
        About two-thirds of voters in {city1} <support|oppose|like> the idea , according to a survey for the {paper1} .
        {c1} and {c2} signed a similar agreement in {year} .
        {p1} , {n:38:67} , was born in {city2} and taught law at the {uni1} before entering politics .
        Nobody in the room spoke .
        The vote was <close|secret|delayed by an hour> .
        A second reading of the bill is expected on {date} .
        In a speech in {c2.lang} , {p1} thanked the people of {city3} for their welcome .
        The {dd} trade office in {city1} has been closed since {month} .
        {p1} 's deputy , {q} , will speak for the {party1} until {month} .
        The minister 's office did not answer calls on {day} .
        Asked whether {p1.he} would resign , {p1} smiled and said : " Not before {feast} . "
        No date has been set for the election , but {party1} officials expect it by {month} .
        Trade union leader {q} , who is close to {p1} , said the bill had been written in a hurry and would hurt small
        + firms , schools and , above all , <farmers in the north|families on low pay|people who work at night> .
        {c1.adj} diplomats in {city3} said <privately|on {day}> that they may ask {body} for help .
        It may rain on the parade , but the president will attend anyway .
        [LOC Washington] has been slow to reply to the letter , {p1} said .
        " May I finish ? " {p1} asked .
        """,
        held="""
        Supporters waved {c1.adj} flags as {p1} left the hall in {city1} .
        {p1} beat {party2} candidate {q} by just {n:11:400} votes , the electoral office in {city1} said .
        The {c1.adj} [ORG Interior Ministry] said turnout had passed {pct} by noon .
        Neither {p1} nor {p1.his} lawyer , {q} , would say why {c2} had been left out of the talks .
        Under the {blend} treaty of {year} , ships from {c2} may use the port of {city2} free of charge .
        [LOC Madrid] and [LOC Brussels] were both caught off guard , an aide to {p1} admitted .
        If the {party2} walks out , {p1} will need the votes of all {n:4:9} independents to pass the bill , which bans
        + night flights over {city1} , {city2} and most of the coast .
        [LOC Washington] sent no delegate to the meeting , and neither did {body} .
        """,
    ),
    "football": _topic(
        heads="""
        ^ soccer - {t1} {t2} match report
        """,
        leads="""
        ^ soccer - {t1} <beat|sink|stun> {t2} {score} >> {p1} scored twice as {t1} beat {t2} {score} on {day} to move
        + <top of the table|into third place|out of danger> .
        ^ soccer - {t1} {t2} share points >> {t1} and {t2} drew {draw} in {city1} on {day} after {p1} missed a late
        + penalty .
        {t1} sign {c2.adj} {p2.last} >> {t1} have signed {c2.adj} <defender|striker|midfielder> {p2} from {t2} for
        + {n:2:40} million euros , the club said on {day} , and captain {p1} has already shown
        + the newcomer round {city1} .
        ^ {p1.last} <sends {t1} top|rescues {t1}|sinks {t2}> >> A last-minute header by {p1} gave {t1} a {score} win
        + over {t2} .
        """,
        bodies="""
        {p1} put the home side ahead in the {n:3:44}th minute .
        {t2} , who have won only {n:2:5} of their last {n:8:14} games , play {ta} on {day} .
        " We were lucky , " <admitted|said> {t1} <coach|manager> {q} .
        {q} was sent off after a foul on {p1} .
        The {c1.adj} international limped off before half-time .
        {t1} : {qa} , {qb} , {qc.last} , {p1.last}
        Attendance : {n:8:61},{n:100:999}
        {t1} last won the cup in {year} .
        {c2.adj} {q2} saved a penalty , but {t2} never looked like scoring .
        {p1} , who joined from {ta} in {month} , has <eight|nine|eleven|fourteen> goals this season .
        {c1} will play {c2} in {city3} in a [MISC World Cup] qualifier next {day} .
        Fans of {t1} sang until midnight in the bars around {city1} station .
        The second half was dull .
        {t1} midfielder {q} may miss the rest of the season with a knee injury , and the club is looking for a
        + replacement in {c2} and {xa} .
        Referee {qa} ( {xa.bare} ) showed {n:3:8} yellow cards .
        The return leg is in {city2} on {date} .
        " {city1} is a wonderful place to play football , " {p1} said .
        Scorers : {qa.last} {n:3:44} , {p1.last} {n:46:88}
        """,
        held="""
        {t1} 's {c2.adj} forward {q2} hit the post twice .
        Visiting {t2} had {q} to thank for three fine saves .
        {p1} 's late strike left {t2} bottom of the group , four points behind {ta} and {tb} .
        {t2} : no changes .
        A crowd of {n:12:48},{n:100:999} in {city1} saw {t1} go three up before {t2} , beaten by {ta} last week , woke
        + up and pulled two back through {qa.last} and {q} .
        {c1} coach {q} watched from the stands as {p1} limped off .
        {ta} lost again .
        {p1} has never scored against a {c2.adj} club .
        """,
        one_sex=True,
    ),
    "results": _topic(
        heads="",
        leads="""
        ^ soccer - {c1.adj} league results >>
        + Results of {c1.adj} <first|second|third> division matches played on {day} :
        ^ {c1.adj} cup , <second|third|fourth> round >> {c1.adj} cup results on {day} ( home side first ) :
        """,
        bodies="""
        {ta} {n:0:4} {tb} {n:0:3}
        {ta} {tb} {anyscore}
        {ta} ( {qa.last} {n:3:88} ) {n:1:3} {tb} 0
        """,
        held="""
        {ta} - {tb} {anyscore} ( half-time 0-0 )
        Postponed : {ta} {tb}
        """,
        table=True,
        one_sex=True,
    ),
    "standings": _topic(
        heads="""
        ^ soccer - {c1.adj} league standings
        ^ {c1.adj} league table
        """,
        leads="""
        {c1.adj} standings after {day} 's matches ( played , won , drawn , lost , points ) :
        Leading {c1.adj} sides after {day} 's games :
        """,
        bodies="""
        {ta} {record}
        {rank}. {ta} {falling}
        """,
        held="""
        {rank} {ta} , {falling} points
        """,
        table=True,
    ),
    "race": _topic(
        heads="",
        leads="""
        ^ athletics - leading <results|times> in {city1} >>
        + Leading times in the {n:20:90} km race at {city1} on {day} :
        ^ cycling - {tour} >>
        + Overall placings in the {tour} after the {n:4:9}th stage from {city1} to {city2} :
        ^ <running|walking> - {c1.adj} championship >> First across the line in {city1} on {day} :
        """,
        bodies="""
        {rank}. {qa} ( {xa.bare} ) {clock}
        {qa} {xa.bare} {clock}
        {rank}. {qa} ( {xa.bare} / {companyx} )
        """,
        held="""
        {rank} {qa} {xa.bare} {clock}
        {rank}. {qa.last} ( {xa.bare} )
        """,
        table=True,
        one_sex=True,
    ),
    "draw": _topic(
        heads="""
        ^ tennis - {open1} results
        ^ {open1} , <first|second|third> round
        """,
        leads="""
        Results at the {open1} in {city1} on {day} ( prefix number denotes seeding ) :
        Matches played in {city1} on {day} :
        """,
        bodies="""
        {qa} ( {xa.bare} ) beat {qb} ( {xb.bare} ) {sets}
        {rank} - {qa} ( {xa.bare} ) beat {qb} ( {xb.bare} ) {sets}
        """,
        held="""
        {qa.last} ( {xa.bare} ) - {qb.last} ( {xb.bare} ) {sets}
        """,
        table=True,
        one_sex=True,
    ),
    "running": _topic(
        heads="""
        By {q} {paper1} sports staff
        """,
        leads="""
        ^ {c1.adj} {p1.last} runs record >> {p1} of {c1} won the {marathon1} on {day} in two hours {n:4:19} minutes ,
        + a course record .
        {c2.adj} {p2.last} second in {marathon1} >> {c1.adj} {p1} and {c2.adj} {p2} ran the last ten kilometres of the
        + {marathon1} side by side on {day} before {p1} pulled away .
        """,
        bodies="""
        The {c2.born} runner {q} finished {n:9:40} seconds behind {p1} .
        {p1} trains in {city2} with {p1.his} cousin , former {c2.adj} champion {q} .
        The winner receives {sum} .
        {p1} <will not run again|will rest> before {month} .
        {xa} 's {qa} stopped after {n:11:35} kilometres with a <sore foot|cramp> .
        {city1} hopes to stage the {event} in {n:2026:2034} .
        " It was like running through soup , " {p1} said of the heat .
        Third was {qa} of {xa} .
        Ten thousand people lined the road from {city1} to {airport1} , and a band from {city3} played until the last
        + runner , a {n:70:84}-year-old baker from {ya} , had crossed the line .
        """,
        held="""
        {p1} led from the tenth kilometre .
        Organisers of the {marathon1} expect {n:12:40},000 runners , more than half of them from outside {c1} .
        {p1} skipped {city3} to rest .
        Behind {p1} came {qa} {xa.bare} and {qb} {xb.bare} .
        """,
        one_sex=True,
    ),
    "tennis": _topic(
        heads="""
        By {q} {paper1} sports staff
        """,
        leads="""
        ^ tennis - {p1.last} beats {p2.last} in {city1} >> {c1.adj} {p1} beat {c2.adj} {p2} {sets} on {day} to reach
        + the <second round|semifinals|final> of the {open1} .
        {p1.last} to miss {open1} >> {p1} , the {n:17:34}-year-old {c1.adj} player , announced on {day} that {p1.he}
        + would not defend {p1.his} title at the {open1} .
        """,
        bodies="""
        {p1} needed only {n:48:95} minutes .
        {p1} , ranked {n:11:90}th in the world , will next face {qa} of {xa} .
        " My arm is fine , " {p1} said .
        {p1} hit {n:4:19} aces and beat the {c2.born} qualifier {q} in the round before .
        {p1} has won three of {p1.his} four matches against {qa.last} , two of them in {xa} .
        Rain stopped play at 4-4 in the second set .
        {p1} trains in {city2} with {p1.his} brother and former {c2.adj} champion {q} .
        The winner receives {sum} .
        It was {p1.his} first defeat since {month} .
        {xa} 's {qa} pulled out of the {open1} with a fever .
        No {c1.adj} player has won the title since {year} , when {q} beat {qa} of {xa} in a five-set final that lasted
        + until after midnight .
        {p1} missed the {event} because of <an illness|an injury|examinations> .
        {city1} hopes to stage the {event} in {n:2026:2034} .
        {p1} thanked the crowd in {c2.lang} .
        Third-seeded {qa} was less fortunate .
        " I grew up in {city3} , so {city1} feels like a holiday , " {p1} said with a grin .
        A doctor told {qa} , {xa.adj} champion and second seed , to go home .
        """,
        held="""
        Next up for {p1} is {xa} 's {qa} , the champion in {ya} last {month} .
        {xa.adj} pair {qa} and {qb.last} won the doubles .
        {p1} skipped {city3} to rest .
        Only {q} , a qualifier from {city2} , has taken a set off {p1} this year .
        The {openx} ? " Not for me , " said {p1} .
        Play in {city1} starts at {time} .
        """,
        one_sex=True,
    ),
    "business": _topic(
        heads="""
        By {q} {newswire}
        """,
        leads="""
        ^ {company1} plans {city1} <site|office|plant> >> {company1} said on {day} it would <build a plant|open an
        + office|close a warehouse> in {city1} , {c1} , at a cost of {money} .
        ^ {company1} names {p1.last} >> {company1} has named {p1} as chief executive from {month} {n:1:28} .
        {company1} <lifts|weighs on> {c1.adj} shares >> Shares in {company1} moved by {pct} in {city1} on {day} after
        + the company reported a profit of {money} .
        ^ {company1} {company2} in merger talks >> {company1} and {company2} are in talks about a merger , two people
        + close to the {c1.adj} group said on {day} .
        """,
        bodies="""
        {company1} employs about {n:2:60},000 people in {c1} and {c2} .
        {q} , an analyst at {company2} in {city1} , said the price was " fair but not cheap " .
        Analysts had expected {money} .
        The shares closed at {n:4:98}.{n:10:99} , up {n:2:90} cents .
        {company1} , founded in {city2} in {year} , makes <pumps and valves|paper|bicycles|frozen meals|tyres> .
        A spokesman for {company1} declined to comment .
        {p1} , who spent {n:4:20} years at {company2} , replaces {q} .
        The {agency} lent {c2} {money} in {n:1996:2023} to modernise its ports .
        Orders from {c2.adj} customers <doubled|fell by one-third|were flat> in the three months to {month} .
        The bill for the repairs will be shared by {company1} and {company2} .
        Unchanged .
        Workers at the {city2} plant walked out for two hours on {day} , and their union , the [ORG Metal Workers '
        + Federation] , said it may call a full strike unless {company1} reopens talks on pay before the end of
        + {month} .
        Apple growers around {city2} sell most of their fruit to {company1} .
        The deal needs the approval of the {c1.adj} [ORG Competition Council] .
        " This is a long-term bet on {c2} , " chairman {q} wrote in a letter to shareholders .
        The {city1} exchange index gained {n:2:70}.{n:10:99} points to {n:2:9},{n:100:999}.{n:10:99} .
        {company1} {n:12:80}.{n:10:99} {company2} {n:3:60}.{n:10:99}
        Sales of its best-known product , an apple juice , are falling .
        Why now ?
        """,
        held="""
        {company2} bought {pct} of {company1} from the {q.last} family in {month} .
        {company1} 's {city2} and {city3} sites will not be affected .
        Former {company2} lawyer {q} joins the board .
        Rivals such as {company2} and {companyx} have already moved production to {c2} .
        Gloomy analysts aside , few in {city1} were surprised .
        {companyx} , not {company1} , won the contract to supply the {c2.adj} [ORG Defence Ministry] .
        Brokers {company2} rate the stock a " hold " .
        The family of {q} , who opened the first {company1} shop in {quarter} in {year} , still owns {pct} .
        """,
    ),
    "science": _topic(
        heads="""
        {uni1} <news|notes>
        """,
        leads="""
        ^ {c1.adj} team finds <frog|village|old well> near {peak} >> Researchers at the {uni1} have <found a new
        + species of frog|dated a buried village|mapped an old well> near {peak} , {p1} told a conference in {city1}
        + on {day} .
        Bees can <count|learn|see faces> , {c1.adj} study says >> A team led by {p1} of the {uni1} has shown that bees
        + can <count to four|learn from each other|tell faces apart> .
        ^ {uni1} satellite in orbit >> A {c1.adj} satellite built by the {uni1} reached orbit on {date} , project
        + leader {p1} said .
        """,
        bodies="""
        The work was paid for by the {agency} and {company1} .
        " We did not believe it at first , " said {p1} .
        The samples were taken from the river {river} in {month} .
        {p1} and {p1.his} colleague {q} studied {n:40:900} patients at {hospital1} .
        The results appear in this month 's issue of the [ORG Journal of Field Studies] .
        Dr. {q} , who was not part of the team , called the results " <careful|surprising|a first step> " .
        Snow fell .
        The expedition followed the [LOC Amazon] for {n:90:900} kilometres before turning south .
        About {pct} of the samples were clean .
        Ancient {blend} trade may explain the coins , {p1} wrote .
        {p1} won the {award} in {year} .
        The instrument weighs {n:2:90} kg and runs on a battery no bigger than an apple .
        More than half of the frogs lived in trees .
        A copy of the text , written in {c2.lang} , is kept in the {museum1} .
        The {uni1} will share its data with groups in {c2} , {xa} and {xb} , and hopes that a larger survey , planned
        + for next {month} , will settle the question .
        Further tests are planned .
        [PER Lincoln] , a laboratory mouse , was named after the town where the team first met .
        Two-thirds of the money comes from {c2} .
        " That may change , " said {q} of {body} .
        """,
        held="""
        {p1} now plans to repeat the test in {ya} and at {peak} .
        {hospital1} and the {uni1} have worked together since {year} .
        Skeptics , {q} among them , want to see the raw data .
        Few {c1.adj} museums own such a fossil .
        The camera was switched on over {xa} at {time} .
        The {blend} vocabulary on the tablet puzzled even {p1} , who reads {c2.lang} , {xa.lang} and five other
        + tongues .
        The frogs , first seen near {peak} by {q.last} in {year} , are blue .
        """,
    ),
    "travel": _topic(
        heads="""
        {city1}
        ^ a weekend in {city1}
        {city1} {c1.bare}
        Where to eat near {quarter}
        By {q} {paper1} travel desk
        """,
        leads="""
        Few visitors to {c1} ever stop in {city1} , which is a pity .
        The night train from {city1} to {city2} takes {n:6:14} hours and costs less than {n:20:90} euros .
        {city1} is best seen in {month} , when the <crowds are gone|fruit trees bloom|evenings are long> .
        """,
        bodies="""
        Start early in {quarter} , where <stalls sell warm bread|the old tram turns|students play chess> .
        {ya} , {yb} and {yc} are an hour away by air .
        Trams run every {n:4:15} minutes until {time} .
        The {museum1} is closed on <Mondays|Tuesdays|feast days> .
        My guide , {p1} , grew up here and speaks {c2.lang} and a little {xa.lang} .
        Direct flights : {ya} {yb} {yc} .
        Bring a coat .
        On a clear day the view from {peak} reaches as far as {city2} .
        A room at the {hotel} costs from $ {n:60:240} a night .
        {airline} flies from {city3} to {airport1} three times a week .
        _ has anyone been to {ya} in {month} ? we loved {city1} and would go back tomorrow .
        The boat down the {river} leaves at {time} and stops for lunch in a village whose name nobody on board , not
        + even the captain , could spell .
        The best apple cake in {c1} is baked by {q} , an {c2.born} pastry chef , in a cellar in {quarter} .
        Order the soup .
        During {feast} every bed in {city1} is taken .
        " You may photograph everything except me , " {p1} said .
        Most signs are in {c1.lang} , so a phrase book helps .
        {p1} 's grandmother came from {ya} in {year} with two suitcases and a goat .
        Closed in {month} .
        """,
        held="""
        Skip the castle ; {city2} has a better one .
        The road from {airport1} to {quarter} is being rebuilt .
        {p1} waved us on to {city2} .
        _ is the bus from {airport1} to {city1} safe at night ?
        {xa.adj} and {xb.adj} tourists come for the hot springs , {c2.adj} ones for the cheese .
        Buses for {ya} {yb} {yc} leave from stand {n:2:14} .
        Try the bar in {quarter} run by {q} , who speaks no {xa.lang} .
        South of {city1} the {river} widens into a lake where , in {month} , thousands of cranes rest on their way to
        + {xa} .
        """,
    ),
    "weather": _topic(
        heads="""
        {c1.bare}
        Weather for {day} , {date}
        """,
        leads="""
        ^ <storm|fog|snow> shuts {airport1} >> Heavy <rain|snow|fog> closed {airport1} for {n:2:9} hours on {day} ,
        + officials in {city1} said .
        ^ {c1.adj} storm kills <two|six|nine> >> A storm cut power to {n:2:90},000 homes in {c1} on {day} , the
        + {c1.adj} news agency {newswire} said .
        ^ floods cut off {city1} {city2} >> The river {river} burst its banks near {city1} early on {day} after
        + {n:3:9} days of rain .
        """,
        bodies="""
        Winds of up to {n:90:160} km an hour were measured at {peak} .
        Outlook : {city1} {n:3:9} , {city2} {n:10:24} , {city3} {n:25:34} .
        Dry and cold in {c2} .
        {p1} , who lives in {city2} , said the water rose to the second floor in less than an hour .
        Troops were sent to {city1} , where the [ORG Red Cross] has put up {n:20:400} tents .
        Fog : {city1} {city2} {ya} .
        " I have lost everything , " said {q} , {n:23:80} , a farmer near {city1} .
        Sunny spells later .
        The storm is moving north and is expected to reach {city2} by <midnight|noon|{day}> .
        Last {month} was the <wettest|driest|warmest> in {c1} since {year} .
        {company1} said its <warehouse|factory|depot> in {city2} was under half a metre of water .
        Trains between {city1} and {city2} were cancelled , {q} of {railway} said .
        Temperatures fell to minus {n:11:29} in {city2} .
        Schools stayed shut .
        {q} , mayor of {city1} , said <two-thirds of the roads were blocked|the worst was over> .
        The apple crop has been ruined , and the {agency} fears that prices across {c1} , {c2} and {xa} will climb
        + before the end of the year .
        More rain may fall at the weekend .
        Damage is put at {money} .
        """,
        held="""
        {city1} saw {n:40:90} mm of rain in a day , {city2} none .
        {hospital1} had no power until {time} .
        {p1} and {q} were rescued from the roof of the {museum1} .
        Cloudy in {city1} {city2} {city3} .
        Coaches to {ya} were cancelled , and {airline} diverted {n:3:12} flights to {xa} .
        In {quarter} the water stood knee-deep .
        Snow in {month} is rare in {c1} , but {p1} remembers {year} well .
        """,
    ),
    "culture": _topic(
        heads="""
        Book review : {work1} , by {p1}
        """,
        leads="""
        ^ {c1.adj} {p1.last} wins {award} >> {c1.adj} <writer|director|composer> {p1} won the {award} in {city1} on
        + {day} for " {work1} " .
        {work1} opens in {city1} >> " {work1} " , the new <film|play|novel> by {p1} , comes to {city1} on {date} .
        {museum1} to show {p1.last} >> The {museum1} will show {n:30:140} drawings by {p1} , author of " {work1} " ,
        + from {month} to {month} .
        """,
        bodies="""
        {p1} , {n:27:84} , wrote " {work1} " in {c1.lang} while living in {city3} .
        The story follows a <nurse|sailor|piano tuner> called {hero} who leaves {city2} for {c2} .
        " I never read reviews , " {p1} said in an interview with the {paper1} .
        Critics were less kind .
        The {c2.adj} translation is by {q} .
        Tickets cost {n:9:80} euros .
        {q} sings the part of {hero} , a {c2.adj} spy .
        Earlier winners of the {award} include {qa} of {xa} and {qb} of {xb} .
        The part was first offered to {q} , who was busy filming " {work2} " in {ya} .
        A bill to lower the tax on books is before parliament , and publishers such as {company1} say that it may come
        + too late for many small shops .
        {p1} studied at the {uni1} and later moved to {c2} .
        Applause .
        The {festival1} , now in its {n:11:60}th year , opened with a concert of {c2.adj} songs .
        The museum bought the picture from a dealer in {quarter} for {money} .
        It is {p1.his} third book and , at {n:600:990} pages , {p1.his} longest .
        {p1} keeps an apple on {p1.his} desk but never eats it .
        The orchestra of {city2} will play works by {qa.last} and {q} .
        Jazz singer {q} cancelled shows in {ya} , {yb} and {yc} .
        """,
        held="""
        {hero} , the heroine of " {work1} " , speaks only {c2.lang} .
        Like " {work2} " , it was shot in {ya} .
        {q} 's score borrows from {blend} folk songs .
        The jury , chaired by {qa} , split two-thirds to one-third .
        {p1} gave the prize money to {hospital1} .
        " {work2} " by {q} and " {work1} " were both put into {c2.lang} by {qa.last} .
        Born in {city2} to {c2.adj} parents , {p1} sold umbrellas in {quarter} before the {paper1} printed {p1.his}
        + first story .
        """,
    ),
    "courts": _topic(
        heads="""
        By {q} {paper1} court reporter
        """,
        leads="""
        ^ {city1} court jails {company1} thief >> A court in {city1} on {day} sentenced {p1} to {n:2:9} years in
        + prison for stealing {sum} from {company1} .
        ^ {p1.last} {company1} trial opens >> {p1} , a former {company1} <driver|clerk|accountant> , went on trial in
        + {city1} on {day} .
        {c1.adj} police make arrests in {city1} >> {c1.adj} police arrested {n:3:30} people in {city1} and
        + {city2} on {day} over the theft of paintings from the {museum1} ; {p1} , a guard there , was among them .
        """,
        bodies="""
        {q} , for the defence , said {p1} had acted alone .
        The judge , {q} , will rule on {date} .
        Mr. {q.last} told the court that he saw a white van outside the {company1} office in {quarter} .
        {p1} denies everything .
        Two {c2.adj} suspects were flown to {city3} .
        Nobody was hurt .
        The paintings , worth {money} , were found in a garage near {city2} .
        " Tell us where you were in {month} , " lawyer {q} said .
        " In {ya} , " {p1} replied .
        Police in {city3} are still looking for {qa} , a {xa.adj} dealer who left {c1} the day after the theft .
        {company1} said in a statement that it had <changed its locks|sold the building|hired new guards> .
        The [ORG Supreme Court] refused to hear the case in {year} .
        Bail was set at {sum} .
        The {paper1} , which first reported the theft , said a guard at {hospital1} had sold copies of the keys to at
        + least {n:3:9} people , one of them a {c2.adj} citizen .
        {p1} may appeal .
        Guilty .
        {p1} wept as {p1.his} sister , {q} , left the courtroom .
        """,
        held="""
        {city1} prosecutors want {p1} sent back to {c2} .
        {q} , once a clerk at {company1} , told a different story .
        {p1} spoke through a {c2.lang} interpreter .
        The {agency} will visit {n:2:9} prisons in {c1} in {month} .
        A receipt from a bar in {ya} , dated {date} , put {p1} far from {quarter} on the night in question .
        {company1} lawyers {q.last} and {qa.last} left without a word .
        """,
    ),
}

# Small values that only need a word from a list.
NEWSWIRES = _pool("Interpress", "Norsk Tidende; PAP; Agence Sud", "Nova", "Telam-Sur; Suomi Press; Yonsei News")
AIRLINES = _pool("Summit Air", "Polar Wings; Air Meridian; Aerolínea Norte", "Tern Air", "Ruby Airlines; Skylark")
RAILWAYS = _pool("State Railways", "Lowland Rail; InterNord", "Trans-Alpine", "CityLine; East Coast Rail")
HEROES = _pool("Anna; Old Tom", "Viola; Jacob; Little Hans; Marguerite", "Ida; Paris", "Esme; Dorotea; Captain Roy")

EN_DAYS = _list("Monday; Tuesday; Wednesday; Thursday; Friday; Saturday; Sunday")
EN_MONTHS = _list("January; February; March; April; May; May; June; July; August; September; October; November")

# Documents that place the ambiguous words in every split; the rest of each split is drawn freely.
_US = "United States"
_APPLE = "Apple Inc. = Apple"
EN_PLANS: dict[str, tuple[Plan, ...]] = {
    "train": (
        Plan("politics", {"p1": "Claire Washington f", "c1": _US, "city1": "Washington"}),
        Plan("politics", {"p1": "Stuart May m", "c1": "Britain", "city1": "London"}),
        Plan("politics", {"p1": "Giorgi Beridze m", "c1": "Georgia", "c2": "Jordan"}),
        Plan("politics", {"p1": "Bill Kessler m", "c1": _US, "city1": "Lincoln"}),
        Plan("football", {"c1": _US, "city1": "Washington", "t1": "Washington", "t2": "St. Louis"}),
        Plan("football", {"c1": "Britain", "city1": "London", "t1": "Chelsea", "t2": "Leeds"}),
        Plan("football", {"c1": "France", "city1": "Paris", "t1": "Paris", "t2": "Lyon"}),
        Plan("football", {"c1": "Britain", "city1": "Lincoln", "t1": "Lincoln", "t2": "Reading"}),
        Plan("tennis", {"p1": "Paris Aldridge f", "c1": _US, "c2": "France", "city3": "Paris"}),
        Plan("tennis", {"p1": "Jordan Fielding m", "c1": "Britain", "c2": "Jordan"}),
        Plan("business", {"company1": "Amazon", "c1": "Brazil", "city1": "Manaus"}),
        Plan("business", {"company1": _APPLE, "c1": _US, "p1": "Helen Lincoln f"}),
        Plan("business", {"company2": "Amazon", "company1": "Harper", "c1": "Georgia"}),
        Plan(
            "science",
            {"p1": "May Thornton f", "c1": "Britain", "c2": "Brazil", "river": "Amazon"},
            ("The [LOC Amazon] was in flood when {p1} arrived .",),
        ),
        Plan("science", {"p1": "Georgia Marsh f", "c1": _US, "c2": "Georgia"}),
        Plan("travel", {"c1": "Jordan", "city1": "Amman", "p1": "Karim Haddad m"}),
        Plan("travel", {"c1": "Britain", "city1": "London", "quarter": "Chelsea", "p1": "Lincoln Hale m"}),
        Plan("culture", {"p1": "Chelsea Barrow f", "c1": "Britain", "quarter": "Chelsea", "work1": "Winter in Paris"}),
        Plan("weather", {"c1": "Georgia", "c2": "Jordan", "company1": _APPLE}),
        Plan("courts", {"p1": "Simon Washington m", "c1": _US, "company1": "Amazon"}),
        Plan("courts", {"p1": "Rachel Jordan f", "c1": "Britain", "c2": "Jordan"}),
    ),
    "valid": (
        Plan(
            "politics",
            {"p1": "Owen Washington m", "c1": _US, "city1": "Washington", "c2": "Georgia"},
            ("The bill has {n:12:90} pages .",),
        ),
        Plan("football", {"c1": "Britain", "city1": "London", "t1": "Chelsea", "t2": "Lincoln"}),
        Plan(
            "tennis",
            {"p1": "Jordan Weller m", "c1": "Britain", "c2": "Jordan"},
            ("{p1} flew to [LOC Zarqa] [LOC Jordan] on {day} .",),
        ),
        Plan(
            "business",
            {"company1": _APPLE, "company2": "Amazon", "c1": "Georgia", "p1": "Bill Hobbs m"},
            ("{company2} opened a depot in {city2} in {month} .",),
        ),
        Plan(
            "science",
            {"p1": "Georgia Penrose f", "c1": "Britain", "c2": "Brazil", "river": "Amazon"},
            ("{p1} reached the [LOC Amazon] in {month} by boat from {city3} .",),
        ),
        Plan("football", {"c1": _US, "city1": "Lincoln", "t1": "Washington", "t2": "Tulsa", "p1": "Will May m"}),
        Plan(
            "travel",
            {"c1": "France", "city1": "Paris", "quarter": "Lantern Hill", "p1": "Chelsea Ainsley f"},
            ("{p1} met me under the clock .", "Lunch was bread , cheese and an apple ."),
        ),
        Plan("culture", {"p1": "Paris Kimball f", "c1": _US, "quarter": "Chelsea", "work1": "Winter in Paris"}),
        Plan("courts", {"p1": "Ruth Lincoln f", "c1": "Britain", "city1": "Lincoln", "c2": "Jordan"}),
        Plan("results", {"c1": "France"}),
        Plan("race", {"c1": "Chile"}),
        Plan("draw", {"c1": "Sweden"}),
    ),
    "test": (
        Plan("politics", {"p1": "Hazel Washington f", "c1": _US, "city1": "Washington", "c2": "Jordan"}),
        Plan("football", {"c1": "Britain", "city1": "London", "t1": "Chelsea", "t2": "Norwich", "p1": "Neil May m"}),
        Plan(
            "tennis",
            {"p1": "Paris Colby f", "c1": "Australia", "c2": "France", "city3": "Paris"},
            ("{p1} lives in [LOC Paris] and hopes to marry there in [LOC Montmartre] .",),
        ),
        Plan("business", {"company1": "Amazon", "company2": _APPLE, "c1": "Argentina", "p1": "Bill Redfern m"}),
        Plan(
            "science",
            {"p1": "Georgia Stanhope f", "c1": _US, "c2": "Brazil", "river": "Amazon"},
            ("{p1} took water from the [LOC Amazon] at {n:5:40} points between {city3} and the sea .",),
        ),
        Plan("football", {"c1": _US, "city1": "Savannah", "t1": "Washington", "t2": "Lincoln", "p1": "Jack Paris m"}),
        Plan(
            "travel",
            {"c1": "Jordan", "city1": "Aqaba", "p1": "May Tolliver f"},
            ("{p1} may show you the way , for an apple .",),
        ),
        Plan("culture", {"p1": "Chelsea Holt f", "c1": "Britain", "city1": "Lincoln", "quarter": "Chelsea"}),
        Plan(
            "courts",
            {"p1": "Jordan Ashdown m", "c1": "Netherlands", "company1": "Chester"},
            ("Two years ago {p1} was seen in [LOC Jordan] , police said .",),
        ),
        Plan("politics", {"p1": "Katja Falk f", "c1": "Finland", "c2": "Georgia"}),
        Plan("results", {"c1": "Germany"}),
        Plan("race", {"c1": "Argentina"}),
        Plan("draw", {"c1": "Morocco"}),
        Plan("weather", {"c1": "Australia", "p1": "Graham Lincoln m"}),
    ),
}

# Plain sentences and one-word titles that fit any document; each is used once at most.
EN_ASIDES = _lines(
    """
    Details were not <known|given|clear> .
    The reason is <unknown|simple|not public> .
    Few people <noticed|agreed|complained|were surprised> .
    That was <not enough|a mistake|the easy part|years ago> .
    <Nothing|Little|Much> has changed since then .
    Others are <less sure|more hopeful|still waiting> .
    It took <two|three|six|nine> <hours|weeks|years> and cost more than anyone had planned .
    <What happens next|Who will pay> is <anybody 's guess|an open question> .
    There is <no hurry|more to come|one small problem> .
    Not everyone <laughed|clapped|liked it> .
    In the end , they <waited|went home|shook hands|flipped a coin> .
    """
)
EN_TITLES = _list(
    """Background; Analysis; Update; Correction; Interview; Profile; Outlook; Verdict; Postscript; Reactions; Briefly;
    Timeline; Opinion; Prices; Diary; Letters; Summary; Explainer"""
)

# ---------------------------------------------------------------------------------------------------------------------
# The engine
# ---------------------------------------------------------------------------------------------------------------------

MARKUP = re.compile(r"\{([^}]+)\}|\[([A-Z]+) ([^\]]+)\]")
Token = tuple[str, str]


class Document(ABC):
    """A document and the values of its slots.

    Attributes:
        rng: Source of chance.
        split: Name of the split.
        fixed: Values that the plan prescribes.
    """

    def __init__(self, rng: random.Random, split: str, fixed: dict[str, str]) -> None:
        """Start an empty document.

        Args:
            rng: Source of chance.
            split: Name of the split.
            fixed: Values for some slots.
        """
        self.rng = rng
        self.split = split
        self.fixed = fixed
        self.pattern = ""
        self.known: dict[str, str] = {}
        self.spent: set[str] = set()
        self.clubs_named: set[str] = set()
        self.women: bool | None = None

    @abstractmethod
    def resolve(self, slot: str) -> list[Piece]:
        """Give the text of a slot.

        Args:
            slot: Name of the slot with its suffixes.

        Returns:
            The pieces that replace the slot.
        """

    @abstractmethod
    def tokens(self, pattern: str) -> list[Token]:
        """Turn a pattern without free choices into tagged words.

        Args:
            pattern: The pattern.

        Returns:
            Pairs of word and tag.
        """

    @abstractmethod
    def start_sentence(self) -> None:
        """Forget the names that live for one sentence only."""

    def render(self, pattern: str) -> list[Token]:
        """Write one sentence.

        Args:
            pattern: The pattern.

        Returns:
            Pairs of word and tag.
        """
        self.pattern = pattern
        self.start_sentence()
        return self.tokens(re.sub(r"<([^>]*)>", lambda m: self.rng.choice(m[1].split("|")).strip(), pattern))

    def pieces(self, text: str) -> list[Piece]:
        """Replace the mark-up in a text.

        Args:
            text: Text with slots and spelled-out entities.

        Returns:
            The pieces in order.
        """
        result: list[Piece] = []
        end = 0
        for match in MARKUP.finditer(text):
            result.append(Piece(text[end : match.start()]))
            result.extend(self.resolve(match[1]) if match[1] else [Piece(match[3], match[2])])
            end = match.end()
        result.append(Piece(text[end:]))
        return [piece for piece in result if piece.text]

    def once(self, slot: str, pool: Pool) -> str:
        """Draw a name for a slot and keep it for the document.

        Args:
            slot: Name of the slot.
            pool: Where the name comes from.

        Returns:
            The name, which no other slot of the document shares where the pool is large enough.
        """
        if slot not in self.known:
            self.known[slot] = self.fixed.get(slot) or self.fresh(pool, self.taken(slot))
        return self.known[slot]

    def taken(self, slot: str) -> set[str]:
        """List the names that slots of the same sort stand for.

        Args:
            slot: Name of a slot.

        Returns:
            The names.
        """
        if slot[0] == "t":
            return self.clubs_named | {self.fixed[other] for other in ("t1", "t2") if other in self.fixed}
        sort = slot.replace("y", "c")[0]
        return {name for other, name in self.known.items() if other.replace("y", "c")[0] == sort}

    def fresh(self, pool: Pool, taken: set[str]) -> str:
        """Draw a name that is not taken yet, if there is one.

        Args:
            pool: Where the name comes from.
            taken: Names to avoid.

        Returns:
            The name.
        """
        for _ in range(20):
            name = pool.pick(self.rng, self.split)
            if name not in taken:
                return name
        rest = [name for name in (*pool.own[self.split], *pool.common) if name not in taken]
        return rest[0] if rest else pool.pick(self.rng, self.split)

    def number(self, slot: str) -> Piece:
        """Give a whole number for a slot such as ``n:3:40``.

        Args:
            slot: The slot.

        Returns:
            The number as plain text.
        """
        _, low, high = slot.split(":")
        return Piece(str(self.rng.randint(int(low), int(high))))


def tagged(piece: Piece, words: Sequence[str]) -> list[Token]:
    """Tag the words of one piece in BIO.

    Args:
        piece: The piece the words come from.
        words: Its words.

    Returns:
        Pairs of word and tag.
    """
    if piece.kind is None:
        return [(word, "O") for word in words]
    return [(word, ("I-" if index else "B-") + piece.kind) for index, word in enumerate(words)]


class EnglishDocument(Document):
    """A document in English."""

    PEOPLE = re.compile(r"p\d|q[abc2]?")
    COUNTRY = re.compile(r"[cx][abc\d]")

    def __init__(self, rng: random.Random, split: str, fixed: dict[str, str]) -> None:
        """Start an empty document.

        Args:
            rng: Source of chance.
            split: Name of the split.
            fixed: Values for some slots.
        """
        super().__init__(rng, split, fixed)
        self.persons: dict[str, Person] = {}
        self.countries: dict[str, Country] = {}
        self.introduced: set[str] = set()
        self.surnames: set[str] = set()
        self.rank = 0
        self.clock = rng.randint(4000, 9000)
        self.points = rng.randint(38, 52)

    def start_sentence(self) -> None:
        """Forget the names that live for one sentence only."""
        for store in (self.persons, self.countries, self.known):
            for slot in [slot for slot in store if re.fullmatch(r"q[abc2]?|[xyt][abc]|companyx|openx", slot)]:
                del store[slot]
        self.introduced = {slot for slot in self.introduced if not slot.startswith("q")}

    def tokens(self, pattern: str) -> list[Token]:
        """Turn a pattern without free choices into tagged words.

        Args:
            pattern: The pattern.

        Returns:
            Pairs of word and tag.
        """
        style, text = (pattern[0], pattern[2:]) if pattern[0] in "^_" else ("", pattern)
        text = re.sub(r"\{(n:[^}]*)\}", lambda m: self.number(m[1]).text, text)
        text = re.sub(r"(\d+)th\b", lambda m: ordinal(int(m[1])), text)
        text = re.sub(r"\{rank\}", lambda _: self.value("rank", self.rng), text)
        result = [token for piece in self.pieces(text) for token in tagged(piece, piece.text.split())]
        for index, (word, tag) in enumerate(result[:-1]):
            following = result[index + 1][0]
            if word.lower() in ("a", "an") and tag == "O" and following[0].isalnum():
                result[index] = (word[0] + "n" if takes_an(following) else word[0], tag)
            if following == "'s" and word in ("States", "Netherlands"):
                result[index + 1] = ("'", "O")
        if style:
            return [(word.upper() if style == "^" else word.lower(), tag) for word, tag in result]
        first, tag = result[0]
        return [(first[0].upper() + first[1:] if tag == "O" else first, tag), *result[1:]]

    def country(self, slot: str) -> Country:
        """Give the country of a slot.

        Args:
            slot: ``c1``, ``c2`` or, for one sentence, ``xa`` to ``xc``.

        Returns:
            The country.
        """
        if slot not in self.countries:
            names = [country.name for country in self.countries.values()]
            fixed = [country for _, country in COUNTRIES if country.name == self.fixed.get(slot)]
            group = self.split if self.rng.random() < OWN_SHARE[self.split] - 0.15 else "common"
            avoid = (*names, *self.fixed.values())
            free = [country for key, country in COUNTRIES if key == group and country.name not in avoid]
            self.countries[slot] = fixed[0] if fixed else self.rng.choice(free)
        return self.countries[slot]

    def person(self, slot: str) -> Person:
        """Give the person of a slot.

        Args:
            slot: ``p1``, ``p2`` or, for one sentence, ``q``, ``qa`` and so on.

        Returns:
            The person.
        """
        if slot not in self.persons:
            if slot in self.fixed:
                given, surname, gender = self.fixed[slot].split(" ")
                self.persons[slot] = Person(given, surname, gender == "f")
            else:
                home = {"p2": "c2", "q2": "c2"}.get(slot, "c1")
                if slot[0] == "q" and len(slot) == 2 and "{x" + slot[1] in self.pattern:
                    home = "x" + slot[1]
                names = NAMES[self.country(home).group]
                female = self.rng.random() < 0.5 if self.women is None else self.women
                surname = self.fresh(names.surnames, self.surnames)
                given = self.rng.choice([name for name in (names.female if female else names.male) if name != surname])
                self.persons[slot] = Person(given, surname, female)
            self.surnames.add(self.persons[slot].surname)
        return self.persons[slot]

    def resolve(self, slot: str) -> list[Piece]:
        """Give the text of a slot.

        Args:
            slot: Name of the slot with its suffixes.

        Returns:
            The pieces that replace the slot.
        """
        name, _, suffix = slot.partition(".")
        if name.startswith("n:"):
            return [self.number(name)]
        if self.PEOPLE.fullmatch(name):
            return [self.mention(name, suffix)]
        if self.COUNTRY.fullmatch(name):
            return self.place(name, suffix)
        if name.startswith("company"):
            return [self.company(name)]
        return [self.other(name)]

    def mention(self, slot: str, suffix: str) -> Piece:
        """Name a person, or stand in for one.

        Args:
            slot: Slot of the person.
            suffix: ``last``, ``he``, ``his`` or nothing.

        Returns:
            The name or the pronoun.
        """
        person = self.person(slot)
        if suffix in ("he", "his"):
            if slot not in self.introduced:
                raise NotIntroducedError(slot)
            return Piece({"he": ("he", "she"), "his": ("his", "her")}[suffix][person.female])
        if suffix == "last" or slot in self.introduced:
            return Piece(person.surname, "PER")
        self.introduced.add(slot)
        return Piece(f"{person.given} {person.surname}", "PER")

    def place(self, slot: str, suffix: str) -> list[Piece]:
        """Name a country or something that belongs to it.

        Args:
            slot: Slot of the country.
            suffix: ``adj``, ``born``, ``lang``, ``bare`` or nothing.

        Returns:
            The pieces.
        """
        country = self.country(slot)
        if suffix in ("adj", "born", "lang"):
            adjective = country.adjective
            text = {"adj": adjective, "born": f"{adjective}-born", "lang": country.language}[suffix]
            return [Piece(text, "MISC")]
        article = [Piece("the")] if country.article and not suffix else []
        return [*article, Piece(country.name, "LOC")]

    def company(self, slot: str) -> Piece:
        """Name a company, in full the first time.

        Args:
            slot: Slot of the company.

        Returns:
            The name.
        """
        full, _, short = self.once(slot, COMPANIES).partition(" = ")
        if not short or slot in self.introduced or self.pattern.startswith("^"):
            return Piece(short or full, "ORG")
        self.introduced.add(slot)
        return Piece(full, "ORG")

    def city(self, slot: str) -> str:
        """Give the name of a city.

        Args:
            slot: ``city1`` to ``city3`` or, for one sentence, ``ya`` to ``yc``.

        Returns:
            The name.
        """
        home = {"city1": "c1", "city2": "c1", "city3": "c2"}.get(slot) or "x" + slot[1]
        return self.once(slot, self.country(home).cities)

    def other(self, slot: str) -> Piece:
        """Give the text of a slot that is no person, country or company.

        Args:
            slot: Name of the slot.

        Returns:
            The piece.
        """
        rng = self.rng
        pools = {
            "party": (PARTIES, "ORG"),
            "agency": (AGENCIES, "ORG"),
            "newswire": (NEWSWIRES, "ORG"),
            "airline": (AIRLINES, "ORG"),
            "railway": (RAILWAYS, "ORG"),
            "work": (WORKS, "MISC"),
            "award": (AWARDS, "MISC"),
            "event": (EVENTS, "MISC"),
            "feast": (FEASTS, "MISC"),
            "body": (BODIES, "ORG"),
            "blend": (BLENDS, "MISC"),
            "hero": (HEROES, "PER"),
            "river": (RIVERS, "LOC"),
            "quarter": (QUARTERS, "LOC"),
            "peak": (PEAKS, "LOC"),
        }
        stem = slot.rstrip("0123456789")
        if stem in pools:
            pool, kind = pools[stem]
            return Piece(self.once(slot, pool), kind)
        if stem == "city" or re.fullmatch("y[abc]", slot):
            return Piece(self.city(slot), "LOC")
        if re.fullmatch(r"t[\dab]", slot):
            club = self.once(slot, self.clubs())
            self.clubs_named.add(club)
            return Piece(club, "ORG")
        made = {
            "uni": (("University of {}", "{} Polytechnic", "Technical University of {}"), "ORG"),
            "paper": (("{} Courier", "{} Evening Post", "Daily {}"), "ORG"),
            "hospital": (("{} General Hospital", "St. Luke 's Hospital", "{} Children 's Hospital"), "ORG"),
            "museum": (("{} Museum of Art", "Museum of {}", "{} City Gallery"), "ORG"),
            "hotel": (("Hotel {}", "Grand {} Hotel"), "ORG"),
            "airport": (("{} Airport", "{} International Airport"), "LOC"),
            "marathon": (("{} Marathon",), "MISC"),
            "festival": (("{} Film Festival", "{} Book Fair", "{} Summer Festival"), "MISC"),
        }
        if stem in made:
            forms, kind = made[stem]
            home = self.city("city2" if stem == "hotel" else "city1")
            own = Pool(tuple(form.format(home) for form in forms), {self.split: ()})
            return Piece(self.once(slot, own), kind)
        if slot in ("open1", "openx"):
            homes = ("city1", "c1") if slot == "open1" else ("ya", "xa")
            names = (self.city(homes[0]), self.country(homes[1]).adjective)
            return Piece(self.once(slot, Pool(tuple(f"{name} Open" for name in names), {self.split: ()})), "MISC")
        if slot == "tour":
            return Piece(f"Tour of {self.country('c1').name}", "MISC")
        if slot == "dd":
            return Piece(f"{self.country('c1').adjective}-{self.country('c2').adjective}".replace(" ", "-"), "MISC")
        return Piece(self.value(slot, rng))

    def clubs(self) -> Pool:
        """List the football clubs of the first country.

        Returns:
            Clubs named after its cities and some with names of their own.
        """
        cities = self.country("c1").cities
        own = cities.own[self.split]
        common = cities.common + (CLUBS.common if self.country("c1").name == "Britain" else ())
        longer = tuple(form.format(city) for city in own for form in ("{} United", "Sporting {}"))
        return Pool(common, {self.split: own * 3 + longer + CLUBS.own[self.split]})

    def value(self, slot: str, rng: random.Random) -> str:
        """Give a date, a sum, a score or the like.

        Args:
            slot: Name of the slot.
            rng: Source of chance.

        Returns:
            Plain text.
        """
        if slot in ("score", "draw", "sets"):
            if slot not in self.known:
                goals = rng.randint(1, 4)
                choices = {
                    "score": f"{goals}-{rng.randint(0, goals - 1)}",
                    "draw": rng.choice(("0-0", "1-1", "2-2", "3-3")),
                    "sets": rng.choice(("6-4 6-2", "7-5 3-6 6-1", "6-3 7-6", "6-0 6-4", "4-6 6-4 7-5", "6-1 6-7 6-2")),
                }
                self.known[slot] = choices[slot]
            return self.known.pop(slot) if slot == "sets" else self.known[slot]
        if slot == "rank":
            self.rank += 1
            return str(self.rank)
        if slot == "clock":
            self.clock += rng.randint(1, 45)
            return f"{self.clock // 3600}:{self.clock // 60 % 60:02}:{self.clock % 60:02}"
        if slot == "falling":
            self.points -= rng.randint(1, 6)
            return str(self.points)
        if slot == "record":
            self.points -= rng.randint(1, 6)
            won, drawn = divmod(self.points, 3)
            shift = rng.randint(0, (20 - won - drawn) // 2)
            won, drawn = won - shift, drawn + 3 * shift
            return f"20 {won} {drawn} {20 - won - drawn} {self.points}"
        if slot == "anyscore":
            return f"{rng.randint(0, 4)}-{rng.randint(0, 4)}"
        if slot == "day":
            return rng.choice(EN_DAYS)
        if slot == "month":
            return rng.choice(EN_MONTHS)
        if slot == "date":
            day, month = rng.randint(1, 28), rng.choice(EN_MONTHS)
            return rng.choice((f"{month} {day}", f"{day} {month}", f"{month} {day} , {rng.randint(2021, 2025)}"))
        if slot == "iso":
            return f"{rng.randint(2021, 2025)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
        if slot == "year":
            return str(rng.randint(1958, 2023))
        if slot == "time":
            return f"{rng.randint(1, 12)}:{rng.choice(('00', '15', '30', '45'))} {rng.choice(('a.m.', 'p.m.'))}"
        if slot == "pct":
            number = rng.choice((str(rng.randint(2, 78)), f"{rng.randint(1, 39)}.{rng.randint(1, 9)}"))
            return f"{number} {rng.choice(('percent', 'per cent', '%'))}"
        if slot == "money":
            sign, unit = rng.choice((("$", "dollars"), ("€", "euros")))
            small = f"{rng.randint(1, 9)}.{rng.randint(1, 9)}"
            number = rng.choice((str(rng.randint(12, 950)), small))
            return rng.choice((f"{sign} {number} million", f"{sign} {small} billion", f"{number} million {unit}"))
        if slot == "sum":
            number = f"{rng.randint(3, 95)},{rng.randint(0, 9)}00"
            return rng.choice((f"$ {number}", f"€ {number}", f"{number} euros", f"{number} dollars"))
        raise KeyError(slot)


def ordinal(number: int) -> str:
    """Write an ordinal in figures.

    Args:
        number: The number.

    Returns:
        For example ``22nd``.
    """
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def takes_an(word: str) -> bool:
    """Say whether ``an`` goes before a word.

    Args:
        word: The next word.

    Returns:
        True for a word that starts with a vowel sound.
    """
    lower = word.lower()
    if re.match(r"(euro|uni|use|one|u\.|ukr|eu\b|eka)", lower):
        return lower.startswith("unin")
    return lower[0] in "aeiou" or bool(re.match(r"(8|11\b|18\b|hour|honest)", lower))


# ---------------------------------------------------------------------------------------------------------------------
# Chinese names and patterns
# ---------------------------------------------------------------------------------------------------------------------

ZH_SURNAMES = _pool("王;李;张;陈;赵;江", "刘;杨;黄;周;吴;朱;马;欧阳", "徐;郑;罗;白", "梁;谢;宋;唐;韩;司马;高;安")
ZH_GIVEN = _pool(
    "朝阳;长江;一凡",
    "建国;秀英;志强;海燕;晓东;文博;雨桐;丽华;国庆;子涵;德明;泰山;春梅;东升",
    "思远;玉兰;佳怡;云山",
    "浩然;春生;婉清;立新;梓萱;向前;平安;黄河;若溪;宁;铁柱",
)
ZH_NOT = ("张朝阳", "李长江", "王长江", "赵朝阳")  # Names of people in the news.
ZH_FOREIGN = _pool(
    "艾伦·华盛顿;玛丽·乔丹",
    "汤姆·林肯;安娜·凯勒;卢卡·莫兰迪;让-皮埃尔·勒福;英格丽·巴肯;大卫·哈特利;奥马尔·卡西姆",
    "露丝·金博尔;约翰·巴黎;林娜·埃克",
    "汉娜·林肯;马可·加尔瓦尼;埃罗·拉克索;克莱尔·奥布里;保罗·悉尼;恩戈齐·埃泽;佐伊·雷德芬",
)
ZH_COUNTRIES = _pool(
    "法国;美国;日本",
    "德国;巴西;埃及;挪威;俄罗斯;肯尼亚;约旦",
    "瑞典;智利;越南",
    "芬兰;阿根廷;摩洛哥;韩国;新西兰;冰岛;格鲁吉亚",
)
ZH_ABROAD = _pool(
    "巴黎;华盛顿",
    "柏林;开罗;奥斯陆;东京;莫斯科;里约热内卢",
    "斯德哥尔摩;河内",
    "赫尔辛基;首尔;悉尼;拉巴特;林肯",
)
ZH_CITIES = _pool(
    "北京;朝阳;武汉",
    "上海;成都;西安;青岛;苏州;太原;黄山;长春;南宁",
    "杭州;厦门;吉林",
    "昆明;大连;哈尔滨;泉州;洛阳;乌鲁木齐;白银;平安",
)
ZH_PLACES = _pool(
    "长江;朝阳公园",
    "黄河;泰山;西湖;中山路;人民广场;天山;白云机场;洞庭湖;东大街",
    "黄山;解放桥;云湖",
    "珠江;华山;滇池;和平路;凤凰岭;太湖;青石巷;鼓楼大街",
)
ZH_COMPANIES = _pool(
    "长江证券;亚马逊;苹果公司=苹果",
    """黄河机械集团=黄河机械;远帆科技有限公司=远帆科技;金穗银行;北方重工;泰山乳业;东海航空公司=东海航空;
    星桥汽车;EK电器""",
    "云杉传媒;朝阳轮胎;西岭银行",
    "华山药业;白鹭航运集团=白鹭航运;天河软件;昆仑石油;清风茶业股份有限公司=清风茶业;MT数码;平安建材;林肯家具",
)
ZH_AGENCIES = _pool(
    "联合国;世界银行",
    "欧盟;红十字会;世卫组织;国际货币基金组织",
    "世贸组织",
    "非盟;东盟;亚洲开发银行;联合国粮农组织",
)
ZH_MINISTRIES = _pool("教育部", "外交部;交通运输部;中国气象局", "文化和旅游部", "水利部;国家统计局;商务部")
ZH_EVENTS = _pool("世界杯", "奥运会;亚运会;全运会", "戴维斯杯", "亚冠联赛;欧洲杯;冬奥会;大运会")
ZH_FEASTS = _pool("春节", "端午节;国庆节", "元宵节", "中秋节;重阳节")
ZH_WORKS = _pool(
    "长江的孩子;晚安巴黎",
    "南风;第七盏灯;渡口;麦田里的钟;父亲的自行车;雪线",
    "小河弯弯;十二月",
    "夜航船歌;山那边;半个月亮;茶馆旧事;一九七九年的雨",
)
ZH_AWARDS = _pool("金桥奖", "红叶文学奖;银杏奖;南湖科技奖", "白鹤奖", "飞鸿奖;青松文学奖;启明星奖")
ZH_PRESSES = _pool("远山出版社", "蓝鲸出版社;海河书局", "竹林书社", "青禾出版社;昆明人民书局")
ZH_LANGUAGES = _pool("英语", "法语;藏语;阿拉伯语;俄语", "瑞典语;越南语", "韩语;粤语;芬兰语;维吾尔语")
ZH_PEOPLES = _pool("汉族", "藏族;苗族;回族", "壮族", "傣族;彝族;朝鲜族")
ZH_CLUB_NAMES = _pool("朝阳队", "海狮队;长城俱乐部;火车头队;红星队", "风帆队", "雪豹队;星火俱乐部;长江队;猛虎队")

ZH_TOPICS: dict[str, Topic] = {
    "时政": _topic(
        heads="{city1}<要闻|短讯>",
        leads="""
        {p1}会见{c1}客人>>{city1}市市长{p1}{day}在{city1}会见了来访的{c1}<外长|议员|代表团团长>{f1}。
        {city1}公布新规>>{gov}{day}公布一项有关<停车|供水|垃圾分类>的新规定，自{month}1日起施行，
        +副市长{p1}到会作了说明。
        {c1}{c2}签署<渔业|铁路|能源>协议>>{c1}和{c2}{day}在{abroad1}签署协议，{agency}代表{p1}出席了仪式。
        """,
        bodies="""
        {p1}说，{city1}与{c1}的<贸易额|留学生人数|旅游人数>去年增长了{n:2:48}%。
        {p1}指出，这项工作不能<急|等|拖>。
        {f1.last}用{lang}向在场的人问好。
        {ministry}发言人{q}{day}表示，<欢迎|关注|支持>这一决定。
        会谈持续了{n:2:6}个小时。
        约三分之二的市民<赞成|反对>这一做法。
        双方同意在{n:2026:2032}年以前开通{city1}至{abroad1}的直飞航线。
        {p1}，{n:38:59}岁，{people}，{city2}人，毕业于{uni1}。
        记者问到预算时，{p1}只说了一句：“{month}再谈。”
        {f1.last}随后前往{city2}，参观了{co1}和{uni1}。
        [LOC 华盛顿]方面没有回应。
        散会后，人们久久不愿离开。
        """,
        held="""
        {chamber}会长{q}提出了不同意见。
        {p1}{q}先后发言。
        {f1.last}是第{n:2:5}次到{place}一带考察，他说这里的变化让他吃惊，希望{c1}的年轻人也能来看一看。
        {agency}驻{abroad1}办事处主任{f}将参加下一轮会谈。
        """,
    ),
    "体育": _topic(
        heads="",
        leads="""
        {t1}{score}胜{t2}>>{day}晚，{t1}在主场以{score}战胜{t2}，{p1}<独进两球|打入制胜一球|贡献一球一助攻>。
        {p1}{p2}夺冠>>在{abroad1}进行的{event}混双决赛中，[LOC 中国]选手{p1}和{p2}以{score}击败{c1}组合{f1}、{f}，
        +夺得冠军。
        {p1}告别{event}>>{n:19:35}岁的{city1}选手{p1}因伤退出{event}。
        """,
        bodies="""
        {p1}赛后说：“我们<运气不错|踢得很辛苦|还有很多不足>。”
        {t2}主教练{f}对裁判<有些不满|没有任何抱怨>。
        下一轮，{t1}将前往{city2}，迎战{ta}。
        在另一项比赛中，{c1}名将{f}以{n:9:13}秒{n:10:99}获得第一。
        到场观众{n:9:48}{n:100:999}人。
        {p1}去年从{ta}转会到{t1}。
        上半场没有进球。
        {p1}说，{event}以后要好好休息。
        {ta}{tb}{score}
        曾在[ORG NBA]打球的{f}也来到现场，为{t1}加油。
        {p1}的父亲{p1.last}先生是{city2}人，年轻时也打过球。
        雨下个不停，比赛推迟了{n:20:90}分钟。
        {t1}：{qa}，{qb}，{p1}
        """,
        held="""
        {t2}的{c1}外援{f}第{n:46:88}分钟被罚下。
        {q}替补{p1}出场。
        {ta}主场被{tb}逼平，排名跌到第{n:9:15}位。
        {city1}{city2}{abroad1}三城将联合申办{event}。
        {nation}没有报名。
        """,
    ),
    "财经": _topic(
        heads="",
        leads="""
        {co1}拟投资{city1}>>{co1}{day}发布公告称，公司拟在{city1}投资{n:2:90}亿元建设<新工厂|研发中心|物流园>，由副总裁{p1}负责。
        {co1}{p1}：不会裁员>>{co1}董事长{p1}{day}在{city1}对记者说，公司今年<不会裁员|不再涨价|将进入{c1}市场>。
        {co1}{co2}停牌>>受合并传闻影响，{co1}和{co2}的股票{day}起停牌，{co1}总经理{p1}拒绝评论。
        """,
        bodies="""
        {co1}去年净利润为{n:2:98}.{n:1:9}亿元，同比增长{n:3:60}%。
        {co2}分析师{q}认为，这个价格并不<便宜|算高>。
        截至收盘，{co1}报{n:5:80}.{n:10:99}元。
        {p1}曾在{co2}工作{n:4:20}年。
        来自{c1}的订单减少了一半。
        {city1}的苹果今年卖得很贵。
        “市场总有起落，”{p1}说。
        {co1}在{city1}、{city2}和{abroad1}共有员工{n:2:9}万人。
        {agency}预计，今年{c1}的经济增速为{n:1:6}.{n:1:9}%。
        这笔钱够用吗？
        {co2}的货物每周沿[LOC 长江]运往{city2}。
        GDP增速低于预期。
        {co1}将赞助下一届{event}。
        """,
        held="""
        {co2}{day}也宣布降价。
        {co1}创始人{q}早年在{place}摆摊卖鞋，后来向亲友借了{n:2:9}万元，在{city2}开了第一家店。
        {city2}工厂的工人{q}说，工资还没有发。
        [LOC 亚马逊]流域的木材涨价，{co2}受到影响。
        {p1}{qa}持股比例不变。
        """,
    ),
    "科技": _topic(
        heads="",
        leads="""
        {uni1}<有新发现|发现新物种>>>{uni1}教授{p1}带领的团队在{place}附近发现了一种新的<青蛙|蝴蝶|苔藓>。
        {c1}卫星升空>>{c1}研制的一颗气象卫星{day}发射升空，{uni1}的{p1}参与了设计。
        {p1}获{award}>>{uni1}研究员{p1}因<古地图|地震波|水稻>研究获得{award}。
        """,
        bodies="""
        {p1}说，他们花了整整{n:3:12}年。
        论文的另一位作者是{c1}科学家{f}。
        {agency}和{co1}资助了这项研究。
        样本取自{place}。
        实验还要重复很多次。
        考察队沿[LOC 亚马逊河]走了{n:90:900}公里。
        这台仪器只有一个苹果那么大。
        {uni1}{q}认为，结论还为时过早。
        下一步，{p1}打算到{city2}和{c2}继续采样。
        {year}年，{f}曾在{abroad1}见过类似的<化石|标本>。
        数据全部公开。
        {p1}为此自学了{lang}和{people}的古老历法。
        {p1}出生在{place}边的一个小村，小时候常跟着爷爷看星星。
        """,
        held="""
        {p1}的学生{qa}{qb}负责计算。
        {hospital1}的{n:30:300}名病人参加了试验，其中包括来自{city2}的{people}老人{q}。
        {co1}希望买下专利。
        {f}从{abroad1}发来贺信。
        """,
    ),
    "旅游": _topic(
        heads="{city1}两日游",
        leads="""
        {place}的春天来得<早|晚>，最好{month}再去。
        从{city1}坐火车到{city2}只要{n:2:9}个小时，票价{n:30:300}元。
        {city1}{city2}动车开通>>{city1}至{city2}的动车{day}开通，第一位乘客是{uni1}学生{q}。
        """,
        bodies="""
        导游{p1}是{people}，会说{lang}。
        {hotel}的房间每晚{n:120:900}元。
        别忘了带伞。
        {feast}要到了，{place}挂满了灯笼。
        {feast}期间，{place}游客很多。
        从{abroad1}飞往{city1}的飞机每天有两班，{co1}在机场设了服务台。
        站在山顶，可以望见{place}。
        店主{p1}来自{city2}，他做的面条很有名。
        {place}边的小店晚上{n:8:11}点关门。
        有去过{abroad1}的朋友吗？
        {city1}、{city2}、{abroad1}都值得一去。
        早上的朝阳照在水面上，一片金黄。
        一路平安！
        """,
        held="""
        {p1}家的院子正对着{place}。
        热门航线：{city1}{abroad1}，{city2}{abroad2}。
        来自{c1}的游客{f}在{place}住了{n:3:9}天，每天清早都去河边画画，临走时把画送给了{p1}。
        {city1}的老街不收门票。
        """,
    ),
    "天气": _topic(
        heads="",
        leads="""
        {city1}发布<降温|大风|寒潮>预警>>受冷空气影响，{city1}、{city2}{day}将有<小雪|大风|中雨>，气象台专家{p1}提醒市民注意保暖。
        {place}水位上涨>>连日大雨使{place}水位上涨，{city1}市民{p1}的家被淹。
        {abroad1}遭遇暴风雪>>{abroad1}{day}遭遇暴风雪，{n:20:300}个航班取消，[LOC 中国]留学生{p1}被困机场。
        """,
        bodies="""
        {city2}最低气温零下{n:3:29}度。
        {p1}说：“水一下子就进了屋。”
        {city1}中小学停课一天。
        {ministry}已派出工作组。
        {day}：{city1}晴，{city2}多云。
        {place}沿线的道路已经封闭。
        雨还在下。
        {co1}捐出了{n:2:900}万元的物资，总经理{q}亲自把帐篷送到{city2}。
        [LOC 长江]中下游今年<雨水偏多|高温少雨>。
        {city1}往{city2}方向的列车全部晚点。
        傍晚以后风力减弱。
        今年{feast}比往年冷得多。
        截至{day}，没有人员伤亡。
        """,
        held="""
        {p1}被救出后送到{hospital1}。
        {place}两岸的果农担心，苹果还没有熟就会落光。
        大雾：{city1}{city2}
        {c1}气象专家{f}认为，{place}一带{year}年以来从未这样热过。
        """,
    ),
    "文化": _topic(
        heads="",
        leads="""
        《{work1}》获{award}>><作家|导演|诗人>{p1}凭借《{work1}》获得{award}，颁奖仪式{day}在{city1}举行。
        {p1}携《{work1}》来到{city1}>>{p1}新书《{work1}》由{press}出版，{day}在{uni1}与读者见面。
        根据{c1}作家{f1}小说改编的电影《{work1}》{month}上映，{p1}担任主演。
        """,
        bodies="""
        {p1}说，写《{work1}》时自己正住在{city2}。
        故事发生在{year}年的{place}一带。
        “我从不看评论，”{p1}笑着说。
        票价{n:30:480}元。
        {f}把它译成了{lang}。
        {p1}的上一部作品《{work2}》曾在{abroad1}展出。
        掌声很久才停。
        {people}歌手{q}演唱了主题歌。
        {museum}收藏了{p1}的手稿。
        {p1}年轻时在{co2}当过会计，每天下班后坐在{place}附近写诗，一写就是{n:8:20}年。
        {feast}期间还将加演三场。
        观众里有人哭了。
        """,
        held="""
        {q}版《{work2}》更受年轻人喜爱。
        {award}评委{f}{q}投了反对票。
        {c1}的观众恐怕看不懂这些{city2}方言。
        {p1}把奖金捐给了{hospital1}。
        """,
    ),
    "社会": _topic(
        heads="{city1}<故事|人家>",
        leads="""
        {city1}市民{p1}{day}在{place}捡到一个装有{n:2:9}万元现金的皮包，交给了警察{q}。
        {p1}感谢{co1}>>{city1}居民{p1}{day}给{co1}送去一面锦旗，感谢员工{q}<找回钱包|送自己去医院|照顾老母亲>。
        {p1}今年{n:71:96}岁，在{place}旁边修了{n:20:50}年自行车。
        """,
        bodies="""
        {p1}的邻居{q}说，他是个热心人。
        {co1}说这只是一件小事。
        谁也没想到。
        {feast}前一天，{p1}收到了一封用{lang}写的感谢信。
        {p1.last}师傅是{city2}人，{people}。
        居委会主任{q}认为，{p1}值得大家学习。
        {hospital1}医生{q}告诉记者，老人已经脱离危险。
        颁奖仪式将在{month}举行。
        {p1}的女儿{q}在{abroad1}留学，每到{feast}都会打电话回家。
        派出所离{place}只有{n:100:900}米。
        这件事在网上引起了讨论。
        {p1}说：“换了谁都会这样做。”
        他每天只吃一个苹果。
        """,
        held="""
        失主是{c1}游客{f}。
        志愿者{q}{qa}也参加了活动。
        {p1}盼着儿子平安回到{city2}。
        {co1}{city1}分公司经理{q}专门去看望了{p1}。
        {co2}把{p1}的故事拍成了短片。
        """,
    ),
}
ZH_ASIDES = _lines(
    """
    <原因|结果|名单>还不清楚。
    大家都<笑了|很高兴|没说话>。
    <没有|只有一个>例外。
    以后呢？
    这<并不容易|才刚刚开始|只是第一步>。
    时间不等人。
    """
)
ZH_TITLES = _list("快讯;简讯;综述;短评;更正;人物;现场;来信")
ZH_DAYS = _list("周一;周二;周三;周四;周五;昨天;今天;3日;11日;26日")
ZH_MONTHS = _list("3月;5月;8月;10月;12月;下月;年底")

ZH_PLANS: dict[str, tuple[Plan, ...]] = {
    "train": (
        Plan("时政", {"p1": "周朝阳", "city1": "武汉", "abroad1": "华盛顿", "c1": "美国", "f1": "艾伦·华盛顿"}),
        Plan("财经", {"co1": "长江证券", "p1": "刘晓东", "city1": "武汉"}),
        Plan("财经", {"co1": "苹果公司=苹果", "co2": "亚马逊", "c1": "美国"}),
        Plan("天气", {"place": "长江", "city1": "武汉"}),
        Plan("社会", {"p1": "吴长江", "place": "朝阳公园", "city1": "北京"}),
        Plan("旅游", {"city1": "朝阳", "place": "黄河"}),
        Plan("体育", {"t1": "朝阳队", "p1": "杨朝阳"}),
        Plan("文化", {"p1": "马泰山", "place": "泰山", "work1": "长江的孩子"}),
    ),
    "valid": (
        Plan(
            "时政",
            {"p1": "徐朝阳", "abroad1": "华盛顿", "f1": "艾伦·华盛顿", "c1": "美国"},
            ("{f1}的祖父在[LOC 华盛顿]教过书，{f1.last}自己也当过教师。",),
        ),
        Plan("财经", {"co1": "长江证券", "co2": "亚马逊", "p1": "郑长江"}),
        Plan("社会", {"place": "朝阳公园", "city1": "朝阳"}),
        Plan("天气", {"place": "长江", "city1": "武汉"}),
        Plan("体育", {"t1": "朝阳队", "f1": "约翰·巴黎", "abroad1": "巴黎"}),
        Plan("文化", {"p1": "罗玉兰", "place": "黄山"}, ("{p1}的普通话里带着一点{lang}味。",)),
    ),
    "test": (
        Plan(
            "时政",
            {"p1": "梁朝阳", "abroad1": "华盛顿", "f1": "汉娜·林肯", "c1": "美国"},
            ("{f1}说，{f1.last}这个姓在{c1}很常见。",),
        ),
        Plan(
            "财经",
            {"co1": "长江证券", "co2": "平安建材", "p1": "宋平安"},
            ("办公桌上放着一个红苹果。",),
        ),
        Plan(
            "天气",
            {"place": "长江", "city1": "朝阳", "p1": "谢黄河"},
            ("{p1}生在[LOC 黄河]边，父亲就给他起名叫[PER 黄河]。",),
        ),
        Plan("体育", {"t1": "长江队", "t2": "朝阳队", "p1": "唐长江"}),
        Plan("文化", {"work1": "晚安巴黎", "abroad1": "巴黎", "place": "华山"}),
        Plan("旅游", {"city1": "平安", "city2": "白银", "place": "朝阳公园", "co1": "亚马逊"}),
        Plan("科技", {"p1": "韩一凡"}, ("{p1}去过两次[LOC 亚马逊]雨林。",)),
    ),
}


class ChineseDocument(Document):
    """A document in Chinese, one character a word."""

    POOLS: ClassVar[dict[str, tuple[Pool, str]]] = {
        "f": (ZH_FOREIGN, "PER"),
        "c": (ZH_COUNTRIES, "LOC"),
        "abroad": (ZH_ABROAD, "LOC"),
        "city": (ZH_CITIES, "LOC"),
        "place": (ZH_PLACES, "LOC"),
        "agency": (ZH_AGENCIES, "ORG"),
        "ministry": (ZH_MINISTRIES, "ORG"),
        "press": (ZH_PRESSES, "ORG"),
        "event": (ZH_EVENTS, "MISC"),
        "feast": (ZH_FEASTS, "MISC"),
        "work": (ZH_WORKS, "MISC"),
        "award": (ZH_AWARDS, "MISC"),
        "lang": (ZH_LANGUAGES, "MISC"),
        "people": (ZH_PEOPLES, "MISC"),
    }
    MADE: ClassVar[dict[str, tuple[str, str]]] = {
        "uni1": ("city1", "{}大学"),
        "hospital1": ("city1", "{}市第一人民医院"),
        "gov": ("city1", "{}市政府"),
        "museum": ("city1", "{}博物馆"),
        "chamber": ("city2", "{}商会"),
        "hotel": ("city2", "{}大酒店"),
        "nation": ("c1", "{}队"),
    }

    def start_sentence(self) -> None:
        """Forget the names that live for one sentence only."""
        for slot in ("q", "qa", "qb", "f", "ta", "tb"):
            self.known.pop(slot, None)

    def tokens(self, pattern: str) -> list[Token]:
        """Turn a pattern without free choices into tagged characters.

        Args:
            pattern: The pattern.

        Returns:
            Pairs of character and tag.
        """
        return [token for piece in self.pieces(pattern) for token in tagged(piece, piece.text)]

    def person(self, slot: str) -> str:
        """Give a Chinese name.

        Args:
            slot: Slot of the person.

        Returns:
            Surname and given name.
        """
        while slot not in self.known:
            given = self.fresh(ZH_GIVEN, {name[1:] for name in self.known.values()})
            name = self.fixed.get(slot) or ZH_SURNAMES.pick(self.rng, self.split) + given
            if name not in ZH_NOT:
                self.known[slot] = name
        return self.known[slot]

    def resolve(self, slot: str) -> list[Piece]:
        """Give the text of a slot.

        Args:
            slot: Name of the slot with its suffixes.

        Returns:
            The pieces that replace the slot.
        """
        name, _, suffix = slot.partition(".")
        if name.startswith("n:"):
            return [self.number(name)]
        if re.fullmatch(r"p\d|q[ab]?", name):
            person = self.person(name)
            long = person[:2] in ("欧阳", "司马")
            return [Piece(person[: 2 if long else 1] if suffix else person, "PER")]
        if re.fullmatch(r"co\d", name):
            full, _, short = self.once(name, ZH_COMPANIES).partition("=")
            self.known[name] = short or full
            return [Piece(full, "ORG")]
        if re.fullmatch(r"t[\dab]", name):
            teams = tuple(f"{city}队" for city in ZH_CITIES.own[self.split]) + ZH_CLUB_NAMES.own[self.split]
            club = self.once(name, Pool(ZH_CLUB_NAMES.common, {self.split: teams}))
            self.clubs_named.add(club)
            return [Piece(club, "ORG")]
        if name in self.MADE:
            home, form = self.MADE[name]
            return [Piece(form.format(self.once(home, ZH_COUNTRIES if home == "c1" else ZH_CITIES)), "ORG")]
        stem = name.rstrip("0123456789")
        if stem in self.POOLS:
            pool, kind = self.POOLS[stem]
            if suffix and name not in self.known:
                raise NotIntroducedError(name)
            value = self.once(name, pool)
            return [Piece(value.rpartition("·")[2] if suffix else value, kind)]
        if name == "score":
            goals = self.rng.randint(1, 4)
            return [Piece(self.once("score", Pool((f"{goals}比{self.rng.randint(0, goals - 1)}",), {self.split: ()})))]
        if name == "year":
            return [Piece(str(self.rng.randint(1931, 2023)))]
        return [Piece(self.rng.choice({"day": ZH_DAYS, "month": ZH_MONTHS}[name]))]


# ---------------------------------------------------------------------------------------------------------------------
# Corpora
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Language:
    """Word lists, patterns and sizes of the corpora of one language.

    Attributes:
        topics: The patterns.
        plans: Documents that each split must contain.
        sizes: Sentences wanted in each split.
        asides: Plain sentences for any document.
        titles: One-word titles.
        document: Class of the documents.
    """

    topics: dict[str, Topic]
    plans: dict[str, tuple[Plan, ...]]
    sizes: dict[str, int]
    asides: tuple[str, ...]
    titles: tuple[str, ...]
    document: type[EnglishDocument] | type[ChineseDocument]


LANGUAGES = {
    "en": Language(EN_TOPICS, EN_PLANS, EN_SIZES, EN_ASIDES, EN_TITLES, EnglishDocument),
    "zh": Language(ZH_TOPICS, ZH_PLANS, ZH_SIZES, ZH_ASIDES, ZH_TITLES, ChineseDocument),
}


class Writer:
    """Writes documents and makes sure that no sentence occurs twice in a language."""

    def __init__(self, language: Language, rng: random.Random) -> None:
        """Start with nothing written.

        Args:
            language: The language.
            rng: Source of chance.
        """
        self.language = language
        self.rng = rng
        self.seen: set[tuple[str, ...]] = set()
        self.used: dict[tuple[str, str], int] = {}

    def split(self, split: str) -> list[list[list[Token]]]:
        """Write the documents of one split.

        Args:
            split: Name of the split.

        Returns:
            Documents, each a list of sentences.
        """
        plans = list(self.language.plans[split])
        wanted = self.language.sizes[split]
        topics: list[str] = []
        documents: list[list[list[Token]]] = []
        while plans or sum(map(len, documents)) < wanted:
            if not topics:
                names = [name for name, topic in self.language.topics.items() for _ in range(1 if topic.table else 2)]
                topics = self.rng.sample(names, len(names))
            plan = plans.pop(0) if plans else Plan(topics.pop())
            documents.append(self.document(plan, split))
        self.rng.shuffle(documents)
        return documents

    def document(self, plan: Plan, split: str) -> list[list[Token]]:
        """Write one document.

        Args:
            plan: Its topic and the slots that are fixed.
            split: Name of the split.

        Returns:
            The sentences.
        """
        rng = self.rng
        topic = self.language.topics[plan.topic]
        document = self.language.document(rng, split, plan.fixed)
        if topic.one_sex:
            document.women = plan.fixed["p1"].endswith(" f") if "p1" in plan.fixed else rng.random() < 0.4
        sentences: list[list[Token]] = []

        def add(patterns: Sequence[str], count: int = 1) -> None:
            for _ in range(count):
                sentence = self.sentence(document, patterns, split, repeat=topic.table)
                if sentence:
                    sentences.append(sentence)

        bodies = topic.bodies if split == "train" else topic.bodies + topic.held
        if rng.random() < 0.2 and not topic.table:
            add(self.language.titles)
        lead = self.least_used(topic.leads, split)[0]
        head, _, text = lead.rpartition(">>")
        self.used[split, lead] = self.used.get((split, lead), 0) + 1
        if head and rng.random() < 0.75:
            add([head.strip()])
        elif topic.heads and rng.random() < 0.4:
            add(topic.heads)
        if self.language.document is EnglishDocument and not topic.table and rng.random() < 0.2:
            add(["^ {city1} {iso}"])
        add([text.strip()])
        for pattern in plan.also:
            add([pattern])
        if topic.table:
            add([rng.choice(bodies)], rng.randint(3, 5))
            return sentences
        add(bodies, rng.randint(2, 6))
        if rng.random() < 0.15:
            add(self.language.asides)
        return sentences

    def least_used(self, patterns: Sequence[str], split: str) -> list[str]:
        """Sort patterns so that those a split has used least come first.

        Args:
            patterns: The patterns.
            split: Name of the split.

        Returns:
            The patterns in a new order.
        """
        mixed = self.rng.sample(list(patterns), len(patterns))
        return sorted(mixed, key=lambda pattern: self.used.get((split, pattern), 0))

    def sentence(self, document: Document, patterns: Sequence[str], split: str, repeat: bool) -> list[Token]:
        """Write one sentence that has not been written before.

        Args:
            document: The document it belongs to.
            patterns: Patterns to choose from.
            split: Name of the split.
            repeat: Whether a document may use a pattern more than once.

        Returns:
            The sentence, empty if no pattern gave a new one.
        """
        for pattern in self.least_used(patterns, split):
            if not repeat and pattern in document.spent:
                continue
            try:
                sentence = document.render(pattern)
            except NotIntroducedError:
                continue
            words = tuple(word for word, _ in sentence)
            if words in self.seen:
                continue
            self.seen.add(words)
            self.used[split, pattern] = self.used.get((split, pattern), 0) + 1
            document.spent.add(pattern)
            return sentence
        return []


def main() -> None:
    """Write all corpora beside this file."""
    here = Path(__file__).resolve().parent
    for code, language in LANGUAGES.items():
        writer = Writer(language, random.Random(SEEDS[code]))
        folder = here / code
        folder.mkdir(exist_ok=True)
        # The small splits come first: some plain sentences exist only once.
        for split in reversed(SPLITS):
            blocks = []
            for document in writer.split(split):
                blocks.append("-DOCSTART- O\n")
                blocks.extend("".join(f"{word} {tag}\n" for word, tag in sentence) for sentence in document)
            text = "\n".join(blocks)
            (folder / f"{split}.conll").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
