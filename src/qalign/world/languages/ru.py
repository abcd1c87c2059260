"""Russian: case, gender, and the form of a noun after a number.

Names and nouns have cases. Gender decides одно яблоко and в каждом пакете. After numbers: 21 книга, 22 книги, 25 книг, and
2,5 килограмма. The accusative is 21 книгу, the dative after `по` is по 21 книге. The present tense needs no gender.
"""

# ruff: noqa: E501 -- a phrase stands on one line, like a table

from __future__ import annotations

from collections.abc import Mapping

from ..grammar import Amount, Grammar, Slots

# Nominative, genitive, dative, accusative, instrumental.
PEOPLE = {
    "anna": ("Анна", "Анны", "Анне", "Анну", "Анной"),
    "ben": ("Бен", "Бена", "Бену", "Бена", "Беном"),
    "clara": ("Клара", "Клары", "Кларе", "Клару", "Кларой"),
    "david": ("Давид", "Давида", "Давиду", "Давида", "Давидом"),
    "emma": ("Эмма", "Эммы", "Эмме", "Эмму", "Эммой"),
    "felix": ("Феликс", "Феликса", "Феликсу", "Феликса", "Феликсом"),
    "lina": ("Лина", "Лины", "Лине", "Лину", "Линой"),
    "marco": ("Марко", "Марко", "Марко", "Марко", "Марко"),
    "nora": ("Нора", "Норы", "Норе", "Нору", "Норой"),
    "tom": ("Том", "Тома", "Тому", "Тома", "Томом"),
    "ida": ("Ида", "Иды", "Иде", "Иду", "Идой"),
    "leo": ("Лео", "Лео", "Лео", "Лео", "Лео"),
    "maya": ("Майя", "Майи", "Майе", "Майю", "Майей"),
    "oscar": ("Оскар", "Оскара", "Оскару", "Оскара", "Оскаром"),
    "sara": ("Сара", "Сары", "Саре", "Сару", "Сарой"),
    "viktor": ("Виктор", "Виктора", "Виктору", "Виктора", "Виктором"),
}

# Singular: nominative, accusative, genitive, dative; plural: genitive, nominative (it is also the accusative);
# some of it, with no number (the plural, but of печенье the singular); `one` in the nominative and in the genitive.
THINGS = {
    "apple": ("яблоко", "яблоко", "яблока", "яблоку", "яблок", "яблоки", "яблоки", "одно", "одного"),
    "orange": ("апельсин", "апельсин", "апельсина", "апельсину", "апельсинов", "апельсины", "апельсины", "один", "одного"),
    "egg": ("яйцо", "яйцо", "яйца", "яйцу", "яиц", "яйца", "яйца", "одно", "одного"),
    "book": ("книга", "книгу", "книги", "книге", "книг", "книги", "книги", "одна", "одной"),
    "pencil": ("карандаш", "карандаш", "карандаша", "карандашу", "карандашей", "карандаши", "карандаши", "один", "одного"),
    "stamp": ("марка", "марку", "марки", "марке", "марок", "марки", "марки", "одна", "одной"),
    "flower": ("цветок", "цветок", "цветка", "цветку", "цветов", "цветы", "цветы", "один", "одного"),
    "ball": ("мяч", "мяч", "мяча", "мячу", "мячей", "мячи", "мячи", "один", "одного"),
    "cookie": ("печенье", "печенье", "печенья", "печенью", "печений", "печенья", "печенье", "одно", "одного"),
    "shell": ("ракушка", "ракушку", "ракушки", "ракушке", "ракушек", "ракушки", "ракушки", "одна", "одной"),
    "lemon": ("лимон", "лимон", "лимона", "лимону", "лимонов", "лимоны", "лимоны", "один", "одного"),
    "notebook": ("тетрадь", "тетрадь", "тетради", "тетради", "тетрадей", "тетради", "тетради", "одна", "одной"),
    "button": ("пуговица", "пуговицу", "пуговицы", "пуговице", "пуговиц", "пуговицы", "пуговицы", "одна", "одной"),
    "photo": ("фотография", "фотографию", "фотографии", "фотографии", "фотографий", "фотографии", "фотографии", "одна", "одной"),
    "key": ("ключ", "ключ", "ключа", "ключу", "ключей", "ключи", "ключи", "один", "одного"),
    "ticket": ("билет", "билет", "билета", "билету", "билетов", "билеты", "билеты", "один", "одного"),
}  # fmt: skip
# Nominative, genitive.
STUFF = {"rice": ("рис", "риса"), "flour": ("мука", "муки"), "sugar": ("сахар", "сахара"), "salt": ("соль", "соли")}
# Singular: nominative, accusative, genitive; genitive plural; `in each` with the noun and without it; `into each`.
CONTAINERS = {
    "box": ("коробка", "коробку", "коробки", "коробок", "в каждой коробке", "в каждой", "в каждую"),
    "bag": ("пакет", "пакет", "пакета", "пакетов", "в каждом пакете", "в каждом", "в каждый"),
    "basket": ("корзина", "корзину", "корзины", "корзин", "в каждой корзине", "в каждой", "в каждую"),
    "jar": ("банка", "банку", "банки", "банок", "в каждой банке", "в каждой", "в каждую"),
}
PLACES = {
    "market": "на рынке", "shop": "в магазине", "station": "на вокзале", "park": "в парке",
    "garden": "в саду", "school": "в школе", "fair": "на ярмарке", "beach": "на пляже",
}  # fmt: skip

