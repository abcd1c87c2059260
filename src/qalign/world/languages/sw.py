"""Swahili: noun classes, and numbers after their nouns.

Quantifiers agree: matofaa yote, vitabu vingapi, mipira mingi. So do `one`, in kitabu kimoja, `of`, in funguo za Anna,
`with`, in vikapu vyenye, and verbs, in kitabu kinagharimu and mayai yanawekwa.
"""

# ruff: noqa: E501 -- a phrase stands on one line, like a table

from __future__ import annotations

from collections.abc import Mapping

from ..grammar import Grammar, Slots

# Anna and Leon: `Ana` would read as `ana` (has) and `Leo` as `leo` (today).
PEOPLE = {
    "anna": "Anna", "ben": "Ben", "clara": "Klara", "david": "Daudi", "emma": "Emma", "felix": "Felix", "lina": "Lina",
    "marco": "Marko", "nora": "Nora", "tom": "Tom",
    "ida": "Ida", "leo": "Leon", "maya": "Maya", "oscar": "Oska", "sara": "Sara", "viktor": "Viktor",
}  # fmt: skip

# What agrees with a noun, by its class in the singular: `one`, and the verb's prefix.
SINGULAR = {3: ("mmoja", "u"), 5: ("moja", "li"), 7: ("kimoja", "ki"), 9: ("moja", "i"), 11: ("mmoja", "u")}
# And by its class in the plural: `all`, `how many`, `many`, `of`, `with`, and the verb's prefix.
PLURAL = {
    4: ("yote", "mingapi", "mingi", "ya", "yenye", "i"),
    6: ("yote", "mangapi", "mengi", "ya", "yenye", "ya"),
    8: ("vyote", "vingapi", "vingi", "vya", "vyenye", "vi"),
    10: ("zote", "ngapi", "nyingi", "za", "zenye", "zi"),
}
# Singular, plural, and their classes.
THINGS = {
    "apple": ("tofaa", "matofaa", 5, 6), "orange": ("chungwa", "machungwa", 5, 6), "egg": ("yai", "mayai", 5, 6),
    "book": ("kitabu", "vitabu", 7, 8), "pencil": ("penseli", "penseli", 9, 10), "stamp": ("stempu", "stempu", 9, 10),
    "flower": ("ua", "maua", 5, 6), "ball": ("mpira", "mipira", 3, 4), "cookie": ("biskuti", "biskuti", 9, 10),
    "shell": ("kauri", "kauri", 9, 10),
    "lemon": ("limau", "malimau", 5, 6), "notebook": ("daftari", "madaftari", 5, 6), "button": ("kifungo", "vifungo", 7, 8),
    "photo": ("picha", "picha", 9, 10), "key": ("ufunguo", "funguo", 11, 10), "ticket": ("tiketi", "tiketi", 9, 10),
}  # fmt: skip
# The word, and `of` after it.
STUFF = {"rice": ("mchele", "wa"), "flour": ("unga", "wa"), "sugar": ("sukari", "ya"), "salt": ("chumvi", "ya")}
# Singular, plural, and their classes.
CONTAINERS = {
    "box": ("sanduku", "masanduku", 5, 6), "bag": ("mfuko", "mifuko", 3, 4), "basket": ("kikapu", "vikapu", 7, 8),
    "jar": ("mtungi", "mitungi", 3, 4),
}  # fmt: skip
PLACES = {
    "market": "sokoni", "shop": "dukani", "station": "kituoni", "park": "kwenye bustani ya umma",
    "garden": "bustanini", "school": "shuleni", "fair": "kwenye maonyesho", "beach": "ufukweni",
}  # fmt: skip

