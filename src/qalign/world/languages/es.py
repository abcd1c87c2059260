"""Spanish: gender, `e` for `y` before the sound i, and ¿ before questions.

Gender decides cuántas, todos los, cada una and del.
"""

# ruff: noqa: E501 -- a phrase stands on one line, like a table

from __future__ import annotations

from collections.abc import Mapping

from ..grammar import Grammar, Slots

PEOPLE = {
    "anna": "Ana", "ben": "Ben", "clara": "Clara", "david": "David", "emma": "Emma", "felix": "Félix", "lina": "Lina",
    "marco": "Marco", "nora": "Nora", "tom": "Tom",
    "ida": "Ida", "leo": "Leo", "maya": "Maya", "oscar": "Óscar", "sara": "Sara", "viktor": "Víctor",
}  # fmt: skip

# Singular, plural, gender.
THINGS = {
    "apple": ("manzana", "manzanas", "f"), "orange": ("naranja", "naranjas", "f"), "egg": ("huevo", "huevos", "m"),
    "book": ("libro", "libros", "m"), "pencil": ("lápiz", "lápices", "m"), "stamp": ("sello", "sellos", "m"),
    "flower": ("flor", "flores", "f"), "ball": ("pelota", "pelotas", "f"), "cookie": ("galleta", "galletas", "f"),
    "shell": ("concha", "conchas", "f"),
    "lemon": ("limón", "limones", "m"), "notebook": ("cuaderno", "cuadernos", "m"), "button": ("botón", "botones", "m"),
    "photo": ("foto", "fotos", "f"), "key": ("llave", "llaves", "f"), "ticket": ("boleto", "boletos", "m"),
}  # fmt: skip
# The word, and the word after `de` with its article.
STUFF = {
    "rice": ("arroz", "del arroz"), "flour": ("harina", "de la harina"), "sugar": ("azúcar", "del azúcar"),
    "salt": ("sal", "de la sal"),
}  # fmt: skip
# Singular, plural, gender.
CONTAINERS = {
    "box": ("caja", "cajas", "f"), "bag": ("bolsa", "bolsas", "f"), "basket": ("cesta", "cestas", "f"),
    "jar": ("frasco", "frascos", "m"),
}  # fmt: skip
PLACES = {
    "market": "en el mercado", "shop": "en la tienda", "station": "en la estación", "park": "en el parque",
    "garden": "en el jardín", "school": "en la escuela", "fair": "en la feria", "beach": "en la playa",
}  # fmt: skip