# Names: who, whose (genitive), to_, whom (accusative), with_; nouns after n or k: _nom, _acc, _dat (after `по`).
PHRASES = {
    "have": ("У {of_who} есть {n} {items_nom}.", "Сначала у {of_who} {n} {items_nom}."),
    "buy": ("{who} покупает ещё {n} {items_acc} {place}.", "{place} {who} покупает ещё {n} {items_acc}."),
    "find": ("{who} находит {n} {items_acc} {place}.", "{place} {who} находит {n} {items_acc}."),
    "give": ("{who} даёт {to_other} {n} {items_acc}.", "{other} получает от {of_who} {n} {items_acc}."),
    "lose": ("{who} теряет {n} {items_acc} {place}.", "{place} {who} теряет {n} {items_acc}."),
    "sell": ("{who} продаёт {n} {items_acc} {place}.", "{place} {who} продаёт {n} {items_acc}."),
    "times": ("Позже у {of_who} в {k} {times} больше {items}, чем раньше.", "Затем число {items} у {of_who} увеличивается в {k} {times}."),
    "boxes": ("У {of_who} есть {k} {containers_nom} по {n} {items_dat} {in_each}.", "У {of_who} есть {k} {containers_nom}. {In_each_container} {n} {items_nom}."),
    "buy_boxes": ("{who} покупает {k} {containers_acc} по {n} {items_dat} {in_each}.", "Затем {who} покупает {k} {containers_acc}. {In_each_container} {n} {items_nom}."),
    "more": ("У {of_who} на {n} {items_acc} больше, чем у {of_other}.", "По сравнению с {with_other} у {of_who} на {n} {items_acc} больше."),
    "fewer": ("У {of_who} на {n} {items_acc} меньше, чем у {of_other}.", "По сравнению с {with_other} у {of_who} на {n} {items_acc} меньше."),
    "times_as": ("У {of_who} в {k} {times} больше {items}, чем у {of_other}.", "По сравнению с {with_other} у {of_who} в {k} {times} больше {items}."),
    "share": ("{who} делит все {items_all} поровну между {k} {friends_ins}.", "{k} {friends_nom} {get} поровну все {items_all} {of_who}."),
    "pack": ("{who} раскладывает все {items_all} поровну в {k} {containers_acc}.", "Все {items_all} {of_who} раскладывают в {k} {containers_acc}, по одинаковому количеству {into_each}."),
    "price": ("{one} {item} стоит {n} {coins_acc}.", "Цена {of_one} {of_item} — {n} {coins_nom}."),
    "money": ("У {of_who} есть {n} {coins_nom}.", "Сначала у {of_who} {n} {coins_nom}."),
    "purchase": ("{who} покупает {n} {items_acc} {place}.", "{place} {who} покупает {n} {items_acc}."),
    "earn": ("{who} работает {k} {hours} и зарабатывает {n} {coins_acc} в час.", "За {k} {hours} работы {who} получает по {n} {coins_dat} в час."),
    "have_stuff": ("У {of_who} есть {n} {kilograms} {of_stuff}.", "Сначала у {of_who} {n} {kilograms} {of_stuff}."),
    "buy_stuff": ("{who} покупает ещё {n} {kilograms} {of_stuff}.", "Затем {who} покупает ещё {n} {kilograms} {of_stuff}."),
    "use_stuff": ("{who} использует {n} {kilograms} {of_stuff}.", "Затем {who} использует {n} {kilograms} {of_stuff}."),
    "ask_now": ("Сколько {items} сейчас у {of_who}?", "Какое количество {items} сейчас есть у {of_who}?"),
    "ask_have": ("Сколько {items} у {of_who}?", "Какое количество {items} есть у {of_who}?"),
    "ask_together": ("Сколько {items} у {of_who} и {of_other} вместе?", "Какое общее количество {items} у {of_who} и {of_other}?"),
    "ask_difference": ("На сколько {items} у {of_who} больше, чем у {of_other}?", "На сколько {items} больше у {of_who} по сравнению с {with_other}?"),
    "ask_friend": ("Сколько {items} получает каждый друг?", "Какое количество {items} получает каждый друг?"),
    "ask_container": ("Сколько {items} {in_each_container}?", "Какое количество {items} находится {in_each_container}?"),
    "ask_coins_left": ("Сколько монет остаётся у {of_who}?", "Какое количество монет остаётся у {of_who}?"),
    "ask_cost": ("Сколько монет платит {who}?", "Какое количество монет платит {who}?"),
    "ask_coins": ("Сколько монет сейчас у {of_who}?", "Какое количество монет сейчас есть у {of_who}?"),
    "ask_stuff": ("Сколько килограммов {of_stuff} сейчас у {of_who}?", "Каков сейчас вес {of_stuff} у {of_who} в килограммах?"),
    "likes": ("{who} любит {items_some}.", "{who} очень любит {items_some}."),
    "sees": ("{who} видит {whom} {place}.", "{place} {who} видит {whom}."),
    "buys_some": ("{who} покупает {items_some} {place}.", "{place} {who} покупает {items_some}."),
    "finds_some": ("{who} находит {items_some} {place}.", "{place} {who} находит {items_some}."),
    "gives_some": ("{who} даёт {to_other} {items_some}.", "{other} получает от {of_who} {items_some}."),
    "loses_some": ("{who} теряет {items_some} {place}.", "{place} {who} теряет {items_some}."),
    "sells_some": ("{who} продаёт {items_some} {place}.", "{place} {who} продаёт {items_some}."),
    "many_there": ("{place} много {items}.", "{items} {place} много."),
    "both_have": ("У {of_who} и {of_other} есть {items_some}.", "{items_some} есть у {of_who} и {of_other}."),
    "is_at": ("{who} сейчас {place}.", "{who} и {other} сейчас {place}."),
}  # fmt: skip


