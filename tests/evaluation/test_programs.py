"""The interpreter of plain programs: it prints what Python prints, or says that it does not know."""

from __future__ import annotations

import io
import time
from contextlib import redirect_stdout

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qalign.evaluation.programs import PROGRAM, STEPS, Failed, OutOfSteps, Unknown, run

KNOWN = [
    "print(3 + 4 * 5 - 6 / 2, 7 // 2, -7 // 2, 7 % 3, -7 % 3, 2 ** 10, 2 ** -1, -3 ** 2)",
    "a, b = 3, 4\na, b = b, a\nprint(a, b, a > b, a == b, not a, +a)",
    "x = y = 2.5\nx += 1\nx *= 2\nx -= 3\nx /= 4\nx //= 1\nx **= 2\nx %= 7\nprint(x, y)",
    "import math\nfrom math import sqrt as root, pi\nprint(math.ceil(2.1), root(16), pi, math.factorial(20), math.gcd(12, 18))",
    "import math as m\nprint(m.comb(10, 3), m.floor(-2.5), m.log(8, 2), m.inf, -m.inf)",
    "total = 0\nfor n in range(10):\n    if n % 2:\n        continue\n    if n > 6:\n        break\n    total += n\nprint(total)",
    "n = 100\nwhile n > 3:\n    n //= 2\nelse:\n    n = n + 0.5\nprint(n)",
    "for n in range(3):\n    pass\nelse:\n    print('all')\nfor n in [1]:\n    break\nelse:\n    print('not this')",
    "def area(w, h=2):\n    return w * h\n\ndef none():\n    pass\n\nprint(area(3), area(3, 4), none())",
    "def f(n):\n    if n < 2:\n        return n\n    return f(n - 1) + f(n - 2)\nprint(f(12))",
    "x = 1\ndef f():\n    x = 2\n    return x\nprint(f(), x)",
    "k = 3\ndef f(n):\n    return n * k\nk = 5\nprint(f(2))",
    "l = [3, 1, 2]\nl.append(5)\nl[0] = 9\nprint(l, sorted(l), len(l), l[1:], l[-1], l[::-1], sum(l), max(l), min(l), 5 in l)",
    "t = (1, 2)\nfor a, b in [(1, 2), (3, 4)]:\n    print(a * b, t + (a,), t[0], (a, b))",
    "l = [1]\nfor n in l:\n    if n < 5:\n        l.append(n + 1)\nprint(l)",
    "s = 'ab'\nprint(s + 'c', s * 3, s[0], 'a' in s, len(s), s == 'ab', \"it's\", [s, 'x\"y'])",
    "print(round(2.675, 2), round(2.5), round(-1234, -2), abs(-3), int('12'), float('1.5'), int(3.9), str(4) + '!')",
    "print(1 < 2 < 3, 1 < 2 > 3, 1 and 0, 0 or 'x', not [], True + 1, None, 1e20, 1e-7, 0.1 + 0.2, 10 ** 16 / 3)",
    "print(max(1, 2.5), min([4, 2]), pow(2, 3), pow(2, 0.5), sum(range(101)), sum([1.5, 2], 1), list(range(5, 0, -2)))",
    "if __name__ == '__main__':\n    print(7)",
    "print()\nprint('a', 1, 2.0)",
    "# a comment\n'''a text'''\nx = 5 # five\nprint(x)",
    "print(range(3), 2 in range(3), range(3)[1])",
]


def python(program: str) -> str:
    out = io.StringIO()
    with redirect_stdout(out):
        exec(compile(program, "program", "exec"), {"__name__": "__main__"})
    return out.getvalue()


@pytest.mark.parametrize("program", KNOWN)
def test_it_prints_what_python_prints(program: str) -> None:
    assert run(program) == python(program)


NUMBERS = st.one_of(st.integers(-40, 40), st.sampled_from([0.5, -2.25, 7.0, 1e9]))
SIGNS = ["+", "-", "*", "/", "//", "%", "<", "==", "and", "or"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(NUMBERS, st.sampled_from(SIGNS)), min_size=2, max_size=7), st.booleans())
def test_any_arithmetic_is_pythons(parts: list[tuple[float, str]], grouped: bool) -> None:
    text = " ".join(f"({number}) {sign}" for number, sign in parts) + " 3"
    program = f"x = ({text.replace(' * ', ') * (')})\nprint(x)" if grouped else f"x = {text}\nprint(x)"
    try:
        expected: object = python(program)
    except Exception as error:
        expected = type(error).__name__
    try:
        printed = run(program)
    except Failed as error:
        printed = str(error)
    assert printed == expected


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("print(1 / 0)", "ZeroDivisionError"),
        ("print(x)", "NameError"),
        ("x = 1\ndef f():\n    x += 1\nf()", "UnboundLocalError"),
        ("print([1][5])", "IndexError"),
        ("print(1 + 'a')", "TypeError"),
        ("print(int('a'))", "ValueError"),
        ("a, b = [1]", "ValueError"),
        ("def f(a):\n    return a\nprint(f())", "TypeError"),
        ("def f(a):\n    return a\nprint(f(1, 2))", "TypeError"),
        ("print(2.0 ** 5000)", "OverflowError"),
        ("print((", "SyntaxError"),
        ("return 5", "SyntaxError"),
        ("break", "SyntaxError"),
        ("def f():\n    break\nfor n in [1]:\n    f()", "SyntaxError"),
        ("print('\0')", "ValueError"),
        ("print(1)\nprint(len(5))", "TypeError"),
    ],
)
def test_errors_are_pythons(program: str, error: str) -> None:
    with pytest.raises(Failed) as caught:
        run(program)
    assert str(caught.value) in (error, "SyntaxError")


