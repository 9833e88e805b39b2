"""`python -m stoflow_sandbox.marketplaces.ebay` serves the eBay sandbox.

Environment: HTTP_ADDRESS (host:port, port 0 for a free one), READY_FILE (written with pid and http_address
once it serves), STATE_DIR (keeps sellers, listings and pictures between runs), REQUEST_LOG_LIMIT (entries
kept, 200000), ALLOW_HTTP_IMAGE_URLS (false; eBay downloads pictures over https only).

The control API under /_sandbox/ is described in `marketplaces.control_routes` and `ebay.control_routes`.
"""

from stoflow_sandbox.marketplaces.ebay.app import make_app
from stoflow_sandbox.marketplaces.server import run

if __name__ == "__main__":
    run(make_app)
