"""French: elision, gender, the inverted question, and the plural from 2.

Elision: d'œufs, qu'Anna, d'une pomme. Gender: tous les, contenant chacune, a-t-elle, ont-ils. The plural starts at 2, as in
1,5 kilogramme. A no-break space stands before a question mark.
"""

# ruff: noqa: E501 -- a phrase stands on one line, like a table

from __future__ import annotations

from collections.abc import Mapping

from ..grammar import Amount, Grammar, Slots

# Name, gender.
PEOPLE = {
    "anna": ("Anna", "f"), "ben": ("Ben", "m"), "clara": ("Clara", "f"), "david": ("David", "m"), "emma": ("Emma", "f"),
    "felix": ("Félix", "m"), "lina": ("Lina", "f"), "marco": ("Marco", "m"), "nora": ("Nora", "f"), "tom": ("Tom", "m"),
    "ida": ("Ida", "f"), "leo": ("Léo", "m"), "maya": ("Maya", "f"), "oscar": ("Oscar", "m"), "sara": ("Sara", "f"),
    "viktor": ("Victor", "m"),
}  # fmt: skip

# Singular, plural, gender.
THINGS = {
    "apple": ("pomme", "pommes", "f"), "orange": ("orange", "oranges", "f"), "egg": ("œuf", "œufs", "m"),
    "book": ("livre", "livres", "m"), "pencil": ("crayon", "crayons", "m"), "stamp": ("timbre", "timbres", "m"),
    "flower": ("fleur", "fleurs", "f"), "ball": ("ballon", "ballons", "m"), "cookie": ("biscuit", "biscuits", "m"),
    "shell": ("coquillage", "coquillages", "m"),
    "lemon": ("citron", "citrons", "m"), "notebook": ("cahier", "cahiers", "m"), "button": ("bouton", "boutons", "m"),
    "photo": ("photo", "photos", "f"), "key": ("clé", "clés", "f"), "ticket": ("ticket", "tickets", "m"),
}  # fmt: skip
# The word, and the word after `de` with its article.
STUFF = {
    "rice": ("riz", "du riz"), "flour": ("farine", "de la farine"), "sugar": ("sucre", "du sucre"), "salt": ("sel", "du sel"),
}  # fmt: skip
# Singular, plural, gender.
CONTAINERS = {
    "box": ("boîte", "boîtes", "f"), "bag": ("sac", "sacs", "m"), "basket": ("panier", "paniers", "m"),
    "jar": ("bocal", "bocaux", "m"),
}  # fmt: skip
PLACES = {
    "market": "au marché", "shop": "au magasin", "station": "à la gare", "park": "au parc",
    "garden": "dans le jardin", "school": "à l'école", "fair": "à la foire", "beach": "sur la plage",
}  # fmt: skip

