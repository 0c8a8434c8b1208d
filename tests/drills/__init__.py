"""Drills: faults at random moments for as long as one likes, and what came of them.

From the project's folder, ``PYTHONPATH=tests python -m drills.turns --store sqlite --minutes 3``. Each prints
a table and ends with status 1 where a promise was broken. ``docs/reliability.md`` holds figures; tests run
each for a few seconds.
"""
