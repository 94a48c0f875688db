"""Our definitions as a project has them whose executor gives each step a process of its own."""

import dagster as dg

from softone_pipeline import build_definitions

defs = build_definitions(executor=dg.multiprocess_executor)
