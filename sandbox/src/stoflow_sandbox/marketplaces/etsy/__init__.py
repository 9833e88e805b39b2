"""Etsy as the connector meets it: OAuth with PKCE, Open API v3, webhooks, with Etsy's own rules and traps.

`state` holds what the marketplace knows; the rules (drafts, listings, activation, images, inventory,
properties, shop_setup, receipts, orders, oauth, consent, limits) are plain functions of state and request
that return the answer and its effects; `routes` maps the official paths onto them; `app` puts the control
API, the consent page and the listing pages beside it. What is not modelled is listed in sandbox/README.md.
"""
