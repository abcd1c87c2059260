"""Results for people and for programs: tables (terminal, Markdown, LaTeX, CSV) and `results.json`."""
