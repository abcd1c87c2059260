"""Thai: classifiers, and spaces.

The order is noun, number, classifier: แอปเปิล 9 ผล. Further uses are ดินสอแท่งละ and กี่แท่ง. There are no spaces between words.
There is one on each side of a number, and one between sentences, which have no end sign. One follows ต่อมา, which would else
run into มาร์โก or มายา. An equation starts with a word, จะได้, to be apart from the one before. In a problem no place comes
first, where it would read as the end of the sentence before.
"""

# ruff: noqa: E501 -- a phrase stands on one line, like a table

from __future__ import annotations

from collections.abc import Mapping

from ..grammar import Grammar, Slots

PEOPLE = {
    "anna": "แอนนา", "ben": "เบน", "clara": "คลารา", "david": "เดวิด", "emma": "เอ็มมา", "felix": "เฟลิกซ์", "lina": "ลีนา",
    "marco": "มาร์โก", "nora": "นอรา", "tom": "ทอม",
    "ida": "ไอดา", "leo": "ลีโอ", "maya": "มายา", "oscar": "ออสการ์", "sara": "ซารา", "viktor": "วิกเตอร์",
}  # fmt: skip

# The noun and its classifier.
THINGS = {
    "apple": ("แอปเปิล", "ผล"), "orange": ("ส้ม", "ผล"), "egg": ("ไข่", "ฟอง"), "book": ("หนังสือ", "เล่ม"),
    "pencil": ("ดินสอ", "แท่ง"), "stamp": ("แสตมป์", "ดวง"), "flower": ("ดอกไม้", "ดอก"), "ball": ("ลูกบอล", "ลูก"),
    "cookie": ("คุกกี้", "ชิ้น"), "shell": ("เปลือกหอย", "อัน"),
    "lemon": ("เลมอน", "ผล"), "notebook": ("สมุด", "เล่ม"), "button": ("กระดุม", "เม็ด"), "photo": ("รูปถ่าย", "ใบ"),
    "key": ("กุญแจ", "ดอก"), "ticket": ("ตั๋ว", "ใบ"),
}  # fmt: skip
STUFF = {"rice": "ข้าวสาร", "flour": "แป้ง", "sugar": "น้ำตาล", "salt": "เกลือ"}
# Each is the classifier of what it holds (แอปเปิล 3 กล่อง); its own classifier is ใบ (กล่อง 3 ใบ).
CONTAINERS = {"box": "กล่อง", "bag": "ถุง", "basket": "ตะกร้า", "jar": "ขวดโหล"}
PLACES = {
    "market": "ที่ตลาด", "shop": "ที่ร้านค้า", "station": "ที่สถานี", "park": "ในสวนสาธารณะ",
    "garden": "ในสวน", "school": "ที่โรงเรียน", "fair": "ที่งานออกร้าน", "beach": "ที่ชายหาด",
}  # fmt: skip

