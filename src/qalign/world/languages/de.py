"""German: gender, case, and the verb in second place.

Gender and case decide ein Apfel, für einen Apfel, in jeder Kiste, in jeden Korb, der Reis and den Reis. The dative plural
ends in -n: mit je 5 Äpfeln. `Kilogramm` has no plural after a number. Names never change: `von` replaces the genitive.
"""

# ruff: noqa: E501 -- a phrase stands on one line, like a table

from __future__ import annotations

from collections.abc import Mapping

from ..grammar import Grammar, Slots

PEOPLE = {
    "anna": "Anna", "ben": "Ben", "clara": "Clara", "david": "David", "emma": "Emma", "felix": "Felix", "lina": "Lina",
    "marco": "Marco", "nora": "Nora", "tom": "Tom",
    "ida": "Ida", "leo": "Leo", "maya": "Maya", "oscar": "Oskar", "sara": "Sara", "viktor": "Viktor",
}  # fmt: skip

# Singular, plural, gender.
THINGS = {
    "apple": ("Apfel", "Äpfel", "m"), "orange": ("Orange", "Orangen", "f"), "egg": ("Ei", "Eier", "n"),
    "book": ("Buch", "Bücher", "n"), "pencil": ("Bleistift", "Bleistifte", "m"), "stamp": ("Briefmarke", "Briefmarken", "f"),
    "flower": ("Blume", "Blumen", "f"), "ball": ("Ball", "Bälle", "m"), "cookie": ("Keks", "Kekse", "m"),
    "shell": ("Muschel", "Muscheln", "f"),
    "lemon": ("Zitrone", "Zitronen", "f"), "notebook": ("Heft", "Hefte", "n"), "button": ("Knopf", "Knöpfe", "m"),
    "photo": ("Foto", "Fotos", "n"), "key": ("Schlüssel", "Schlüssel", "m"), "ticket": ("Ticket", "Tickets", "n"),
}  # fmt: skip
# The word, and what someone has of it: the beginning of a relative clause.
STUFF = {
    "rice": ("Reis", "der Reis, den"), "flour": ("Mehl", "das Mehl, das"), "sugar": ("Zucker", "der Zucker, den"),
    "salt": ("Salz", "das Salz, das"),
}  # fmt: skip
# Singular, plural, gender.
CONTAINERS = {
    "box": ("Kiste", "Kisten", "f"), "bag": ("Tüte", "Tüten", "f"), "basket": ("Korb", "Körbe", "m"),
    "jar": ("Glas", "Gläser", "n"),
}  # fmt: skip
PLACES = {
    "market": "auf dem Markt", "shop": "im Laden", "station": "am Bahnhof", "park": "im Park",
    "garden": "im Garten", "school": "in der Schule", "fair": "auf dem Jahrmarkt", "beach": "am Strand",
}  # fmt: skip

