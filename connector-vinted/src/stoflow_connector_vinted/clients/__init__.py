"""The site, one call a method."""
