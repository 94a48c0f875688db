"""`python -m softone_pipeline` is the command line."""

from softone_pipeline.cli import main

main()
