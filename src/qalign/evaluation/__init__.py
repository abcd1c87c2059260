"""Evaluation: benchmarks, reading the answer out of a text, scores with their standard errors."""
