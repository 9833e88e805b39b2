"""Publishes products on eBay."""
