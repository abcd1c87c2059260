"""Italian, a language that the package does not have: what a user adds. Takes care of gender (quante, tutti i, ciascuna; l'uovo is
masculine, le uova feminine), of the articles, and of `ad` and `ed` before the same vowel."""

# ruff: noqa: E501 -- a phrase stands on one line, like a table

from __future__ import annotations

from collections.abc import Mapping

from qalign.languages import Language
from qalign.world.grammar import Grammar, Slots

PEOPLE = {
    "anna": "Anna", "ben": "Ben", "clara": "Clara", "david": "Davide", "emma": "Emma", "felix": "Felice", "lina": "Lina",
    "marco": "Marco", "nora": "Nora", "tom": "Tom",
    "ida": "Ida", "leo": "Leo", "maya": "Maya", "oscar": "Oscar", "sara": "Sara", "viktor": "Vittorio",
}  # fmt: skip

# One, plural, gender of the plural.
THINGS = {
    "apple": ("una mela", "mele", "f"), "orange": ("un'arancia", "arance", "f"), "egg": ("un uovo", "uova", "f"),
    "book": ("un libro", "libri", "m"), "pencil": ("una matita", "matite", "f"), "stamp": ("un francobollo", "francobolli", "m"),
    "flower": ("un fiore", "fiori", "m"), "ball": ("una palla", "palle", "f"), "cookie": ("un biscotto", "biscotti", "m"),
    "shell": ("una conchiglia", "conchiglie", "f"),
    "lemon": ("un limone", "limoni", "m"), "notebook": ("un quaderno", "quaderni", "m"), "button": ("un bottone", "bottoni", "m"),
    "photo": ("una foto", "foto", "f"), "key": ("una chiave", "chiavi", "f"), "ticket": ("un biglietto", "biglietti", "m"),
}  # fmt: skip
# The word, and the word after `di` with its article.
STUFF = {
    "rice": ("riso", "del riso"), "flour": ("farina", "della farina"), "sugar": ("zucchero", "dello zucchero"),
    "salt": ("sale", "del sale"),
}  # fmt: skip
# Singular, plural, gender.
CONTAINERS = {
    "box": ("scatola", "scatole", "f"), "bag": ("sacchetto", "sacchetti", "m"), "basket": ("cesto", "cesti", "m"),
    "jar": ("barattolo", "barattoli", "m"),
}  # fmt: skip
PLACES = {
    "market": "al mercato", "shop": "al negozio", "station": "alla stazione", "park": "al parco",
    "garden": "in giardino", "school": "a scuola", "fair": "alla fiera", "beach": "sulla spiaggia",
}  # fmt: skip

