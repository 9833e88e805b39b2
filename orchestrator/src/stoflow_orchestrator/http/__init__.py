"""Routes of the small HTTP server."""
