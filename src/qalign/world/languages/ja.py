"""Japanese, in polite forms: counters, and the particle after a place.

Things have counters: 本を5冊, 本を何冊. Containers are counted with つ, up to 9つ. Events are told in the past. After a place the
verb decides on で or に: 公園で見つけました, 公園にいます. No phrase contains a numeral: "one book" is それぞれの本, "an hour" 毎時間.
"""

# ruff: noqa: E501 -- a phrase stands on one line, like a table

from __future__ import annotations

from collections.abc import Mapping

from ..grammar import Grammar, Slots

PEOPLE = {
    "anna": "アンナ", "ben": "ベン", "clara": "クララ", "david": "デイビッド", "emma": "エマ", "felix": "フェリックス", "lina": "リナ",
    "marco": "マルコ", "nora": "ノラ", "tom": "トム",
    "ida": "イーダ", "leo": "レオ", "maya": "マヤ", "oscar": "オスカー", "sara": "サラ", "viktor": "ビクトル",
}  # fmt: skip

# The word and its counter.
THINGS = {
    "apple": ("りんご", "個"), "orange": ("オレンジ", "個"), "egg": ("卵", "個"), "book": ("本", "冊"), "pencil": ("鉛筆", "本"),
    "stamp": ("切手", "枚"), "flower": ("花", "本"), "ball": ("ボール", "個"), "cookie": ("クッキー", "枚"), "shell": ("貝殻", "個"),
    "lemon": ("レモン", "個"), "notebook": ("ノート", "冊"), "button": ("ボタン", "個"), "photo": ("写真", "枚"),
    "key": ("鍵", "本"), "ticket": ("チケット", "枚"),
}  # fmt: skip
STUFF = {"rice": "米", "flour": "小麦粉", "sugar": "砂糖", "salt": "塩"}
CONTAINERS = {"box": "箱", "bag": "袋", "basket": "かご", "jar": "瓶"}
PLACES = {
    "market": "市場", "shop": "店", "station": "駅", "park": "公園", "garden": "庭", "school": "学校", "fair": "バザー",
    "beach": "浜辺",
}  # fmt: skip

