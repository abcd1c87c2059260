"""The method: prompts, translation variants, response alignment, mixtures."""
