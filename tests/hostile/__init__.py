"""Trials that stay: malformed inputs, faulty servers, kills and damages, each with what must come of it (`make hostile`).

A trial is a generator: it yields commands (`Call`), is sent what came of each (`Result`), and returns a verdict. Its files lie
in a folder of its own. All that is drawn follows from the seed and the trial's id, so `--only ID` shows one again.
"""
