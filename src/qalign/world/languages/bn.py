"""Bengali: case endings, classifiers, and verbs at the end of a sentence.

The genitive ends in -র, -ের or -য়ের, the object in -কে, the locative in -ে, -তে or -য়. A classifier joins the number: ৯টি আপেল,
and ৪ জন for people. Nouns after it have no plural. Verbs stand last, before । or ?.
"""

# ruff: noqa: E501 -- a phrase stands on one line, like a table

from __future__ import annotations

from collections.abc import Mapping

from ..grammar import Grammar, Slots

PEOPLE = {
    "anna": "আন্না", "ben": "বেন", "clara": "ক্লারা", "david": "ডেভিড", "emma": "এমা", "felix": "ফেলিক্স", "lina": "লিনা",
    "marco": "মার্কো", "nora": "নোরা", "tom": "টম",
    "ida": "ইডা", "leo": "লিও", "maya": "মায়া", "oscar": "অস্কার", "sara": "সারা", "viktor": "ভিক্টর",
}  # fmt: skip

THINGS = {
    "apple": "আপেল", "orange": "কমলা", "egg": "ডিম", "book": "বই", "pencil": "পেনসিল", "stamp": "ডাকটিকিট", "flower": "ফুল",
    "ball": "বল", "cookie": "বিস্কুট", "shell": "ঝিনুক",
    "lemon": "লেবু", "notebook": "খাতা", "button": "বোতাম", "photo": "ছবি", "key": "চাবি", "ticket": "টিকিট",
}  # fmt: skip
STUFF = {"rice": "চাল", "flour": "ময়দা", "sugar": "চিনি", "salt": "লবণ"}
CONTAINERS = {"box": "বাক্স", "bag": "ব্যাগ", "basket": "ঝুড়ি", "jar": "বয়াম"}
PLACES = {
    "market": "বাজার", "shop": "দোকান", "station": "স্টেশন", "park": "পার্ক",
    "garden": "বাগান", "school": "স্কুল", "fair": "মেলা", "beach": "সমুদ্রসৈকত",
}  # fmt: skip

