"""Step 1: where text comes from.

A corpus is a row of `table.CORPORA`, or a user's own file or folder. `locate` finds the place it is read from and its
identity: a revision, or the hash of its files. `read` reads it into checked problems or pairs. A role says how a corpus
is used: questions, answers, multilingual, english, general, test or text.
"""

from __future__ import annotations

from .source import Source, Text, locate, read
from .table import CORPORA, Corpus, Role

__all__ = ["CORPORA", "Corpus", "Role", "Source", "Text", "locate", "read"]
