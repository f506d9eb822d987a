"""The venue's rules as one kernel: depth, queue position, fills and money over int64 arrays; run by the paper venue and the backtester."""
