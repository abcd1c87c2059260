"""Chinese (simplified): measure words, words of position, and no numerals.

Things have measure words: 5本书, 多少本书, 每本书. Containers are measure words too: 3盒书 versus 3个盒子. Places take words of
position: 公园里. No phrase contains a numeral, except 一共 and 一些, which readers of numbers know as words. So a kilogram is 公斤,
as 千 is a thousand. Ben is 本杰明, as 本 counts books. A ball is 皮球, as 3篮球 would be three basketballs. 原来 is only the amount
at first, 之前 the amount just before.
"""

# ruff: noqa: E501 -- a phrase stands on one line, like a table

from __future__ import annotations

from collections.abc import Mapping

from ..grammar import Grammar, Slots

PEOPLE = {
    "anna": "安娜", "ben": "本杰明", "clara": "克拉拉", "david": "大卫", "emma": "艾玛", "felix": "菲利克斯", "lina": "莉娜",
    "marco": "马可", "nora": "诺拉", "tom": "汤姆",
    "ida": "艾达", "leo": "利奥", "maya": "玛雅", "oscar": "奥斯卡", "sara": "萨拉", "viktor": "维克托",
}  # fmt: skip

# The word and its measure word.
THINGS = {
    "apple": ("苹果", "个"), "orange": ("橙子", "个"), "egg": ("鸡蛋", "个"), "book": ("书", "本"), "pencil": ("铅笔", "支"),
    "stamp": ("邮票", "张"), "flower": ("花", "朵"), "ball": ("皮球", "个"), "cookie": ("饼干", "块"), "shell": ("贝壳", "个"),
    "lemon": ("柠檬", "个"), "notebook": ("笔记本", "本"), "button": ("纽扣", "颗"), "photo": ("照片", "张"),
    "key": ("钥匙", "把"), "ticket": ("票", "张"),
}  # fmt: skip
STUFF = {"rice": "大米", "flour": "面粉", "sugar": "白糖", "salt": "盐"}
# The word (counted with 个), and the measure word for what is inside.
CONTAINERS = {"box": ("盒子", "盒"), "bag": ("袋子", "袋"), "basket": ("篮子", "篮"), "jar": ("罐子", "罐")}
# The word, and the word of position that follows it.
PLACES = {
    "market": ("市场", "里"), "shop": ("商店", "里"), "station": ("车站", "里"), "park": ("公园", "里"),
    "garden": ("花园", "里"), "school": ("学校", "里"), "fair": ("集市", "上"), "beach": ("海滩", "上"),
}  # fmt: skip

