#!/usr/bin/env python3
"""Merges the interval logs of many pods into one distribution of all their latencies.

    pip install hdrhistogram
    merge.py pod-0.log pod-1.log ... >all.hgrm

One file for each pod: of several that are put behind one another HdrHistogram's readers leave some out
without a word.
"""

import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

HOUR_NS = 3600 * 10**9
DIGITS = 3
NS_IN_MS = 10**6


def merge(names):
    whole = HdrHistogram(1, HOUR_NS, DIGITS)
    for name in names:
        log = HistogramLogReader(name, HdrHistogram(1, HOUR_NS, DIGITS))
        intervals = 0
        while (interval := log.get_next_interval_histogram()) is not None:
            whole.add(interval)
            intervals += 1
        if not intervals:
            sys.exit(f"{name}: no intervals")
    return whole


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    merge(sys.argv[1:]).output_percentile_distribution(sys.stdout.buffer, NS_IN_MS)
