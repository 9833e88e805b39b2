"""`python -m stoflow_sandbox.marketplaces.vinted` serves the Vinted sandbox.

Environment: HTTP_ADDRESS (host:port, port 0 for a free one), READY_FILE (written with pid and http_address
once it serves), STATE_DIR (keeps members, items and photos between runs), REQUEST_LOG_LIMIT (entries kept,
200000).

The control API under /_sandbox/ is described in `marketplaces.control_routes` and `vinted.control_routes`.
"""

from stoflow_sandbox.marketplaces.server import run
from stoflow_sandbox.marketplaces.vinted.app import make_app

if __name__ == "__main__":
    run(make_app)