PHRASES = {
    "have": ("{who}有{n}{measure}{item}。", "{who}原来有{n}{measure}{item}。"),
    "buy": ("{who}在{place}又买了{n}{measure}{item}。", "在{place}，{who}又买了{n}{measure}{item}。"),
    "find": ("{who}在{place}捡到了{n}{measure}{item}。", "在{place}，{who}捡到了{n}{measure}{item}。"),
    "give": ("{who}给了{other}{n}{measure}{item}。", "{other}从{who}那里得到了{n}{measure}{item}。"),
    "lose": ("{who}在{place}弄丢了{n}{measure}{item}。", "在{place}，{who}弄丢了{n}{measure}{item}。"),
    "sell": ("{who}在{place}卖了{n}{measure}{item}。", "在{place}，{who}卖了{n}{measure}{item}。"),
    "times": ("后来，{who}的{item}数量变成了之前的{k}倍。", "然后，{who}的{item}增加到之前的{k}倍。"),
    "boxes": ("{who}有{k}{full}{item}，每{full}有{n}{measure}。", "{who}有{k}个{container}。每个{container}里有{n}{measure}{item}。"),
    "buy_boxes": ("{who}买了{k}{full}{item}，每{full}有{n}{measure}。", "然后，{who}买了{k}个{container}。每个{container}里有{n}{measure}{item}。"),
    "more": ("{who}的{item}比{other}多{n}{measure}。", "和{other}相比，{who}的{item}多{n}{measure}。"),
    "fewer": ("{who}的{item}比{other}少{n}{measure}。", "和{other}相比，{who}的{item}少{n}{measure}。"),
    "times_as": ("{who}的{item}是{other}的{k}倍。", "从数量上看，{who}的{item}是{other}的{k}倍。"),
    "share": ("{who}把所有的{item}平均分给了{k}个朋友。", "{k}个朋友平分了{who}所有的{item}。"),
    "pack": ("{who}把所有的{item}平均装进了{k}个{container}。", "{who}所有的{item}都装进了{k}个{container}，每个{container}里同样多。"),
    "price": ("每{measure}{item}的价格是{n}枚硬币。", "{item}的价格是每{measure}{n}枚硬币。"),
    "money": ("{who}有{n}枚硬币。", "{who}原来有{n}枚硬币。"),
    "purchase": ("{who}在{place}买了{n}{measure}{item}。", "在{place}，{who}买了{n}{measure}{item}。"),
    "earn": ("{who}工作了{k}小时，每小时挣{n}枚硬币。", "{who}每小时挣{n}枚硬币，工作了{k}小时。"),
    "have_stuff": ("{who}有{n}公斤{stuff}。", "{who}原来有{n}公斤{stuff}。"),
    "buy_stuff": ("{who}又买了{n}公斤{stuff}。", "然后，{who}又买了{n}公斤{stuff}。"),
    "use_stuff": ("{who}用了{n}公斤{stuff}。", "然后，{who}用了{n}公斤{stuff}。"),
    "ask_now": ("{who}现在有多少{measure}{item}？", "{who}现在的{item}有多少{measure}？"),
    "ask_have": ("{who}有多少{measure}{item}？", "{who}的{item}有多少{measure}？"),
    "ask_together": ("{who}和{other}一共有多少{measure}{item}？", "{who}和{other}的{item}一共有多少{measure}？"),
    "ask_difference": ("{who}的{item}比{other}多多少{measure}？", "和{other}相比，{who}的{item}多多少{measure}？"),
    "ask_friend": ("每个朋友分到多少{measure}{item}？", "每个朋友分到的{item}有多少{measure}？"),
    "ask_container": ("每个{container}里有多少{measure}{item}？", "每个{container}里的{item}有多少{measure}？"),
    "ask_coins_left": ("{who}还剩多少枚硬币？", "{who}剩下的硬币有多少枚？"),
    "ask_cost": ("{who}要付多少枚硬币？", "{who}要付的硬币有多少枚？"),
    "ask_coins": ("{who}现在有多少枚硬币？", "{who}现在的硬币有多少枚？"),
    "ask_stuff": ("{who}现在有多少公斤{stuff}？", "{who}现在的{stuff}重多少公斤？"),
    "likes": ("{who}喜欢{item}。", "{who}非常喜欢{item}。"),
    "sees": ("{who}在{place}看见了{other}。", "在{place}，{who}看见了{other}。"),
    "buys_some": ("{who}在{place}买了一些{item}。", "在{place}，{who}买了一些{item}。"),
    "finds_some": ("{who}在{place}捡到了一些{item}。", "在{place}，{who}捡到了一些{item}。"),
    "gives_some": ("{who}给了{other}一些{item}。", "{other}从{who}那里得到了一些{item}。"),
    "loses_some": ("{who}在{place}弄丢了一些{item}。", "在{place}，{who}弄丢了一些{item}。"),
    "sells_some": ("{who}在{place}卖了一些{item}。", "在{place}，{who}卖了一些{item}。"),
    "many_there": ("{place}有很多{item}。", "{place}的{item}很多。"),
    "both_have": ("{who}和{other}都有{item}。", "{who}有{item}，{other}也有{item}。"),
    "is_at": ("{who}现在在{place}。", "{who}和{other}现在在{place}。"),
}  # fmt: skip


def fields(slots: Slots) -> Mapping[str, str]:
    """Each thing with its measure word. Nothing else changes."""
    item, measure = slots.item or ("", "")
    container, full = slots.container or ("", "")
    return {
        "who": slots.who or "", "other": slots.other or "", "n": slots.n.text, "k": slots.k.text, "item": item, "measure": measure,
        "container": container, "full": full, "stuff": slots.stuff or "", "place": "".join(slots.place or ()),
    }  # fmt: skip


def word(entry: tuple[str, str] | str) -> str:
    """The word alone."""
    return entry if isinstance(entry, str) else entry[0]


GRAMMAR = Grammar(
    "zh", PEOPLE, THINGS, STUFF, CONTAINERS, PLACES, PHRASES, "{left} {sign} {right} = {result}。", "答案是{n}。", fields, word, join=""
)  # fmt: skip