PHRASES = {
    "have": ("{who} ha {n} {items}.", "All'inizio {who} ha {n} {items}."),
    "buy": ("{who} compra {other_ones} {n} {items} {place}.", "{place} {who} compra {other_ones} {n} {items}."),
    "find": ("{who} trova {n} {items} {place}.", "{place} {who} trova {n} {items}."),
    "give": ("{who} dà {n} {items} {to_other}.", "{other} riceve {n} {items} da {who}."),
    "lose": ("{who} perde {n} {items} {place}.", "{place} {who} perde {n} {items}."),
    "sell": ("{who} vende {n} {items} {place}.", "{place} {who} vende {n} {items}."),
    "times": ("Più tardi {who} ha {k} volte il numero di {items} di prima.", "Poi il numero di {items} di {who} diventa {k} volte più grande."),
    "boxes": ("{who} ha {k} {containers} con {n} {items} {each}.", "{who} ha {k} {containers}. In ogni {container} ci sono {n} {items}."),
    "buy_boxes": ("{who} compra {k} {containers} con {n} {items} {each}.", "Poi {who} compra {k} {containers}. In ogni {container} ci sono {n} {items}."),
    "more": ("{who} ha {n} {items} in più di {other}.", "Rispetto {to_other}, {who} ha {n} {items} in più."),
    "fewer": ("{who} ha {n} {items} in meno di {other}.", "Rispetto {to_other}, {who} ha {n} {items} in meno."),
    "times_as": ("{who} ha {k} volte il numero di {items} di {other}.", "Il numero di {items} di {who} è {k} volte quello di {other}."),
    "share": ("{who} divide {all_items} in parti uguali tra {k} amici.", "{k} amici ricevono in parti uguali {all_items} di {who}."),
    "pack": ("{who} mette {all_items} in {k} {containers}, con lo stesso numero in ogni {container}.", "{all_items} di {who} vanno in {k} {containers}, con lo stesso numero in ogni {container}."),
    "price": ("{one_item} costa {n} monete.", "Il prezzo di {one_item} è di {n} monete."),
    "money": ("{who} ha {n} monete.", "All'inizio {who} ha {n} monete."),
    "purchase": ("{who} compra {n} {items} {place}.", "{place} {who} compra {n} {items}."),
    "earn": ("{who} lavora {k} ore e guadagna {n} monete all'ora.", "Per {k} ore di lavoro {who} riceve {n} monete all'ora."),
    "have_stuff": ("{who} ha {n} chilogrammi di {stuff}.", "All'inizio {who} ha {n} chilogrammi di {stuff}."),
    "buy_stuff": ("{who} compra altri {n} chilogrammi di {stuff}.", "Poi {who} compra altri {n} chilogrammi di {stuff}."),
    "use_stuff": ("{who} usa {n} chilogrammi di {stuff}.", "Poi {who} usa {n} chilogrammi di {stuff}."),
    "ask_now": ("{how_many} {items} ha ora {who}?", "Qual è il numero di {items} che ha ora {who}?"),
    "ask_have": ("{how_many} {items} ha {who}?", "Qual è il numero di {items} che ha {who}?"),
    "ask_together": ("{how_many} {items} hanno in tutto {who} {and_other}?", "In tutto, {how_many} {items} hanno {who} {and_other}?"),
    "ask_difference": ("{how_many} {items} in più di {other} ha {who}?", "Rispetto {to_other}, {how_many} {items} in più ha {who}?"),
    "ask_friend": ("{how_many} {items} riceve ogni amico?", "Qual è il numero di {items} che riceve ogni amico?"),
    "ask_container": ("{how_many} {items} ci sono in ogni {container}?", "Qual è il numero di {items} in ogni {container}?"),
    "ask_coins_left": ("Quante monete restano {to_who}?", "Qual è il numero di monete che restano {to_who}?"),
    "ask_cost": ("Quante monete paga {who}?", "Qual è il numero di monete che paga {who}?"),
    "ask_coins": ("Quante monete ha ora {who}?", "Qual è il numero di monete che ha ora {who}?"),
    "ask_stuff": ("Quanti chilogrammi di {stuff} ha ora {who}?", "Qual è il peso in chilogrammi {of_the_stuff} che ha ora {who}?"),
    "likes": ("{to_who} piacciono {the_items}.", "{to_who} piacciono molto {the_items}."),
    "sees": ("{who} vede {other} {place}.", "{place} {who} vede {other}."),
    "buys_some": ("{who} compra {some_items} {place}.", "{place} {who} compra {some_items}."),
    "finds_some": ("{who} trova {some_items} {place}.", "{place} {who} trova {some_items}."),
    "gives_some": ("{who} dà {some_items} {to_other}.", "{other} riceve {some_items} da {who}."),
    "loses_some": ("{who} perde {some_items} {place}.", "{place} {who} perde {some_items}."),
    "sells_some": ("{who} vende {some_items} {place}.", "{place} {who} vende {some_items}."),
    "many_there": ("Ci sono {many_items} {place}.", "{place} ci sono {many_items}."),
    "both_have": ("{who} {and_other} hanno {some_items}.", "Sia {who} sia {other} hanno {some_items}."),
    "is_at": ("{who} ora è {place}.", "{who} {and_other} ora sono {place}."),
}  # fmt: skip


def before(particle: str, name: str) -> str:
    """`a` and `e` take a d before a name that begins with the same vowel: ad Anna, ed Emma."""
    return f"{particle}{'d' if name.lower().startswith(particle) else ''} {name}"


def fields(slots: Slots) -> Mapping[str, str]:
    """Names stand alone; things are in the plural, for no amount is below 2; what stands with a noun takes its gender."""
    who, other = slots.who or "", slots.other or ""
    one_item, items, gender = slots.item or ("", "", "m")
    container, containers, container_gender = slots.container or ("", "", "m")
    stuff, of_the_stuff = slots.stuff or ("", "")
    ending, the = ("e", "le") if gender == "f" else ("i", "i")
    return {
        "who": who, "to_who": before("a", who), "other": other, "to_other": before("a", other), "and_other": before("e", other),
        "n": slots.n.text, "k": slots.k.text, "place": slots.place or "", "stuff": stuff, "of_the_stuff": of_the_stuff,
        "one_item": one_item, "items": items, "the_items": f"{the} {items}", "all_items": f"tutt{ending} {the} {items}",
        "some_items": f"{'delle' if gender == 'f' else 'dei'} {items}", "many_items": f"molt{ending} {items}",
        "how_many": f"quant{ending}", "other_ones": f"altr{ending}",
        "container": container, "containers": containers, "each": "ciascuna" if container_gender == "f" else "ciascuno",
    }  # fmt: skip


def word(entry: tuple[str, ...] | str) -> str:
    """With its article, where the list has one; a place as it stands in a sentence."""
    return entry if isinstance(entry, str) else entry[0]


ROW = Language(
    "it", "Italian", "Italiano", "ita", decimal=",", groups=".",
    answer_markers=("la risposta è", "la risposta finale è", "risposta:"), scales={"mila": 10**3, "milioni": 10**6},
)  # fmt: skip
GRAMMAR = Grammar(
    "it", PEOPLE, THINGS, STUFF, CONTAINERS, PLACES, PHRASES, "{left} {sign} {right} = {result}.", "La risposta è {n}.", fields, word,
    row=ROW,
)  # fmt: skip
