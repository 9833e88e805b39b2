"""Stateful marketplace sandboxes, each served over HTTP by a process of its own.

They import nothing else of this project, so that what a connector believes about a marketplace is checked by
something that does not share the belief. `control` is the client of their control API.
"""