PHRASES = {
    "have": ("{who} tiene {n} {items}.", "Al principio, {who} tiene {n} {items}."),
    "buy": ("{who} compra {n} {items} más {place}.", "{place}, {who} compra {n} {items} más."),
    "find": ("{who} encuentra {n} {items} {place}.", "{place}, {who} encuentra {n} {items}."),
    "give": ("{who} le da {n} {items} a {other}.", "{other} recibe {n} {items} de {who}."),
    "lose": ("{who} pierde {n} {items} {place}.", "{place}, {who} pierde {n} {items}."),
    "sell": ("{who} vende {n} {items} {place}.", "{place}, {who} vende {n} {items}."),
    "times": ("Más tarde, {who} tiene {k} veces la cantidad de {items} que tenía antes.", "Luego, el número de {items} que tiene {who} se multiplica por {k}."),
    "boxes": ("{who} tiene {k} {containers} con {n} {items} cada {container_one}.", "{who} tiene {k} {containers}. En cada {container} hay {n} {items}."),
    "buy_boxes": ("{who} compra {k} {containers} con {n} {items} cada {container_one}.", "Luego, {who} compra {k} {containers}. En cada {container} hay {n} {items}."),
    "more": ("{who} tiene {n} {items} más que {other}.", "En comparación con {other}, {who} tiene {n} {items} más."),
    "fewer": ("{who} tiene {n} {items} menos que {other}.", "En comparación con {other}, {who} tiene {n} {items} menos."),
    "times_as": ("{who} tiene {k} veces la cantidad de {items} que tiene {other}.", "El número de {items} de {who} es {k} veces el de {other}."),
    "share": ("{who} reparte {all_items} por igual entre {k} amigos.", "{k} amigos reciben {all_items} de {who} en partes iguales."),
    "pack": ("{who} pone {all_items} en {k} {containers}, la misma cantidad en cada {container_one}.", "{all_items} de {who} se guardan en {k} {containers}, con la misma cantidad en cada {container_one}."),
    "price": ("{one_item} cuesta {n} monedas.", "El precio de {one_item} es de {n} monedas."),
    "money": ("{who} tiene {n} monedas.", "Al principio, {who} tiene {n} monedas."),
    "purchase": ("{who} compra {n} {items} {place}.", "{place}, {who} compra {n} {items}."),
    "earn": ("{who} trabaja {k} horas y gana {n} monedas por hora.", "Por {k} horas de trabajo, {who} recibe {n} monedas por hora."),
    "have_stuff": ("{who} tiene {n} kilogramos de {stuff}.", "Al principio, {who} tiene {n} kilogramos de {stuff}."),
    "buy_stuff": ("{who} compra {n} kilogramos más de {stuff}.", "Luego, {who} compra {n} kilogramos más de {stuff}."),
    "use_stuff": ("{who} usa {n} kilogramos de {stuff}.", "Luego, {who} usa {n} kilogramos de {stuff}."),
    "ask_now": ("¿{How_many} {items} tiene {who} ahora?", "¿Cuál es el número de {items} que tiene {who} ahora?"),
    "ask_have": ("¿{How_many} {items} tiene {who}?", "¿Cuál es el número de {items} que tiene {who}?"),
    "ask_together": ("¿{How_many} {items} tienen {who} {and_other} en total?", "En total, ¿{how_many} {items} tienen {who} {and_other}?"),
    "ask_difference": ("¿{How_many} {items} más tiene {who} que {other}?", "En comparación con {other}, ¿{how_many} {items} más tiene {who}?"),
    "ask_friend": ("¿{How_many} {items} recibe cada amigo?", "¿Cuál es el número de {items} que recibe cada amigo?"),
    "ask_container": ("¿{How_many} {items} hay en cada {container}?", "¿Cuál es el número de {items} que hay en cada {container}?"),
    "ask_coins_left": ("¿Cuántas monedas le quedan a {who}?", "¿Cuál es el número de monedas que le quedan a {who}?"),
    "ask_cost": ("¿Cuántas monedas paga {who}?", "¿Cuál es el número de monedas que paga {who}?"),
    "ask_coins": ("¿Cuántas monedas tiene {who} ahora?", "¿Cuál es el número de monedas que tiene {who} ahora?"),
    "ask_stuff": ("¿Cuántos kilogramos de {stuff} tiene {who} ahora?", "¿Cuál es el peso, en kilogramos, {of_the_stuff} que tiene {who} ahora?"),
    "likes": ("A {who} le gustan {the_items}.", "A {who} le gustan mucho {the_items}."),
    "sees": ("{who} ve a {other} {place}.", "{place}, {who} ve a {other}."),
    "buys_some": ("{who} compra {items} {place}.", "{place}, {who} compra {items}."),
    "finds_some": ("{who} encuentra {items} {place}.", "{place}, {who} encuentra {items}."),
    "gives_some": ("{who} le da {items} a {other}.", "{other} recibe {items} de {who}."),
    "loses_some": ("{who} pierde {items} {place}.", "{place}, {who} pierde {items}."),
    "sells_some": ("{who} vende {items} {place}.", "{place}, {who} vende {items}."),
    "many_there": ("Hay {many_items} {place}.", "{place} hay {many_items}."),
    "both_have": ("{who} {and_other} tienen {items}.", "Tanto {who} como {other} tienen {items}."),
    "is_at": ("{who} está {place} ahora.", "{who} {and_other} están {place} ahora."),
}  # fmt: skip


def and_name(name: str) -> str:
    """`y` before a name, or `e` before the sound i: y Leo, e Ida."""
    return f"{'e' if name.lower().startswith(('i', 'í')) else 'y'} {name}"


def fields(slots: Slots) -> Mapping[str, str]:
    """The fields of a phrase.

    Names stand alone. Things are plural: no amount is below 2. Words with a noun take its gender.
    """
    item, items, gender = slots.item or ("", "", "m")
    container, containers, container_gender = slots.container or ("", "", "m")
    stuff, of_the_stuff = slots.stuff or ("", "")
    ending = "as" if gender == "f" else "os"
    the_items = f"{'las' if gender == 'f' else 'los'} {items}"
    return {
        "who": slots.who or "", "other": slots.other or "", "and_other": and_name(slots.other or ""),
        "n": slots.n.text, "k": slots.k.text, "place": slots.place or "", "stuff": stuff, "of_the_stuff": of_the_stuff,
        "items": items, "the_items": the_items, "all_items": f"tod{ending} {the_items}", "many_items": f"much{ending} {items}",
        "one_item": f"{'una' if gender == 'f' else 'un'} {item}", "How_many": f"Cuánt{ending}", "how_many": f"cuánt{ending}",
        "container": container, "containers": containers, "container_one": "una" if container_gender == "f" else "uno",
    }  # fmt: skip


def word(entry: tuple[str, ...] | str) -> str:
    """The singular."""
    return entry if isinstance(entry, str) else entry[0]


GRAMMAR = Grammar(
    "es", PEOPLE, THINGS, STUFF, CONTAINERS, PLACES, PHRASES, "{left} {sign} {right} = {result}.", "La respuesta es {n}.", fields, word
)  # fmt: skip
