"""The events of the world, independent of language.

A plot is a sequence of events and a question. A story is a plot with people, things and numbers filled in. It carries its
operations, so its answer is right by construction. A plot is written once, in the table below. Its words are in
`languages/`, one file per language.
"""

from __future__ import annotations

import functools
import hashlib
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from .draw import Draw

Split = Literal["train", "development", "test", "text"]
Domain = Literal["in", "out"]


@dataclass(frozen=True, slots=True)
class Setting:
    """The people, things and places of a domain, as ids with words in all languages."""

    people: tuple[str, ...]
    things: tuple[str, ...]
    stuff: tuple[str, ...]
    containers: tuple[str, ...]
    trade: tuple[str, ...]
    outdoors: tuple[str, ...]


SETTINGS: Mapping[Domain, Setting] = {
    "in": Setting(
        people=("anna", "ben", "clara", "david", "emma", "felix", "lina", "marco", "nora", "tom"),
        things=("apple", "orange", "egg", "book", "pencil", "stamp", "flower", "ball", "cookie", "shell"),
        stuff=("rice", "flour", "sugar"),
        containers=("box", "bag", "basket"),
        trade=("market", "shop", "station"),
        outdoors=("park", "garden", "school"),
    ),
    "out": Setting(
        people=("ida", "leo", "maya", "oscar", "sara", "viktor"),
        things=("lemon", "notebook", "button", "photo", "key", "ticket"),
        stuff=("salt",),
        containers=("jar",),
        trade=("fair",),
        outdoors=("beach",),
    ),
}

