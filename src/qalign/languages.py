"""The languages, one row each. To add one, add a row here or give one in a file.

Codes are ISO 639-1, with ISO 639-3 for Flores, and scripts ISO 15924. Separators and grouping follow Unicode CLDR 46.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import SettingError, closest
from .iso639 import NAMES
from .untrusted import printable


@dataclass(frozen=True, slots=True)
class Language:
    """One language."""

    code: str
    name: str
    """The English name, which prompts use."""
    native_name: str = ""
    iso639_3: str = ""
    script: str = "Latn"
    zero: str = ""
    """The native digit 0, which the others follow in Unicode. Empty where digits are ASCII."""
    decimal: str = "."
    groups: str = ","
    """The characters that may separate thousands."""
    indian_groups: bool = False
    myriads: bool = False
    """Whether numbers may be written with Chinese numerals, such as 十八."""
    answer_markers: tuple[str, ...] = ()
    """Phrases that announce the final answer."""
    scales: Mapping[str, int] = field(default_factory=dict)
    """Words after a number that multiply it."""
    leading_scales: Mapping[str, int] = field(default_factory=dict)
    """Words before a number that multiply it, such as elfu 5."""
    number_words: Mapping[str, int] = field(default_factory=dict)
    """Numbers written in words after `leading_scales`."""
    question_markers: tuple[str, ...] = ()
    """Words that head a question."""
    no_answer: tuple[str, ...] = ()
    """Phrases that say that there is no answer."""
    result_markers: tuple[str, ...] = ()
    """Phrases that announce a result. The last result is the answer."""

    @property
    def flores(self) -> str:
        """The name of this language in Flores-200, such as `ben_Beng`."""
        return f"{self.iso639_3}_{self.script}"


# fmt: off
_ROWS = (
    Language("bn", "Bengali", "বাংলা", "ben", "Beng", zero="০", indian_groups=True,
             answer_markers=("উত্তর হল", "উত্তর হলো", "উত্তরটি হল", "উত্তরটি হলো", "উত্তর হবে", "উত্তরটি হবে",
                             "উত্তর হচ্ছে", "উত্তর:", "উত্তরটি:", "উত্তরঃ"),
             scales={"হাজার": 10**3, "লক্ষ": 10**5, "লাখ": 10**5, "কোটি": 10**7},
             result_markers=("ফলাফল:", "ফলাফল হল", "ফলাফল হলো"),
             question_markers=("প্রশ্ন", "সমস্যা", "উদাহরণ", "ব্যবহারকারী"),
             no_answer=("নির্ধারণ করা যায় না", "নির্ধারণ করা সম্ভব নয়", "নির্ণয় করা যায় না",
                        "নির্ণয় করা সম্ভব নয়", "বলা যায় না", "বলা সম্ভব নয়", "বের করা সম্ভব নয়",
                        "গণনা করা সম্ভব নয়", "উত্তর নেই", "সমাধান নেই", "অনির্ণেয়", "অজানা", "পর্যাপ্ত তথ্য নেই",
                        "যথেষ্ট তথ্য নেই", "উত্তর দেওয়া সম্ভব নয়", "জানা সম্ভব নয়", "জানা যায় না")),
    Language("th", "Thai", "ไทย", "tha", "Thai", zero="๐",
             answer_markers=("คำตอบคือ", "คำตอบก็คือ", "คำตอบสุดท้ายคือ", "คำตอบ คือ", "คำตอบ เป็น", "คำตอบ เท่ากับ",
                             "ตอบว่า", "คำตอบ:", "ตอบ:"),
             scales={"พัน": 10**3, "หมื่น": 10**4, "แสน": 10**5, "ล้าน": 10**6},
             result_markers=("ผลลัพธ์คือ", "ผลลัพธ์:", "สรุปคือ", "สรุป:"),
             question_markers=("คำถาม", "โจทย์", "ปัญหา", "ตัวอย่าง", "ผู้ใช้"),
             no_answer=("ไม่สามารถระบุ", "ไม่สามารถหา", "ไม่สามารถคำนวณ", "ไม่สามารถกำหนด", "ไม่สามารถทราบ",
                        "ไม่สามารถตอบ", "ไม่สามารถบอก", "ไม่สามารถสรุป", "หาคำตอบไม่ได้", "หาค่าไม่ได้", "ไม่มีคำตอบ",
                        "ระบุไม่ได้", "คำนวณไม่ได้", "ข้อมูลไม่เพียงพอ", "ไม่ทราบ",
                        "ไม่มีข้อมูลเพียงพอ", "ไม่มีข้อมูลที่เพียงพอ", "ข้อมูลไม่พอ", "ตอบไม่ได้")),
    Language("sw", "Swahili", "Kiswahili", "swh",
             answer_markers=("jibu ni", "jibu sahihi ni", "jibu la mwisho ni", "jibu litakuwa", "majibu ni", "jibu:",
                             "majibu:"),
             scales={"elfu": 10**3, "laki": 10**5, "milioni": 10**6, "bilioni": 10**9},
             leading_scales={"mia": 100, "elfu": 10**3, "maelfu": 10**3, "laki": 10**5, "milioni": 10**6,
                             "mamilioni": 10**6, "bilioni": 10**9},
             number_words={"moja": 1, "mbili": 2, "tatu": 3, "nne": 4, "tano": 5, "sita": 6, "saba": 7, "nane": 8,
                           "tisa": 9, "kumi": 10, "ishirini": 20, "thelathini": 30, "arobaini": 40, "hamsini": 50,
                           "sitini": 60, "sabini": 70, "themanini": 80, "tisini": 90},
             result_markers=("matokeo ni", "matokeo:"),
             question_markers=("Swali", "Maswali", "Tatizo", "Mfano", "Mtumiaji"),
             no_answer=("haiwezi kubainishwa", "haiwezi kujulikana", "haiwezi kuhesabiwa", "haiwezi kupatikana",
                        "halijulikani", "haijulikani", "haiwezekani", "halipo", "haipo", "hakuna jibu",
                        "hakuna suluhisho", "haliwezi kubainishwa", "haliwezi kujulikana", "haliwezi kupatikana",
                        "haliwezi kuhesabiwa", "hatuwezi kubaini", "hatuwezi kujua", "hatuwezi kuhesabu",
                        "hakuna taarifa za kutosha", "hakuna habari za kutosha", "taarifa hazitoshi",
                        "haliwezi kujibiwa", "haiwezi kujibiwa")),
    Language("ja", "Japanese", "日本語", "jpn", "Jpan", myriads=True,
             answer_markers=("答えは", "答え は", "答えが", "正解は", "解答は", "回答は", "答え:", "答:", "解答:",
                             "正解:", "回答:"),
             result_markers=("結果は", "結果:"),
             question_markers=("質問", "問題", "問", "例題", "ユーザー"),
             no_answer=("求められない", "求められません", "求めることができ", "求めることはでき", "決定できない",
                        "決定できません", "決まらない", "決まりません", "特定できない", "特定できません",
                        "計算できない", "計算できません", "わからない", "わかりません", "分からない", "分かりません",
                        "不明", "解なし", "答えなし", "存在しない", "存在しません", "解けない", "解けません",
                        "答えられない", "答えられません", "判断できない", "判断できません", "情報が足り", "情報が不足",
                        "情報が不十分")),
    Language("zh", "Chinese", "中文", "zho", "Hans", myriads=True,
             answer_markers=("答案是", "答案为", "答案為", "答案 是", "答案 为", "答案 為", "答案 等于", "答案:",
                             "答:", "正解是"),
             result_markers=("结果是", "结果为", "結果是", "結果為", "结果:"),
             question_markers=("问题", "問題", "问", "問", "题目", "題目", "例题", "用户", "用戶", "指令"),
             no_answer=("无解", "無解", "无法", "無法", "不能确定", "不能確定", "不确定", "不確定", "没有答案",
                        "沒有答案", "无答案", "没有解", "不存在", "未知", "信息不足", "条件不足", "求不出", "信息不够",
                        "条件不够", "无从得知")),
    Language("de", "German", "Deutsch", "deu", decimal=",", groups=".'",
             answer_markers=("die antwort ist", "die antwort lautet", "die antwort beträgt", "die antwort wäre",
                             "die lösung ist", "die lösung lautet", "das endergebnis ist", "das endergebnis lautet",
                             "das endergebnis beträgt", "antwort:", "lösung:", "endergebnis:"),
             scales={"tausend": 10**3, "tsd": 10**3, "million": 10**6, "millionen": 10**6, "mio": 10**6,
                     "milliarde": 10**9, "milliarden": 10**9, "mrd": 10**9},
             result_markers=("das ergebnis ist", "das ergebnis lautet", "das ergebnis beträgt", "ergebnis:"),
             question_markers=("Frage", "Aufgabe", "Problem", "Beispiel", "Benutzer", "Nutzer", "Anweisung", "F"),
             no_answer=("nicht bestimmbar", "nicht bestimmt werden", "nicht bestimmen", "nicht berechnet werden",
                        "nicht berechnen", "nicht berechenbar", "nicht möglich", "nicht lösbar", "nicht ermitteln",
                        "nicht ermittelt werden", "nicht eindeutig", "keine lösung", "keine antwort", "unbekannt",
                        "nicht beantworten", "nicht lösen", "fehlen angaben", "fehlen informationen",
                        "nicht beantwortet werden", "nicht beantwortbar",
                        "unlösbar", "unbestimmt", "unmöglich", "nicht genug informationen",
                        "nicht genügend informationen")),
    Language("fr", "French", "Français", "fra", decimal=",", groups=" .",
             answer_markers=("la réponse est", "la réponse finale est", "la réponse serait", "la réponse sera",
                             "la solution est", "réponse:", "réponse finale:"),
             scales={"mille": 10**3, "million": 10**6, "millions": 10**6, "milliard": 10**9, "milliards": 10**9},
             result_markers=("le résultat est", "le résultat final est", "résultat:", "résultat final:"),
             question_markers=("Question", "Problème", "Exercice", "Exemple", "Utilisateur", "Instruction"),
             no_answer=("être déterminé", "pas déterminer", "pas de solution", "pas de réponse", "pas possible",
                        "pas calculer", "être calculé", "aucune solution", "aucune réponse", "impossible",
                        "indéterminé", "inconnu", "pas assez d'informations", "pas suffisamment",
                        "pas répondre", "pas savoir", "pas trouver",
                        "insuffisant")),
    Language("ru", "Russian", "Русский", "rus", "Cyrl", decimal=",", groups=" ",
             answer_markers=("ответ:", "ответ —", "ответ равен", "ответ составляет", "ответ составит", "ответ будет",
                             "ответ это", "ответом является", "ответом будет"),
             scales={"тысяча": 10**3, "тысячи": 10**3, "тысяч": 10**3, "тыс": 10**3, "миллион": 10**6,
                     "миллиона": 10**6, "миллионов": 10**6, "млн": 10**6, "миллиард": 10**9, "миллиарда": 10**9,
                     "миллиардов": 10**9, "млрд": 10**9},
             result_markers=("результат:", "результат равен", "итого:"),
             question_markers=("Вопрос", "Задача", "Пример", "Задание", "Пользователь", "В"),
             no_answer=("нельзя определить", "нельзя вычислить", "нельзя найти", "нельзя рассчитать", "невозможно",
                        "не определен", "не определён", "неизвестен", "неизвестно", "не может быть определ",
                        "не может быть вычислен", "не может быть найден", "не имеет решения", "нет решения",
                        "нет ответа", "решения нет", "решений нет", "ответа нет", "не существует", "недостаточно",
                        "нельзя ответить", "нельзя узнать", "не хватает данных", "не хватает информации")),
    Language("es", "Spanish", "Español", "spa", decimal=",", groups=". ",
             answer_markers=("la respuesta es", "la respuesta final es", "la respuesta correcta es",
                             "la respuesta sería", "la respuesta será", "la solución es", "respuesta:"),
             scales={"mil": 10**3, "millón": 10**6, "millones": 10**6, "mil millones": 10**9},
             result_markers=("el resultado es", "el resultado final es", "resultado:", "resultado final:"),
             question_markers=("Pregunta", "Problema", "Ejercicio", "Ejemplo", "Usuario", "Instrucción", "P"),
             no_answer=("no se puede determinar", "no se puede calcular", "no se puede saber", "no se puede resolver",
                        "no se puede responder", "no puede determinarse", "no puede calcularse",
                        "no puede ser determinad", "no es posible", "no podemos determinar", "no podemos calcular",
                        "no podemos saber", "no hay solución", "no tiene solución", "sin solución",
                        "no hay respuesta", "no existe", "imposible", "indeterminad", "desconocid",
                        "no hay suficiente", "no se conoce", "faltan datos", "falta información")),
    Language("en", "English", "English", "eng",
             answer_markers=("the answer is", "the final answer is", "the correct answer is", "the answer would be",
                             "the answer will be", "the answer should be", "the answer must be", "the answer was",
                             "the answer comes to", "answer:"),
             scales={"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12},
             result_markers=("the result is", "the final result is", "result:"),
             question_markers=("Question", "Q", "Problem", "Exercise", "Example", "Task", "Instruction", "Input",
                               "Human", "User", "Student"),
             no_answer=("cannot be determined", "can't be determined", "can not be determined",
                        "could not be determined", "cannot be calculated", "can't be calculated", "cannot be found",
                        "cannot be computed", "cannot be answered", "cannot be solved", "cannot be known",
                        "cannot determine", "can't determine", "cannot calculate", "cannot find", "cannot answer",
                        "cannot solve", "not possible to", "impossible to", "no solution", "no answer",
                        "not enough information", "insufficient information", "undetermined", "indeterminate",
                        "undefined", "unknown", "unable to determine", "no way to know", "don't know",
                        "do not know",
                        "not enough data", "not determinable", "does not exist", "doesn't exist", "N/A")),
    # Below the ten of the study: known to the table, in no default.
    Language("te", "Telugu", "తెలుగు", "tel", "Telu", zero="౦", indian_groups=True,
             answer_markers=("సమాధానం",),
             scales={"వేల": 10**3, "వేలు": 10**3, "లక్ష": 10**5, "లక్షల": 10**5, "లక్షలు": 10**5, "కోట్లు": 10**7},
             question_markers=("ప్రశ్న",)),
)
# fmt: on

PHRASES = ("answer_markers", "question_markers", "no_answer", "result_markers")
"""The fields of a language that are lists of phrases."""

LANGUAGES: Mapping[str, Language] = {row.code: row for row in _ROWS}

STUDY = ("bn", "th", "sw", "ja", "zh", "de", "fr", "ru", "es", "en")
"""The ten languages of the study, in the order of its tables."""


def language(code: str, table: Mapping[str, Language] = LANGUAGES) -> Language:
    """The row of a language.

    Raises:
        SettingError: the table lacks the language. The message says how to add it.
    """
    if code not in table:
        raise SettingError(f"unknown language '{printable(code[:80])}': {likely(code, table)}")
    return table[code]


def language_codes(texts: Iterable[str]) -> tuple[str, ...]:
    """The codes in texts, each once. Commas or spaces stand between them."""
    return tuple(dict.fromkeys(code for text in texts for code in text.replace(",", " ").split()))


def likely(text: str, table: Mapping[str, Language]) -> str:
    """The end of a message about an unknown code: the likely one, or how to add it."""
    code = _meant(text, table)
    if code is not None and code in table:
        return f"did you mean '{code}'? It is the code of {table[code].name}"
    if code is not None:
        known = f"the code of {NAMES[code]}, which" if code == text else f"{NAMES[code]} has the code '{code}' and"
        return (
            f"{known} is not built in: describe it in a file, --language-file FILE (built in: {', '.join(LANGUAGES)})"
        )
    return f"known: {', '.join(table)} (a further one is a row in a file: --language-file)"


def _meant(text: str, table: Mapping[str, Language]) -> str | None:
    """The code that a text means, with small spelling mistakes allowed.

    The text is a code, such as deu or zh_CN, or a name.
    """
    folded = text.strip().casefold()
    codes = {code: code for code in NAMES} | {code.casefold(): code for code in table}
    codes |= {row.iso639_3: code for code, row in table.items() if row.iso639_3}
    names = {name.casefold(): code for code, name in NAMES.items()}
    names |= {
        name.casefold(): code for code, row in table.items() for name in (row.name, row.native_name, row.flores) if name
    }
    for known in (folded, folded.replace("_", "-").partition("-")[0]):
        if known in codes or known in names:
            return codes.get(known) or names[known]
    if len(folded) > 3:
        close = closest(folded, names, cutoff=0.75)
        return names[close] if close is not None else None
    same = [code for code in table if len(code) == len(folded) and code[0] == folded[:1]]
    return same[0] if len(same) == 1 else None


def names_of(codes: Iterable[str], table: Mapping[str, Language]) -> dict[str, dict[str, str]]:
    """The fields that data and instructions need, by code, as plain values.

    So a new answer marker, for example, is no reason to train again.
    """
    fields = ("code", "name", "iso639_3", "script")
    return {code: {name: getattr(language(code, table), name) for name in fields} for code in codes}


def as_rows(codes: Iterable[str], table: Mapping[str, Language]) -> dict[str, dict[str, Any]]:
    """The rows of languages as plain values for a config. A new row is a new stage."""
    return {
        code: {
            **dataclasses.asdict(language(code, table)),
            **{name: list(getattr(table[code], name)) for name in PHRASES},
        }
        for code in codes
    }
