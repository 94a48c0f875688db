"""The benchmark: `python -m softone_pipeline_tests.bench` (from a checkout; the tests are not in the wheel).

Whole processes, taken in turn, against a local server that has every answer ready. Results: docs/benchmarks.md.
Its timings are no tests; that its server, contenders and judges work is one (test_bench.py).
"""