PHRASES = {
    "have": ("{who}มี{item} {n} {unit}", "ตอนแรก{who}มี{item} {n} {unit}"),
    "buy": ("{who}ซื้อ{item}เพิ่มอีก {n} {unit}{place}", "{who}ซื้อ{item}{place}เพิ่มอีก {n} {unit}"),
    "find": ("{who}พบ{item} {n} {unit}{place}", "{who}พบ{item}{place} {n} {unit}"),
    "give": ("{who}ให้{item}แก่{other} {n} {unit}", "{other}ได้รับ{item}จาก{who} {n} {unit}"),
    "lose": ("{who}ทำ{item}หาย {n} {unit}{place}", "{who}ทำ{item}หาย{place} {n} {unit}"),
    "sell": ("{who}ขาย{item} {n} {unit}{place}", "{who}ขาย{item}{place} {n} {unit}"),
    "times": ("ต่อมา {who}มี{item}เป็น {k} เท่าของเดิม", "จากนั้นจำนวน{item}ที่{who}มีเพิ่มขึ้นเป็น {k} เท่าของเดิม"),
    "boxes": ("{who}มี{item} {k} {container} {container}ละ {n} {unit}", "{who}มี{container} {k} ใบ แต่ละ{container}มี{item} {n} {unit}"),
    "buy_boxes": ("{who}ซื้อ{item} {k} {container} {container}ละ {n} {unit}", "จากนั้น{who}ซื้อ{container} {k} ใบ แต่ละ{container}มี{item} {n} {unit}"),
    "more": ("{who}มี{item}มากกว่า{other} {n} {unit}", "เมื่อเทียบกับ{other} {who}มี{item}มากกว่าอยู่ {n} {unit}"),
    "fewer": ("{who}มี{item}น้อยกว่า{other} {n} {unit}", "เมื่อเทียบกับ{other} {who}มี{item}น้อยกว่าอยู่ {n} {unit}"),
    "times_as": ("{who}มี{item}เป็น {k} เท่าของ{other}", "เมื่อเทียบกับ{other} {who}มี{item}เป็น {k} เท่า"),
    "share": ("{who}แบ่ง{item}ทั้งหมดให้เพื่อน {k} คน คนละเท่า ๆ กัน", "เพื่อน {k} คนได้รับ{item}ทั้งหมดของ{who} คนละเท่า ๆ กัน"),
    "pack": ("{who}แบ่ง{item}ทั้งหมดใส่{container} {k} ใบ {container}ละเท่า ๆ กัน", "{who}นำ{item}ทั้งหมดใส่{container} {k} ใบ แต่ละ{container}มีจำนวนเท่ากัน"),
    "price": ("{item}ราคา{unit}ละ {n} เหรียญ", "ราคาของ{item}หนึ่ง{unit}คือ {n} เหรียญ"),
    "money": ("{who}มีเงิน {n} เหรียญ", "ตอนแรก{who}มีเงิน {n} เหรียญ"),
    "purchase": ("{who}ซื้อ{item} {n} {unit}{place}", "{who}ซื้อ{item}{place} {n} {unit}"),
    "earn": ("{who}ทำงาน {k} ชั่วโมง และได้เงินชั่วโมงละ {n} เหรียญ", "สำหรับการทำงาน {k} ชั่วโมง {who}ได้รับเงินชั่วโมงละ {n} เหรียญ"),
    "have_stuff": ("{who}มี{stuff} {n} กิโลกรัม", "ตอนแรก{who}มี{stuff} {n} กิโลกรัม"),
    "buy_stuff": ("{who}ซื้อ{stuff}เพิ่มอีก {n} กิโลกรัม", "จากนั้น{who}ซื้อ{stuff}เพิ่มอีก {n} กิโลกรัม"),
    "use_stuff": ("{who}ใช้{stuff}ไป {n} กิโลกรัม", "จากนั้น{who}ใช้{stuff}ไป {n} กิโลกรัม"),
    "ask_now": ("ตอนนี้{who}มี{item}กี่{unit}", "จำนวน{item}ที่{who}มีตอนนี้คือเท่าไร"),
    "ask_have": ("{who}มี{item}กี่{unit}", "จำนวน{item}ที่{who}มีคือเท่าไร"),
    "ask_together": ("{who}และ{other}มี{item}รวมกันกี่{unit}", "รวมกันแล้ว{who}และ{other}มี{item}กี่{unit}"),
    "ask_difference": ("{who}มี{item}มากกว่า{other}กี่{unit}", "เมื่อเทียบกับ{other} {who}มี{item}มากกว่าอยู่กี่{unit}"),
    "ask_friend": ("เพื่อนแต่ละคนได้รับ{item}กี่{unit}", "จำนวน{item}ที่เพื่อนแต่ละคนได้รับคือเท่าไร"),
    "ask_container": ("แต่ละ{container}มี{item}กี่{unit}", "จำนวน{item}ในแต่ละ{container}คือเท่าไร"),
    "ask_coins_left": ("{who}เหลือเงินกี่เหรียญ", "จำนวนเงินที่{who}เหลือคือกี่เหรียญ"),
    "ask_cost": ("{who}จ่ายเงินกี่เหรียญ", "จำนวนเงินที่{who}จ่ายคือกี่เหรียญ"),
    "ask_coins": ("ตอนนี้{who}มีเงินกี่เหรียญ", "จำนวนเงินที่{who}มีตอนนี้คือกี่เหรียญ"),
    "ask_stuff": ("ตอนนี้{who}มี{stuff}กี่กิโลกรัม", "{stuff}ที่{who}มีตอนนี้หนักกี่กิโลกรัม"),
    "likes": ("{who}ชอบ{item}", "{who}ชอบ{item}มาก"),
    "sees": ("{who}เห็น{other}{place}", "{place} {who}เห็น{other}"),
    "buys_some": ("{who}ซื้อ{item}{place}", "{place} {who}ซื้อ{item}"),
    "finds_some": ("{who}พบ{item}{place}", "{place} {who}พบ{item}"),
    "gives_some": ("{who}ให้{item}แก่{other}", "{other}ได้รับ{item}จาก{who}"),
    "loses_some": ("{who}ทำ{item}หาย{place}", "{place} {who}ทำ{item}หาย"),
    "sells_some": ("{who}ขาย{item}{place}", "{place} {who}ขาย{item}"),
    "many_there": ("มี{item}มากมาย{place}", "{place}มี{item}มากมาย"),
    "both_have": ("{who}และ{other}มี{item}", "สิ่งที่{who}และ{other}มีคือ{item}"),
    "is_at": ("ตอนนี้{who}อยู่{place}", "ตอนนี้{who}และ{other}อยู่{place}"),
}  # fmt: skip


def fields(slots: Slots) -> Mapping[str, str]:
    """Words as they are: none changes its form. `unit` is the thing's classifier."""
    item, unit = slots.item or ("", "")
    return {
        "who": slots.who or "", "other": slots.other or "", "n": slots.n.text, "k": slots.k.text, "item": item, "unit": unit,
        "container": slots.container or "", "stuff": slots.stuff or "", "place": slots.place or "",
    }  # fmt: skip


def word(entry: tuple[str, str] | str) -> str:
    """The noun without its classifier. A place as it stands in a sentence."""
    return entry if isinstance(entry, str) else entry[0]


GRAMMAR = Grammar(
    "th", PEOPLE, THINGS, STUFF, CONTAINERS, PLACES, PHRASES, "จะได้ {left} {sign} {right} = {result}", "คำตอบคือ {n}", fields, word
)  # fmt: skip