@pytest.mark.parametrize(
    "program",
    [
        "import os", "from math import nan_", "import math, os", "x = 'a'.upper()", "print(len.__self__)",
        "import math\nmath.__loader__",
        "print(open('f'))", "eval('1')", "x = lambda: 1", "class A:\n    pass", "print([n for n in [1]])", "print(f'{1}')",
        "x = {1: 2}", "try:\n    pass\nfinally:\n    pass", "print(1, sep='')", "def f(*a):\n    pass", "del x", "global x",
        "with 1:\n    pass", "print(3 & 1)", "print((-8) ** 0.5)", "print('%d' % 3)", "x = [[1]]", "x = ((1,), 2)",
        "print(print)",
        "x = [1]\nx += [2]", "x = [max]", "print(pow(2, 3, 5))", "def f():\n    def g():\n        pass\nf()",
        "print(1 if 2 else 3)",
        "print = 3\nprint(print)", "def print(x):\n    return x\nprint(3)", "def f(print):\n    print(3)\nf(max)", "print(1j)",
        "print(b'a')", "@max\ndef f():\n    pass", "x: int = 3", "print(1 is 1)", "import math\nmath.sqrt = 3",
        "async def f():\n    pass",
        "print(~3)", "str.x = 4", "print(max([1], key=abs))", "print(*[1])", "print((x := 3))", "print(-max)", "assert 1",
    ],
)  # fmt: skip
def test_what_it_does_not_know_it_says(program: str) -> None:
    with pytest.raises(Unknown):
        run(program)


@pytest.mark.parametrize(
    "program",
    [
        "while True:\n    pass", "for n in range(10 ** 18):\n    pass", "print(sum(range(10 ** 18)))",
        "print(max(range(10 ** 30)))",
        "x = [0] * 9999\nwhile True:\n    y = x + [1]", "x = 'ab' * 4999\nwhile True:\n    'ba' in x",
        "x = list(range(9999))\nwhile True:\n    sorted(x)", "x = 7 ** 3000\nwhile True:\n    y = x * 3",
        "def f(n):\n    if n < 1:\n        return 1\n    return f(n - 1) + f(n - 1)\nprint(f(20))",
        "x = ['a' * 99] * 9999\nwhile True:\n    x == ['a' * 99] * 9999",
    ],
)  # fmt: skip
def test_endless_programs_end(program: str) -> None:
    begun = time.process_time()
    with pytest.raises(OutOfSteps):
        run(program)
    assert time.process_time() - begun < 30, f"{STEPS} steps are cheap, whatever they do"


@pytest.mark.parametrize(
    "program",
    [
        "print(2 ** 10 ** 9)", "x = 9 ** 9 ** 9", "x = 'a' * 10 ** 9", "x = 10 ** 9 * [1]", "x = (1,) * 10 ** 9",
        "x = 'a'\nwhile 1:\n    x += x",
        "import math\nprint(math.factorial(10 ** 6))", "print(round(5, -10 ** 9))", "x = [1]\nwhile 1:\n    x.append(1)",
        "print(list(range(20000)))", "while 1:\n    print('a' * 999)", "x = ['a' * 9999] * 9999\nprint(x)",
        "print(0.5 in range(10 ** 15))",
        "def f(n):\n    return f(n)\nf(1)", "x = [1]\nx.append(x)", "print(" + "-" * 6000 + "1)", "x = " + "1+" * 4000 + "1",
        "import math\nprint(math.comb(10 ** 6, 10 ** 5))", "x = 3\nwhile 1:\n    x *= x", "# " + "a" * PROGRAM,
        "print(str([7 ** 3000] * 99))",
        "x = sum([(1,)] * 9999, ())",
    ],
)  # fmt: skip
def test_large_values_are_not_made(program: str) -> None:
    with pytest.raises((Unknown, Failed)):
        run(program)
