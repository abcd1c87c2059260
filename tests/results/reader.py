"""Reads a page as a browser would, to the point of telling what in it is an element and what is text."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "link", "br", "input", "path", "line", "rect", "circle"}


class Reader(HTMLParser):
    """The elements, attributes, scripts and texts of a page; refuses one that leaves an element open."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.scripts: list[tuple[dict[str, str], str]] = []
        self.feed(page)
        self.close()
        assert self.open == [], "elements are left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        if tag == "script":
            self.scripts.append((given, ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self.open[-1] if self.open else ""
        if inside == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        self.texts.append((inside, data))

    def text(self) -> str:
        return "".join(data for inside, data in self.texts if inside not in ("script", "style"))

    def data(self) -> dict[str, Any]:
        (given,) = (text for attributes, text in self.scripts if attributes.get("type") == "application/json")
        read: dict[str, Any] = json.loads(given)
        return read
