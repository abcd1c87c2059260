"""One file a language of the world: its words, its phrasings, its grammar."""
