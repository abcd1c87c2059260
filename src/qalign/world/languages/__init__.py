"""One file per language of the world: its words, phrasings and grammar."""
