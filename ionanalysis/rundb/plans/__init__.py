"""Planned runs as users write them: one object for a plan, its run, the settings of its analysis and its samples.

`normalise` brings what was sent into the form that is stored, `rules` says what is wrong with it, `arguments` chooses
the command lines, `make` writes the rows.
"""
