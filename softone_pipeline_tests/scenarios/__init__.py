"""Random mixes of faults against the whole pipeline, judged by the oracle.

drawing.py     which scenario a seed is
playing.py     a scenario played over real HTTP into a real database
truth.py       what raw, core and mart must hold, and what they hold instead
__main__.py    thousands of them: `python -m softone_pipeline_tests.scenarios --count 3000 --seed 1`
"""
