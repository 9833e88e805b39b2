"""Sells products on Etsy."""