# of_ is `de`, than_ is `que`, elided before a vowel; {he} is il or elle, {they} ils or elles.
PHRASES = {
    "have": ("{who} a {n} {items}.", "Au début, {who} a {n} {items}."),
    "buy": ("{who} achète {n} {items} de plus {place}.", "{place}, {who} achète {n} {items} de plus."),
    "find": ("{who} trouve {n} {items} {place}.", "{place}, {who} trouve {n} {items}."),
    "give": ("{who} donne {n} {items} à {other}.", "{other} reçoit {n} {items} de la part {of_who}."),
    "lose": ("{who} perd {n} {items} {place}.", "{place}, {who} perd {n} {items}."),
    "sell": ("{who} vend {n} {items} {place}.", "{place}, {who} vend {n} {items}."),
    "times": ("Plus tard, {who} a {k} fois plus {of_items} qu'avant.", "Ensuite, le nombre {of_items} {of_who} est multiplié par {k}."),
    "boxes": ("{who} a {k} {containers} contenant {each} {n} {items}.", "{who} a {k} {containers}. Dans chaque {container}, il y a {n} {items}."),
    "buy_boxes": ("{who} achète {k} {containers} contenant {each} {n} {items}.", "Ensuite, {who} achète {k} {containers}. Dans chaque {container}, il y a {n} {items}."),
    "more": ("{who} a {n} {items} de plus {than_other}.", "Par rapport à {other}, {who} a {n} {items} de plus."),
    "fewer": ("{who} a {n} {items} de moins {than_other}.", "Par rapport à {other}, {who} a {n} {items} de moins."),
    "times_as": ("{who} a {k} fois plus {of_items} {than_other}.", "Par rapport à {other}, {who} a {k} fois plus {of_items}."),
    "share": ("{who} partage {all_items} en parts égales entre {k} amis.", "{k} amis reçoivent {all_items} {of_who} en parts égales."),
    "pack": ("{who} range {all_items} dans {k} {containers}, avec le même nombre {of_items} dans chaque {container}.", "{all_items} {of_who} sont {put_away} dans {k} {containers}, avec le même nombre {of_items} dans chaque {container}."),
    "price": ("{one} {item} coûte {n} pièces.", "Le prix d'{one} {item} est de {n} pièces."),
    "money": ("{who} a {n} pièces.", "Au début, {who} a {n} pièces."),
    "purchase": ("{who} achète {n} {items} {place}.", "{place}, {who} achète {n} {items}."),
    "earn": ("{who} travaille {k} heures et gagne {n} pièces par heure.", "Pour {k} heures de travail, {who} reçoit {n} pièces par heure."),
    "have_stuff": ("{who} a {n} {kilograms} de {stuff}.", "Au début, {who} a {n} {kilograms} de {stuff}."),
    "buy_stuff": ("{who} achète {n} {kilograms} de {stuff} de plus.", "Ensuite, {who} achète {n} {kilograms} de {stuff} de plus."),
    "use_stuff": ("{who} utilise {n} {kilograms} de {stuff}.", "Ensuite, {who} utilise {n} {kilograms} de {stuff}."),
    "ask_now": ("Combien {of_items} {who} a-t-{he} maintenant\u00a0?", "Quel est maintenant le nombre {of_items} {of_who}\u00a0?"),
    "ask_have": ("Combien {of_items} {who} a-t-{he}\u00a0?", "Quel est le nombre {of_items} {of_who}\u00a0?"),
    "ask_together": ("Combien {of_items} {who} et {other} ont-{they} ensemble\u00a0?", "Quel est le nombre total {of_items} {of_who} et {of_other}\u00a0?"),
    "ask_difference": ("Combien {of_items} {who} a-t-{he} de plus {than_other}\u00a0?", "Par rapport à {other}, combien {of_items} {who} a-t-{he} de plus\u00a0?"),
    "ask_friend": ("Combien {of_items} chaque ami reçoit-il\u00a0?", "Quel est le nombre {of_items} que reçoit chaque ami\u00a0?"),
    "ask_container": ("Combien {of_items} y a-t-il dans chaque {container}\u00a0?", "Quel est le nombre {of_items} dans chaque {container}\u00a0?"),
    "ask_coins_left": ("Combien de pièces reste-t-il à {who}\u00a0?", "Quel est le nombre de pièces qui restent à {who}\u00a0?"),
    "ask_cost": ("Combien de pièces {who} paie-t-{he}\u00a0?", "Quel est le nombre de pièces que paie {who}\u00a0?"),
    "ask_coins": ("Combien de pièces {who} a-t-{he} maintenant\u00a0?", "Quel est maintenant le nombre de pièces {of_who}\u00a0?"),
    "ask_stuff": ("Combien de kilogrammes de {stuff} {who} a-t-{he} maintenant\u00a0?", "Quel est maintenant le poids {of_the_stuff} {of_who} en kilogrammes\u00a0?"),
    "likes": ("{who} aime les {items}.", "{who} aime beaucoup les {items}."),
    "sees": ("{who} voit {other} {place}.", "{place}, {who} voit {other}."),
    "buys_some": ("{who} achète des {items} {place}.", "{place}, {who} achète des {items}."),
    "finds_some": ("{who} trouve des {items} {place}.", "{place}, {who} trouve des {items}."),
    "gives_some": ("{who} donne des {items} à {other}.", "{other} reçoit des {items} de la part {of_who}."),
    "loses_some": ("{who} perd des {items} {place}.", "{place}, {who} perd des {items}."),
    "sells_some": ("{who} vend des {items} {place}.", "{place}, {who} vend des {items}."),
    "many_there": ("Il y a beaucoup {of_items} {place}.", "{place}, il y a beaucoup {of_items}."),
    "both_have": ("{who} et {other} ont des {items}.", "{who} et {other} ont {both} des {items}."),
    "is_at": ("{who} est maintenant {place}.", "{who} et {other} sont maintenant {place}."),
}  # fmt: skip


VOWELS = tuple("aeiouéœ")


def elided(particle: str, following: str) -> str:
    """`de` or `que` with the word it stands before: de pommes, d'œufs."""
    return f"{particle[:-1]}'{following}" if following.lower().startswith(VOWELS) else f"{particle} {following}"


def kilograms(amount: Amount) -> str:
    """The plural starts at 2: 1,5 kilogramme."""
    return "kilogramme" if amount.value is not None and amount.value < 2 else "kilogrammes"


def fields(slots: Slots) -> Mapping[str, str]:
    """The fields of a phrase.

    Names stand alone. Things are plural: no amount of them is below 2. Words with a noun take its gender.
    """
    who, who_gender = slots.who or ("", "m")
    other, other_gender = slots.other or ("", "m")
    item, items, gender = slots.item or ("", "", "m")
    container, containers, container_gender = slots.container or ("", "", "m")
    stuff, of_the_stuff = slots.stuff or ("", "")
    return {
        "who": who, "of_who": elided("de", who), "he": "elle" if who_gender == "f" else "il",
        "other": other, "of_other": elided("de", other), "than_other": elided("que", other),
        "they": "elles" if who_gender == other_gender == "f" else "ils",
        "both": f"{'toutes' if who_gender == other_gender == 'f' else 'tous'} les deux",
        "n": slots.n.text, "k": slots.k.text, "place": slots.place or "",
        "stuff": stuff, "of_the_stuff": of_the_stuff, "kilograms": kilograms(slots.n),
        "item": item, "items": items, "of_items": elided("de", items),
        "all_items": f"{'toutes' if gender == 'f' else 'tous'} les {items}", "one": "une" if gender == "f" else "un",
        "put_away": "rangées" if gender == "f" else "rangés",
        "container": container, "containers": containers, "each": "chacune" if container_gender == "f" else "chacun",
    }  # fmt: skip


def word(entry: tuple[str, ...] | str) -> str:
    """The singular. A place as it stands in a sentence."""
    return entry if isinstance(entry, str) else entry[0]


GRAMMAR = Grammar(
    "fr", PEOPLE, THINGS, STUFF, CONTAINERS, PLACES, PHRASES, "{left} {sign} {right} = {result}.", "La réponse est {n}.", fields, word
)  # fmt: skip
