"""Where sellers' browsers connect."""
