"""Sells on Vinted through the seller's own browser."""
