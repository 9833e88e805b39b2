"""`python -m stoflow_sandbox.marketplaces.etsy` serves the Etsy sandbox.

Environment: HTTP_ADDRESS (host:port, port 0 for a free one), READY_FILE (written with pid and http_address
once it serves), STATE_DIR (keeps shops, listings and pictures between runs), REQUEST_LOG_LIMIT (entries kept,
200000).

The control API under /_sandbox/ is described in `marketplaces.control_routes` and `etsy.control_routes`.
"""

from stoflow_sandbox.marketplaces.etsy.app import make_app
from stoflow_sandbox.marketplaces.server import run

if __name__ == "__main__":
    run(make_app)
