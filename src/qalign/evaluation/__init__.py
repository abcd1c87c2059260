"""Benchmarks, answer extraction, scores, consistency and significance."""
