"""A small site in the manner of Vinted, as a signed-in member's browser meets it.

`state` holds what the site knows; the rules (sessions, photos, items, wardrobe, orders) are plain functions of state
and request that return the answer and its effects; `routes` maps the paths onto them; `guard` refuses before any rule:
session, CSRF token, origin, captcha, rate; `pages` are what a person sees. Vinted publishes no documentation of these
calls: what is modelled, and what is a choice of this sandbox, is said in sandbox/README.md.
"""