# One has things `at` oneself (কাছে), and buys them `from` a place (থেকে).
PHRASES = {
    "have": ("{of_who} কাছে {n}টি {item} আছে।", "প্রথমে {of_who} কাছে {n}টি {item} ছিল।"),
    "buy": ("{who} {place} থেকে আরও {n}টি {item} কেনে।", "{place} থেকে {who} আরও {n}টি {item} কেনে।"),
    "find": ("{who} {in_place} {n}টি {item} খুঁজে পায়।", "{in_place} {who} {n}টি {item} খুঁজে পায়।"),
    "give": ("{who} {to_other} {n}টি {item} দেয়।", "{other} {of_who} কাছ থেকে {n}টি {item} পায়।"),
    "lose": ("{who} {in_place} {n}টি {item} হারিয়ে ফেলে।", "{in_place} {who} {n}টি {item} হারিয়ে ফেলে।"),
    "sell": ("{who} {in_place} {n}টি {item} বিক্রি করে।", "{in_place} {who} {n}টি {item} বিক্রি করে।"),
    "times": ("পরে {of_who} কাছে আগের {k} গুণ {item} হয়।", "তারপর {of_who} {of_item} সংখ্যা বেড়ে আগের {k} গুণ হয়।"),
    "boxes": ("{of_who} কাছে {k}টি {container} আছে, প্রতিটি {in_container} {n}টি করে {item} আছে।", "{of_who} কাছে {k}টি {container} আছে। প্রতিটি {in_container} {n}টি {item} আছে।"),
    "buy_boxes": ("{who} {k}টি {container} কেনে, প্রতিটি {in_container} {n}টি করে {item} আছে।", "তারপর {who} {k}টি {container} কেনে। প্রতিটি {in_container} {n}টি {item} আছে।"),
    "more": ("{of_who} কাছে {of_other} চেয়ে {n}টি {item} বেশি আছে।", "{of_other} তুলনায় {of_who} কাছে {n}টি {item} বেশি আছে।"),
    "fewer": ("{of_who} কাছে {of_other} চেয়ে {n}টি {item} কম আছে।", "{of_other} তুলনায় {of_who} কাছে {n}টি {item} কম আছে।"),
    "times_as": ("{of_who} কাছে {of_other} {k} গুণ {item} আছে।", "{of_other} তুলনায় {of_who} কাছে {k} গুণ {item} আছে।"),
    "share": ("{who} সব {item} {k} জন বন্ধুর মধ্যে সমানভাবে ভাগ করে দেয়।", "{k} জন বন্ধু {of_who} সব {item} সমান ভাগে পায়।"),
    "pack": ("{who} সব {item} {k}টি {in_container} সমানভাবে ভাগ করে রাখে।", "{of_who} সব {item} {k}টি {in_container} রাখা হয়, প্রতিটি {in_container} সমান সংখ্যায়।"),
    "price": ("একটি {of_item} দাম {n}টি মুদ্রা।", "প্রতিটি {of_item} দাম {n}টি মুদ্রা।"),
    "money": ("{of_who} কাছে {n}টি মুদ্রা আছে।", "প্রথমে {of_who} কাছে {n}টি মুদ্রা ছিল।"),
    "purchase": ("{who} {place} থেকে {n}টি {item} কেনে।", "{place} থেকে {who} {n}টি {item} কেনে।"),
    "earn": ("{who} {k} ঘণ্টা কাজ করে এবং প্রতি ঘণ্টায় {n}টি মুদ্রা আয় করে।", "{k} ঘণ্টা কাজের জন্য {who} প্রতি ঘণ্টায় {n}টি মুদ্রা পায়।"),
    "have_stuff": ("{of_who} কাছে {n} কিলোগ্রাম {stuff} আছে।", "প্রথমে {of_who} কাছে {n} কিলোগ্রাম {stuff} ছিল।"),
    "buy_stuff": ("{who} আরও {n} কিলোগ্রাম {stuff} কেনে।", "তারপর {who} আরও {n} কিলোগ্রাম {stuff} কেনে।"),
    "use_stuff": ("{who} {n} কিলোগ্রাম {stuff} ব্যবহার করে।", "তারপর {who} {n} কিলোগ্রাম {stuff} ব্যবহার করে।"),
    "ask_now": ("এখন {of_who} কাছে কতটি {item} আছে?", "এখন {of_who} কাছে থাকা {of_item} সংখ্যা কত?"),
    "ask_have": ("{of_who} কাছে কতটি {item} আছে?", "{of_who} কাছে থাকা {of_item} সংখ্যা কত?"),
    "ask_together": ("{who} ও {of_other} কাছে মোট কতটি {item} আছে?", "সব মিলিয়ে {who} ও {of_other} কাছে কতটি {item} আছে?"),
    "ask_difference": ("{of_who} কাছে {of_other} চেয়ে কতটি {item} বেশি আছে?", "{of_other} তুলনায় {of_who} কাছে কতটি {item} বেশি আছে?"),
    "ask_friend": ("প্রত্যেক বন্ধু কতটি {item} পায়?", "প্রত্যেক বন্ধুর পাওয়া {of_item} সংখ্যা কত?"),
    "ask_container": ("প্রতিটি {in_container} কতটি {item} আছে?", "প্রতিটি {in_container} {of_item} সংখ্যা কত?"),
    "ask_coins_left": ("{of_who} কাছে কতটি মুদ্রা বাকি থাকে?", "{of_who} কাছে বাকি থাকা মুদ্রার সংখ্যা কত?"),
    "ask_cost": ("{who} কতটি মুদ্রা পরিশোধ করে?", "{of_who} পরিশোধ করা মুদ্রার সংখ্যা কত?"),
    "ask_coins": ("এখন {of_who} কাছে কতটি মুদ্রা আছে?", "এখন {of_who} কাছে থাকা মুদ্রার সংখ্যা কত?"),
    "ask_stuff": ("এখন {of_who} কাছে কত কিলোগ্রাম {stuff} আছে?", "এখন {of_who} কাছে থাকা {of_stuff} ওজন কত কিলোগ্রাম?"),
    "likes": ("{who} {item} পছন্দ করে।", "{who} {item} খুব পছন্দ করে।"),
    "sees": ("{who} {in_place} {to_other} দেখে।", "{in_place} {who} {to_other} দেখে।"),
    "buys_some": ("{who} {place} থেকে {item} কেনে।", "{place} থেকে {who} {item} কেনে।"),
    "finds_some": ("{who} {in_place} {item} খুঁজে পায়।", "{in_place} {who} {item} খুঁজে পায়।"),
    "gives_some": ("{who} {to_other} {item} দেয়।", "{other} {of_who} কাছ থেকে {item} পায়।"),
    "loses_some": ("{who} {in_place} {item} হারিয়ে ফেলে।", "{in_place} {who} {item} হারিয়ে ফেলে।"),
    "sells_some": ("{who} {in_place} {item} বিক্রি করে।", "{in_place} {who} {item} বিক্রি করে।"),
    "many_there": ("{in_place} অনেক {item} আছে।", "{in_place} আছে অনেক {item}।"),
    "both_have": ("{who} ও {of_other} কাছে {item} আছে।", "{who} ও {other} দুজনের কাছেই {item} আছে।"),
    "is_at": ("{who} এখন {in_place} আছে।", "{who} ও {other} এখন {in_place} আছে।"),
}  # fmt: skip

_VOWELS = tuple("ািুেোও")
"""What the words above that end in a vowel end in; ই is apart."""


def genitive(noun: str) -> str:
    """The genitive: আন্নার, লিওর, বইয়ের, বেনের."""
    if not noun:
        return ""
    return noun + ("য়ের" if noun.endswith("ই") else "র" if noun.endswith(_VOWELS) else "ের")


def locative(noun: str) -> str:
    """The locative: মেলায়, ঝুড়িতে, বাজারে."""
    if not noun:
        return ""
    return noun + ("য়" if noun.endswith("া") else "তে" if noun.endswith(_VOWELS) else "ে")


def fields(slots: Slots) -> Mapping[str, str]:
    """Names and nouns in the cases that the phrases need.

    A bare noun is a subject, an object, or stands before থেকে.
    """
    who, other, item, stuff = slots.who or "", slots.other or "", slots.item or "", slots.stuff or ""
    container, place = slots.container or "", slots.place or ""
    return {
        "n": slots.n.text, "k": slots.k.text,
        "who": who, "of_who": genitive(who), "other": other, "of_other": genitive(other), "to_other": f"{other}কে",
        "item": item, "of_item": genitive(item), "stuff": stuff, "of_stuff": genitive(stuff),
        "container": container, "in_container": locative(container), "place": place, "in_place": locative(place),
    }  # fmt: skip


def word(entry: str) -> str:
    """The bare noun, as it stands."""
    return entry


GRAMMAR = Grammar(
    "bn", PEOPLE, THINGS, STUFF, CONTAINERS, PLACES, PHRASES, "{left} {sign} {right} = {result}।", "উত্তর হল {n}।", fields, word
)  # fmt: skip
