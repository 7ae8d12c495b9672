"""Speed and cost of mux, as ratios measured in one run: `python -m benchmarks`. Linux only: it reads `/proc`."""