PHRASES = {
    "have": ("{who}は{item}を{n}{counter}持っています。", "はじめ、{who}は{item}を{n}{counter}持っていました。"),
    "buy": ("{who}は{place}で{item}をさらに{n}{counter}買いました。", "{place}で、{who}は{item}をさらに{n}{counter}買いました。"),
    "find": ("{who}は{place}で{item}を{n}{counter}見つけました。", "{place}で、{who}は{item}を{n}{counter}見つけました。"),
    "give": ("{who}は{other}に{item}を{n}{counter}あげました。", "{other}は{who}から{item}を{n}{counter}もらいました。"),
    "lose": ("{who}は{place}で{item}を{n}{counter}なくしました。", "{place}で、{who}は{item}を{n}{counter}なくしました。"),
    "sell": ("{who}は{place}で{item}を{n}{counter}売りました。", "{place}で、{who}は{item}を{n}{counter}売りました。"),
    "times": ("その後、{who}の{item}の数は前の{k}倍になりました。", "それから、{who}の{item}は{k}倍に増えました。"),
    "boxes": ("{who}は{item}が{n}{counter}ずつ入った{container}を{k}つ持っています。", "{who}は{container}を{k}つ持っています。それぞれの{container}に{item}が{n}{counter}入っています。"),
    "buy_boxes": ("{who}は{item}が{n}{counter}ずつ入った{container}を{k}つ買いました。", "それから、{who}は{container}を{k}つ買いました。それぞれの{container}に{item}が{n}{counter}入っています。"),
    "more": ("{who}の{item}は{other}より{n}{counter}多いです。", "{other}と比べると、{who}の{item}は{n}{counter}多いです。"),
    "fewer": ("{who}の{item}は{other}より{n}{counter}少ないです。", "{other}と比べると、{who}の{item}は{n}{counter}少ないです。"),
    "times_as": ("{who}の{item}の数は{other}の{k}倍です。", "{who}は{other}の{k}倍の{item}を持っています。"),
    "share": ("{who}は{item}を全部、{k}人の友達に同じ数ずつ分けました。", "{k}人の友達は、{who}の{item}を全部、同じ数ずつもらいました。"),
    "pack": ("{who}は{item}を全部、{k}つの{container}に同じ数ずつ入れました。", "{who}の{item}は全部、{k}つの{container}に同じ数ずつ分けられました。"),
    "price": ("それぞれの{item}の値段はコイン{n}枚です。", "{item}の値段は、どれもコイン{n}枚です。"),
    "money": ("{who}はコインを{n}枚持っています。", "はじめ、{who}はコインを{n}枚持っていました。"),
    "purchase": ("{who}は{place}で{item}を{n}{counter}買いました。", "{place}で、{who}は{item}を{n}{counter}買いました。"),
    "earn": ("{who}は{k}時間働いて、毎時間コインを{n}枚もらいました。", "{k}時間の仕事で、{who}は毎時間コインを{n}枚もらいました。"),
    "have_stuff": ("{who}は{stuff}を{n}キログラム持っています。", "はじめ、{who}は{stuff}を{n}キログラム持っていました。"),
    "buy_stuff": ("{who}は{stuff}をさらに{n}キログラム買いました。", "それから、{who}は{stuff}をさらに{n}キログラム買いました。"),
    "use_stuff": ("{who}は{stuff}を{n}キログラム使いました。", "それから、{who}は{stuff}を{n}キログラム使いました。"),
    "ask_now": ("{who}は今、{item}を何{counter}持っていますか。", "{who}が今持っている{item}の数はいくつですか。"),
    "ask_have": ("{who}は{item}を何{counter}持っていますか。", "{who}が持っている{item}の数はいくつですか。"),
    "ask_together": ("{who}と{other}は合わせて{item}を何{counter}持っていますか。", "{who}と{other}の{item}の数は合わせていくつですか。"),
    "ask_difference": ("{who}の{item}は{other}より何{counter}多いですか。", "{other}と比べると、{who}の{item}は何{counter}多いですか。"),
    "ask_friend": ("それぞれの友達は{item}を何{counter}もらいましたか。", "それぞれの友達がもらった{item}の数はいくつですか。"),
    "ask_container": ("それぞれの{container}に{item}が何{counter}入っていますか。", "それぞれの{container}に入っている{item}の数はいくつですか。"),
    "ask_coins_left": ("{who}のコインは何枚残っていますか。", "{who}の残りのコインの数はいくつですか。"),
    "ask_cost": ("{who}はコインを何枚払いましたか。", "{who}が払ったコインの数はいくつですか。"),
    "ask_coins": ("{who}は今、コインを何枚持っていますか。", "{who}が今持っているコインの数はいくつですか。"),
    "ask_stuff": ("{who}は今、{stuff}を何キログラム持っていますか。", "{who}が今持っている{stuff}の重さは何キログラムですか。"),
    "likes": ("{who}は{item}が好きです。", "{who}は{item}が大好きです。"),
    "sees": ("{who}は{place}で{other}を見かけました。", "{place}で、{who}は{other}を見かけました。"),
    "buys_some": ("{who}は{place}で{item}を買いました。", "{place}で、{who}は{item}を買いました。"),
    "finds_some": ("{who}は{place}で{item}を見つけました。", "{place}で、{who}は{item}を見つけました。"),
    "gives_some": ("{who}は{other}に{item}をあげました。", "{other}は{who}から{item}をもらいました。"),
    "loses_some": ("{who}は{place}で{item}をなくしました。", "{place}で、{who}は{item}をなくしました。"),
    "sells_some": ("{who}は{place}で{item}を売りました。", "{place}で、{who}は{item}を売りました。"),
    "many_there": ("{place}に{item}がたくさんあります。", "{place}には、たくさんの{item}があります。"),
    "both_have": ("{who}と{other}は{item}を持っています。", "{who}は{item}を持っていて、{other}も{item}を持っています。"),
    "is_at": ("{who}は今、{place}にいます。", "{who}と{other}は今、{place}にいます。"),
}  # fmt: skip


def fields(slots: Slots) -> Mapping[str, str]:
    """Each thing with its counter. Nothing else changes."""
    item, counter = slots.item or ("", "")
    return {
        "who": slots.who or "", "other": slots.other or "", "n": slots.n.text, "k": slots.k.text, "item": item, "counter": counter,
        "container": slots.container or "", "stuff": slots.stuff or "", "place": slots.place or "",
    }  # fmt: skip


def word(entry: tuple[str, str] | str) -> str:
    """The word alone."""
    return entry if isinstance(entry, str) else entry[0]


GRAMMAR = Grammar(
    "ja", PEOPLE, THINGS, STUFF, CONTAINERS, PLACES, PHRASES, "{left} {sign} {right} = {result}。", "答えは{n}です。", fields, word, join=""
)  # fmt: skip