PHRASES = {
    "have": ("{who} ana {items} {n}.", "Mwanzoni, {who} ana {items} {n}."),
    "buy": ("{who} ananunua {items} {n} zaidi {place}.", "{place}, {who} ananunua {items} {n} zaidi."),
    "find": ("{who} anaokota {items} {n} {place}.", "{place}, {who} anaokota {items} {n}."),
    "give": ("{who} anampa {other} {items} {n}.", "{other} anapokea {items} {n} kutoka kwa {who}."),
    "lose": ("{who} anapoteza {items} {n} {place}.", "{place}, {who} anapoteza {items} {n}."),
    "sell": ("{who} anauza {items} {n} {place}.", "{place}, {who} anauza {items} {n}."),
    "times": ("Baadaye, {who} ana {items} mara {k} ya idadi aliyokuwa nayo kabla ya hapo.", "Kisha, idadi ya {items} {of} {who} inazidishwa kwa {k}."),
    "boxes": ("{who} ana {containers} {k} {holding} {items} {n} kila {container_one}.", "{who} ana {containers} {k}. Katika kila {container} kuna {items} {n}."),
    "buy_boxes": ("{who} ananunua {containers} {k} {holding} {items} {n} kila {container_one}.", "Kisha, {who} ananunua {containers} {k}. Katika kila {container} kuna {items} {n}."),
    "more": ("{who} ana {items} {n} zaidi ya {other}.", "Akilinganishwa na {other}, {who} ana {items} {n} zaidi."),
    "fewer": ("{who} ana {items} {n} pungufu kuliko {other}.", "Akilinganishwa na {other}, {who} ana {items} {n} pungufu."),
    "times_as": ("{who} ana {items} mara {k} ya idadi aliyonayo {other}.", "Idadi ya {items} {of} {who} ni mara {k} ya ile ya {other}."),
    "share": ("{who} anawagawia marafiki {k} {items} {all} kwa usawa.", "Marafiki {k} wanagawana {items} {all} {of} {who} kwa usawa."),
    "pack": ("{who} anaweka {items} {all} katika {containers} {k}, idadi sawa katika kila {container}.", "{items} {all} {of} {who} {they}nawekwa katika {containers} {k}, idadi sawa katika kila {container}."),
    "price": ("{item} {one} {it}nagharimu sarafu {n}.", "Bei ya {item} {one} ni sarafu {n}."),
    "money": ("{who} ana sarafu {n}.", "Mwanzoni, {who} ana sarafu {n}."),
    "purchase": ("{who} ananunua {items} {n} {place}.", "{place}, {who} ananunua {items} {n}."),
    "earn": ("{who} anafanya kazi kwa saa {k} na kulipwa sarafu {n} kwa kila saa.", "Kwa saa {k} za kazi, {who} anapokea sarafu {n} kwa kila saa."),
    "have_stuff": ("{who} ana kilogramu {n} za {stuff}.", "Mwanzoni, {who} ana kilogramu {n} za {stuff}."),
    "buy_stuff": ("{who} ananunua kilogramu {n} zaidi za {stuff}.", "Kisha, {who} ananunua kilogramu {n} zaidi za {stuff}."),
    "use_stuff": ("{who} anatumia kilogramu {n} za {stuff}.", "Kisha, {who} anatumia kilogramu {n} za {stuff}."),
    "ask_now": ("{who} ana {items} {how_many} sasa?", "Idadi ya {items} {of} {who} sasa ni ngapi?"),
    "ask_have": ("{who} ana {items} {how_many}?", "Idadi ya {items} {of} {who} ni ngapi?"),
    "ask_together": ("{who} na {other} wana {items} {how_many} kwa pamoja?", "Kwa pamoja, {who} na {other} wana {items} {how_many}?"),
    "ask_difference": ("{who} ana {items} {how_many} zaidi ya {other}?", "Akilinganishwa na {other}, {who} ana {items} {how_many} zaidi?"),
    "ask_friend": ("Kila rafiki anapokea {items} {how_many}?", "Kila rafiki anapokea idadi gani ya {items}?"),
    "ask_container": ("Katika kila {container} kuna {items} {how_many}?", "Idadi ya {items} katika kila {container} ni ngapi?"),
    "ask_coins_left": ("{who} anabaki na sarafu ngapi?", "Idadi ya sarafu anazobaki nazo {who} ni ngapi?"),
    "ask_cost": ("{who} analipa sarafu ngapi?", "Idadi ya sarafu anazolipa {who} ni ngapi?"),
    "ask_coins": ("{who} ana sarafu ngapi sasa?", "Idadi ya sarafu za {who} sasa ni ngapi?"),
    "ask_stuff": ("{who} ana kilogramu ngapi za {stuff} sasa?", "Uzito wa {stuff} {of_stuff} {who} sasa ni kilogramu ngapi?"),
    "likes": ("{who} anapenda {items}.", "{who} anapenda sana {items}."),
    "sees": ("{who} anamwona {other} {place}.", "{place}, {who} anamwona {other}."),
    "buys_some": ("{who} ananunua {items} {place}.", "{place}, {who} ananunua {items}."),
    "finds_some": ("{who} anaokota {items} {place}.", "{place}, {who} anaokota {items}."),
    "gives_some": ("{who} anampa {other} {items}.", "{other} anapokea {items} kutoka kwa {who}."),
    "loses_some": ("{who} anapoteza {items} {place}.", "{place}, {who} anapoteza {items}."),
    "sells_some": ("{who} anauza {items} {place}.", "{place}, {who} anauza {items}."),
    "many_there": ("Kuna {items} {many} {place}.", "{place} kuna {items} {many}."),
    "both_have": ("{who} na {other} wana {items}.", "Vitu walivyonavyo {who} na {other} ni {items}."),
    "is_at": ("{who} yuko {place} sasa.", "{who} na {other} wako {place} sasa."),
}  # fmt: skip


def fields(slots: Slots) -> Mapping[str, str]:
    """The fields of a phrase.

    Names stand alone. Things are plural: no amount is below 2. Words with a noun take its class.
    """
    item, items, item_class, items_class = slots.item or ("", "", 9, 10)
    container, containers, container_class, containers_class = slots.container or ("", "", 9, 10)
    stuff, of_stuff = slots.stuff or ("", "")
    one, it = SINGULAR[item_class]
    all_, how_many, many, of, _, they = PLURAL[items_class]
    container_one, _ = SINGULAR[container_class]
    _, _, _, _, holding, _ = PLURAL[containers_class]
    return {
        "who": slots.who or "", "other": slots.other or "", "n": slots.n.text, "k": slots.k.text, "place": slots.place or "",
        "stuff": stuff, "of_stuff": of_stuff, "item": item, "items": items, "one": one, "it": it, "all": all_,
        "how_many": how_many, "many": many, "of": of, "they": they,
        "container": container, "containers": containers, "container_one": container_one, "holding": holding,
    }  # fmt: skip


def word(entry: tuple[str | int, ...] | str) -> str:
    """The singular. A place as it stands in a sentence."""
    return entry if isinstance(entry, str) else str(entry[0])


GRAMMAR = Grammar(
    "sw", PEOPLE, THINGS, STUFF, CONTAINERS, PLACES, PHRASES, "{left} {sign} {right} = {result}.", "Jibu ni {n}.", fields, word
)  # fmt: skip
