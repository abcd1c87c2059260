"""Step 1: where text comes from.

A corpus is a row of `table.CORPORA`, or a user's own file or folder. `locate` finds out where it will be read from
and by what it is known (a revision, or the hash of the files); `read` reads it, checked, into problems or pairs. What
a corpus is used for is its role: questions, answers, multilingual, english, general, test.
"""

from __future__ import annotations

from .read import Text, read
from .source import Source, locate
from .table import CORPORA, Corpus, Role

__all__ = ["CORPORA", "Corpus", "Role", "Source", "Text", "locate", "read"]