PHRASES = {
    "have": ("{who} hat {n} {items}.", "Am Anfang hat {who} {n} {items}."),
    "buy": ("{who} kauft {place} {n} weitere {items}.", "{place} kauft {who} {n} weitere {items}."),
    "find": ("{who} findet {place} {n} {items}.", "{place} findet {who} {n} {items}."),
    "give": ("{who} gibt {other} {n} {items}.", "{other} bekommt von {who} {n} {items}."),
    "lose": ("{who} verliert {place} {n} {items}.", "{place} verliert {who} {n} {items}."),
    "sell": ("{who} verkauft {place} {n} {items}.", "{place} verkauft {who} {n} {items}."),
    "times": ("Später hat {who} {k}-mal so viele {items} wie vorher.", "Dann wird die Anzahl der {items}, die {who} hat, {k}-mal so groß."),
    "boxes": ("{who} hat {k} {containers} mit je {n} {items_dat}.", "{who} hat {k} {containers}. In {each_container} sind {n} {items}."),
    "buy_boxes": ("{who} kauft {k} {containers} mit je {n} {items_dat}.", "Dann kauft {who} {k} {containers}. In {each_container} sind {n} {items}."),
    "more": ("{who} hat {n} {items} mehr als {other}.", "Im Vergleich zu {other} hat {who} {n} {items} mehr."),
    "fewer": ("{who} hat {n} {items} weniger als {other}.", "Im Vergleich zu {other} hat {who} {n} {items} weniger."),
    "times_as": ("{who} hat {k}-mal so viele {items} wie {other}.", "Im Vergleich zu {other} hat {who} {k}-mal so viele {items}."),
    "share": ("{who} verteilt alle {items} gleichmäßig an {k} Freunde.", "{k} Freunde bekommen alle {items} von {who} zu gleichen Teilen."),
    "pack": ("{who} packt alle {items} in {k} {containers}, in {each_acc} gleich viele.", "Alle {items} von {who} kommen in {k} {containers}, in {each_acc} gleich viele."),
    "price": ("{one} {item} kostet {n} Münzen.", "Der Preis für {one_acc} {item} beträgt {n} Münzen."),
    "money": ("{who} hat {n} Münzen.", "Am Anfang hat {who} {n} Münzen."),
    "purchase": ("{who} kauft {place} {n} {items}.", "{place} kauft {who} {n} {items}."),
    "earn": ("{who} arbeitet {k} Stunden und verdient {n} Münzen pro Stunde.", "Für {k} Stunden Arbeit bekommt {who} {n} Münzen pro Stunde."),
    "have_stuff": ("{who} hat {n} Kilogramm {stuff}.", "Am Anfang hat {who} {n} Kilogramm {stuff}."),
    "buy_stuff": ("{who} kauft weitere {n} Kilogramm {stuff}.", "Dann kauft {who} weitere {n} Kilogramm {stuff}."),
    "use_stuff": ("{who} verbraucht {n} Kilogramm {stuff}.", "Dann verbraucht {who} {n} Kilogramm {stuff}."),
    "ask_now": ("Wie viele {items} hat {who} jetzt?", "Wie groß ist die Anzahl der {items}, die {who} jetzt hat?"),
    "ask_have": ("Wie viele {items} hat {who}?", "Wie groß ist die Anzahl der {items}, die {who} hat?"),
    "ask_together": ("Wie viele {items} haben {who} und {other} zusammen?", "Wie groß ist die Anzahl der {items}, die {who} und {other} zusammen haben?"),
    "ask_difference": ("Wie viele {items} hat {who} mehr als {other}?", "Wie viele {items} hat {who} im Vergleich zu {other} mehr?"),
    "ask_friend": ("Wie viele {items} bekommt jeder Freund?", "Wie groß ist die Anzahl der {items}, die jeder Freund bekommt?"),
    "ask_container": ("Wie viele {items} sind in {each_container}?", "Wie groß ist die Anzahl der {items} in {each_container}?"),
    "ask_coins_left": ("Wie viele Münzen hat {who} noch übrig?", "Wie groß ist die Anzahl der Münzen, die {who} noch übrig hat?"),
    "ask_cost": ("Wie viele Münzen bezahlt {who}?", "Wie groß ist die Anzahl der Münzen, die {who} bezahlt?"),
    "ask_coins": ("Wie viele Münzen hat {who} jetzt?", "Wie groß ist die Anzahl der Münzen, die {who} jetzt hat?"),
    "ask_stuff": ("Wie viele Kilogramm {stuff} hat {who} jetzt?", "Wie viele Kilogramm wiegt {the_stuff_that} {who} jetzt hat?"),
    "likes": ("{who} mag {items}.", "{who} mag {items} sehr gern."),
    "sees": ("{who} sieht {other} {place}.", "{place} sieht {who} {other}."),
    "buys_some": ("{who} kauft {place} {items}.", "{place} kauft {who} {items}."),
    "finds_some": ("{who} findet {place} {items}.", "{place} findet {who} {items}."),
    "gives_some": ("{who} gibt {other} {items}.", "{other} bekommt von {who} {items}."),
    "loses_some": ("{who} verliert {place} {items}.", "{place} verliert {who} {items}."),
    "sells_some": ("{who} verkauft {place} {items}.", "{place} verkauft {who} {items}."),
    "many_there": ("Es gibt {place} viele {items}.", "{place} gibt es viele {items}."),
    "both_have": ("{who} und {other} haben {items}.", "Sowohl {who} als auch {other} haben {items}."),
    "is_at": ("{who} ist jetzt {place}.", "{who} und {other} sind jetzt {place}."),
}  # fmt: skip

# By gender: `one` in the nominative and in the accusative; `each` in the dative and in the accusative.
ONE = {"m": ("ein", "einen"), "f": ("eine", "eine"), "n": ("ein", "ein")}
EACH = {"m": ("jedem", "jeden"), "f": ("jeder", "jede"), "n": ("jedem", "jedes")}


def dative(plural: str) -> str:
    """The dative of a plural: Äpfeln. Blumen and Fotos do not change."""
    return plural if plural.endswith(("n", "s")) else f"{plural}n"


def fields(slots: Slots) -> Mapping[str, str]:
    """The fields of a phrase.

    Names stand alone. Things are plural: no amount is below 2. Words with a noun take its gender and case.
    """
    item, items, gender = slots.item or ("", "", "m")
    container, containers, container_gender = slots.container or ("", "", "m")
    stuff, the_stuff_that = slots.stuff or ("", "")
    one, one_acc = ONE[gender]
    each_dat, each_acc = EACH[container_gender]
    return {
        "who": slots.who or "", "other": slots.other or "", "n": slots.n.text, "k": slots.k.text, "place": slots.place or "",
        "stuff": stuff, "the_stuff_that": the_stuff_that,
        "item": item, "items": items, "items_dat": dative(items), "one": one, "one_acc": one_acc,
        "containers": containers, "each_container": f"{each_dat} {container}", "each_acc": each_acc,
    }  # fmt: skip


def word(entry: tuple[str, ...] | str) -> str:
    """The nominative singular. A place as it stands in a sentence."""
    return entry if isinstance(entry, str) else entry[0]


GRAMMAR = Grammar(
    "de", PEOPLE, THINGS, STUFF, CONTAINERS, PLACES, PHRASES, "{left} {sign} {right} = {result}.", "Die Antwort ist {n}.", fields, word
)  # fmt: skip
