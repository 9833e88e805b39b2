"""The summary of a profile."""

from __future__ import annotations

from benchmarks.profiling import summarise


def test_functions_count_once_a_stack() -> None:
    """A function that calls itself is counted once a sample; the one on top is counted as such."""
    collapsed = "main (a.py:1);walk (a.py:5);walk (a.py:7) 3\nmain (a.py:2) 1\n"

    anywhere, top, lines = summarise(collapsed).split("\n\n")[1:]

    assert "100.0%  main (a.py)" in anywhere
    assert "75.0%  walk (a.py)" in anywhere
    assert "75.0%  walk (a.py)" in top
    assert "75.0%  walk (a.py:7)" in lines