def like_one(amount: Amount) -> bool:
    """Whether the counted noun is singular: 21, 31, but not 11."""
    return amount.whole % 10 == 1 and amount.whole % 100 != 11


def counted(amount: Amount, one: str, few: str, many: str) -> str:
    """The form of a noun after a number.

    Args:
        amount: the number.
        one: the form after 21.
        few: the genitive singular, after 22, 23, 24 and fractions.
        many: the form after all others.
    """
    if amount.value is not None and amount.value.denominator != 1:
        return few
    if like_one(amount):
        return one
    return few if amount.whole % 10 in (2, 3, 4) and amount.whole % 100 not in (12, 13, 14) else many


def fields(slots: Slots) -> Mapping[str, str]:
    """Names in all cases. Nouns in the cases of the phrases and after n and k."""
    n, k = slots.n, slots.k
    who, of_who, _, _, _ = slots.who or ("",) * 5
    other, of_other, to_other, whom, with_other = slots.other or ("",) * 5
    item, item_acc, of_item, item_dat, items, items_all, items_some, one, of_one = slots.item or ("",) * 9
    box, box_acc, of_box, boxes, in_each_container, in_each, into_each = slots.container or ("",) * 7
    return {
        "n": n.text, "k": k.text, "place": slots.place or "", "of_stuff": slots.stuff[1] if slots.stuff else "",
        "who": who, "of_who": of_who,
        "other": other, "of_other": of_other, "to_other": to_other, "whom": whom, "with_other": with_other,
        "item": item, "of_item": of_item, "one": one, "of_one": of_one,
        "items": items, "items_all": items_all, "items_some": items_some,
        "items_nom": counted(n, item, of_item, items), "items_acc": counted(n, item_acc, of_item, items),
        "items_dat": counted(n, item_dat, of_item, items),
        "containers_nom": counted(k, box, of_box, boxes), "containers_acc": counted(k, box_acc, of_box, boxes),
        "in_each_container": in_each_container, "In_each_container": in_each_container.capitalize(),
        "in_each": in_each, "into_each": into_each,
        "coins_nom": counted(n, "монета", "монеты", "монет"), "coins_acc": counted(n, "монету", "монеты", "монет"),
        "coins_dat": counted(n, "монете", "монеты", "монет"), "kilograms": counted(n, "килограмм", "килограмма", "килограммов"),
        "times": counted(k, "раз", "раза", "раз"), "hours": counted(k, "час", "часа", "часов"),
        "friends_nom": counted(k, "друг", "друга", "друзей"), "friends_ins": "другом" if like_one(k) else "друзьями",
        "get": "получает" if like_one(k) else "получают",
    }  # fmt: skip


def word(entry: tuple[str, ...] | str) -> str:
    """The nominative singular. A place as it stands in a sentence."""
    return entry if isinstance(entry, str) else entry[0]


GRAMMAR = Grammar(
    "ru", PEOPLE, THINGS, STUFF, CONTAINERS, PLACES, PHRASES, "{left} {sign} {right} = {result}.", "Ответ: {n}.", fields, word
)  # fmt: skip
