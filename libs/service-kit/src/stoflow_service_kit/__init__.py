"""What every StoFlow service shares: gRPC server, NATS, settings, logs, metrics.

Nothing is imported here: connectors use this package without its database side.
"""

import os

# gRPC's C core writes lines of its own form to stderr, about things that reach us as statuses and exceptions.
# It reads this when the first server or channel is made.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
