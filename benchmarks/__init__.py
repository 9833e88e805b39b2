"""The workloads, beside the peers, on real servers."""
