"""eBay as the connector meets it: OAuth, Media, Inventory, Account, Taxonomy and Metadata, with eBay's own
rules.

`state` holds what the marketplace knows; the rules (items, offers, publication, prices, locations, images,
oauth, account, taxonomy) are plain functions of state and request that return the answer and its effects;
`routes` maps the official paths onto them; `app` puts the control API and the listing pages beside it. What
is not modelled is listed in sandbox/README.md.
"""
