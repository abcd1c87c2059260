"""English."""
# ruff: noqa: E501  # a phrase stands on one line, like a table

from __future__ import annotations

from collections.abc import Mapping

from ..grammar import Grammar, Slots

PEOPLE = {
    "anna": "Anna", "ben": "Ben", "clara": "Clara", "david": "David", "emma": "Emma", "felix": "Felix", "lina": "Lina",
    "marco": "Marco", "nora": "Nora", "tom": "Tom",
    "ida": "Ida", "leo": "Leo", "maya": "Maya", "oscar": "Oscar", "sara": "Sara", "viktor": "Viktor",
}  # fmt: skip

# Singular and plural.
THINGS = {
    "apple": ("apple", "apples"), "orange": ("orange", "oranges"), "egg": ("egg", "eggs"), "book": ("book", "books"),
    "pencil": ("pencil", "pencils"), "stamp": ("stamp", "stamps"), "flower": ("flower", "flowers"), "ball": ("ball", "balls"),
    "cookie": ("cookie", "cookies"), "shell": ("shell", "shells"),
    "lemon": ("lemon", "lemons"), "notebook": ("notebook", "notebooks"), "button": ("button", "buttons"),
    "photo": ("photo", "photos"), "key": ("key", "keys"), "ticket": ("ticket", "tickets"),
}  # fmt: skip
STUFF = {"rice": "rice", "flour": "flour", "sugar": "sugar", "salt": "salt"}
CONTAINERS = {"box": ("box", "boxes"), "bag": ("bag", "bags"), "basket": ("basket", "baskets"), "jar": ("jar", "jars")}
PLACES = {
    "market": "at the market", "shop": "at the shop", "station": "at the station", "park": "in the park",
    "garden": "in the garden", "school": "at the school", "fair": "at the fair", "beach": "on the beach",
}  # fmt: skip

# fmt: off
PHRASES = {
    "have": ("{who} has {n} {items}.", "At first {who} has {n} {items}."),
    "buy": ("{who} buys {n} more {items} {place}.", "{place} {who} buys {n} more {items}."),
    "find": ("{who} finds {n} {items} {place}.", "{place} {who} finds {n} {items}."),
    "give": ("{who} gives {n} {items} to {other}.", "{other} gets {n} {items} from {who}."),
    "lose": ("{who} loses {n} {items} {place}.", "{place} {who} loses {n} {items}."),
    "sell": ("{who} sells {n} {items} {place}.", "{place} {who} sells {n} {items}."),
    "times": ("Later {who} has {k} times as many {items} as before.", "Then the number of {items} that {who} has becomes {k} times as large."),
    "boxes": ("{who} has {k} {containers} with {n} {items} each.", "{who} has {k} {containers}. In each {container} there are {n} {items}."),
    "buy_boxes": ("{who} buys {k} {containers} with {n} {items} each.", "Then {who} buys {k} {containers}. In each {container} there are {n} {items}."),
    "more": ("{who} has {n} more {items} than {other}.", "Compared with {other}, {who} has {n} more {items}."),
    "fewer": ("{who} has {n} fewer {items} than {other}.", "Compared with {other}, {who} has {n} fewer {items}."),
    "times_as": ("{who} has {k} times as many {items} as {other}.", "Compared with {other}, {who} has {k} times as many {items}."),
    "share": ("{who} divides all the {items} equally between {k} friends.", "{k} friends get all of {who}'s {items} in equal shares."),
    "pack": ("{who} puts all the {items} into {k} {containers}, the same number in each.", "All of {who}'s {items} go into {k} {containers}, the same number in each."),
    "price": ("One {item} costs {n} coins.", "The price of one {item} is {n} coins."),
    "money": ("{who} has {n} coins.", "At first {who} has {n} coins."),
    "purchase": ("{who} buys {n} {items} {place}.", "{place} {who} buys {n} {items}."),
    "earn": ("{who} works {k} hours and earns {n} coins an hour.", "For {k} hours of work {who} gets {n} coins an hour."),
    "have_stuff": ("{who} has {n} kilograms of {stuff}.", "At first {who} has {n} kilograms of {stuff}."),
    "buy_stuff": ("{who} buys {n} more kilograms of {stuff}.", "Then {who} buys {n} more kilograms of {stuff}."),
    "use_stuff": ("{who} uses {n} kilograms of {stuff}.", "Then {who} uses {n} kilograms of {stuff}."),
    "ask_now": ("How many {items} does {who} have now?", "What is the number of {items} that {who} has now?"),
    "ask_have": ("How many {items} does {who} have?", "What is the number of {items} that {who} has?"),
    "ask_together": ("How many {items} do {who} and {other} have together?", "Together, how many {items} do {who} and {other} have?"),
    "ask_difference": ("How many more {items} does {who} have than {other}?", "Compared with {other}, how many more {items} does {who} have?"),
    "ask_friend": ("How many {items} does each friend get?", "What is the number of {items} that each friend gets?"),
    "ask_container": ("How many {items} are in each {container}?", "What is the number of {items} in each {container}?"),
    "ask_coins_left": ("How many coins does {who} have left?", "What is the number of coins that {who} has left?"),
    "ask_cost": ("How many coins does {who} pay?", "What is the number of coins that {who} pays?"),
    "ask_coins": ("How many coins does {who} have now?", "What is the number of coins that {who} has now?"),
    "ask_stuff": ("How many kilograms of {stuff} does {who} have now?", "What is the weight of the {stuff} that {who} has now, in kilograms?"),
    "likes": ("{who} likes {items}.", "{who} likes {items} very much."),
    "sees": ("{who} sees {other} {place}.", "{place} {who} sees {other}."),
    "buys_some": ("{who} buys {items} {place}.", "{place} {who} buys {items}."),
    "finds_some": ("{who} finds {items} {place}.", "{place} {who} finds {items}."),
    "gives_some": ("{who} gives {items} to {other}.", "{other} gets {items} from {who}."),
    "loses_some": ("{who} loses {items} {place}.", "{place} {who} loses {items}."),
    "sells_some": ("{who} sells {items} {place}.", "{place} {who} sells {items}."),
    "many_there": ("There are many {items} {place}.", "{place} there are many {items}."),
    "both_have": ("{who} and {other} have {items}.", "Both {who} and {other} have {items}."),
    "is_at": ("{who} is {place} now.", "{who} and {other} are {place} now."),
}
# fmt: on

# What ends a story that the base's text works out.
TOTAL = "That makes {n}."

# What only the large English set says: the unknown, and the result that is known (MetaMath, arXiv 2309.12284).
UNKNOWN = "What is the value of the unknown x?"
BACKWARD = "If we know that the answer to this question is {n}, what is the value of the unknown x?"
KNOWN = "In the end {who} has {n} {items}."


def fields(slots: Slots) -> Mapping[str, str]:
    """Names stand alone. Things are plural: no amount in a problem is below 2."""
    item, container = slots.item or ("", ""), slots.container or ("", "")
    return {
        "who": slots.who or "", "other": slots.other or "", "n": slots.n.text, "k": slots.k.text, "item": item[0], "items": item[1],
        "container": container[0], "containers": container[1], "stuff": slots.stuff or "", "place": slots.place or "",
    }  # fmt: skip


def word(entry: tuple[str, str] | str) -> str:
    """The singular."""
    return entry if isinstance(entry, str) else entry[0]


GRAMMAR = Grammar(
    "en", PEOPLE, THINGS, STUFF, CONTAINERS, PLACES, PHRASES, "{left} {sign} {right} = {result}.", "The answer is {n}.", fields, word
)  # fmt: skip