STATEMENTS = (
    "have", "buy", "find", "give", "lose", "sell", "times", "boxes", "buy_boxes", "more", "fewer", "times_as", "share", "pack",
    "price", "money", "purchase", "earn", "have_stuff", "buy_stuff", "use_stuff",
)  # fmt: skip
QUESTIONS = (
    "ask_now", "ask_have", "ask_together", "ask_difference", "ask_friend", "ask_container", "ask_coins_left", "ask_cost",
    "ask_coins", "ask_stuff",
)  # fmt: skip
GENERAL = (
    "likes",
    "sees",
    "buys_some",
    "finds_some",
    "gives_some",
    "loses_some",
    "sells_some",
    "many_there",
    "both_have",
    "is_at",
)
"""Sentences of general text, without numbers."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event or a question, in ids and numbers. A number None is the unknown x."""

    kind: str
    phrasing: int = 0
    """The index of a phrasing in the language."""
    n: Fraction | None = None
    """An amount. With containers, the things in each."""
    k: Fraction | None = None
    """A second amount. With containers, their number."""
    who: str = ""
    """Acts: gives, buys, has more."""
    other: str = ""
    """Receives, or is compared with."""
    item: str = ""
    stuff: str = ""
    container: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One operation."""

    event: int
    """The index of its event. For the question, the number of events."""
    left: Fraction
    sign: Literal["+", "-", "×", "÷"]
    right: Fraction
    result: Fraction


@dataclass(frozen=True, slots=True)
class Plot:
    """A named sequence of events."""

    name: str
    domain: Domain
    events: tuple[str, ...]
    """Each is `kind` or `kind:roles`. Roles are letters for people: in `give:ab`, a gives to b. The last is the
    question."""


@dataclass(frozen=True, slots=True)
class Story:
    """A plot filled in."""

    plot: str
    events: tuple[Event, ...]
    """The last is the question."""
    steps: tuple[Step, ...]
    answer: Fraction
    native_digits: bool = False

    @property
    def signature(self) -> str:
        """The identity of a problem whatever the language, names and things."""
        return signature(self.plot, self._numbers)

    @property
    def split(self) -> Split:
        """The one split that may hold this problem.

        It follows from events and numbers, so no two splits share a problem, or a story with another question.
        """
        return split_of(signature(TOLD[self.plot], self._numbers))

    @property
    def _numbers(self) -> list[Fraction]:
        return [x for event in self.events for x in (event.k, event.n) if x is not None]


def signature(plot: str, numbers: list[Fraction]) -> str:
    """A plot and its numbers as a text."""
    return " ".join([plot, *map(str, numbers)])


def split_of(signed: str) -> Split:
    """70% of all stories are for training, 10% each for development, test and text."""
    share = int(hashlib.sha256(signed.encode()).hexdigest()[:8], 16) % 100
    return "train" if share < 70 else "development" if share < 80 else "test" if share < 90 else "text"


def _plots(domain: Domain, table: str) -> tuple[Plot, ...]:
    rows = [line.split() for line in table.strip().splitlines()]
    return tuple(Plot(name, domain, tuple(events)) for name, *events in rows)


# One row a plot: its name, its events, its question.
PLOTS: tuple[Plot, ...] = _plots(
    "in",
    """
    buy             have:a buy:a ask_now:a
    find            have:a find:a ask_now:a
    lose            have:a lose:a ask_now:a
    sell            have:a sell:a ask_now:a
    gift            have:a give:ba ask_now:a
    give            have:a give:ab ask_now:a
    grow            have:a times:a ask_now:a
    boxes           boxes:a ask_have:a
    buy-give        have:a buy:a give:ab ask_now:a
    find-lose       have:a find:a lose:a ask_now:a
    gift-sell       have:a give:ba sell:a ask_now:a
    lose-buy        have:a lose:a buy:a ask_now:a
    sell-find       have:a sell:a find:a ask_now:a
    give-gift       have:a give:ab give:ca ask_now:a
    find-buy        have:a find:a buy:a ask_now:a
    grow-give       have:a times:a give:ab ask_now:a
    grow-lose       have:a times:a lose:a ask_now:a
    sell-grow       have:a sell:a times:a ask_now:a
    buy-grow        have:a buy:a times:a ask_now:a
    boxes-give      boxes:a give:ab ask_now:a
    boxes-find      boxes:a find:a ask_now:a
    boxes-sell      boxes:a sell:a ask_now:a
    more            have:b more:ab ask_together:ab
    fewer           have:b fewer:ab ask_together:ab
    times-as        have:b times_as:ab ask_together:ab
    times-apart     have:b times_as:ab ask_difference:ab
    price           price purchase:a ask_cost:a
    change          money:a price purchase:a ask_coins_left:a
    wages           money:a earn:a ask_coins:a
    buy-share       have:a buy:a share:a ask_friend
    boxes-share     boxes:a share:a ask_friend
    find-pack       have:a find:a pack:a ask_container
    stuff-buy       have_stuff:a buy_stuff:a ask_stuff:a
    stuff-use       have_stuff:a use_stuff:a ask_stuff:a
    stuff-both      have_stuff:a buy_stuff:a use_stuff:a ask_stuff:a
    buy-give-find   have:a buy:a give:ab find:a ask_now:a
    find-sell-gift  have:a find:a sell:a give:ba ask_now:a
    lose-gift-give  have:a lose:a give:ba give:ac ask_now:a
    more-give       have:b more:ab give:ac ask_now:a
    fewer-buy       have:b fewer:ab buy:a ask_now:a
    times-sell      have:b times_as:ab sell:a ask_now:a
    buy-boxes       have:a buy_boxes:a ask_now:a
    boxes-buy-lose  boxes:a buy:a lose:a ask_now:a
    grow-find-sell  have:a times:a find:a sell:a ask_now:a
    buy-boxes-give  have:a buy_boxes:a give:ab ask_now:a
    wages-price     money:a earn:a price purchase:a ask_coins_left:a
    sell-lose-buy   have:a sell:a lose:a buy:a ask_now:a
    four-steps      have:a buy:a lose:a give:ba sell:a ask_now:a
    four-turns      have:a find:a give:ab buy:a lose:a ask_now:a
    more-together   have:b more:ab find:a ask_together:ab
    """,
) + _plots(
    "out",
    """
    gift-give       have:a give:ba give:ac ask_now:a
    lose-find       have:a lose:a find:a ask_now:a
    buy-sell        have:a buy:a sell:a ask_now:a
    sell-gift       have:a sell:a give:ba ask_now:a
    give-grow       have:a give:ab times:a ask_now:a
    find-grow       have:a find:a times:a ask_now:a
    boxes-lose      boxes:a lose:a ask_now:a
    boxes-buy       boxes:a buy:a ask_now:a
    more-apart      have:b more:ab ask_have:a
    fewer-one       have:b fewer:ab ask_have:a
    boxes-pack      boxes:a pack:a ask_container
    sell-share      have:a sell:a share:a ask_friend
    stuff-use-buy   have_stuff:a use_stuff:a buy_stuff:a ask_stuff:a
    buy-boxes-sell  have:a buy_boxes:a sell:a ask_now:a
    times-find      have:b times_as:ab find:a ask_now:a
    give-find-lose  have:a give:ab find:a lose:a ask_now:a
    two-gifts       have:a give:ba give:ca ask_now:a
    more-sell       have:b more:ab sell:a ask_now:a
    """,
)

TOLD: Mapping[str, str] = {plot.name: " ".join(plot.events[:-1]) for plot in PLOTS}
"""The events of a plot before its question. Some plots differ only in the question."""

LARGEST = 99
_STUFF = frozenset({"have_stuff", "buy_stuff", "use_stuff", "ask_stuff"})
_PLACES = {"buy": "trade", "sell": "trade", "purchase": "trade", "find": "outdoors", "lose": "outdoors"}
_FACTORS = frozenset({"times", "times_as", "share", "pack"})
_BOTH = frozenset({"boxes", "buy_boxes", "earn"})
_UNCOUNTED = frozenset(QUESTIONS)
_OPERATIONS: Mapping[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": operator.add, "-": operator.sub, "×": operator.mul, "÷": operator.truediv,
}  # fmt: skip
_exact = functools.cache(Fraction)
"""The fraction of two small whole numbers. The world has about a hundred, used millions of times."""


@dataclass(slots=True)
class _Ledger:
    """The amounts that people have during a story. None while unknown."""

    has: dict[str, Fraction] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    price: Fraction = Fraction(0)
    cost: Fraction = Fraction(0)

    def work_out(self, place: int, left: Fraction, sign: Literal["+", "-", "×", "÷"], right: Fraction) -> Fraction:
        result = _OPERATIONS[sign](left, right)
        self.steps.append(Step(place, left, sign, right, result))
        return result

    def happens(self, place: int, event: Event) -> Fraction:
        """Applies an event and returns its last result, or the answer to a question."""
        has, who, other = self.has, event.who, event.other
        n, k = event.n or _exact(0), event.k or _exact(0)
        match event.kind:
            case "have" | "money" | "have_stuff":
                has[who] = n
            case "buy" | "find" | "buy_stuff":
                has[who] = self.work_out(place, has[who], "+", n)
            case "lose" | "sell" | "use_stuff":
                has[who] = self.work_out(place, has[who], "-", n)
            case "give" if who in has:
                has[who] = self.work_out(place, has[who], "-", n)
            case "give":
                has[other] = self.work_out(place, has[other], "+", n)
            case "times":
                has[who] = self.work_out(place, has[who], "×", k)
            case "boxes":
                has[who] = self.work_out(place, k, "×", n)
            case "buy_boxes" | "earn":
                has[who] = self.work_out(place, has[who], "+", self.work_out(place, k, "×", n))
            case "more":
                has[who] = self.work_out(place, has[other], "+", n)
            case "fewer":
                has[who] = self.work_out(place, has[other], "-", n)
            case "times_as":
                has[who] = self.work_out(place, has[other], "×", k)
            case "share" | "pack":
                has[who] = self.work_out(place, has[who], "÷", k)
                self.cost = has[who]
            case "price":
                self.price = n
            case "purchase":
                self.cost = self.work_out(place, n, "×", self.price)
                if who in has:
                    has[who] = self.work_out(place, has[who], "-", self.cost)
            case "ask_together":
                return self.work_out(place, has[who], "+", has[other])
            case "ask_difference":
                return self.work_out(place, has[who], "-", has[other])
            case "ask_friend" | "ask_container" | "ask_cost":
                return self.cost
            case _:
                return has[who]
        return self.steps[-1].result if self.steps else n


def fill(plot: Plot, draw: Draw, native_share: float = 0.25) -> Story:
    """A story of the plot, with random people, things, places and numbers.

    Numbers are drawn until the answer is whole and all amounts are whole, from 1 to 99. Kilograms may be halves.
    """
    while True:
        events = _draw_events(plot, draw)
        native = draw.chance(native_share)
        if (worked := work_out(events)) is not None:
            steps, answer = worked
            return Story(plot.name, events, steps, answer, native)


def work_out(events: tuple[Event, ...]) -> tuple[tuple[Step, ...], Fraction] | None:
    """The operations and the answer of events. None if an amount is out of bounds."""
    ledger = _Ledger()
    answer = Fraction(0)
    for place, event in enumerate(events):
        answer = ledger.happens(place, event)
    parts = 2 if any(event.kind in _STUFF for event in events) else 1
    amounts = [step.result for step in ledger.steps]
    if answer.denominator != 1 or any(not 1 <= amount <= LARGEST or parts % amount.denominator for amount in amounts):
        return None
    return tuple(ledger.steps), answer


def _draw_events(plot: Plot, draw: Draw) -> tuple[Event, ...]:
    setting = SETTINGS[plot.domain]
    people = dict(zip("abc", draw.some(setting.people, 3), strict=True))
    item, stuff, container = draw.one(setting.things), draw.one(setting.stuff), draw.one(setting.containers)
    events = []
    for written in plot.events:
        kind, _, roles = written.partition(":")
        who, other = (*(people[role] for role in roles), "", "")[:2]
        places: tuple[str, ...] = getattr(setting, _PLACES[kind]) if kind in _PLACES else ("",)
        n, k = _draw_numbers(kind, draw)
        events.append(
            Event(
                kind,
                draw.number(0, 1),
                n,
                k,
                who,
                other,
                "" if kind in _STUFF else item,
                stuff if kind in _STUFF else "",
                container if kind in ("boxes", "buy_boxes", "pack", "ask_container") else "",
                draw.one(places),
            )
        )
    return tuple(events)


def _draw_numbers(kind: str, draw: Draw) -> tuple[Fraction | None, Fraction | None]:
    """`n` and `k` of an event of this kind."""
    if kind in _UNCOUNTED:
        return None, None
    if kind in _FACTORS:
        return None, _exact(draw.number(2, 5))
    if kind in _BOTH:
        return _exact(draw.number(2, 9)), _exact(draw.number(2, 6))
    if kind in ("price", "purchase"):
        return _exact(draw.number(2, 9)), None
    if kind in _STUFF:
        return _exact(draw.number(9, 40) if kind == "have_stuff" else draw.number(3, 20), 2), None
    if kind in ("have", "money"):
        return _exact(draw.number(5, 60)), None
    return _exact(draw.number(2, 20)), None


def general(domain: Domain, draw: Draw) -> Event:
    """A sentence of general text."""
    setting = SETTINGS[domain]
    who, other = draw.some(setting.people, 2)
    kind = draw.one(GENERAL)
    places = setting.outdoors + setting.trade
    return Event(kind, draw.number(0, 1), None, None, who, other, draw.one(setting.things), place=draw.one(places))
