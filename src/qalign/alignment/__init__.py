"""The idea of the paper: prompts, the translation task and its variants, response alignment, mixtures."""
